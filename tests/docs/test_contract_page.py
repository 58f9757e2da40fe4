"""`docs/contract.md` says what the steps do."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchcast.steps.__main__ import main
from batchcast.steps.contract.answer import Expected, read_answer
from batchcast.steps.contract.checks import CHECKS
from batchcast.steps.contract.model_contract import parse_contract
from batchcast.steps.contract.request import PLACEHOLDERS
from batchcast.steps.contract.series import PUBLISHED_COLUMNS
from batchcast.steps.shards.manifest import QuarantineReason

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "model-contract.md").read_text(encoding="utf-8")


def first_cells(section: str) -> set[str]:
    """Every word in code style in the first column of the tables of a section."""
    text = PAGE.split(f"## {section}\n")[1].split("\n## ")[0]
    cells = re.findall(r"^\| ([^|]*) \|", text, flags=re.MULTILINE)
    return {word for cell in cells for word in re.findall(r"`([^`]*)`", cell)}


def test_the_tables_have_every_source_answer_key_check_and_reason() -> None:
    assert {f"${name}" for name in PLACEHOLDERS} <= first_cells("The template")
    assert first_cells("What is left out, and why") == {str(reason) for reason in QuarantineReason}
    documented = first_cells("How the answer is read") - {"[outputs]", "[answer]", "[checks]"}
    known = {
        "path",
        "quantile",
        "target",
        "records",
        "group_by",
        "item_id",
        "timestamps",
        "error",
        "minimum",
        "maximum",
    }
    assert documented == known | set(CHECKS) | {"missing_forecasts"}
    assert all(f"`{name}`" in PAGE for name in PUBLISHED_COLUMNS)


@pytest.mark.parametrize("block", re.findall(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL))
def test_an_example_writes_the_record_and_reads_the_answer_that_are_shown(tmp_path: Path, block: str) -> None:
    shown_record, shown_answer = re.findall(r"It writes `(.*)` and reads `(.*)`\.", PAGE)[0]
    inputs = tmp_path / "processing" / "input"
    (inputs / "contract").mkdir(parents=True)
    (inputs / "contract" / "model.toml").write_text(block)
    (inputs / "history").mkdir()
    days = pa.array(range(16_802, 16_832), pa.int32()).cast(pa.date32())
    columns = {"store": ["store_1"] * 30, "product": ["bread"] * 30, "date": days, "sales": [12, 7] * 15}
    pq.write_table(pa.table({**columns, "promo": [0, 1] * 15}), inputs / "history" / "a.parquet")
    flags = {"run-id": "abc123def456", "run-date": "auto", "run-label": "manual", "forecast-horizon": "1"}
    flags |= {"transform-instance-count": "1", "max-concurrent-transforms": "1", "max-payload-in-mb": "6"}
    flags |= {"records-per-shard": "0", "systemic-failure-percent": "20", "items-uri": "all", "resume-from": "none"}
    flags |= {"runs-uri": "s3://bucket/runs", "publish-uri": "none"}
    argv = ["build_shards", *(word for name, value in flags.items() for word in (f"--{name}", value))]
    assert main(argv, {"OPT_ML": str(tmp_path), "BATCHCAST_OBJECT_STORE": str(tmp_path / "s3")}) == 0
    (shard,) = (tmp_path / "processing" / "output" / "shards").iterdir()
    # The page shows the first two of a list's values.
    body = shard.read_text().strip().removeprefix('{"body":').rpartition(',"item_id":')[0]
    assert re.sub(r"\[(\d+,\d+,)[^]]*]", r"[\1…]", body) == shown_record
    expected = Expected.of(parse_contract(block.encode()).outputs, date(2026, 11, 22), 1)
    assert read_answer(json.loads(shown_answer.replace(",…", "")), expected).tolist() == [[11.8]]
