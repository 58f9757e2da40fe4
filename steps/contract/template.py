"""The template of a request: the JSON that would be sent, with placeholders where values go.

    {"start": $start_time, "rows": $history({"date": $date, "sales": $sales})}

A placeholder stands where JSON has a value. `$history(ROW)`, `$future(ROW)` and `$both(ROW)` are arrays with ROW once
a row, oldest first; in ROW a name is a column. `${any name}` is for names that are more than letters, digits and _.
"""

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from batchcast.steps.contract.answer_path import value_at

Period = Literal["history", "future", "both"]
Path = tuple[str | int, ...]
"""Keys and places that lead to a value in a JSON document."""

_NAME = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([^{}]+)\})")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_MARKS = re.compile(rf'{_STRING.pattern}|[()"]', re.DOTALL)
_PERIODS: Mapping[str, Period] = {period: period for period in get_args(Period)}
_SHOWN = 40
_MARK = "\0"


@dataclass(frozen=True, slots=True)
class Value:
    """A value of the record or of the run by the name of its placeholder, or a column's in a row; `path` is where it
    lies in the document, or in the row."""

    name: str
    path: Path = ()


@dataclass(frozen=True, slots=True)
class RowList:
    """An array with one value a row; `row` is fixed text and columns, text first and last, columns between."""

    period: Period
    row: tuple[str | Value, ...]
    path: Path = ()

    @property
    def columns(self) -> tuple[Value, ...]:
        return tuple(part for part in self.row if isinstance(part, Value))

    @property
    def sources(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(column.name for column in self.columns))

    @property
    def fixed_bytes(self) -> int:
        """The bytes a row has beside its values: its fixed text, and the comma after it."""
        return 1 + sum(len(part.encode()) for part in self.row if isinstance(part, str))

    def rows(self, document: Any) -> list[Any]:
        """The array in a document rendered from the template; empty where the document is another."""
        found = value_at(document, self.path)
        return found if isinstance(found, list) else []

    def values(self, document: Any, column: str) -> list[Any] | None:
        """The values of one column in such a document; None where the rows do not have it."""
        paths = [one.path for one in self.columns if one.name == column]
        return [value_at(row, paths[0]) for row in self.rows(document)] if paths else None


Part = str | Value | RowList
"""A piece of a template: fixed JSON text, or what is written there."""


