"""Do two ways of asking the same model give the same answers? Compared by item id, as JSON, number by number.

Every difference has a kind: `schema` (a key or a type), `length`, `order` (the same rows in another order), `swapped`
(another item's answer), `locale` (a decimal comma), `text_number`, `rounding`,
`factor` (a constant one), `shift` (numbers some steps early or late), `day_shift` (dates), `value`, `text`, `headers`,
`status`, `unparsable`, `missing`, and `batch_environment`, where SAGEMAKER_BATCH makes the model say otherwise.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from batchcast.serving.parity.answer_differences import (
    AnswerDifference,
    NumberTolerance,
    Unparsable,
    find_differences,
    largest_distance,
    named_by_cause,
    numbers,
    read_json,
    short_text,
)
from batchcast.serving.parity.sample import SampledRecord
from batchcast.serving.realtime import RealTimeAnswer
from batchcast.steps.contract.series import ITEM_ID_KEY

Verdict = Literal["same", "different", "inconclusive"]
# Noise above this hides differences that matter.
_LOUD = 0.01
_OF_NOISE = {"value", "factor"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One record. `noise` and `distance` are the largest relative differences: of the endpoint to itself, and of batch
    to the endpoint; None where the answers have no numbers at the same places."""

    record: SampledRecord
    endpoint: object
    batch: object
    differences: tuple[AnswerDifference, ...]
    noise: float | None
    distance: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """The verdict. `contradictions` are differences of the endpoint to itself."""

    compared: Sequence[Compared]
    tolerance: NumberTolerance
    general: tuple[AnswerDifference, ...] = ()
    contradictions: tuple[AnswerDifference, ...] = field(default=())

    @property
    def differences(self) -> list[AnswerDifference]:
        """All of them, those of all answers first."""
        return [*self.general, *(each for one in self.compared for each in one.differences)]

    def firsts(self) -> list[tuple[AnswerDifference, int]]:
        """The first difference of each kind of each item, and how many more of that kind the item has."""
        found: dict[tuple[str, str], list[AnswerDifference]] = {}
        for each in self.differences:
            found.setdefault((each.item_id, each.kind), []).append(each)
        return [(each[0], len(each) - 1) for each in found.values()]

    @property
    def noise(self) -> float:
        """The largest relative difference of the endpoint to itself; 0 where it says the same thing twice."""
        said = {each.item_id for each in self.contradictions}
        return max((one.noise for one in self.compared if one.noise and one.record.item_id in said), default=0.0)

    @property
    def verdict(self) -> Verdict:
        """Inconclusive where the endpoint's own noise hides what there may be, or is all that there is."""
        loud = self.noise > _LOUD
        if not self.differences:
            return "inconclusive" if loud else "same"
        within = all(
            {each.kind for each in one.differences} <= _OF_NOISE and (one.distance or 0.0) <= 2 * self.noise
            for one in self.compared
            if one.differences
        )
        return "inconclusive" if within and not self.general and self.noise else "different"

    @property
    def matches(self) -> bool:
        """Whether batch says what the endpoint says, as far as anybody can tell."""
        return self.verdict == "same"

    @property
    def different(self) -> int:
        """Records that batch answers otherwise."""
        return sum(bool(one.differences) for one in self.compared)

    @property
    def strata(self) -> Counter[str]:
        """Records by why they were chosen."""
        return Counter(one.record.stratum for one in self.compared)

    @property
    def noisy(self) -> int:
        """Items to which the endpoint does not say the same thing twice."""
        return len({each.item_id for each in self.contradictions})


