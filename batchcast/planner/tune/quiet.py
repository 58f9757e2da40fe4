"""Measure in the time that other programs leave: wait for it, stop when they come, leave out what they slowed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from batchcast.planner.tune.levels import LOOK_EVERY, Exchange, LoadTarget, Reading, Usage, never

# More than this of all cores slows a server that wants them all by more than a choice may lose.
_LOUD_PERCENT = 5.0
# Seconds of all waits.
_MOST_WAITED = 300.0

Say = Callable[[str], None]


@dataclass(slots=True)
class QuietTime:
    """When to run what. Where other programs are not seen, or do not stop, every block is run as it comes."""

    _target: LoadTarget
    _patience: float
    _say: Say
    _waited: float = 0.0
    _last: Reading | None = None
    _heard: bool = False

    def pieces(
        self, concurrency: int, records: Sequence[int], affords: Callable[[int], bool]
    ) -> Iterator[tuple[Sequence[Exchange], Usage | None]]:
        """A block in one piece, or in several where others came in between; what they disturbed is marked in it.

        That is sent again while `affords` has so many requests, they are two waves or more, and all of it no more than
        three times the block.
        """
        rest, sent, watch = list(records), 0, True
        while rest:
            watched = watch and self._others_left()
            block = self._target.run(concurrency, rest, self._others_came if watched else never)
            usage = self._target.usage()
            if watched and self._others_came() and self._last and usage:
                block = [replace(one, disturbed=one.ended > self._last.at) for one in block]
                usage = usage._replace(others_percent=min(_LOUD_PERCENT, usage.others_percent))
            yield block, usage
            sent, unsent = sent + len(block), rest[len(block) :]
            rest = [one.record for one in block if one.disturbed] + unsent
            if len(rest) < 2 * concurrency > 2:
                rest = list(records) if 2 * len(rest) > len(records) else []
            if sent + len(rest) > 3 * len(records) or not affords(len(rest)):
                rest, watch = unsent, False

    def _others_left(self) -> bool:
        """Whether they leave the machine alone, after waiting for it as long as there is patience."""
        waited, before = 0.0, (None if self._heard else self._last) or self._target.others()
        self._heard = False
        while before and waited < self._patience and self._waited < _MOST_WAITED:
            self._target.wait(LOOK_EVERY)
            self._last = self._target.others() or before
            if (percent := before.percent_until(self._last)) <= _LOUD_PERCENT:
                return True
            if not waited:
                self._say(f"waiting for other programs, which take {percent:.0f} % of this machine's processors")
            waited, self._waited, before = waited + LOOK_EVERY, self._waited + LOOK_EVERY, self._last
        if waited:
            self._say(f"waited {waited:.0f} s, {self._waited:.0f} in all: measuring beside them")
            # Who does not find them quiet again and again waits a minute for it, in all.
            self._patience = self._patience / 2 if self._patience > 2 * LOOK_EVERY else 0.0
        return False

    def _others_came(self) -> bool:
        """Looks at what they took since the last look, and remembers that it was too much."""
        now = self._target.others()
        if not self._heard and self._last and now and now.at >= self._last.at + LOOK_EVERY / 2:
            self._heard = self._last.percent_until(now) > _LOUD_PERCENT
            self._last = self._last if self._heard else now
        return self._heard
