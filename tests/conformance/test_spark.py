"""Spark builds what the processes of one instance build, byte for byte: the bundle runs as the step does, on Spark."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pytest
from contract_text import contract_text
from shard_build import DAILY_CONTRACT, Build, build_arguments, build_environment, daily_rows, write_files
from stacks import ROOT
from two_steps import PUBLISH, TwoSteps

from batchcast.local.run import LOCAL_DEFAULTS
from batchcast.pipelines.settings import bundle
from batchcast.runs.published import read_forecasts

pytestmark = pytest.mark.conformance

PYTHON = ROOT / "conformance" / "spark" / ".venv" / "bin" / "python"
HOSTILE_IDS = [
    *("", " ", "a/b", "..", "null", "None", "NaN", "\\", '"', "'", "$item_id", "{}", "a,b", "a\tb", "a\nb", "a\rb"),
    *(
        "\x7f",
        "\x1b[2J",
        "\u202eabc",
        "\u2028",
        "é",
        "e\u0301",
        "日本",
        "🍞",
        "ﬁ",
        "İ",
        "0",
        "00",
        "1e3",
        "-0",
        "x" * 5000,
    ),
    *("_NULL_", "part-00000.jsonl", "=1+1", "<b>", "&amp;", "%2F", "a b", "A", "a", "\ufeff"),
]


class Started:
    """Starts a step from the bundle in a process of its own, with Spark's Python and `flags` added."""

    def __init__(self, folder: Path, *flags: str) -> None:
        assert PYTHON.exists(), f"{PYTHON}: `make test-conformance` installs it"
        folder.mkdir(parents=True, exist_ok=True)
        self.application, self.flags = folder / "app.pyz", flags
        self.application.write_bytes(bundle())

    def __call__(self, argv: Sequence[str], environ: Mapping[str, str]) -> int:
        flags = self.flags if argv[0] == "build_shards" else ()
        command = [PYTHON, "-I", self.application, *argv, *flags]
        environ = {"PATH": os.environ["PATH"], **environ}
        # Spark's workers must not take for the package what lies where the step was started.
        decoy = self.application.parent / "batchcast" / "__init__.py"
        decoy.parent.mkdir(exist_ok=True)
        decoy.write_text("raise AssertionError('not the bundle')\n")
        ended = subprocess.run(command, env=environ, cwd=self.application.parent, capture_output=True, text=True)
        assert ended.returncode != 1, ended.stderr[-5000:]
        return ended.returncode


def both(
    folder: Path,
    contract: str,
    history: Path | Iterable[pa.Table],
    *,
    group_rows: int = 1 << 20,
    environment: Mapping[str, str] = MappingProxyType({}),
    **flags: object,
) -> tuple[Build, Build]:
    """The same build by processes and by Spark."""
    made = []
    for engine in ("processes", "spark"):
        root = folder / engine
        given = root / "processing/input/history"
        given.parent.mkdir(parents=True)
        if isinstance(history, Path):
            given.symlink_to(history)
        elif engine == "spark":
            given.symlink_to(folder / "processes/processing/input/history")
        else:
            write_files(given, history, group_rows=group_rows)
        (root / "processing/input/contract").mkdir()
        (root / "processing/input/contract/model.toml").write_text(contract, encoding="utf-8")
        start = Started(folder / f"code-{engine}")
        argv = build_arguments(**{"processes": 2, **flags, "build_engine": engine})
        code = start(argv, {**build_environment(root), **environment})
        message = root / "output/message"
        text = message.read_text(encoding="utf-8") if message.is_file() else ""
        made.append(Build(root=root, exit_code=code, message=text))
    return made[0], made[1]


def same(builds: tuple[Build, Build]) -> Build:
    """Spark's, once it is known to be the other."""
    one, other = builds
    assert (other.exit_code, other.message) == (one.exit_code, one.message) == (0, "")
    expected, found = one.files, other.files
    assert found.keys() == expected.keys()
    assert [name for name, data in expected.items() if found[name] != data] == []
    return other


@pytest.mark.parametrize(
    ("sample", "run_date", "horizon"), [("bakery", "2019-03-30", 31), ("grocery", "2017-11-19", 6)]
)
def test_a_sample_is_the_same_byte_for_byte(tmp_path: Path, sample: str, run_date: str, horizon: int) -> None:
    folder = ROOT / "examples" / sample
    contract = (folder / "model.toml").read_text(encoding="utf-8")
    made = same(both(tmp_path, contract, folder / "history", run_date=run_date, forecast_horizon=horizon))
    assert made.manifest.totals.records > 10
    assert len(made.baseline) > 0


