"""A table of a TOML file whose every key is asked for: unknown keys, missing keys and wrong types are collected."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from batchcast.steps.errors import ConfigError, Problem

_T = TypeVar("_T")
_KINDS: Mapping[type, str] = {str: "text", int: "a whole number", dict: "a table"}


class TomlTable:
    """Reads one table; `finish` on the root raises all problems of the file at once.

    A getter that finds a problem notes it and returns an empty value of its type, so that reading goes on.
    """

    def __init__(self, values: Mapping[str, Any], where: str, parent: TomlTable | None = None) -> None:
        self._values = values
        self._where = where
        self._asked: set[str] = set()
        self._children: list[TomlTable] = []
        self._problems: list[Problem] = parent._problems if parent else []

    def __contains__(self, key: str) -> bool:
        self._asked.add(key)
        return key in self._values

    def problem(self, what: str, remedy: str) -> None:
        self._problems.append(Problem("contract", what, where=self._where, remedy=remedy))

    def finish(self) -> None:
        """Raises ConfigError with all that was wrong, unknown keys included."""
        self._note_unknown()
        if self._problems:
            raise ConfigError(*dict.fromkeys(self._problems))

    def table(self, key: str, *, optional: bool = False) -> TomlTable:
        values = self._value(key, dict, None if not optional else {})
        child = TomlTable(values or {}, f"{self._where} [{key}]", self)
        self._children.append(child)
        return child

    def text(self, key: str) -> str:
        """A non-empty text."""
        found = self._value(key, str, None)
        if found == "":
            self.problem(f"{key} is empty.", "Give it a value.")
        return found or ""

    def parsed(self, key: str, parse: Callable[[str], _T]) -> _T | None:
        """What `parse` makes of a text, possibly absent; its ValueError says what is wrong, after `; ` the remedy."""
        if key not in self:
            return None
        text = self.text(key)
        try:
            return parse(text)
        except ValueError as error:
            what, _, remedy = str(error).partition("; ")
            self.problem(f"{key} = {text!r} {what}.", f"{remedy[:1].upper()}{remedy[1:]}.")
            return None

    def texts(self, key: str, *, optional: bool = False) -> tuple[str, ...]:
        """A non-empty list of different, non-empty texts."""
        if optional and key not in self:
            return ()
        found = self._value(key, list, None)
        texts = found and all(isinstance(text, str) and text for text in found)
        if found is not None and not (texts and len({*found}) == len(found)):
            self.problem(f"{key} = {found!r} is not a list of different texts.", f'Write {key} = ["…"].')
            return ()
        return tuple(found or ())

    def integer(self, key: str) -> int:
        """A whole number of at least 1, which it is where the key is missing."""
        found = self._value(key, int, 1)
        if found < 1:
            self.problem(f"{key} = {found} is below 1.", "Use at least 1.")
        return int(found)

    def number(self, key: str, default: float | None = None) -> Any:
        """A finite number, possibly absent."""
        if key not in self:
            return default
        found = self._values[key]
        # A whole number may be larger than any float, and math.isfinite then raises.
        if type(found) not in (int, float) or not abs(found) <= sys.float_info.max:
            self.problem(f"{key} = {repr(found)[:40]} is not a finite number.", "Write a number.")
            return default
        return float(found)

    def choice(self, key: str, choices: tuple[str, ...], *, default: str | None) -> Any:
        """One of `choices`."""
        found = self._value(key, str, default) if key in self else default
        if key not in self._values or found in choices:
            return found
        what = f"{key} = {found!r} is not known.{_nearest(str(found), choices)}"
        self.problem(what, f"Use {', '.join(choices)}.")
        return default

    def items(self) -> list[tuple[str, Any]]:
        """Every key with its value: a table whose keys are the reader's own names."""
        self._asked.update(self._values)
        return list(self._values.items())

    def _value(self, key: str, kind: type, default: Any) -> Any:
        self._asked.add(key)
        if key not in self._values:
            if default is None:
                self.problem(f"{key} is missing.", "Add it.")
            return default
        found = self._values[key]
        if not isinstance(found, kind) or (kind is int and isinstance(found, bool)):
            self.problem(f"{key} = {found!r} is not {_KINDS.get(kind, 'a list')}.", "Correct it.")
            return default
        return found

    def _note_unknown(self) -> None:
        for key in self._values:
            if key not in self._asked:
                known = tuple(sorted(self._asked))
                self.problem(f"the key {key!r} is not known.{_nearest(key, known)}", f"Known are {', '.join(known)}.")
        for child in self._children:
            child._note_unknown()


def _nearest(word: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
