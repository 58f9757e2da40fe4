"""A table of a TOML file whose every key is asked for: unknown keys, missing keys and wrong types are collected."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping
from typing import Any, TypeVar

from batchcast.steps.errors import ConfigError, Problem

T = TypeVar("T", bound=str | None)
_KINDS: Mapping[type, str] = {str: "text", int: "a whole number", bool: "true or false", dict: "a table"}


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
        """Note something wrong with this table."""
        self._problems.append(Problem("contract", what, where=self._where, remedy=remedy))

    def finish(self) -> None:
        """Raises ConfigError with all that was wrong, unknown keys included."""
        self._note_unknown()
        if self._problems:
            raise ConfigError(*dict.fromkeys(self._problems))

    def table(self, key: str, *, optional: bool = False) -> TomlTable:
        """The table `[key]`."""
        values = self._value(key, dict, None if not optional else {})
        return self._child(values or {}, f"{self._where} [{key}]")

    def tables(self, key: str) -> list[TomlTable]:
        """The array of tables `[[key]]`, at least one."""
        found = self._value(key, list, None) or []
        if not all(isinstance(values, dict) for values in found):
            self.problem(f"{key} is not an array of tables.", f"Write [[{key}]].")
            return []
        return [self._child(values, f"{self._where} [[{key}]] number {n}") for n, values in enumerate(found, 1)]

    def text(self, key: str, default: str | None = None) -> str:
        """A non-empty text."""
        found = self._value(key, str, default)
        if found == "":
            self.problem(f"{key} is empty.", "Give it a value.")
        return found or ""

    def texts(self, key: str) -> tuple[str, ...]:
        """A non-empty list of different, non-empty texts."""
        found = self._value(key, list, None)
        if found is not None and not _is_text_list(found):
            self.problem(f"{key} = {found!r} is not a list of different texts.", f'Write {key} = ["…"].')
            return ()
        return tuple(found or ())

    def integer(self, key: str, *, default: int, minimum: int) -> int:
        """A whole number of at least `minimum`."""
        found = self._value(key, int, default)
        if found < minimum:
            self.problem(f"{key} = {found} is below {minimum}.", f"Use at least {minimum}.")
        return int(found)

    def number(self, key: str) -> float | None:
        """A finite number, possibly absent."""
        self._asked.add(key)
        found = self._values.get(key)
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int | float) or not _is_finite(found):
            self.problem(f"{key} = {repr(found)[:40]} is not a finite number.", "Write a number.")
            return None
        return float(found)

    def flag(self, key: str, *, default: bool) -> bool:
        """True or false."""
        return bool(self._value(key, bool, default))

    def choice(self, key: str, choices: tuple[str, ...], *, default: T) -> Any:
        """One of `choices`."""
        found = self._value(key, str, default) if key in self else default
        if key in self._values and found not in choices:
            self.problem(f"{key} = {found!r} is not known.{_nearest(str(found), choices)}", f"Use {_listed(choices)}.")
            return default
        return found

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
            return default if default is not None or kind is not int else 0
        return found

    def _child(self, values: Mapping[str, Any], where: str) -> TomlTable:
        child = TomlTable(values, where, self)
        self._children.append(child)
        return child

    def _note_unknown(self) -> None:
        for key in self._values:
            if key not in self._asked:
                known = tuple(sorted(self._asked))
                self.problem(f"the key {key!r} is not known.{_nearest(key, known)}", f"Known are {_listed(known)}.")
        for child in self._children:
            child._note_unknown()


def _is_text_list(values: list[Any]) -> bool:
    texts = all(isinstance(value, str) and value for value in values)
    return bool(values) and texts and len(set(values)) == len(values)


def _is_finite(number: float) -> bool:
    """False too for a whole number that no float holds, on which math.isfinite raises."""
    return abs(number) <= sys.float_info.max


def _nearest(word: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def _listed(words: tuple[str, ...]) -> str:
    return ", ".join(words)