def test_hostile_ids_and_every_reason_of_quarantine_are_the_same(tmp_path: Path) -> None:
    begin = dt.date(2026, 1, 1)
    dates = [begin + dt.timedelta(days=day) for day in range(40)]
    rows = [{"item": item, "date": day, "sales": 1.5, "text": "é"} for item in HOSTILE_IDS for day in dates]
    spoiled: dict[str, list[dict[str, object]]] = {
        "duplicate_date": [{"date": dates[3]}],
        "implausible_date": [{"date": dt.date(2096, 1, 1)}],
        "null_key": [{"date": None}],
        "too_large": [{"date": begin - dt.timedelta(days=1), "text": "x" * 6_000_000}],
    }
    for reason, more in spoiled.items():
        rows += [{"item": reason, "date": day, "sales": 1.0, "text": ""} for day in dates]
        rows += [{"item": reason, "sales": 1.0, "text": "", **row} for row in more]
    rows += [{"item": "too_short", "date": dates[-1], "sales": 1.0, "text": ""}]
    rows += [{"item": "gap", "date": day, "sales": 1.0, "text": ""} for day in dates if day.day != 9]
    rows += [{"item": None, "date": dates[0], "sales": 1.0, "text": ""}]
    body = '{"item_id": $item_id, "rows": $history({"date": $date, "sales": $sales, "text": $text})}'
    series = 'min_history = 5\noff_grid = "quarantine"\nfrequency = "D"'
    table = pa.Table.from_pylist(rows)
    order = np.random.default_rng(3).permutation(len(table))
    tables = [table.take(pa.array(order[:700])), table.take(pa.array(order[700:]))]
    made = same(both(tmp_path, contract_text(body, series=series), tables, group_rows=300))
    assert {*spoiled, "too_short"} <= set(made.reasons.values())
    assert {*HOSTILE_IDS} - {"", "_NULL_"} <= {*made.records}


