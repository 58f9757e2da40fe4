"""Members of requests, and the engine's answer to a request that breaks the service model or that it cannot serve.

Two rounds, as with the real client: what botocore refuses before sending (unknown, missing or wrongly typed members)
is a `ParamValidationError`; what the service refuses (lengths, ranges, patterns, enumerations) is a
`ValidationException`. Each round reports everything it found. What SageMaker takes and the engine does not is found by
its path and refused by name. In a definition, a value may be an expression that has no value yet.
"""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from batchcast.engine.errors import NOT_EMULATED, NotEmulatedError, ServiceException
from batchcast.engine.requests.service_model import TYPES, Violation, committed_model, violations
from batchcast.steps.errors import ConfigError, Problem
from batchcast.steps.store.objects import DirectoryStore, ObjectStore, join_uri


def is_expression(value: Any) -> bool:
    """Whether the value is computed by the service: `Get`, `Std:Join`, `Std:JsonGet`."""
    return isinstance(value, Mapping) and len(value) == 1 and next(iter(value)) in ("Get", "Std:Join", "Std:JsonGet")


def get_path(value: Any, *path: str, default: Any = None) -> Any:
    """The member at the path, or the default where a member is absent or still an expression on the way."""
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            return default
        value = value[name]
    return value


def values_at(value: Any, path: str) -> Iterator[Any]:
    """Every value at a path; `[]` after a name stands for each member of a list. Other forms are passed over."""
    name, _, rest = path.partition(".")
    key = name.removesuffix("[]")
    if not isinstance(value, Mapping) or key not in value:
        return
    children = value[key] if name.endswith("[]") else [value[key]]
    for child in children if isinstance(children, list) else ():
        if rest:
            yield from values_at(child, rest)
        else:
            yield child


_BY_THE_CLIENT = ("unknown_member", "missing_member", "wrong_type")


def check_request(operation: str, request: Mapping[str, Any]) -> None:
    """Raises ServiceException `ParamValidationError` or `ValidationException`, with every violation of its kind.

    Before that NotEmulatedError, with every member that the engine refuses whole.
    """
    refuse(
        Problem(NOT_EMULATED, "is not emulated locally.", where=path, remedy=remedy)
        for path, remedy in refusals()["members"].get(operation, {}).items()
        if any(True for _ in values_at(request, path))
    )
    found = list(violations(committed_model(), operation, request))
    refused = [_botocore_text(each) for each in found if each.code in _BY_THE_CLIENT]
    if refused:
        raise ServiceException("ParamValidationError", "\n".join(["Parameter validation failed:", *refused]))
    if found:
        noun = "error" if len(found) == 1 else "errors"
        texts = "; ".join(map(_service_text, found))
        raise ServiceException("ValidationException", f"{len(found)} validation {noun} detected: {texts}")


def refuse_as_service(problems: Iterable[Problem]) -> None:
    """Raises ServiceException `ValidationException` with all of the problems, if there are any."""
    texts = [f"{each.where}: {each.what} {each.remedy}".strip() for each in problems]
    if texts:
        raise ServiceException("ValidationException", " ".join(texts))


def idempotency_tokens(operation: str) -> Iterator[str]:
    """The members of an operation that clients fill in by themselves."""
    model = committed_model()
    shape = model["shapes"][model["operations"][operation]["input"]["shape"]]
    return (name for name, member in shape["members"].items() if member.get("idempotencyToken"))


def _botocore_text(violation: Violation) -> str:
    place, value = violation.place, violation.value
    if violation.code == "missing_member":
        return f'Missing required parameter in {place or "input"}: "{value}"'
    if violation.code == "unknown_member":
        known = ", ".join(violation.expected)
        return f'Unknown parameter in {place or "input"}: "{value}", must be one of: {known}'
    names = ", ".join(kind.__name__ for kind in TYPES[violation.expected][0])
    return f"Invalid type for parameter {place}, value: {value!r}, type: {type(value)}, valid types: {names}"


def _service_text(violation: Violation) -> str:
    shown = f"{len(violation.value)} bytes" if violation.unit == "bytes" else violation.value
    place = ".".join(step[:1].lower() + step[1:] for step in violation.place.split("."))
    constraint = _CONSTRAINTS[violation.code].format(
        what="length" if violation.unit else "value",
        expected=", ".join(violation.expected) if isinstance(violation.expected, tuple) else violation.expected,
    )
    return f"Value '{shown}' at '{place}' failed to satisfy constraint: Member must {constraint}"


_CONSTRAINTS = {
    "pattern": "satisfy regular expression pattern: {expected}",
    "not_in_enumeration": "satisfy enum value set: [{expected}]",
    "below_minimum": "have {what} greater than or equal to {expected}",
    "above_maximum": "have {what} less than or equal to {expected}",
}


def refuse(problems: Iterable[Problem]) -> None:
    """Raises NotEmulatedError with all of the problems, if there are any."""
    found = tuple(problems)
    if found:
        raise NotEmulatedError(*found)


def refuse_keys(store: ObjectStore, uris: Mapping[str, str]) -> None:
    """Raises NotEmulatedError for each prefix, by the member that has it, below which a directory holds no object."""
    if isinstance(store, DirectoryStore):
        refuse(
            Problem("not_emulated", f"{uri}: a directory cannot hold keys with empty names, `.` or `..`.", where, _KEYS)
            for where, uri in uris.items()
            if not _can_hold(store, uri)
        )


_KEYS = "Write s3://bucket/name/name/."


def _can_hold(store: DirectoryStore, prefix: str) -> bool:
    try:
        store.path(join_uri(prefix, "name"))
    except ConfigError:
        return False
    return True


@cache
def refusals() -> Mapping[str, Mapping[str, Any]]:
    """What the engine refuses whole, and what to do instead: `steps` by type, `members` by operation and path."""
    return tomllib.loads(Path(__file__).with_name("refused.toml").read_text(encoding="utf-8"))
