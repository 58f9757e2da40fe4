"""What the List calls have in common: filters, order and pages.

Defaults are those of the API reference; where it names none, the newest come first, as the consoles show them.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from batchcast.engine.errors import ServiceException

Summary = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """How one List call answers: the member that holds the summaries, and theirs that it sorts and filters by."""

    answer: str
    name: str
    created: str = "CreationTime"
    status: str = ""
    newest_first: bool = True
    page_size: int = 100


def listed(listing: Listing, summaries: Iterable[Summary], request: Mapping[str, Any]) -> dict[str, Any]:
    """One page of the summaries that the request asks for. Raises ServiceException for a token nobody gave out."""
    found = [each for each in summaries if _passes(listing, each, request)]
    keys = {"CreationTime": listing.created, "Status": listing.status}
    member = keys.get(request.get("SortBy", "CreationTime"), listing.name)
    descending = request.get("SortOrder", "Descending" if listing.newest_first else "Ascending") == "Descending"
    found.sort(key=lambda each: (each[member], each[listing.name]), reverse=descending)
    first = _position(request.get("NextToken", "0"))
    last = first + request.get("MaxResults", listing.page_size)
    answer: dict[str, Any] = {listing.answer: found[first:last]}
    return answer if last >= len(found) else {**answer, "NextToken": str(last)}


def _passes(listing: Listing, summary: Summary, request: Mapping[str, Any]) -> bool:
    tests: Mapping[str, Callable[[Any], bool]] = {
        "NameContains": lambda text: text.lower() in summary[listing.name].lower(),
        "PipelineNamePrefix": lambda text: summary[listing.name].startswith(text),
        "StatusEquals": lambda status: summary[listing.status] == status,
        "CreationTimeAfter": lambda moment: _aware(summary[listing.created]) > _aware(moment),
        "CreationTimeBefore": lambda moment: _aware(summary[listing.created]) < _aware(moment),
        "CreatedAfter": lambda moment: _aware(summary[listing.created]) > _aware(moment),
        "CreatedBefore": lambda moment: _aware(summary[listing.created]) < _aware(moment),
        "LastModifiedTimeAfter": lambda moment: _aware(summary["LastModifiedTime"]) > _aware(moment),
        "LastModifiedTimeBefore": lambda moment: _aware(summary["LastModifiedTime"]) < _aware(moment),
    }
    return all(test(request[name]) for name, test in tests.items() if name in request)


def _aware(moment: datetime | str | float) -> datetime:
    """As botocore reads a time: seconds since 1970 or ISO 8601; UTC where no zone is told."""
    if isinstance(moment, int | float):
        return datetime.fromtimestamp(moment, UTC)
    read = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def _position(token: str) -> int:
    """A token is the place of its page's first summary."""
    if not token.isdecimal():
        raise ServiceException("ValidationException", f"Invalid NextToken: {token!r}")
    return int(token)
