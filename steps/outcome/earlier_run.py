"""The earlier run that ResumeFrom names: what it has answers for, and whether this run asks the same."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from batchcast.steps.arguments import NONE
from batchcast.steps.contract.frequency import Frequency
from batchcast.steps.contract.model_contract import CONTRACT_FILE, ModelContract, parse_contract
from batchcast.steps.errors import ConfigError, Problem
from batchcast.steps.outcome.ledger import GOOD, SILENT, ledger_rows
from batchcast.steps.outcome.reused_answers import earlier_ledger, is_decided
from batchcast.steps.shards.layout import retry_members
from batchcast.steps.shards.manifest import BASELINE_FILE, MANIFEST_FILE, Manifest, count_baseline
from batchcast.steps.store.objects import ObjectMissingError, ObjectStore, join_uri

_ASKED = ("series", "request", "outputs")
"""The parts of the contract file that say what the model is asked, and how its answer is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierRun:
    """`done` are the items that it has good forecasts of, its own or carried over, in order; `baseline` is the
    directory that has its table.

    `unanswered` are the items it sent a second time, alone, without an answer, before it ended undecided: item to
    where its record lies. To send them a third time would end this run like that one.
    """

    manifest: Manifest
    contract: ModelContract
    done: pa.ChunkedArray
    unanswered: Mapping[str, str]
    baseline: Path

    def check_same(
        self, *, run_date: date, forecast_horizon: int, frequency: Frequency, contract: ModelContract
    ) -> None:
        """Raises ConfigError with everything in which that run asked the model something else.

        `[checks]` may differ: a run that was held for its flags is published by another that resumes it without.
        """
        run, then = self.manifest, self.contract
        problems = []
        for name, earlier, now, remedy in (
            ("run date", run.run_date.isoformat(), run_date.isoformat(), f"Pass RunDate {run.run_date.isoformat()}."),
            ("frequency", run.frequency, frequency.alias, f'Declare frequency = "{run.frequency}" in model.toml.'),
            (
                "forecast horizon",
                run.forecast_horizon,
                forecast_horizon,
                f"Pass ForecastHorizon {run.forecast_horizon}.",
            ),
        ):
            if earlier != now:
                what = f"run {run.run_id} has {name} {earlier}, this one {now}: their forecasts do not belong together."
                problems.append(Problem("resume_mismatch", what, "ResumeFrom", remedy))
        changed = [f"[{table}]" for table in _ASKED if getattr(then, table) != getattr(contract, table)]
        if changed:
            what = f"{CONTRACT_FILE} of run {run.run_id} has another {', '.join(changed)}: it asked something else."
            remedy = f"Deploy the contract file of that run, or pass {NONE}."
            problems.append(Problem("resume_mismatch", what, "ResumeFrom", remedy))
        if problems:
            raise ConfigError(*problems)


def read_earlier_run(
    store: ObjectStore, runs_uri: str, run_id: str, contract: ModelContract, scratch: Path
) -> EarlierRun:
    """Read the run's manifest and ledger, and copy its baseline into a new directory in `scratch`. Raises ConfigError
    when it is unknown, built no shards, or has answers in another item's place."""
    folder = join_uri(runs_uri, run_id, "manifest")
    try:
        manifest = Manifest.from_json(store.read(join_uri(folder, MANIFEST_FILE)), where=run_id)
        expected = manifest.expected(contract)
        decided, done, unanswered = is_decided(store, runs_uri, run_id), [], dict[str, str]()
        for part in earlier_ledger(store, runs_uri, run_id, expected):
            done += part["item_id"].filter(pc.is_in(part["status"], value_set=pa.array(GOOD))).chunks
            unanswered |= {} if decided else dict(_sent_twice(manifest, part))
        baseline = scratch / f"baseline of {run_id}"
        baseline.mkdir(exist_ok=True)
        store.download(join_uri(folder, BASELINE_FILE), baseline / BASELINE_FILE)
        count_baseline(baseline)
        return EarlierRun(
            manifest=manifest,
            contract=parse_contract(
                store.read(join_uri(folder, CONTRACT_FILE)), where=f"{CONTRACT_FILE} of run {run_id}"
            ),
            done=pa.chunked_array(done, pa.string()),
            unanswered=unanswered,
            baseline=baseline,
        )
    except ObjectMissingError as error:
        what = f"run {run_id} cannot be resumed: {error.problems[0].where} is missing."
        remedy = f"Name a run whose shards were built, or {NONE}."
        raise ConfigError(Problem("resume_from", what, "ResumeFrom", remedy)) from error


def _sent_twice(manifest: Manifest, part: pa.Table) -> Iterator[tuple[str, str]]:
    """The items whose second record was alone in its shard and was not answered either."""
    alone = {shard.name for shard in manifest.shards if shard.records == 1}
    for row in ledger_rows(part.filter(pc.is_in(part["reason"], value_set=pa.array(sorted(SILENT))))):
        first = manifest.resume_from is not None and row.shard in alone
        again = first if row.round == 0 else (retry_members(row.shard or "") or (0, 0))[1] == 1
        if again:
            yield row.item_id, f"alone in {row.shard} of run {row.run_id}"
