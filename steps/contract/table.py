"""A request that is a table, as CSV or Parquet. The template writes it as JSON has rows: `$history({"ds": $date})` is
a row each of them, with columns of these names, `$history([$date])` one without names, and `[$store, $history($sales)]`
a row an item, in which a list is spread over columns of its own."""

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass

from batchcast.steps.contract.template import Part, RowList, TemplateError, Value

Constant = str | int | float | bool | None
Cell = Value | RowList | tuple[Constant]
_QUOTED = frozenset('",\r\n')
_REMEDY = 'Write $history({"name": $column, …}), or $history([$column, …]) for a table without names.'


@dataclass(frozen=True, slots=True)
class Table:
    """`cells` are those of a row, a constant among them wrapped in a tuple; `names` None: the columns have none.

    `rows` is the list that has a row each, None where a row is an item.
    """

    cells: tuple[Cell, ...]
    names: tuple[str, ...] | None
    rows: RowList | None

    @property
    def header(self) -> str:
        """The line of names of CSV, nothing where there are none."""
        return ",".join(map(csv_field, self.names)) + "\n" if self.names is not None else ""

    def csv_parts(self) -> tuple[Part, ...]:
        """The template of one item as CSV text."""
        row: list[Value | RowList] = []
        between = [""]
        for number, cell in enumerate(self.cells):
            between[-1] += "," if number else ""
            if isinstance(cell, tuple):
                constant = "" if cell[0] is None else json.dumps(cell[0])
                between[-1] += csv_field(cell[0]) if isinstance(cell[0], str) else constant
                continue
            row.append(RowList(cell.period, ("", *cell.columns, "")) if isinstance(cell, RowList) else cell)
            between.append("")
        between[-1] += "\n"
        parts = tuple(part for pair in itertools.zip_longest(between, row) for part in pair if part is not None)
        if self.rows is None:
            return parts
        return "", RowList(self.rows.period, tuple(part for part in parts if not isinstance(part, RowList))), ""


def csv_field(text: str) -> str:
    """A field of CSV (RFC 4180), in quotes where it needs them."""
    return '"' + text.replace('"', '""') + '"' if not text or _QUOTED & set(text) else text


def read_table(template: Sequence[Part]) -> Table:
    """The table that a template of one item stands for. Raises TemplateError for one that is none."""
    rows = template[1] if len(template) == 3 and isinstance(template[1], RowList) and not template[0] else None
    parts = template if rows is None else rows.row
    document = json.loads("".join(part if isinstance(part, str) else "null" for part in parts))
    if not isinstance(document, list | dict):
        raise TemplateError("is no table: a row of it is no list of cells.", _REMEDY)
    places = {part.path: part for part in parts if not isinstance(part, str)}
    cells: list[Cell] = []
    for key, value in document.items() if isinstance(document, dict) else enumerate(document):
        cell = places.pop((key,), None)
        if cell is None and isinstance(value, list | dict):
            raise TemplateError(f"is no table: the cell {key!r} holds {json.dumps(value)}.", _REMEDY)
        if isinstance(cell, RowList) and (isinstance(document, dict) or cell.row != ("", *cell.columns, "")):
            raise TemplateError(f"is no table: the cell {key!r} holds rows.", "In a […] row a list of one column fits.")
        if rows is None and isinstance(cell, Value) and cell.name == "future_timestamps":
            raise TemplateError("is no table: $future_timestamps is a list.", "Write $future($column).")
        cells.append((value,) if cell is None else cell)
    return Table(tuple(cells), tuple(document) if isinstance(document, dict) else None, rows)
