"""Where the objects of a run lie below RunsUri. The layout is a public contract: other tools read it."""

from __future__ import annotations

from batchcast.steps.store.objects import join_uri

__all__ = ["ledger_uri", "output_uri", "retry_shard", "shard_uri"]


def shard_uri(runs_uri: str, run_id: str, round: int, shard: str) -> str:  # noqa: A002 (the word of the layout)
    """The input object of the transform in that round."""
    return join_uri(runs_uri, run_id, "input", f"r{round}", shard)


def output_uri(runs_uri: str, run_id: str, round: int, shard: str) -> str:  # noqa: A002
    """The output object the service writes for that shard."""
    return join_uri(runs_uri, run_id, "output", f"r{round}", f"{shard}.out")


def ledger_uri(runs_uri: str, run_id: str) -> str:
    """The ledger of a run that has been decided."""
    return join_uri(runs_uri, run_id, "report", "ledger.parquet")


def retry_shard(index: int) -> str:
    """The one-record shard of the retry round for the item in row `index` (from 0) of records.parquet."""
    return f"record-{index:06d}.jsonl"
