"""What the local engine's workspace has beside SageMaker, in the shapes of boto3's clients: objects and logs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from batchcast.engine.errors import ServiceException
from batchcast.steps.errors import ConfigError, Problem
from batchcast.steps.store.objects import DirectoryStore

__all__ = ["DirectoryLogs", "DirectoryS3"]

_EVENTS_A_PAGE = 10_000


class DirectoryS3:
    """What `deploy` needs of S3, on the workspace's objects."""

    def __init__(self, store: DirectoryStore) -> None:
        self._store = store

    def head_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803 - boto3's names
        """Raises ServiceException `404` when there is no such object."""
        path = self._store.path(f"s3://{Bucket}/{Key}")
        if not path.is_file():
            raise ServiceException("404", "Not Found")
        status = path.stat()
        return {"ContentLength": status.st_size, "LastModified": datetime.fromtimestamp(status.st_mtime, UTC)}

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, **encryption: str) -> dict[str, Any]:  # noqa: N803
        """Raises ConfigError for a request that asks for encryption, which a directory does not have."""
        if encryption:
            what = f"{', '.join(encryption)}: a directory encrypts nothing."
            raise ConfigError(Problem("not_local", what, Key, "Leave the key out for a workspace."))
        self._store.write(f"s3://{Bucket}/{Key}", Body)
        return {}


class DirectoryLogs:
    """What `logs` needs of CloudWatch Logs: a group is a directory, a stream is a file in it."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def filter_log_events(
        self,
        *,
        logGroupName: str,  # noqa: N803 - boto3's names
        logStreamNamePrefix: str,  # noqa: N803
        filterPattern: str = "",  # noqa: N803
        nextToken: str = "0",  # noqa: N803
    ) -> dict[str, Any]:
        """A page of events, stream by stream. A line without a time of its own has that of the line before it.

        The pattern is one term in quotes, which the line has to contain.
        """
        group = self._root / logGroupName.strip("/")
        term = filterPattern.strip('"')
        events = [event for event in _events(group, logStreamNamePrefix) if term in event["message"]]
        start = int(nextToken)
        page = events[start : start + _EVENTS_A_PAGE]
        more = start + len(page) < len(events)
        return {"events": page, **({"nextToken": str(start + len(page))} if more else {})}


def _events(group: Path, prefix: str) -> Iterator[dict[str, Any]]:
    for path in sorted(each for each in group.rglob("*") if each.is_file()):
        stream = path.relative_to(group).as_posix()
        if stream.startswith(prefix):
            when = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                when = _time_of(line) or when
                yield {"logStreamName": stream, "timestamp": int(when.timestamp() * 1000), "message": line}


def _time_of(line: str) -> datetime | None:
    try:
        return datetime.fromisoformat(line[:23]).replace(tzinfo=UTC)
    except ValueError:
        return None
