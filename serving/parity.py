"""Do two ways of asking the same model give the same answers? Compared by item id, as JSON, number by number.

Every difference has a kind: `schema` (a key or a type), `length`, `order` (the same rows in another order), `swapped`
(another item's answer), `locale` (a decimal comma), `text_number`, `rounding`, `value`, `text`, `headers`, `status`,
`unparsable`, `missing`, and `batch_environment`, where the model says otherwise because SAGEMAKER_BATCH is set.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from serving.parity_sample import SampledRecord
from serving.realtime import RealTimeAnswer
from steps.payload import ITEM_ID_KEY

__all__ = ["Compared", "Difference", "Parity", "Tolerance", "compare_all", "name_batch_effects", "numbers_of"]

_COMMA = re.compile(r"-?\d{1,3}(\.?\d{3})*,\d+|-?\d+,\d+")
_DECIMALS = range(9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """Numbers are equal when they differ by less than either."""

    relative: float = 1e-6
    absolute: float = 1e-9

    def close(self, one: float, other: float) -> bool:
        """Whether two numbers are as good as equal."""
        return math.isclose(one, other, rel_tol=self.relative, abs_tol=self.absolute)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """`where` is the path in the answer; `expected` is what the endpoint says and `found` what batch says."""

    item_id: str
    kind: str
    where: str
    expected: str
    found: str

    def __str__(self) -> str:
        place = f" {self.where}" if self.where else ""
        return f"{self.item_id}{place}: {self.kind}: endpoint {self.expected}, batch {self.found}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One record. `noise` and `distance` are the largest relative differences: of the endpoint to itself, and of batch
    to the endpoint; None where the answers have no numbers at the same places."""

    record: SampledRecord
    endpoint: object
    batch: object
    differences: tuple[Difference, ...]
    noise: float | None
    distance: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """The verdict. `contradictions` are differences of the endpoint to itself."""

    compared: Sequence[Compared]
    tolerance: Tolerance
    general: tuple[Difference, ...] = ()
    contradictions: tuple[Difference, ...] = field(default=())

    @property
    def differences(self) -> list[Difference]:
        """All of them, those of all answers first."""
        return [*self.general, *(each for one in self.compared for each in one.differences)]

    @property
    def matches(self) -> bool:
        """Whether batch says what the endpoint says."""
        return not self.differences

    @property
    def noisy(self) -> int:
        """Items to which the endpoint does not say the same thing twice."""
        return len({each.item_id for each in self.contradictions})


def compare_all(
    sample: Sequence[SampledRecord],
    first: Sequence[RealTimeAnswer],
    second: Sequence[RealTimeAnswer],
    batch: Mapping[str, bytes | None],
    tolerance: Tolerance,
) -> Parity:
    """Compare the endpoint's first answers with its second ones, and with those of batch by item id.

    Where the endpoint's numbers are noisy, batch may be as far away as twice that noise.
    """
    known = {record.item_id: _read(answer.body) for record, answer in zip(sample, first, strict=True)}
    compared, contradictions = [], []
    for record, one, two in zip(sample, first, second, strict=True):
        own = list(_differences(record.item_id, _read(one.body), _read(two.body), "", tolerance))
        contradictions += own
        noise = _distance(_read(one.body), _read(two.body))
        wide = replace(tolerance, relative=max(tolerance.relative, 2 * noise)) if own and noise else tolerance
        compared.append(_compare(record, one, batch.get(record.item_id), wide, known, noise))
    return Parity(
        compared=compared,
        tolerance=tolerance,
        general=tuple(_headers(first)),
        contradictions=tuple(contradictions),
    )


def name_batch_effects(parity: Parity, outside: Mapping[str, bytes | None]) -> Parity:
    """The same, where an answer given outside of a batch agrees with the endpoint: then SAGEMAKER_BATCH is to blame."""
    compared = []
    for one in parity.compared:
        item, answer = one.record.item_id, outside.get(one.record.item_id)
        renamed = one.differences
        if answer is not None and not any(_differences(item, one.endpoint, _read(answer), "", parity.tolerance)):
            renamed = tuple(replace(each, kind="batch_environment") for each in one.differences)
        compared.append(replace(one, differences=renamed))
    return replace(parity, compared=compared)


def numbers_of(answer: object) -> list[float]:
    """The numbers of an answer, in its order."""
    return [value for _, value in _numbers(answer, "")]


def _compare(
    record: SampledRecord,
    asked: RealTimeAnswer,
    answered: bytes | None,
    tolerance: Tolerance,
    known: Mapping[str, object],
    noise: float | None,
) -> Compared:
    item, expected = record.item_id, _read(asked.body)
    found = None if answered is None else _read(answered)
    if asked.status >= 300:
        differences = [_difference(item, "status", "", f"status {asked.status}", _short(found))]
    elif answered is None:
        differences = [_difference(item, "missing", "", _short(expected), "no answer")]
    elif isinstance(found, _Unparsable) or isinstance(expected, _Unparsable):
        differences = [_difference(item, "unparsable", "", _short(expected), _short(found))]
    else:
        differences = _named(item, expected, found, known, tolerance)
    distance = _distance(expected, found)
    return Compared(
        record=record,
        endpoint=expected,
        batch=found,
        differences=tuple(differences),
        noise=noise,
        distance=distance,
    )


