"""Where the objects of a run lie below RunsUri. The layout is a public contract: other tools read it."""

import re

from batchcast.steps.store.objects import join_uri

_RETRY_SHARD = re.compile(r"record-(\d{6,})\.[a-z]+|records-(\d{6,})-(\d+)\.[a-z]+")


def shard_uri(runs_uri: str, run_id: str, round: int, shard: str) -> str:  # noqa: A002 (the word of the layout)
    """The input object of the transform in that round."""
    return join_uri(runs_uri, run_id, "input", f"r{round}", shard)


def output_uri(runs_uri: str, run_id: str, round: int, shard: str) -> str:  # noqa: A002
    """The output object the service writes for that shard."""
    return join_uri(runs_uri, run_id, "output", f"r{round}", f"{shard}.out")


def ledger_uri(runs_uri: str, run_id: str) -> str:
    """The ledger of a run that has been decided."""
    return join_uri(runs_uri, run_id, "report", "ledger.parquet")


def retry_shard(index: int, records: int = 1, suffix: str = ".jsonl") -> str:
    """The shard of the retry round whose first item is in row `index` (from 0) of records.parquet."""
    return f"record-{index:06d}{suffix}" if records == 1 else f"records-{index:06d}-{records}{suffix}"


def retry_members(shard: str) -> tuple[int, int] | None:
    """The row of the first item of a shard of the retry round, and the number of its records; None for another name."""
    found = _RETRY_SHARD.fullmatch(shard)
    if found is None:
        return None
    return (int(found[1]), 1) if found[1] else (int(found[2]), int(found[3]))
