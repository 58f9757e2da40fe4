"""Members of a request that SageMaker takes and the engine does not: found by their path and refused by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from batchcast.engine.errors import NotEmulatedError
from batchcast.engine.requests.members import values_at
from batchcast.steps.errors import ConfigError, Problem
from batchcast.steps.store.objects import DirectoryStore, ObjectStore, join_uri


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


def refused_members(refused: Mapping[str, str], request: Mapping[str, Any]) -> Iterator[Problem]:
    """A problem for each member of `refused` that the request has.

    `refused` maps a path such as `ProcessingInputs[].DatasetDefinition` to what to do instead.
    """
    for path, remedy in refused.items():
        if any(True for _ in values_at(request, path)):
            yield Problem("not_emulated", "is not emulated locally.", where=path, remedy=remedy)