def _named(
    item: str, expected: object, found: object, known: Mapping[str, object], tolerance: Tolerance
) -> list[Difference]:
    """The differences, or one for all of them where one thing explains them."""
    differences = list(_differences(item, expected, found, "", tolerance))
    if not differences:
        return []
    owner = _owner(item, found, known, tolerance)
    if owner is not None:
        return [_difference(item, "swapped", "", f"the answer of {item}", f"the answer of {owner}")]
    if all(each.kind == "value" for each in differences):
        decimals = _rounded_to(_numbers(expected, ""), dict(_numbers(found, "")), tolerance)
        if decimals is not None:
            rounded = f"rounded to {decimals} decimals"
            return [replace(each, kind="rounding", found=f"{each.found}, {rounded}") for each in differences]
    return differences


def _owner(item: str, found: object, known: Mapping[str, object], tolerance: Tolerance) -> str | None:
    """The item whose answer this is, where it is another's."""
    echoed = found.get(ITEM_ID_KEY) if isinstance(found, dict) else None
    if isinstance(echoed, str) and echoed != item:
        return echoed
    for other, answer in known.items():
        if other != item and not any(_differences(item, _nameless(answer), _nameless(found), "", tolerance)):
            return other
    return None


def _nameless(answer: object) -> object:
    if isinstance(answer, dict):
        return {key: value for key, value in answer.items() if key != ITEM_ID_KEY}
    return answer


def _differences(item: str, one: object, other: object, where: str, tolerance: Tolerance) -> Iterator[Difference]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in [*one, *(key for key in other if key not in one)]:
            place = f"{where}.{key}" if where else str(key)
            if key not in one or key not in other:
                told = ("there", "absent") if key in one else ("absent", "there")
                yield _difference(item, "schema", place, *told)
            else:
                yield from _differences(item, one[key], other[key], place, tolerance)
    elif isinstance(one, list) and isinstance(other, list):
        yield from _list_differences(item, one, other, where, tolerance)
    else:
        kind = _kind(one, other, tolerance)
        if kind:
            yield _difference(item, kind, where, _short(one), _short(other))


def _list_differences(
    item: str, one: list[Any], other: list[Any], where: str, tolerance: Tolerance
) -> Iterator[Difference]:
    if len(one) != len(other):
        yield _difference(item, "length", where, f"{len(one)} entries", f"{len(other)} entries")
        return
    found = [
        difference
        for number, (mine, theirs) in enumerate(zip(one, other, strict=True))
        for difference in _differences(item, mine, theirs, f"{where}[{number}]", tolerance)
    ]
    if found and Counter(map(_canonical, one)) == Counter(map(_canonical, other)):
        first = next(number for number, pair in enumerate(zip(one, other, strict=True)) if pair[0] != pair[1])
        yield _difference(item, "order", f"{where}[{first}]", _short(one[first]), _short(other[first]))
        return
    yield from found


def _kind(one: object, other: object, tolerance: Tolerance) -> str:
    """What is different about two values; empty for nothing."""
    if _is_number(one) and _is_number(other):
        assert isinstance(one, int | float)
        assert isinstance(other, int | float)
        return "" if tolerance.close(one, other) else "value"
    if one == other and type(one) is type(other):
        return ""
    texts = [value for value in (one, other) if isinstance(value, str)]
    if len(texts) == 1 and (_is_number(one) or _is_number(other)):
        return "locale" if _COMMA.fullmatch(texts[0].strip()) else "text_number"
    return "text" if len(texts) == 2 else "schema"


def _rounded_to(expected: Iterator[tuple[str, float]], found: Mapping[str, float], tolerance: Tolerance) -> int | None:
    """To how many decimals the one numbers are the other ones rounded; None when they are not."""
    pairs = [(one, found[place]) for place, one in expected if place in found]
    for decimals in _DECIMALS:
        if all(tolerance.close(round(one, decimals), other) for one, other in pairs):
            return decimals
    return None


def _distance(one: object, other: object) -> float | None:
    """The largest relative difference of numbers at the same places."""
    others = dict(_numbers(other, ""))
    pairs = [(mine, others[place]) for place, mine in _numbers(one, "") if place in others]
    return max((abs(a - b) / max(abs(a), abs(b), 1e-12) for a, b in pairs), default=None)


def _numbers(value: object, where: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        for key in value:
            yield from _numbers(value[key], f"{where}.{key}")
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _numbers(each, f"{where}[{number}]")
    elif _is_number(value):
        assert isinstance(value, int | float)
        yield where, float(value)


def _headers(answers: Sequence[RealTimeAnswer]) -> Iterator[Difference]:
    """A batch job that joins record and answer needs JSON, and takes the answer for what the job says."""
    kinds = Counter(answer.content_type.partition(";")[0].strip() for answer in answers if answer.status < 300)
    for kind, count in kinds.items():
        if kind != "application/json":
            what = f"Content-Type {kind or 'unset'} in {count} answers"
            yield _difference("(all)", "headers", "", what, "application/json is what the job asks for")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@dataclass(frozen=True, slots=True)
class _Unparsable:
    text: str


def _read(body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError:
        return _Unparsable(body[:80].decode("utf-8", "replace"))


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def _short(value: object) -> str:
    text = value.text if isinstance(value, _Unparsable) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:59] + "…"


def _difference(item_id: str, kind: str, where: str, expected: str, found: str) -> Difference:
    return Difference(item_id=item_id, kind=kind, where=where, expected=expected, found=found)
