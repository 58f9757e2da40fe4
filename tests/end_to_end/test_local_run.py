"""`run_pipeline.py local`, as a user starts it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pytest
from command import (
    ITEMS,
    LAST_DAY,
    LAST_WEEK,
    RUN_DATE,
    Ended,
    days_until,
    item_rows,
    small_bakery,
    write_history,
)
from tuning_document import write_tuning_document

Run = Callable[..., Ended]
ON_RUN_DATE = ("-p", f"RunDate={RUN_DATE}")


def published_digests(workspace: Path) -> dict[str, str]:
    """Name -> digest of the one published run's data files."""
    [run] = (workspace / "s3" / "batchcast" / "published" / "forecasts").glob("run_date=*/run_id=*")
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in run.glob("*.parquet")}


def test_the_sample_is_forecast_whole_and_beats_the_seasonal_naive(run_pipeline: Run) -> None:
    document = run_pipeline("local", "--json").document
    assert document["outcome"] == "COMPLETE"
    assert document["execution"]["status"] == "Succeeded"
    assert document["counts"] == {"expected": 105, "ok": 105, "quarantined": 0, "failed": 0, "missing": 0}
    assert document["score"]["wape_model"] < 0.8 * document["score"]["wape_naive"]
    assert Path(document["report"]).is_file()


def test_instances_and_concurrency_do_not_change_a_byte_of_the_forecasts(
    run_pipeline: Run, history: Path, tmp_path: Path
) -> None:
    digests = []
    for instances, concurrency in ((3, 4), (1, 1)):
        workspace = tmp_path / f"workspace-{instances}"
        ended = run_pipeline(
            *("local", "--json", "--history", str(history), *LAST_WEEK, "--workspace", str(workspace), *ON_RUN_DATE),
            *("-p", f"TransformInstanceCount={instances}", "-p", f"MaxConcurrentTransforms={concurrency}"),
        )
        assert ended.document["outcome"] == "COMPLETE"
        digests.append(published_digests(workspace))
    assert digests[0] == digests[1] != {}


@pytest.mark.parametrize(("where", "instance_type"), [("local", "local"), ("transform-canary", "ml.m5.4xlarge")])
def test_a_run_takes_what_was_measured_here_or_of_its_instance_type(
    run_pipeline: Run, history: Path, tmp_path: Path, where: str, instance_type: str
) -> None:
    path = write_tuning_document(
        tmp_path / "tuning.json",
        where=where,
        instance_type=instance_type,
        name=LAST_WEEK[LAST_WEEK.index("--model-command") + 1],
    )
    ended = run_pipeline("local", "--json", "--history", str(history), *LAST_WEEK, *ON_RUN_DATE, "--tuning", str(path))
    assert "2 instances x 5 concurrent transforms" in ended.stderr
    assert ended.document["outcome"] == "COMPLETE"


def test_what_was_measured_of_another_instance_type_runs_nothing(run_pipeline: Run, tmp_path: Path) -> None:
    path = write_tuning_document(tmp_path / "tuning.json")
    refused = run_pipeline("local", "--tuning", str(path), "-p", "TransformInstanceType=ml.c5.xlarge")
    assert refused.exit_code == 2
    assert "it was measured on ml.m5.4xlarge, the run has ml.c5.xlarge" in refused.stderr
    assert not (tmp_path / "workspace").exists()
    write_tuning_document(path, where="local", instance_type="local", name="another.py {port}")
    refused = run_pipeline("local", "--tuning", str(path), *LAST_WEEK)
    assert refused.exit_code == 2
    assert "it was measured with 'another.py {port}'" in refused.stderr


@pytest.fixture
def defective_history(tmp_path: Path) -> Path:
    """The small bakery and three series that cannot be sent: too large, a date twice, three days long."""
    good = small_bakery()
    future = days_until(LAST_DAY, 31)
    long, short = days_until(RUN_DATE, 9000) + future, days_until(RUN_DATE, 3) + future
    twice = [*days_until(RUN_DATE, 90), RUN_DATE - timedelta(days=5), *future]
    extra = [item_rows(good, 901, long), item_rows(good, 902, twice), item_rows(good, 903, short)]
    return write_history(tmp_path / "defective", pa.concat_tables([good, *extra]))


@pytest.fixture
def poison(tmp_path: Path) -> Path:
    """A plan that makes the server answer 400 to one series, 2/101."""
    path = tmp_path / "faults.toml"
    path.write_text('[[fault]]\neffect = "status"\nstatus = 400\ncontaining = \'"item_id":"2/101"\'\n')
    return path


@pytest.mark.parametrize(("tolerance", "exit_code"), [(0, 5), (4, 0)])
def test_bad_series_are_named_and_only_a_tolerance_lets_the_rest_be_published(
    run_pipeline: Run, defective_history: Path, poison: Path, tmp_path: Path, tolerance: int, exit_code: int
) -> None:
    ended = run_pipeline(
        *("local", "--json", "--history", str(defective_history), *LAST_WEEK, "--faults", str(poison), *ON_RUN_DATE),
        *("-p", "MaxPayloadInMB=1", "-p", f"MaxFailedRecords={tolerance}"),
        *("-p", "SystemicFailurePercent=25", "-p", "MaxConcurrentTransforms=1", "-p", "RecordsPerShard=2"),
    )
    document = ended.document
    reasons = {row["item_id"]: row["reason"] for row in document["quarantined"]}
    assert reasons == {"901/1": "too_large", "902/1": "duplicate_date", "903/1": "too_short"}
    assert [row["item_id"] for row in document["failed"]] == ["2/101"]
    assert ended.exit_code == exit_code
    assert (document["published"] is None) == (tolerance == 0)
    counts = document["counts"]
    assert (
        counts["expected"] == ITEMS + 3 == counts["ok"] + counts["quarantined"] + counts["failed"] + counts["missing"]
    )
    assert counts["quarantined"] == 3
    assert counts["failed"] + counts["missing"] == len(document["failed"])