def compare_all(
    sample: Sequence[SampledRecord],
    first: Sequence[RealTimeAnswer],
    second: Sequence[RealTimeAnswer],
    batch: Mapping[str, bytes | None],
    tolerance: NumberTolerance,
    accept: str = "application/json",
) -> Parity:
    """Compare the endpoint's first answers with its second ones, and with those of batch by item id.

    Where the endpoint's numbers are noisy, batch may be as far away as twice that noise.
    """
    known = {record.item_id: read_json(answer.body) for record, answer in zip(sample, first, strict=True)}
    compared, contradictions = [], []
    for record, one, two in zip(sample, first, second, strict=True):
        own = list(find_differences(record.item_id, read_json(one.body), read_json(two.body), "", tolerance))
        contradictions += own
        noise = largest_distance(read_json(one.body), read_json(two.body))
        wide = replace(tolerance, relative=max(tolerance.relative, 2 * noise)) if own and noise else tolerance
        compared.append(_compare(record, one, batch.get(record.item_id), wide, known, noise))
    return Parity(
        compared=compared,
        tolerance=tolerance,
        general=tuple(_headers(first, accept)),
        contradictions=tuple(contradictions),
    )


def name_batch_effects(parity: Parity, outside: Mapping[str, bytes | None]) -> Parity:
    """The same, where an answer given outside of a batch agrees with the endpoint: then SAGEMAKER_BATCH is to blame."""
    compared = []
    for one in parity.compared:
        item, answer = one.record.item_id, outside.get(one.record.item_id)
        if answer is not None and not any(
            find_differences(item, one.endpoint, read_json(answer), "", parity.tolerance)
        ):
            renamed = tuple(replace(each, kind="batch_environment") for each in one.differences)
            one = replace(one, differences=renamed)
        compared.append(one)
    return replace(parity, compared=compared)


def numbers_of(answer: object) -> list[float]:
    return [value for _, value in numbers(answer, "")]


def _compare(
    record: SampledRecord,
    asked: RealTimeAnswer,
    answered: bytes | None,
    tolerance: NumberTolerance,
    known: Mapping[str, object],
    noise: float | None,
) -> Compared:
    item, expected = record.item_id, read_json(asked.body)
    found = None if answered is None else read_json(answered)
    if asked.status >= 300:
        differences = [AnswerDifference(item, "status", "", f"status {asked.status}", short_text(found))]
    elif answered is None:
        differences = [AnswerDifference(item, "missing", "", short_text(expected), "no answer")]
    elif isinstance(found, Unparsable) or isinstance(expected, Unparsable):
        differences = [AnswerDifference(item, "unparsable", "", short_text(expected), short_text(found))]
    else:
        differences = _named(item, expected, found, known, tolerance)
    return Compared(
        record=record,
        endpoint=expected,
        batch=found,
        differences=tuple(differences),
        noise=noise,
        distance=largest_distance(expected, found),
    )


def _named(
    item: str, expected: object, found: object, known: Mapping[str, object], tolerance: NumberTolerance
) -> list[AnswerDifference]:
    """The differences, or one for all of them where one thing explains them."""
    differences = list(find_differences(item, expected, found, "", tolerance))
    if not differences:
        return []
    owner = _owner(item, found, known, tolerance)
    if owner is not None:
        return [AnswerDifference(item, "swapped", "", f"the answer of {item}", f"the answer of {owner}")]
    return named_by_cause(differences, expected, found, tolerance)


def _owner(item: str, found: object, known: Mapping[str, object], tolerance: NumberTolerance) -> str | None:
    """The item whose answer this is, where it is another's."""
    echoed = found.get(ITEM_ID_KEY) if isinstance(found, dict) else None
    if isinstance(echoed, str) and echoed != item:
        return echoed
    for other, answer in known.items():
        if other != item and not any(find_differences(item, _nameless(answer), _nameless(found), "", tolerance)):
            return other
    return None


def _nameless(answer: object) -> object:
    if isinstance(answer, dict):
        return {key: value for key, value in answer.items() if key != ITEM_ID_KEY}
    return answer


def _headers(answers: Sequence[RealTimeAnswer], accept: str) -> Iterator[AnswerDifference]:
    """A batch job takes the answer for what the job says it accepts."""
    kinds = Counter(answer.content_type.partition(";")[0].strip() for answer in answers if answer.status < 300)
    for kind, count in kinds.items():
        if kind != accept:
            what = f"Content-Type {kind or 'unset'} in {count} answers"
            yield AnswerDifference("(all)", "headers", "", what, f"{accept} is what the job asks for")
