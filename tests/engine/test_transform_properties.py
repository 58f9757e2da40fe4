"""What holds for a transform job however the records are cut, shared, slowed down or hit."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scripted_model import Call
from transform_case import TransformCase

from batchcast.engine.faults import Fault, FaultPlan
from batchcast.engine.transform.plan import TransformOptions

RETRIES = 3
# A job takes some 20 ms: real threads, real HTTP.
JOBS = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])

LINES = st.binary(min_size=1, max_size=30).map(lambda text: text.replace(b"\n", b"_").replace(b"\r", b"_"))
FILES = st.lists(st.lists(LINES, max_size=12), min_size=1, max_size=5)
SHAPES = st.fixed_dictionaries(
    {
        "InstanceCount": st.integers(1, 3),
        "MaxConcurrentTransforms": st.integers(1, 5),
        "BatchStrategy": st.sampled_from(["SingleRecord", "MultiRecord"]),
    }
)


def answered(call: Call) -> bytes:
    """One line for each line sent, so that an answer tells its record."""
    return b"\n".join(b"<%s>" % record for record in call.body.split(b"\n"))


def run(files: list[list[bytes]], shape: dict[str, Any], faults: FaultPlan) -> tuple[str, dict[str, bytes]]:
    with tempfile.TemporaryDirectory() as folder:
        case = TransformCase(Path(folder))
        case.put(**{f"f{number}": b"".join(line + b"\n" for line in lines) for number, lines in enumerate(files)})
        # All of the service's times at a twentieth, so the longest planned latency is 10 ms.
        result = case.run(answered, faults=faults, options=TransformOptions(time_scale=0.05), **shape)
        return result.status, case.outputs()


def expected(files: list[list[bytes]]) -> dict[str, bytes]:
    return {f"f{n}.out": b"".join(b"<%s>\n" % line for line in lines) for n, lines in enumerate(files)}


@JOBS
@given(FILES, SHAPES)
def test_any_cut_into_files_instances_and_slots_gives_the_same_answers_in_order(
    files: list[list[bytes]], shape: dict[str, Any]
) -> None:
    assert run(files, shape, FaultPlan()) == ("Completed", expected(files))


SURVIVABLE = st.builds(
    Fault,
    effect=st.sampled_from(["status", "reset", "truncated"]),
    status=st.sampled_from([500, 502, 503]),
    file=st.none() | st.integers(0, 4).map(lambda number: f"f{number}"),
    line=st.none() | st.integers(0, 11),
    instance=st.none() | st.integers(0, 2),
    attempts=st.integers(1, RETRIES).map(lambda last: (1, last)),
) | st.builds(Fault, effect=st.just("latency"), seconds=st.floats(0, 0.2), line=st.none() | st.integers(0, 11))


@JOBS
@given(FILES, SHAPES, st.lists(SURVIVABLE, max_size=4))
def test_nothing_is_lost_under_faults_that_the_retries_outlive(
    files: list[list[bytes]], shape: dict[str, Any], faults: list[Fault]
) -> None:
    assert run(files, shape, FaultPlan(tuple(faults))) == ("Completed", expected(files))


DEADLY = st.builds(
    Fault,
    effect=st.sampled_from(["status", "reset", "truncated"]),
    status=st.sampled_from([400, 404, 500]),
    file=st.integers(0, 4).map(lambda number: f"f{number}"),
    line=st.just(0),
)


@JOBS
@given(FILES, SHAPES, st.lists(DEADLY, min_size=1, max_size=3))
def test_a_deadly_fault_costs_exactly_the_files_it_strikes(
    files: list[list[bytes]], shape: dict[str, Any], faults: list[Fault]
) -> None:
    struck = {f"{fault.file}.out" for fault in faults if int(str(fault.file)[1:]) < len(files)}
    struck -= {f"f{number}.out" for number, lines in enumerate(files) if not lines}
    whole = {name: content for name, content in expected(files).items() if name not in struck}
    assert run(files, shape, FaultPlan(tuple(faults))) == ("Failed" if struck else "Completed", whole)
