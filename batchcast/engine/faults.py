"""Planned faults: what goes wrong, for which records, on which attempt.

A plan is a TOML file of `[[fault]]` tables:

    [[fault]]
    effect = "status"
    status = 503
    containing = "store-7/bread"      # the text is in the request's body
    attempts = [1, 2]                 # the first two attempts fail, the third is real

    [[fault]]
    effect = "crash"
    file = "part-00003.jsonl"         # the object's URI ends so
    line = 17                         # 0-based line of the request's first record

`crash` is real: it kills the model server's process group. Everything else happens on the client's side of the
exchange, and the server is untouched: `latency` waits before sending and counts against the time limit; `status` and
`reset` send nothing; `truncated` and `garbage` send, then spoil the answer. `slow_ping` makes the first pings of an
instance count as too slow, `no_output` loses the output of a file although the job completes, `stop` stops the job.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from batchcast.steps.errors import ConfigError, Problem

Effect = Literal["latency", "status", "reset", "truncated", "garbage", "crash", "slow_ping", "no_output", "stop"]
EVERY_ATTEMPT = (1, 1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault; every condition that is given must hold.

    `seconds` (of `latency`) is in the service's time, which TransformOptions.time_scale scales. `attempts` counts from
    1 and includes its end; of `slow_ping` its end is the number of slow pings.
    """

    effect: Effect
    containing: str | None = None
    file: str | None = None
    line: int | None = None
    instance: int | None = None
    attempts: tuple[int, int] = EVERY_ATTEMPT
    seconds: float = 0.0
    status: int = 500
    body: str = "fault"


@dataclass(frozen=True, slots=True)
class FaultPlan:
    faults: tuple[Fault, ...] = ()

    def of_request(self, file: str, line: int, body: bytes, instance: int, attempt: int) -> tuple[Fault, ...]:
        """What befalls this attempt to send `body`, the request that begins at `line` of `file`; as the plan has it."""
        return tuple(
            fault
            for fault in self.faults
            if fault.effect not in ("slow_ping", "no_output")
            and (fault.containing is None or fault.containing.encode() in body)
            and (fault.file is None or file.endswith(fault.file))
            and fault.line in (None, line)
            and fault.instance in (None, instance)
            and fault.attempts[0] <= attempt <= fault.attempts[1]
        )

    def slow_pings(self, instance: int) -> int:
        """How many of an instance's first pings count as too slow."""
        struck = (fault for fault in self.faults if fault.effect == "slow_ping")
        return max((fault.attempts[1] for fault in struck if fault.instance in (None, instance)), default=0)

    def loses_output(self, file: str) -> bool:
        return any(
            fault.effect == "no_output" and (fault.file is None or file.endswith(fault.file)) for fault in self.faults
        )


NO_FAULTS = FaultPlan()

_CONDITIONS = frozenset({"containing", "file", "line", "instance", "attempts"})
_KEYS: Mapping[Effect, frozenset[str]] = {
    **dict.fromkeys(get_args(Effect), _CONDITIONS),
    "latency": _CONDITIONS | {"seconds"},
    "status": _CONDITIONS | {"status", "body"},
    "slow_ping": frozenset({"instance", "attempts"}),
    "no_output": frozenset({"file"}),
}
_KINDS: Mapping[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("containing", "file", "body"), str),
    **dict.fromkeys(("line", "instance", "status"), int),
    "attempts": list,
    "seconds": (int, float),
}


def parse_fault_plan(text: str) -> FaultPlan:
    """The plan of a TOML text. Raises ConfigError with everything that is wrong in it."""
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(Problem("fault_plan", f"not TOML: {error}.")) from error
    problems = [
        Problem("fault_plan", f"unknown table {name!r}.", remedy="Use [[fault]] tables.")
        for name in content
        if name != "fault"
    ]
    tables = content.get("fault", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        what = "fault is not an array of tables."
        raise ConfigError(*problems, Problem("fault_plan", what, remedy="Write [[fault]], doubly bracketed."))
    for number, table in enumerate(tables, start=1):
        problems += (Problem("fault_plan", what, where=f"fault {number}") for what in _problems(table))
    ConfigError.raise_any(problems)
    given = ({**table, "attempts": tuple(table.get("attempts", EVERY_ATTEMPT))} for table in tables)
    return FaultPlan(tuple(Fault(**each) for each in given))


def _problems(table: Mapping[str, Any]) -> Iterator[str]:
    effect: Any = table.get("effect")
    if effect not in get_args(Effect):
        yield f"effect = {effect!r} is none of {', '.join(get_args(Effect))}."
    allowed = _KEYS[effect] if effect in list(_KEYS) else frozenset(_KINDS)
    for key, value in table.items():
        if key == "effect":
            continue
        if key not in allowed:
            yield f"unknown key {key!r}; effect = {effect!r} takes {', '.join(sorted(allowed))}."
        elif not isinstance(value, _KINDS[key]) or isinstance(value, bool):
            yield f"{key} = {value!r} has the wrong type."
        elif key == "attempts" and not _is_range(value):
            yield f"attempts = {value!r} is not [first, last] with 1 <= first <= last."


def _is_range(attempts: Any) -> bool:
    whole = len(attempts) == 2 and all(isinstance(value, int) for value in attempts)
    return whole and 1 <= attempts[0] <= attempts[1]
