"""`[request]` of `model.toml`: what one request to the model looks like, and how it travels."""

from dataclasses import dataclass
from typing import Literal

from batchcast.steps.contract.series import Series
from batchcast.steps.contract.table import read_table
from batchcast.steps.contract.template import Part, RowList, TemplateError, Value, parse_template
from batchcast.steps.contract.toml_table import TomlTable

_LISTS = ("record", "records")
_OF_THE_RUN = ("future_timestamps", "run_date", "horizon", "frequency")
PLACEHOLDERS = ("item_id", "start_time", "end_time", "target_time_series", "timestamps", *_OF_THE_RUN)
"""What a template may name beside row lists and the columns that are the same in all rows of an item."""

PARQUET = "application/x-parquet"
CONTENT_TYPES = ("application/json", "application/jsonlines", "text/csv", PARQUET)
_JSON_TYPES, _TABLE_TYPES = CONTENT_TYPES[:2], CONTENT_TYPES[2:]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The templates: `body` is what is sent; where it holds `$record` or `$records`, `record` is one series in it.

    `mode` line: a request is a line of an object; object: it is an object of its own. In lines, `pairing` envelope has
    the service carry the ids past the model, and position pairs answers with requests by their order.
    """

    body: tuple[Part, ...]
    record: tuple[Part, ...] | None = None
    content_type: str = _JSON_TYPES[0]
    accept: str = _JSON_TYPES[0]
    mode: Literal["line", "object"] = "line"
    pairing: Literal["envelope", "position"] = "envelope"
    items_per_request: int = 1

    @property
    def enveloped(self) -> bool:
        """Whether a request carries the ids of its items past the model."""
        return self.mode == "line" and self.pairing == "envelope"

    @property
    def several(self) -> bool:
        return self.items_per_request > 1

    @property
    def tabular(self) -> bool:
        return self.content_type in _TABLE_TYPES

    @property
    def series(self) -> tuple[Part, ...]:
        """The template of one series: what is rendered once an item."""
        return self.body if self.record is None else self.record

    @property
    def row_lists(self) -> tuple[RowList, ...]:
        """The arrays that have a value a row."""
        return tuple(part for part in self.series if isinstance(part, RowList))


PLAIN_REQUEST = Request(body=())
"""How a request travels where nothing is declared."""


def read_request(table: TomlTable, series: Series) -> Request:
    content_type = table.choice("content_type", CONTENT_TYPES, default=CONTENT_TYPES[0])
    mode = table.choice("mode", ("line", "object"), default="line")
    paired = "pairing" in table
    request = Request(
        body=_template(table, "body", series, mode),
        record=_template(table, "record", series, mode) if "record" in table else None,
        content_type=content_type,
        accept=table.choice("accept", CONTENT_TYPES, default=content_type),
        mode=mode,
        pairing=table.choice("pairing", ("envelope", "position"), default="envelope"),
        items_per_request=table.integer("items_per_request"),
    )
    _check_travel(request, table, paired=paired)
    _check_lists(request, table)
    _check_table(request, table)
    _check_columns(request, table, series)
    return request


def _template(table: TomlTable, key: str, series: Series, mode: str) -> tuple[Part, ...]:
    names = [*PLACEHOLDERS, *series.item_id, *series.static, *(_LISTS if key == "body" else ())]
    text = table.text(key)
    try:
        parts = parse_template(text, list(dict.fromkeys(names)), compact=mode == "line") if text else ()
    except TemplateError as error:
        table.problem(f"{key} {error.what}" if error.what.startswith("is ") else f"{key}: {error.what}", error.remedy)
        return ()
    return tuple(_written_out(part, series, table) for part in parts)


def _written_out(part: Part, series: Series, table: TomlTable) -> Part:
    """The row list that a placeholder is short for, in its place."""
    if not isinstance(part, Value):
        return part
    if part.name == "timestamps":
        return _row_list(f"$history(${{{series.timestamp}}})", part)
    if part.name == "target_time_series":
        if len(series.targets) > 1:
            remedy = "Name each with $history($column)."
            table.problem(f"$target_time_series could be any of {', '.join(series.targets)}.", remedy)
        return _row_list(f"$history(${{{next(iter(series.targets), 'target')}}})", part)
    return part


def _row_list(text: str, place: Value) -> RowList:
    (found,) = (part for part in parse_template(text, ()) if isinstance(part, RowList))
    return RowList(found.period, found.row, place.path)


def _check_travel(request: Request, table: TomlTable, *, paired: bool) -> None:
    """What Batch Transform cannot do (developer guide, "Associate prediction results with input records")."""
    if request.tabular and request.mode == "line":
        what = f"{request.content_type} cannot travel in lines: a request of it has several, or none."
        table.problem(what, 'Write mode = "object", or send JSON.')
    if request.mode == "object" and paired:
        table.problem("an object is paired by its name, not by envelope or position.", "Leave pairing out.")
    if request.enveloped and request.accept != request.content_type:
        what = f"the service joins input and answer of one type only, and these are {request.content_type} and "
        table.problem(f"{what}{request.accept}.", 'Write pairing = "position".')
    if request.several and request.content_type == "application/jsonlines":
        what = "a line of application/jsonlines is one series, and the service sends a line a request."
        table.problem(what, 'Write content_type = "application/json".')


def _check_lists(request: Request, table: TomlTable) -> None:
    lists = [part for part in request.body if isinstance(part, Value) and part.name in _LISTS]
    if len(lists) > 1:
        table.problem("body holds $record or $records more than once.", "Leave one.")
    if request.several and request.body and not (lists and lists[0].name == "records"):
        what = f"items_per_request = {request.items_per_request}, and body has no list of them."
        table.problem(what, "Write $records in body, and what one of them is as record.")
    if lists and request.record is None:
        remedy = "Add record = '''{\"start\": $start_time, \"target\": $target_time_series}''' or the like."
        table.problem(f"body holds ${lists[0].name}, and no record says what that is.", remedy)
    if request.record is not None and not lists and request.body:
        table.problem("record has no place in body.", "Write $record or $records in body, or leave record out.")
    if lists:
        for part in request.body:
            if isinstance(part, RowList) or (isinstance(part, Value) and part.name not in (*_LISTS, *_OF_THE_RUN)):
                name = part.name if isinstance(part, Value) else f"{part.period}(…)"
                what = f"body: ${name} is of one series, and stands beside ${lists[0].name}."
                table.problem(what, "Put it into record.")


def _check_table(request: Request, table: TomlTable) -> None:
    if not request.tabular or not request.series:
        return
    key = "body" if request.record is None else "record"
    if request.record is not None and [part for part in request.body if part] != [Value("records")]:
        table.problem("a table has nothing around its rows.", 'Write body = "$records".')
    try:
        found = read_table(request.series)
    except TemplateError as error:
        table.problem(f"{key} {error.what}", error.remedy)
        return
    if request.content_type == PARQUET and (found.names is None or found.rows is None):
        what = f"{key} is a table without names, and Parquet has a row a row of history with named columns."
        table.problem(what, 'Write $history({"name": $column, …}).')


def _check_columns(request: Request, table: TomlTable, series: Series) -> None:
    # A tabular model is asked for rows to predict; lags are columns of these.
    periods = ("history", "both", "future") if request.tabular else ("history", "both")
    if request.series and not any(part.period in periods for part in request.row_lists):
        table.problem("nothing in it carries the history.", 'Write $target_time_series or $history({"y": $column}).')
    for part in request.row_lists:
        for column in part.sources:
            # In a table of both, the future's targets are empty.
            known_later = part.period == "future" or (part.period == "both" and not request.tabular)
            if known_later and column in series.targets:
                remedy = "Leave it out: what is forecast is not known in the future."
                table.problem(f"the target {column!r} cannot be read from the future.", remedy)
    later = {name for part in request.row_lists if part.period != "history" for name in part.sources}
    later -= {*series.item_id, *series.static, *series.targets, series.timestamp}
    if series.future and request.series and later != {*series.future}:
        what = f"future = {list(series.future)}, and $future or $both name {', '.join(sorted(later)) or 'none'}."
        table.problem(what, "Declare in future what they name beside the timestamp, or leave future out.")
