"""What the service says about the requests of a transform job: found in the job's data-log.

The service writes there which file failed and how, never which record; in the retry round a file may be one record.
Line forms: amazon-sagemaker-examples issue 1620, sagemaker-python-sdk issues 1882 and 1951.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from batchcast.steps.outcome.ledger import SILENT, Ledger, LedgerRow

_OF_A_SHARD = re.compile(r"\[sagemaker logs\]: (.*?\.(?:jsonl|json|csv|parquet)): (.*)")
_HEADS = (
    "ClientError: ",
    "Bad HTTP status received from algorithm: ",
    "Unable to get response from algorithm",
    "Failed to parse ",
    "Failed to join ",
)
_MOST_CHARACTERS = 1000
_IN_THE_LEDGER = 300
_REFUSED = re.compile(r": (429|503)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedRequest:
    """How a request ended, in the service's words, and the body of the model's answer, cut to 1000 characters."""

    what: str
    message: str = ""


def failed_requests(lines: Iterable[str]) -> dict[str, FailedRequest]:
    """Name of the shard, without its folder, to the last request for it that failed; other lines are passed over."""
    heads: dict[str, str] = {}
    bodies: dict[str, list[str]] = {}
    for line in lines:
        found = _OF_A_SHARD.search(line)
        if found is None:
            continue
        shard, rest = found[1].rsplit("/", 1)[-1], found[2]
        if rest.startswith(_HEADS):
            heads[shard], bodies[shard] = rest, []
        elif shard in heads and (rest.strip() or bodies[shard]) and rest != "Message:":
            bodies[shard].append(rest)
    return {
        shard: FailedRequest(what=head, message="\n".join(bodies[shard])[:_MOST_CHARACTERS].rstrip())
        for shard, head in heads.items()
    }


def count_refused(requests: Iterable[FailedRequest]) -> int:
    """How many requests the model answered with 429 or 503, as one does that is sent more at once than it takes."""
    return sum(_REFUSED.search(request.what) is not None for request in requests)


def explain_rows(ledger: Ledger, requests: Mapping[str, FailedRequest], records: Mapping[str, int]) -> None:
    """Add what the log says of their shard to the detail of the rows without an answer.

    `records` is the number of records of a shard: of several the log does not say which one it was.
    """
    for index, row in ledger.others.items():
        if row.reason in SILENT:
            ledger.others[index] = _explained(row, requests, records)


def _explained(row: LedgerRow, requests: Mapping[str, FailedRequest], records: Mapping[str, int]) -> LedgerRow:
    request = requests.get(row.shard or "")
    if request is None:
        return row
    said = f"{request.what} {request.message}".strip()
    said = said if len(said) <= _IN_THE_LEDGER else f"{said[:_IN_THE_LEDGER]}…"
    alone = records.get(row.shard or "", 1) == 1
    return replace(row, detail=f"{row.detail}; the job's log{'' if alone else ', of a record in its file'}: {said}")
