"""Records to try a model with: those of the user's file, or of the bakery sample, built as a run builds them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from batchcast.steps.contract.model_contract import ModelContract, read_contract
from batchcast.steps.errors import ConfigError, Problem
from batchcast.steps.store.documents import read_file
from batchcast.steps.store.objects import DirectoryStore

if TYPE_CHECKING:
    from batchcast.steps.container import ContainerPaths
    from batchcast.steps.shards.request_text import RequestText
    from batchcast.steps.shards.sent_records import SentRecord

SAMPLE = Path(__file__).resolve().parents[2] / "examples" / "bakery"
# The sample's history ends on 2019-04-30: a run of 2019-03-30 forecasts days that are known, and scores itself.
SAMPLE_RUN_DATE = "2019-03-30"
# Sample -> the parameters its run has unless told otherwise; both runs forecast what is known, and score themselves.
SAMPLES: Mapping[str, Mapping[str, str]] = {
    SAMPLE.name: {"RunDate": SAMPLE_RUN_DATE},
    "grocery": {"RunDate": "2017-11-19", "ForecastHorizon": "6"},
}

_RUN_ID = "here00000000"
_Thing = TypeVar("_Thing")


def sample_file(name: str, sample: str = SAMPLE.name) -> Path:
    """A file or folder of a sample. Raises ConfigError for a package that was installed, which has none."""
    path = SAMPLE.with_name(sample) / name
    if not path.exists():
        what = f"the {sample} sample is a part of the source, not of the installed package."
        remedy = "Name your own history, contract and model, or run this in a checkout of batchcast."
        raise ConfigError(Problem("sample", what, str(path), remedy))
    return path


def bakery_records() -> list[bytes]:
    """Every record of the sample's run with the pipeline's own parameters, as the model gets it. Raises ConfigError
    where the sample is not installed."""
    _, sent = built_records(sample_file("history"), sample_file("model.toml"), run_date=SAMPLE_RUN_DATE)
    return [one.body for one in sent]


def built_records(history: Path, contract: Path, **given: Any) -> tuple[RequestText, list[SentRecord]]:
    """Every record of a run with the pipeline's own parameters but for those given, and how it becomes a request.
    Raises ConfigError and DataError as BuildShards does."""
    with built_shards(history, read_file(contract, "contract"), **given) as paths:
        return sent_records(paths)


@contextmanager
def built_shards(history: Path, contract: bytes, items: Sequence[str] = (), **given: Any) -> Iterator[ContainerPaths]:
    """Where the outputs of BuildShards are, until this ends; of all items unless some are named."""
    from batchcast.pipelines.parameters import fill_arguments
    from batchcast.session.guarded_read import read_guarded
    from batchcast.steps.arguments import NONE, BuildArguments
    from batchcast.steps.build_shards import build_shards
    from batchcast.steps.container import ContainerPaths
    from batchcast.steps.contract.model_contract import CONTRACT_FILE
    from batchcast.steps.history.folders import history_folder

    with tempfile.TemporaryDirectory(prefix="built-shards-") as folder:
        paths, store = ContainerPaths(root=Path(folder)), DirectoryStore(Path(folder) / "s3")
        paths.input("contract").mkdir(parents=True)
        (paths.input("contract") / CONTRACT_FILE).write_bytes(contract)
        paths.input("history").symlink_to(history_folder(str(history), Path(folder) / "one-file").resolve())
        run: dict[str, object] = {"run_id": _RUN_ID, "runs_uri": "s3://here/runs", "publish_uri": NONE, **given}
        if items:
            run["items_uri"] = "s3://here/items.txt"
            store.write("s3://here/items.txt", "".join(f"{item}\n" for item in items).encode())
        read_guarded(build_shards, fill_arguments(BuildArguments, **run), paths, store)
        yield paths


def sent_records(paths: ContainerPaths) -> tuple[RequestText, list[SentRecord]]:
    """The records among these outputs, and how one becomes a request."""
    from batchcast.steps.shards.manifest import read_manifest, read_records
    from batchcast.steps.shards.sent_records import SentRecords

    table = read_records(paths.output("manifest"))
    sent = SentRecords.of(read_manifest(paths.output("manifest")), table)
    return sent.text, [*sent.read(table, lambda shard: (paths.output("shards") / shard).read_bytes())]


def read_sample_file(sample: Path) -> list[bytes]:
    """A JSON document a line; blank lines are passed over. Raises ConfigError for lines that are none."""
    lines = read_file(sample, "sample").split(b"\n")
    records = [line for line in (line.removesuffix(b"\r") for line in lines) if line.strip()]
    problems = []
    for number, record in enumerate(records, 1):
        try:
            json.loads(record)
        except ValueError as error:
            remedy = "Write one whole JSON document a line."
            problems.append(Problem("sample", f"record {number} is not JSON: {error}.", str(sample), remedy))
    if not records:
        problems.append(Problem("sample", "holds no record.", str(sample), "Write one JSON document a line."))
    ConfigError.raise_any(problems[:5])
    return records


def records_and_contract(sample: Path | None, contract: Path | None) -> tuple[list[bytes], ModelContract | None]:
    """The records of the file `sample` and the contract that declares them, if it is named; else those of the bakery.
    Raises ConfigError for a contract without its records, and for one whose requests are tables."""
    if sample is None and contract is not None:
        what = "--contract is given without --sample; the bakery's records have their own."
        raise ConfigError(Problem("sample", what, str(contract), "Give the records that fit it with --sample FILE."))
    if sample is None:
        return bakery_records(), read_contract(SAMPLE / "model.toml")
    records, declared = read_sample_file(sample), read_contract(contract) if contract else None
    if declared and declared.request.tabular:
        what = f"its requests are {declared.request.content_type}, and a file of records has a JSON document a line."
        remedy = "Use check-model for single requests, `parity --against RUN_ID` for those of a run."
        raise ConfigError(Problem("content_type", what, "model.toml", remedy))
    return records, declared


def evenly_spread(things: Sequence[_Thing], count: int) -> list[_Thing]:
    """So many of the things, or all, from the first to the last."""
    count = min(count, len(things))
    return [things[place * (len(things) - 1) // max(1, count - 1)] for place in range(count)]