def test_a_hundred_thousand_items_in_several_lanes_and_buckets_are_the_same(tmp_path: Path) -> None:
    items, days = 100_000, 30
    order = np.random.default_rng(5).permutation(items * days)
    table = pa.table(
        {
            "item": pa.array([f"item-{n:06d}" for n in range(items)]).take(pa.array(order // days)),
            "date": pa.array((order % days + 18_000).astype(np.int32)).cast(pa.date32()),
            "sales": pa.array((order % 1000) / 8),
        }
    )
    halves = [table.slice(0, 1_700_000), table.slice(1_700_000)]
    flags = {"transform_instance_count": 20, "forecast_horizon": 250}
    # What is measured of the items is 400 MB: it must never all be in the memory of Java at once.
    memory = {"_JAVA_OPTIONS": "-Xmx512m"}
    made = same(both(tmp_path, DAILY_CONTRACT, halves, group_rows=500_000, environment=memory, **flags))
    assert made.manifest.totals.records == items


def test_what_is_refused_is_refused_with_the_same_words_and_leaves_nothing(tmp_path: Path) -> None:
    day = dt.timedelta(hours=7)
    table = daily_rows(["a", "b"], 20)
    table = table.set_column(1, "date", table["date"].cast(pa.timestamp("us")))
    rows = table.to_pylist()
    rows[30]["date"] += day
    one, other = both(
        tmp_path, contract_text(series='off_grid = "refuse"\nfrequency = "D"'), [pa.Table.from_pylist(rows)]
    )
    assert one.exit_code == 3
    assert "part-0.parquet row 30" in one.message
    assert (other.exit_code, other.message) == (one.exit_code, one.message)
    assert other.files == {}


SUBMIT = """#!/bin/sh
# As SageMaker's program: --py-files, an application, on YARN; two executors stand for two hosts. It has the last word.
"{bin}/spark-submit" --master "local-cluster[2,1,900]" --conf spark.executor.memory=500m \\
    --conf spark.executor.memoryOverhead=400m "$@"
code=$?
[ $code = 0 ] || echo "Algorithm Error: (caused by CalledProcessError)" > "$OPT_ML/output/message"
exit $code
"""


@pytest.mark.parametrize("spoiled", [False, True])
def test_in_the_container_smspark_submit_runs_it_on_several_executors(tmp_path: Path, spoiled: bool) -> None:
    program = tmp_path / "bin" / "smspark-submit"
    program.parent.mkdir()
    program.write_text(SUBMIT.format(bin=PYTHON.parent))
    program.chmod(0o755)
    table = daily_rows([f"i{n}" for n in range(400)], 30)
    if spoiled:
        table = table.set_column(0, "item", pa.nulls(len(table), pa.string()))
    path = f"{program.parent}:{PYTHON.parent}:{os.environ['PATH']}"
    one, other = both(tmp_path, DAILY_CONTRACT, [table], environment={"PATH": path, "PYSPARK_PYTHON": str(PYTHON)})
    assert (other.exit_code, other.message) == (one.exit_code, one.message)
    assert one.exit_code == (3 if spoiled else 0)
    assert other.files == one.files


def test_without_java_spark_is_refused_with_a_way_out(tmp_path: Path) -> None:
    one, other = both(tmp_path, DAILY_CONTRACT, [daily_rows(["a"], 20)], environment={"JAVA_HOME": str(tmp_path)})
    assert one.exit_code == 0
    assert (other.exit_code, other.files) == (2, {})
    assert "Install Java 17, on the PATH or named by JAVA_HOME" in other.message


ON_TWO_HOSTS = """#!/bin/sh
# As SageMaker's program, which runs the application on the first host and keeps the others until it has ended.
grep -q '"current_host": "algo-1"' "$OPT_ML/config/resourceconfig.json" || exit 0
PYSPARK_PYTHON="{python}" exec "{python.parent}/spark-submit" --master "local[2]" "$@"
"""


def run_of_the_definition(folder: Path, environment: Mapping[str, str], *settings: str) -> dict[str, bytes]:
    """Deploy the sample's pipeline to a workspace and run all of it; what was published."""
    sample = ROOT / "examples" / "bakery"
    defaults = {**LOCAL_DEFAULTS, "RunDate": "2019-03-30", "ForecastHorizon": "31", "ModelName": "last-week"}
    given = [word for name, value in defaults.items() for word in ("-p", f"{name}={value}")]
    for words in (["deploy", "--contract", str(sample / "model.toml"), *given, *settings], ["start", "--json"]):
        command = [sys.executable, str(ROOT / "run_pipeline.py"), *words, "--workspace", str(folder)]
        ended = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
        if words[0] == "deploy":
            (folder / "s3" / "history").symlink_to(sample / "history")
            server = ROOT / "tests" / "end_to_end" / "last_week_model.py"
            (folder / "models.toml").write_text(f'[last-week]\ncommand = "{sys.executable} {server} {{port}}"\n')
    counts = json.loads(ended.stdout)["counts"]
    assert (counts["ok"], counts["expected"]) == (105, 105)
    [published] = (folder / "s3" / "batchcast" / "published" / "forecasts").glob("run_date=*/run_id=*")
    return {path.name: path.read_bytes() for path in published.glob("*.parquet")}


def test_a_run_of_the_whole_definition_publishes_what_it_does_without_spark(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "smspark-submit"
    program.parent.mkdir()
    program.write_text(ON_TWO_HOSTS.format(python=PYTHON))
    program.chmod(0o755)
    path = {"PATH": f"{program.parent}:{os.environ['PATH']}"}
    # As a team's deploy.toml has it; no package of that prefix is needed here.
    spark = ("--build-engine", "spark", "--build-instance-count", "2", "--spark-packages-uri", "s3://team/packages/")
    on_spark = run_of_the_definition(tmp_path / "spark", path, *spark)
    logs = [log.read_text() for log in (tmp_path / "spark" / "logs").rglob("*BuildShards*/*/container-log")]
    assert sorted("Running Spark version" in log for log in logs) == [False, True]
    assert on_spark == run_of_the_definition(tmp_path / "plain", {}) != {}


def test_a_resumed_run_publishes_the_same_table(tmp_path: Path) -> None:
    one = TwoSteps(tmp_path / "processes", Started(tmp_path / "one"))
    other = TwoSteps(tmp_path / "spark", Started(tmp_path / "other", "--build-engine", "spark"))
    for each in (one, other):
        each.hold_and_resume()
    frames = [read_forecasts(PUBLISH, store=each.store) for each in (one, other)]
    assert frames[0].equals(frames[1])
    inputs = [
        {entry.uri: each.store.read(entry.uri) for entry in each.store.list("s3://bucket/runs/")}
        for each in (one, other)
    ]
    built = [{uri: data for uri, data in each.items() if "/manifest/" in uri or "/input/" in uri} for each in inputs]
    assert built[0] == built[1]
    assert len(built[0]) > 6
