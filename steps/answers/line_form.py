"""Lines of JSON that differ in numbers and texts alone, read without parsing them one by one.

A form is made of one line: what stands around its numbers and texts is the same, byte for byte, in every line of that
form. So each such line is what `json` makes of the first one with other numbers and texts in it, and these are held to
JSON's grammar.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from batchcast.steps.answers.item_arrays import Positions

Mask = npt.NDArray[np.bool_]

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"(\s*:)?|-?[0-9][-+0-9.eE]*')
_ANCHORS = b",}]{[:"
"""The bytes by which the places of a line are told, one of them or two."""
_NUMBER = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$"
_UNUSUAL = r'[\x00-\x1f"\\]'
_LONGEST = 1_000
"""Digits that Python takes for a whole number are limited too, at 4300."""
MARK = "\0"
"""What a text of `marked` begins with; its number follows."""
_MARK_IN_JSON = json.dumps(MARK)[1:-1].encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A number of a line or the inside of a text, by its place."""

    start: int
    end: int
    is_text: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Some lines of a buffer, by their places: without a line's end, and without blanks around it."""

    data: bytes
    starts: Positions
    ends: Positions

    @classmethod
    def of(cls, data: bytes) -> Lines:
        """All of them, blank ones too; none after the last newline."""
        codes = np.frombuffer(data, np.uint8)
        ends = np.flatnonzero(codes == 10)
        if not data.endswith(b"\n") and data:
            ends = np.append(ends, len(data))
        starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
        return cls(data=data, starts=starts, ends=ends - ((ends > starts) & (codes[ends - 1] == 13)))

    def some(self, places: Positions) -> Lines:
        """Those at the places."""
        return Lines(data=self.data, starts=self.starts[places], ends=self.ends[places])


@dataclass(frozen=True, kw_only=True)
class LineForm:
    """What stands between the slots of a line, and in how many places each of `anchors` stands there."""

    text: bytes
    slots: tuple[Slot, ...]
    anchors: bytes

    @classmethod
    def of(cls, text: bytes, fixed: Collection[int] = ()) -> LineForm | None:
        """The form of a line that is JSON; the slots numbered in `fixed` are the same in every line of it.

        None where no two bytes tell the slots apart.
        """
        slots = [slot for number, slot in enumerate(find_slots(text)) if number not in fixed]
        for anchors in (*combinations(_ANCHORS, 1), *combinations(_ANCHORS, 2)):
            form = cls(text=text, slots=tuple(slots), anchors=bytes(anchors))
            if form._tells_apart():
                return form
        return None

    def _tells_apart(self) -> bool:
        inside = any(anchor in self.text[slot.start : slot.end] for slot in self.slots for anchor in self.anchors)
        between = (self.text[one.end : other.start] for one, other in pairwise(self.slots))
        return not inside and all(any(anchor in text for anchor in self.anchors) for text in between)

    @cached_property
    def _layout(self) -> tuple[Positions, Positions, Positions, Positions, npt.NDArray[np.uint8]]:
        """Places of the anchors; before and behind each slot the last and the next of these, counted with the line's
        start as the first; and all that is no slot."""
        codes = np.frombuffer(self.text, np.uint8)
        places = np.flatnonzero(np.isin(codes, list(self.anchors)))
        starts = np.array([slot.start for slot in self.slots], np.int64)
        ends = np.array([slot.end for slot in self.slots], np.int64)
        literal = np.ones(len(codes), bool)
        for slot in self.slots:
            literal[slot.start : slot.end] = False
        return places, np.searchsorted(places, starts), starts, ends, codes[literal]

    def match(self, lines: Lines) -> tuple[Positions, pa.Array]:
        """Which lines may be of this form, and the texts of their slots, line by line, as `large_string`.

        What stands around the slots is as in the form; `json_numbers` and `unescaped_texts` tell what stands in them.
        """
        mine, before, starts, ends, literal = self._layout
        codes = np.frombuffer(lines.data, np.uint8)
        found = codes == self.anchors[0]
        for anchor in self.anchors[1:]:
            found |= codes == anchor
        places = np.flatnonzero(found)
        first = np.searchsorted(places, lines.starts)
        alike = np.flatnonzero(np.searchsorted(places, lines.ends) - first == len(mine))
        at = places[first[alike][:, None] + np.arange(len(mine))]
        begin, end = lines.starts[alike][:, None], lines.ends[alike][:, None]
        # Before a slot everything has the length that it has in the form, and so has everything behind it.
        left, right = np.concatenate([begin - 1, at], axis=1), np.concatenate([at, end], axis=1)
        own_left, own_right = np.concatenate([[-1], mine]), np.concatenate([mine, [len(self.text)]])
        bounds = np.empty((len(alike), 2 * len(starts) + 2), np.int64)
        bounds[:, :1], bounds[:, -1:] = begin, end
        bounds[:, 1:-1:2] = left[:, before] + (starts - own_left[before])
        bounds[:, 2:-1:2] = right[:, before] - (own_right[before] - ends)
        lengths = np.diff(bounds, axis=1)
        own = np.diff(np.concatenate([[0], np.stack([starts, ends], axis=1).ravel(), [len(self.text)]]))
        fits = (lengths[:, ::2] == own[::2]).all(axis=1) & (lengths >= 0).all(axis=1)
        alike, bounds = alike[fits], bounds[fits]
        around = _taken(lines.data, bounds, 0)
        same = (np.frombuffer(around, np.uint8)[: len(alike) * len(literal)].reshape(len(alike), -1) == literal).all(1)
        if not same.all():
            alike, bounds = alike[same], bounds[same]
        return alike, _cells(lines.data, bounds, 1)


