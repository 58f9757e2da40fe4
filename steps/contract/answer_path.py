"""Paths into an answer: JMESPath, as SageMaker Clarify reads forecasts, and what to say where a path finds nothing.

Common paths, names and places with at most one `[*]`, are followed by plain Python: 31 rows of a list cost a tenth of
what a general search costs. A row without the key then counts as null, where JMESPath would leave it out.

An object's keys have no order, and the service sorts them as text: "10" before "2". A path that reads them one after
another, `values(mean)` or `mean.*`, takes them by their number or ISO date, and else finds nothing.
"""

import json
import re
import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

Search = Callable[[Any], Any]
_TOKEN = re.compile(r'\.?(?:([A-Za-z_]\w*)|"((?:[^"\\]|\\.)*)")|\[(\*|-?\d+)\]')
_ALL = "*"
_BY_KEYS = re.compile(r"(?<!\[)\*|\b(?:values|keys)\(")
_NUMBERED = re.compile(r"(\D*)(\d+)(\D*)")
_DATED = re.compile(r"\d{4}-\d\d(-\d\d.*)?")
_SHOWN = 300
_KEYS_SHOWN = 20
Step = str | int


@lru_cache(maxsize=256)
def compile_path(path: str) -> Search:
    """A function from a document to what lies at the path, None where nothing does. Raises ValueError for no path."""
    steps = _plain_steps(path)
    if steps is None:
        import jmespath

        try:
            with warnings.catch_warnings():
                # It warns of a literal without quotes, as `a` for `"a"`, and takes it.
                warnings.simplefilter("ignore", PendingDeprecationWarning)
                search = jmespath.compile(path).search
        except (jmespath.exceptions.JMESPathError, RecursionError) as error:
            raise ValueError(f"{path[:200]!r} is no JMESPath: {str(error).splitlines()[0]}") from error
        return _in_order(search) if _BY_KEYS.search(path) else search
    if _ALL not in steps:
        return lambda document: value_at(document, steps)
    at = steps.index(_ALL)
    head, tail = steps[:at], steps[at + 1 :]
    if len(tail) == 1 and isinstance(tail[0], str):
        (key,) = tail
        return lambda document: _column(value_at(document, head), key)

    def each(document: Any) -> list[Any] | None:
        rows = value_at(document, head)
        return [value_at(row, tail) for row in rows] if isinstance(rows, list) else None

    return each


def is_plain_path(path: str) -> bool:
    """Whether it only follows names and places: then where a value lies does not depend on any value."""
    return _plain_steps(path) is not None


def explain_path(path: str, document: Any) -> str:
    """What is there instead: the first step that finds nothing with its neighbours, and the start of the document."""
    found, walked = document, ""
    for step in _plain_steps(path) or []:
        if step == _ALL:
            if not isinstance(found, list):
                break
            found = found[0] if found else None
            walked += "[*]"
            continue
        following = value_at(found, [step])
        if following is None:
            break
        found, walked = following, f"{walked}[{step}]" if isinstance(step, int) else f"{walked}.{step}".lstrip(".")
    there = f"{walked or 'the answer'} is {describe_value(found)}"
    if _BY_KEYS.search(path) and not is_plain_path(path):
        there = f"keys have no order unless they are numbered or ISO dates; {there}"
    return f"{path} finds nothing: {there}; the answer begins {shorten(document, _SHOWN)}"


def describe_value(value: Any) -> str:
    """In words: what kind of value it is, with the keys of an object and the length of a list."""
    if isinstance(value, dict):
        keys = ", ".join(map(str, list(value)[:_KEYS_SHOWN]))
        return f"an object with {f'the keys {keys}' if value else 'no key'}"
    if isinstance(value, list):
        return f"a list of {len(value)}" + (f", the first {_kind(value[0])}" if value else "")
    return _kind(value)


def shorten(value: Any, characters: int) -> str:
    """Text as it is, other values as JSON, cut to so many characters."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    # JSON can name half a character, as in a text that was cut; no report could be written with one.
    text = text.encode(errors="backslashreplace").decode()
    return text if len(text) <= characters else text[: characters - 1] + "…"


def _kind(value: Any) -> str:
    names = {type(None): "missing or null", bool: "a truth value", str: "text", list: "a list", dict: "an object"}
    return names.get(type(value), "a number")


def _plain_steps(path: str) -> list[Step] | None:
    """The steps of a path of names, places and at most one [*]; None for any other."""
    if path == "@":
        return []
    steps: list[Step] = []
    position = 0
    while position < len(path):
        match = _TOKEN.match(path, position)
        if match is None:
            return None
        name, quoted, place = match.groups()
        # A point stands between names and nowhere else.
        if path.startswith(".", position) != (place is None and position > 0):
            return None
        if place is not None:
            steps.append(_ALL if place == _ALL else int(place))
        else:
            steps.append(name if name is not None else json.loads(f'"{quoted}"'))
        position = match.end()
    # A key that is named "*" cannot be told from [*] here.
    return steps if steps and steps.count(_ALL) <= 1 and '"*"' not in path else None


def value_at(value: Any, steps: Sequence[Step]) -> Any:
    """What lies at the keys and places, None where nothing does."""
    for step in steps:
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, dict) else None
        elif isinstance(value, list) and -len(value) <= step < len(value):
            value = value[step]
        else:
            return None
    return value


def _in_order(search: Search) -> Search:
    """The search, None where it depends on keys whose order cannot be told."""

    def found(document: Any) -> Any:
        first = search(_arranged(document, backwards=False))
        return first if first == search(_arranged(document, backwards=True)) else None

    return found


def _arranged(value: Any, *, backwards: bool) -> Any:
    """The value with the keys of its objects by number or date; keys that are neither by text, or backwards."""
    if isinstance(value, list):
        return [_arranged(each, backwards=backwards) for each in value]
    if not isinstance(value, dict):
        return value
    numbered = [_NUMBERED.fullmatch(key) for key in value]
    if all(numbered) and len({(match[1], match[3]) for match in numbered if match}) == 1:
        keys = sorted(value, key=lambda key: int(_NUMBERED.fullmatch(key)[2]))  # type: ignore[index]  # all match
    else:
        keys = sorted(value, reverse=backwards and not all(map(_DATED.fullmatch, value)))
    return {key: _arranged(value[key], backwards=backwards) for key in keys}


def _column(rows: Any, key: Step) -> list[Any] | None:
    if not isinstance(rows, list):
        return None
    return [row.get(key) if isinstance(row, dict) else None for row in rows]
