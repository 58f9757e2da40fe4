"""A whole run with a model that takes no time: what the pipeline itself costs, from the history to the published table.

An item has as many days as are forecast, and its forecast is its history once more: the echo of its request.
"""

from __future__ import annotations

import shlex
import sys
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "tests" / "fixtures")]

from contract_text import contract_text  # noqa: E402

DAYS, ITEMS_A_REQUEST, ITEMS_A_PART = 14, 100, 100_000
LAST = date(2026, 11, 22)


def contract() -> str:
    """Several series a request; the answer is read by its place in the list."""
    request = (
        f"items_per_request = {ITEMS_A_REQUEST}\nbody = '''{{\"predictions\": $records}}'''\n"
        "record = '''{\"forecast\": $target_time_series}'''"
    )
    text = contract_text("", sales="forecast", answer='records = "predictions"', series=f"season = {DAYS}\n")
    return text.replace("body = ''''''", request).replace('item_id = "item_id"\n', "")


def make_inputs(items: int, folder: Path) -> None:
    """The history and the contract; the same number of items gives the same files."""
    (folder / "history").mkdir(parents=True)
    (folder / "model.toml").write_text(contract())
    days = pa.array([LAST - timedelta(days=DAYS - 1 - day) for day in range(DAYS)])
    for begin in range(0, items, ITEMS_A_PART):
        index = np.arange(begin, min(begin + ITEMS_A_PART, items))
        level = 1 + (index * 7919 % 1000) / 10
        noise = np.sin(index[:, None] * 12.9898 + np.arange(DAYS) * 78.233) * 0.2
        sales = np.round(level[:, None] * (1 + 0.3 * np.sin(np.arange(DAYS) * 2 * np.pi / 7) + noise))
        names = pa.array([f"store-{number % 97:02d}/product-{number:07d}" for number in index.tolist()])
        rows = pa.array(np.repeat(np.arange(len(index), dtype=np.int32), DAYS))
        date_of_row = days.take(pa.array(np.tile(np.arange(DAYS), len(index))))
        table = pa.table({"item": names.take(rows), "date": date_of_row, "sales": sales.ravel()})
        pq.write_table(table, folder / "history" / f"part-{begin:08d}.parquet", compression="zstd")


def local(inputs: Path, workspace: Path) -> list[str]:
    """The command that runs it."""
    model = shlex.join([sys.executable, str(HERE / "servers" / "echo_server.py"), "{port}"])
    given = ["--history", inputs / "history", "--contract", inputs / "model.toml", "--model-command", model]
    parameters = ["-p", f"ForecastHorizon={DAYS}", "-p", f"RunDate={LAST}"]
    return [
        *(sys.executable, str(HERE.parent / "run_pipeline.py"), "local", "--json", "--workspace", str(workspace)),
        *map(str, given),
        *parameters,
    ]
