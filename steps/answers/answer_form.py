"""The answers of lines of one form: which slots of it are forecasts, and which the ids of the items."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from batchcast.steps.answers.item_arrays import Positions
from batchcast.steps.answers.line_form import (
    MARK,
    LineForm,
    Lines,
    Mask,
    find_slots,
    json_numbers,
    marked,
    unescaped_texts,
)
from batchcast.steps.contract.answer import AnswerError, Expected, answered_item, find_columns, split_answers
from batchcast.steps.contract.answer_path import compile_path, is_plain_path
from batchcast.steps.outcome.shard_output import read_documents


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainAnswers:
    """The good answers among some lines, all to requests of as many items: `values` lines x items x steps x columns.

    `ids` are the names that a line gives each of its items, line by line: as the service joined them, and as the model
    says; none where it does not.
    """

    lines: Positions
    values: npt.NDArray[np.float64]
    ids: Sequence[pa.Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerForm:
    """`values` are slots, items x steps x columns; each of `ids` has a slot an item."""

    line: LineForm
    values: Positions
    ids: tuple[Positions, ...]

    @classmethod
    def of(cls, text: bytes, items: int, expected: Expected) -> AnswerForm | None:
        """The form of a line that answers so many items, each as it should; None where it takes more than slots to
        tell its values, as with a path that computes."""
        outputs = expected.outputs
        paths = [
            outputs.records,
            outputs.item_id,
            outputs.timestamps,
            outputs.error,
            *(o.path for o in outputs.columns),
        ]
        if outputs.group_by or not all(is_plain_path(path) for path in paths if path):
            return None
        slots = find_slots(text)
        (document,) = read_documents(marked(text, slots), expected.request)
        try:
            answers = split_answers(document.answer, outputs, items)
            values = np.array([find_columns(answer, expected) for answer in answers]).swapaxes(1, 2)
        except AnswerError:
            return None
        echoed = [answered_item(answer, outputs) for answer in answers]
        moments = [_listed(compile_path(outputs.timestamps)(a)) for a in answers] if outputs.timestamps else []
        fixed = {-1 if (slot := _slot(moment)) is None else slot for some in moments for moment in some}
        ids = [_slots(names) for names in (document.item_ids, echoed) if any(name is not None for name in names)]
        line = LineForm.of(text, fixed)
        if line is None or values.dtype.kind != "i" or any(each is None for each in ids):
            return None
        if -1 in fixed or fixed & {*values.ravel().tolist()}:
            return None
        # Without the fixed ones the others have another number.
        number = np.cumsum([place not in fixed for place in range(len(slots))]) - 1
        return cls(line=line, values=number[values], ids=tuple(number[each] for each in ids if each is not None))

    def read(self, lines: Lines, expected: Expected) -> PlainAnswers:
        """Those of the lines that are of this form, and whose answers are within the bounds."""
        places, cells = self.line.match(lines)
        width = len(self.line.slots)
        is_text = np.array([slot.is_text for slot in self.line.slots])
        first = np.arange(len(places))[:, None] * width
        texts, are_texts = unescaped_texts(cells.take(pa.array((first + np.flatnonzero(is_text)).ravel())))
        tokens = cells.take(pa.array((first + np.flatnonzero(~is_text)).ravel()))
        good = are_texts.reshape(len(places), -1).all(axis=1) & _decodes(lines.some(places))
        found, are_numbers = json_numbers(tokens)
        good &= are_numbers.reshape(len(places), -1).all(axis=1)
        of_number = np.cumsum(~is_text) - 1
        values = found.reshape(len(places), -1)[:, of_number[self.values]]
        good &= _within(values, expected)
        kept = np.flatnonzero(good)
        of_text = np.cumsum(is_text) - 1
        begin = kept[:, None] * np.count_nonzero(is_text)
        ids = [texts.take(pa.array((begin + of_text[own]).ravel())).cast(pa.large_string()) for own in self.ids]
        return PlainAnswers(lines=places[kept], values=values if good.all() else values[kept], ids=ids)


def _within(values: npt.NDArray[np.float64], expected: Expected) -> Mask:
    """Lines whose values are finite, within the bounds, and have their quantiles in order."""
    outputs = expected.outputs
    low = -math.inf if outputs.minimum is None else outputs.minimum
    high = math.inf if outputs.maximum is None else outputs.maximum
    inside = np.isfinite(values) & (values >= low) & (values <= high)
    good: Mask = np.asarray(inside.reshape(len(values), -1).all(axis=1))
    for target in expected.targets:
        for (_, lower), (_, upper) in pairwise(outputs.quantiles(target)):
            good &= ~(values[..., lower] > values[..., upper]).reshape(len(values), -1).any(axis=1)
    return good


def _decodes(lines: Lines) -> Mask:
    if lines.data.isascii():
        return np.ones(len(lines.starts), bool)
    places = zip(lines.starts.tolist(), lines.ends.tolist(), strict=True)
    texts = (lines.data[start:end] for start, end in places)
    return np.array([text.decode(errors="ignore").encode() == text for text in texts], bool)


def _listed(found: object) -> list[object]:
    return found if isinstance(found, list) else [found]


def _slots(names: Sequence[str | None]) -> Positions | None:
    found = [_slot(name) for name in names]
    return None if None in found else np.array(found, np.int64)


def _slot(value: object) -> int | None:
    """The slot that a marked line has in this place."""
    if isinstance(value, str):
        return int(value[1:]) if value.startswith(MARK) else None
    return value if type(value) is int else None
