"""Runs of past dates, one after the other, each published under its own date."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

from batchcast.pipelines.parameters import check_parameters
from batchcast.runs.published import PublishedRun, list_published
from batchcast.session.session import Session
from batchcast.steps.errors import ConfigError, Problem
from batchcast.steps.publish.publication import read_publication
from batchcast.steps.store.objects import ObjectStore

Attend = Callable[[Mapping[str, str]], tuple[dict[str, Any], int]]
"""Runs one execution with these parameters to its end; the result's document and the exit code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfilledDate:
    """What became of one run date. `wape` is None where the history has no actual values after it.

    `skipped` when the date was published before; `exit_code` is that of the run.
    """

    run_date: date
    run_id: str
    outcome: str
    expected: int | None
    ok: int | None
    wape: float | None
    skipped: bool
    exit_code: int

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "run_date": self.run_date.isoformat()}


def backfill_dates(first: date, last: date, every_days: int) -> list[date]:
    """The run dates from `first` to at most `last`. Raises ConfigError when there is none."""
    if first > last:
        what = f"{first} is after {last}."
        raise ConfigError(Problem("dates", what, "--from", "Give the earlier date first."))
    days = range(0, (last - first).days + 1, every_days)
    return [first + timedelta(days=day) for day in days]


def backfill_parameters(values: Mapping[str, str], run_date: date) -> dict[str, str]:
    """The parameters of the run of one date. Raises ConfigError with all problems, and for a RunDate among `values`."""
    if "RunDate" in values:
        raise ConfigError(Problem("parameter", "is set by backfill itself.", "RunDate", "Give --from and --to."))
    label = {"RunLabel": f"backfill-{run_date}"} if "RunLabel" not in values else {}
    return check_parameters({**values, **label, "RunDate": run_date.isoformat()}).service_values()


def backfill(
    session: Session, dates: list[date], values: Mapping[str, str], attend: Attend
) -> Iterator[BackfilledDate]:
    """Run each date in order, but for those that are published already; each as soon as it has ended.

    A date that is held does not keep the later ones from running. The pointer stays at the latest run date, as it
    does in any run.
    """
    parameters = {run_date: backfill_parameters(values, run_date) for run_date in dates}
    for run_date in dates:
        there = _published(session.store, parameters[run_date])
        if there is not None:
            yield _skipped(there)
        else:
            document, exit_code = attend(parameters[run_date])
            yield _ended(run_date, document, exit_code)


def _published(store: ObjectStore, values: Mapping[str, str]) -> PublishedRun | None:
    """A publication of that run date, for as many days and of the same items."""
    publish_uri = values["PublishUri"]
    for run in list_published(publish_uri, store=store):
        if run.run_date.isoformat() == values["RunDate"]:
            built = read_publication(store, publish_uri, run.run_date, run.run_id)["parameters"]
            if [str(built["forecast_horizon"]), built["items_uri"]] == [values["ForecastHorizon"], values["ItemsUri"]]:
                return run
    return None


def _skipped(run: PublishedRun) -> BackfilledDate:
    return BackfilledDate(
        run_date=run.run_date,
        run_id=run.run_id,
        outcome=run.outcome,
        expected=None,
        ok=run.items,
        wape=None,
        skipped=True,
        exit_code=0,
    )


def _ended(run_date: date, document: Mapping[str, Any], exit_code: int) -> BackfilledDate:
    counts, score = document["counts"] or {}, document["score"]
    return BackfilledDate(
        run_date=run_date,
        run_id=document["run_id"],
        outcome=document["outcome"] or document["execution"]["status"],
        expected=counts.get("expected"),
        ok=counts.get("ok"),
        wape=score and score["wape_model"],
        skipped=False,
        exit_code=exit_code,
    )