def marked(text: bytes, slots: Sequence[Slot]) -> bytes:
    """The line with a slot's number in the place of every number, and MARK and that in the place of every text."""
    parts, last = [], 0
    for number, slot in enumerate(slots):
        parts += [text[last : slot.start], _MARK_IN_JSON * slot.is_text + str(number).encode()]
        last = slot.end
    return b"".join([*parts, text[last:]])


def find_slots(text: bytes) -> list[Slot]:
    """Every number of a line of JSON, and the inside of every text that is no key."""
    return [
        Slot(start=match.start() + is_text, end=match.end() - is_text, is_text=bool(is_text))
        for match in _TOKEN.finditer(text)
        if match[1] is None
        for is_text in [int(match[0].startswith(b'"'))]
    ]


def json_numbers(tokens: pa.Array) -> tuple[npt.NDArray[np.float64], Mask]:
    """The tokens as numbers, and which are numbers as JSON writes them; any other is anything."""
    fine = pc.and_(pc.match_substring_regex(tokens, _NUMBER), pc.less(pc.binary_length(tokens), _LONGEST))
    # -0 is a whole number to Python, and so 0.0.
    good: Mask = pc.and_not(fine, pc.equal(tokens, "-0")).to_numpy(zero_copy_only=False)
    if not good.all():
        tokens = pc.if_else(good, tokens, "0")
    try:
        return tokens.cast(pa.float64()).to_numpy(zero_copy_only=False), good
    except pa.ArrowInvalid:
        return np.array([float(text) for text in tokens.to_pylist()]), good


def unescaped_texts(tokens: pa.Array) -> tuple[pa.Array, Mask]:
    """The texts that stand between quotes in JSON, and which are such; any other is anything."""
    good, tokens = np.ones(len(tokens), bool), tokens.cast(pa.large_binary())
    odd = np.flatnonzero(pc.match_substring_regex(tokens, _UNUSUAL)).tolist()
    if not odd:
        return tokens, good
    texts = tokens.to_pylist()
    for place in odd:
        try:
            texts[place] = json.loads(f'"{texts[place].decode()}"').encode()
        except ValueError:
            good[place] = False
    return pa.array(texts, pa.large_binary()), good


def _cells(data: bytes, bounds: Positions, first: int) -> pa.Array:
    """The pieces between the bounds of each row, every second one from the first on."""
    rows, columns = bounds.shape
    buffers = [None, pa.py_buffer(np.ascontiguousarray(bounds)), pa.py_buffer(data)]
    cells = pa.Array.from_buffers(pa.large_string(), max(bounds.size - 1, 0), buffers)
    wanted = np.arange(rows)[:, None] * columns + np.arange(first, columns - 1, 2)
    return cells.take(pa.array(wanted.ravel()))


def _taken(data: bytes, bounds: Positions, first: int) -> bytes:
    return _cells(data, bounds, first).buffers()[2] or b""
