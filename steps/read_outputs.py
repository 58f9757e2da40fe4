"""The outputs of a run where the service has put them for the step: read in as many processes as it is worth."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from batchcast.steps.answers.kept_answers import KeptAnswers
from batchcast.steps.answers.shard_columns import ColumnReader, ShardColumns
from batchcast.steps.contract.answer import Expected
from batchcast.steps.history.workers import Advance, Workers
from batchcast.steps.outcome.input_records import retry_inputs
from batchcast.steps.outcome.reconcile import Reconciliation, SentShard
from batchcast.steps.outcome.reused_answers import reconcile_run
from batchcast.steps.run_publication import PublishRun

Outputs = Mapping[tuple[int, str], Path]
"""(round, name of the output object) to its file."""

BYTES_A_PROCESS = 128 << 20
"""Fewer are read in the time that a process takes to begin."""
_BYTES_A_TASK = 8 << 20


def find_outputs(directory: Path) -> Outputs:
    """The outputs below the directory. The folders between the two are the service's affair."""
    return {
        (number, path.name): path
        for number in (0, 1)
        for path in sorted((directory / f"r{number}").rglob("*.out"), reverse=True)
    }


def output_readers(outputs: Outputs, processes: int, scratch: Path) -> Workers:
    """So many of these processes as the outputs of the first round are worth; to be entered early, as they take a while
    to begin."""
    size = sum(path.stat().st_size for (number, _), path in outputs.items() if number == 0)
    return Workers(max(1, min(processes, size // BYTES_A_PROCESS)), scratch, takes_part=_read_group)


def reconcile_outputs(run: PublishRun, outputs: Outputs, readers: Workers) -> Reconciliation:
    """What became of every item of the run."""
    again = retry_inputs(run.store, run.arguments.runs_uri, run.manifest.run_id) if run.arguments.round else None

    def read_output(number: int, shard: str) -> bytes | None:
        path = outputs.get((number, f"{shard}.out"))
        return path.read_bytes() if path else None

    def read_shards(sent: Iterable[SentShard], answers: KeptAnswers) -> Iterator[ShardColumns]:
        places = ((outputs.get((0, f"{shard[0]}.out")), shard) for shard in sent)
        tasks = ((run.expected, answers, group) for group in _groups(places))
        return (columns for several in readers.stream(_read_group, tasks) for columns in several)

    return reconcile_run(
        run.store,
        run.arguments.runs_uri,
        (run.manifest, run.records),
        read_output,
        run.expected,
        retry_shards=again,
        read_shards=read_shards,
    )


_Place = tuple[Path | None, SentShard]


def _groups(places: Iterable[_Place]) -> Iterator[list[_Place]]:
    """As they come, so many together that a task is worth its way to another process."""
    group: list[_Place] = []
    size = 0
    for place in places:
        group.append(place)
        size += place[0].stat().st_size if place[0] else 0
        if size >= _BYTES_A_TASK:
            yield group
            group, size = [], 0
    if group:
        yield group


def _read_group(_: Advance, expected: Expected, answers: KeptAnswers, group: Sequence[_Place]) -> list[ShardColumns]:
    """What became of the records; the values lie with the answers, and need not come the way between processes."""
    reader, found = ColumnReader(expected), []
    for path, (name, indexes, requests) in group:
        read = reader.read(name, path.read_bytes() if path else None, requests)
        answers.put(indexes, read)
        found.append(replace(read, values=read.values[:0], digests=read.digests[:0]))
    return found
