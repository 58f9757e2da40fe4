"""One request a kind of item, sent to a model before any run, and what the contract finds in its answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from batchcast.serving.adhoc.records import AdHocRecords
from batchcast.steps.contract.answer import AnswerError, read_answer, split_answers
from batchcast.steps.contract.answer_path import compile_path, describe_value, shorten
from batchcast.steps.contract.model_contract import ModelContract
from batchcast.steps.errors import DataError, Problem
from batchcast.steps.outcome.answer_types import decode_stored_answer, readable_text
from batchcast.steps.reading_note import reading

_SHOWN = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedAnswer:
    """What a model answered to one item: `found` says by path what is there, `rows` what would be published.

    `problem` is why nothing would be, None for nothing.
    """

    item_id: str
    kind: str
    request: bytes
    answer: str
    found: Mapping[str, str] = field(default_factory=dict)
    rows: Sequence[Mapping[str, Any]] = ()
    problem: str | None = None


def pick_kinds(history: Path, contract: ModelContract) -> dict[str, str]:
    """Item id to the kind it stands for: the longest, the shortest, the one with most nulls and with most zeros.

    An item that is several of them is named once. Raises DataError for a history without an item.
    """
    import pyarrow.compute as pc
    import pyarrow.dataset as ds

    series, target = contract.series, contract.series.targets[0]
    with reading(str(history), code="history", remedy="Check the files, and their columns in [series]."):
        rows = ds.dataset(history, format="parquet", partitioning="hive").to_table(columns=[*series.item_id, target])
    empty, zero = pc.is_null(rows[target], nan_is_null=True), pc.equal(rows[target], 0)
    rows = rows.append_column("empty", pc.cast(empty, "int64"))
    rows = rows.append_column("zero", pc.cast(pc.fill_null(zero, False), "int64"))
    measured = rows.group_by(list(series.item_id), use_threads=False).aggregate(
        [([], "count_all"), ("empty", "sum"), ("zero", "sum")]
    )
    items = measured.to_pylist()
    if not items:
        raise DataError(Problem("history", "there is no item.", str(history), "Name a history with rows."))
    found: dict[str, str] = {}
    for kind, key, sign in (
        ("the longest history", "count_all", 1),
        ("the shortest history", "count_all", -1),
        ("the most empty values", "empty_sum", 1),
        ("the most zeros", "zero_sum", 1),
    ):
        item = max(items, key=lambda one: (sign * one[key], str(one)))
        if kind.startswith("the most") and not item[key]:
            continue
        found.setdefault("/".join(str(item[name]) for name in series.item_id), kind)
    return found


def check_answer(item_id: str, kind: str, request: bytes, answer: bytes | str, built: AdHocRecords) -> CheckedAnswer:
    """Follow every path of the contract in the answer to one item, and read it as the publishing step would.

    An `answer` that is a text is what the model said instead of one.
    """
    if isinstance(answer, str):
        problem = f"the model refused: {answer}"
        return CheckedAnswer(item_id=item_id, kind=kind, request=request, answer=answer, problem=problem)
    expected, outputs = built.expected, built.contract.outputs
    shown = shorten(readable_text(answer, built.contract.request.accept), _SHOWN)
    seen = CheckedAnswer(item_id=item_id, kind=kind, request=request, answer=shown)
    try:
        document = decode_stored_answer(answer, built.contract.request)
        (one,) = split_answers(document, outputs, 1)
    except (ValueError, RecursionError, AnswerError) as error:
        detail = error.detail if isinstance(error, AnswerError) else str(error)
        return replace(seen, problem=f"the answer cannot be read: {detail}")
    paths = {output.name: output.path for output in outputs.columns}
    paths |= {name: path for name in ("item_id", "timestamps") if (path := getattr(outputs, name))}
    found = {name: f"{path}: {describe_value(compile_path(path)(one))}" for name, path in paths.items()}
    try:
        values = read_answer(one, expected)
    except AnswerError as error:
        return replace(seen, found=found, problem=f"{error.reason}: {error.detail}")
    rows = [
        {"item_id": item_id, "forecast_date": day, **dict(zip(expected.columns, row, strict=True))}
        for day, row in zip(expected.dates, values.tolist(), strict=True)
    ]
    return replace(seen, found=found, rows=rows)
