"""`[outputs]` and `[answer]` of `model.toml`: which columns are published, and where they lie in an answer."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from batchcast.steps.contract.answer_path import compile_path
from batchcast.steps.contract.series import PUBLISHED_COLUMNS, Series
from batchcast.steps.contract.toml_table import TomlTable

_MEDIAN = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A published column: `path` (JMESPath) finds its value a step in the answer of one record.

    `target` is the column of the history that it forecasts, `quantile` its level, between 0 and 1; None: a point.
    """

    name: str
    path: str
    target: str
    quantile: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """The columns in the order of the file, and where the rest of an answer lies; each path is JMESPath.

    `records` finds the list of the records' answers in a body; None: the body is the one answer. `group_by` is the key
    that says whose a row is, where an item's answer is all of its rows in that list, or in the body. `item_id` and
    `timestamps` (the first, or one a step) are compared where they are declared. A value at `error` is a failed record.
    `minimum` and `maximum` bound every value.
    """

    columns: tuple[Output, ...]
    records: str | None = None
    group_by: str | None = None
    item_id: str | None = None
    timestamps: str | None = None
    error: str = "error"
    minimum: float | None = None
    maximum: float | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def point(self, target: str) -> int:
        """The place of the column that stands for the target: its point, the one of its name first, else its median."""
        own = [place for place, column in enumerate(self.columns) if column.target == target]
        points = [place for place in own if self.columns[place].quantile is None]
        points.sort(key=lambda place: self.columns[place].name != target)
        return points[0] if points else next(place for place in own if self.columns[place].quantile == _MEDIAN)

    def quantiles(self, target: str) -> tuple[tuple[float, int], ...]:
        """Level and place of the target's quantile columns, the lowest level first."""
        own = ((column.quantile, place) for place, column in enumerate(self.columns) if column.target == target)
        return tuple(sorted((level, place) for level, place in own if level is not None))


def read_outputs(table: TomlTable, answer: TomlTable, series: Series) -> Outputs:
    columns = (_output(name, value, table, series) for name, value in table.items())
    group_by = answer.text("group_by") if "group_by" in answer else None
    outputs = Outputs(
        columns=tuple(column for column in columns if column is not None),
        records=_path(answer, "records"),
        group_by=group_by,
        item_id=_path(answer, "item_id") or (f"[0].{json.dumps(group_by)}" if group_by else None),
        timestamps=_path(answer, "timestamps"),
        error=_path(answer, "error") or "error",
        minimum=answer.number("minimum"),
        maximum=answer.number("maximum"),
    )
    _check_columns(outputs, table, series)
    if outputs.minimum is not None and outputs.maximum is not None and outputs.minimum > outputs.maximum:
        answer.problem(f"minimum {outputs.minimum} is above maximum {outputs.maximum}.", "Exchange them.")
    return outputs


def _output(name: str, value: Any, table: TomlTable, series: Series) -> Output | None:
    """One key of [outputs]: a path, or a table of path, quantile and target."""
    given: Mapping[str, Any] = value if isinstance(value, Mapping) else {"path": value}
    unknown = given.keys() - {"path", "quantile", "target"}
    if unknown:
        table.problem(f"{name} has the unknown key {', '.join(sorted(unknown))}.", "Known are path, quantile, target.")
    path, quantile = given.get("path"), given.get("quantile")
    if not isinstance(path, str) or not _is_path(name, path, table):
        if not isinstance(path, str):
            table.problem(f"{name} has no path.", f'Write {name} = "path", or {name} = {{ path = "…" }}.')
        return None
    if quantile is not None and (type(quantile) not in (int, float) or not 0 < quantile < 1):
        table.problem(f"{name} has the quantile {quantile!r}.", "A level lies between 0 and 1, such as 0.9.")
        return None
    return Output(name=name, path=path, target=_target(name, given.get("target"), table, series), quantile=quantile)


def _target(name: str, given: Any, table: TomlTable, series: Series) -> str:
    if given in series.targets:
        return str(given)
    remedy = f"Give it target = one of {', '.join(series.targets)}."
    if given is not None:
        table.problem(f"{name} forecasts {given!r}, which is not a target.", remedy)
    elif name in series.targets:
        return name
    elif len(series.targets) > 1:
        table.problem(f"it does not say which target {name} forecasts.", remedy)
    return next(iter(series.targets), "")


def _check_columns(outputs: Outputs, table: TomlTable, series: Series) -> None:
    for column in sorted({*outputs.names} & {*PUBLISHED_COLUMNS}):
        table.problem(f"{column!r} is the name of another published column.", "Give the output another name.")
    for target in series.targets:
        own = [column for column in outputs.columns if column.target == target]
        if not any(column.quantile in (None, _MEDIAN) for column in own):
            what = f"nothing says where the forecast of {target!r} is: its point, or its quantile 0.5."
            table.problem(what, f'Write {target} = "path".')
        levels = [column.quantile for column in own if column.quantile is not None]
        for level in sorted({level for level in levels if levels.count(level) > 1}):
            table.problem(f"the quantile {level} of {target!r} is there twice.", "Leave one out.")


def _path(table: TomlTable, key: str) -> str | None:
    path = table.text(key) if key in table else None
    return path if path is not None and _is_path(key, path, table) else None


def _is_path(name: str, path: str, table: TomlTable) -> bool:
    try:
        compile_path(path)
    except ValueError as error:
        table.problem(f"{name}: {error}.", "Correct the path; a key with a point or a hyphen is quoted.")
        return False
    return True