class TemplateError(ValueError):
    """The template cannot be read: `what` is wrong, and the `remedy`."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what, self.remedy = what, remedy


def parse_template(text: str, names: Sequence[str], *, compact: bool = True) -> tuple[Part, ...]:
    """The pieces of a template that may use the placeholders `names` beside the row lists; fixed text lies between any
    two of the others, first and last. `compact` drops the blanks between the JSON's tokens.

    Raises TemplateError for what is no JSON, an unknown placeholder, one in quotes or as a key, a key that is twice.
    """
    parts: list[Part] = []
    for piece in _placed(text, compact=compact):
        if isinstance(piece, Value) and piece.name not in names:
            raise _unknown(piece.name, [*names, *(f"{name}(…)" for name in _PERIODS)])
        parts.append(_row_list(piece, compact=compact) if isinstance(piece, _Rows) else piece)
    return tuple(parts)


@dataclass(frozen=True, slots=True)
class _Rows:
    """A row list whose `row` is not read yet."""

    name: str
    row: str
    path: Path = ()


def _row_list(rows: _Rows, *, compact: bool) -> RowList:
    row: list[str | Value] = []
    for part in _placed(rows.row, compact=compact):
        if isinstance(part, _Rows):
            what = f"${part.name}(…) stands inside ${rows.name}(…)."
            raise TemplateError(what, "A row holds columns; put the two beside each other.")
        row.append(part)
    if not any(isinstance(part, Value) for part in row):
        raise TemplateError(f"${rows.name}({rows.row.strip()}) names no column.", "Write a column as $name.")
    return RowList(_PERIODS[rows.name], tuple(row), rows.path)


def _placed(text: str, *, compact: bool) -> list[str | Value | _Rows]:
    """The pieces of a text, each placeholder with its path."""
    found = list(_pieces(text.strip(), compact=compact))
    paths = _paths(found)
    return [piece if isinstance(piece, str) else replace(piece, path=paths[at]) for at, piece in enumerate(found)]


def _pieces(text: str, *, compact: bool) -> Iterator[str | Value | _Rows]:
    """Fixed text and placeholders in turn, fixed text first and last."""
    fixed: list[str] = []
    position = 0
    while position < len(text):
        sign = text[position]
        if sign == '"':
            end = _string_end(text, position)
            fixed.append(_checked(text[position:end]))
            position = end
        elif sign == "$":
            placeholder, position = _placeholder(text, position)
            yield "".join(fixed)
            fixed = []
            yield placeholder
        else:
            if not (compact and sign in " \t\r\n"):
                fixed.append(sign)
            position += 1
    yield "".join(fixed)


def _placeholder(text: str, position: int) -> tuple[Value | _Rows, int]:
    match = _NAME.match(text, position)
    if match is None:
        what = f"no placeholder begins with {text[position : position + _SHOWN]!r}."
        raise TemplateError(what, "Write $name, or ${any name}.")
    name = str(match[1] or match[2])
    if match[1] is None or name not in _PERIODS:
        return Value(name), match.end()
    if text[match.end() : match.end() + 1] != "(":
        raise TemplateError(f"${name} has no row.", f"Write ${name}($column), or ${name}({{…}}) with a row in it.")
    depth = 1
    for mark in _MARKS.finditer(text, match.end() + 1):
        if mark[0] == '"':
            _string_end(text, mark.start())  # raises, for it is no whole string
        depth += (mark[0] == "(") - (mark[0] == ")")
        if not depth:
            return _Rows(name, text[match.end() + 1 : mark.start()]), mark.end()
    raise TemplateError(f"the parenthesis of ${name}( is not closed.", "Close it after the row.")


def _string_end(text: str, position: int) -> int:
    match = _STRING.match(text, position)
    if match is None:
        what = f"the text {text[position : position + _SHOWN]!r} has no closing quote."
        raise TemplateError(what, "Close it.")
    return match.end()


def _checked(string: str) -> str:
    match = _NAME.search(string)
    if match is not None:
        what = f"the placeholder {match[0]} stands in quotes: {string[:_SHOWN]}."
        raise TemplateError(what, "Write it without quotes, which the value brings; a plain $ in a text is \\u0024.")
    return string


def _paths(pieces: Sequence[str | Value | _Rows]) -> dict[int, Path]:
    """Where each placeholder lies in the document. Raises TemplateError when the pieces make no JSON."""
    marked = "".join(piece if isinstance(piece, str) else f'"\\u0000{number}"' for number, piece in enumerate(pieces))

    def shown(text: str) -> str:
        for number, piece in enumerate(pieces):
            if not isinstance(piece, str):
                text = text.replace(f'"\\u0000{number}"', f"${piece.name}")
        return text

    try:
        document = json.loads(marked, object_pairs_hook=_object, parse_constant=_constant)
        found = list(_marks(document, ()))
    except json.JSONDecodeError as error:
        near = shown(marked[max(error.pos - _SHOWN, 0) : error.pos + _SHOWN])
        raise TemplateError(f"is not JSON: {error.msg}, near {near!r}.", "Correct the JSON.") from error
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits; brackets in brackets without end
        raise TemplateError(f"cannot be read as JSON: {str(error)[:200]}.", "Correct the JSON.") from error
    return dict(found)


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    for number, (key, _) in enumerate(pairs):
        if key.startswith(_MARK):
            raise TemplateError("a placeholder stands where a key is.", "Keys are fixed text.")
        if key in [other for other, _ in pairs[:number]]:
            raise TemplateError(f"the key {key!r} is there twice.", "Leave one out.")
    return dict(pairs)


def _constant(text: str) -> Any:
    raise TemplateError(f"{text} is no JSON.", 'Write null, or "NaN" as text.')


def _marks(document: Any, path: Path) -> Iterator[tuple[int, Path]]:
    if isinstance(document, str) and document.startswith(_MARK):
        yield int(document[1:]), path
    inside = dict(enumerate(document)) if isinstance(document, list) else document
    for key, value in inside.items() if isinstance(inside, dict) else ():
        yield from _marks(value, (*path, key))


def _unknown(name: str, names: Sequence[str]) -> TemplateError:
    close = difflib.get_close_matches(name, names, n=1)
    nearest = f" Did you mean ${close[0]}?" if close else ""
    what = f"the placeholder ${name} is not known.{nearest}"
    return TemplateError(what, f"Known are {', '.join(f'${one}' for one in names)}; columns stand in a row.")
