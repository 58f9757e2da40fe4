"""One run of a deployed pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from batchcast.runs.follow import ENDED, view
from batchcast.runs.published import read_forecasts
from batchcast.runs.rerun import rerun_of_the_rest
from batchcast.runs.run_record import RunRecord, find_run
from batchcast.runs.start import check_no_overlap, start_run, started_status, stop_run
from batchcast.runs.watch.logs import job_log
from batchcast.runs.watch.run_and_wait import StatusLines, start_in_workspace, wait_for_run
from batchcast.runs.watch.run_status import run_status
from batchcast.session.session import Session, WorkspaceSession
from batchcast.steps.errors import (
    BatchcastError,
    ConfigError,
    CoverageError,
    DataError,
    ModelError,
    Problem,
    ServiceError,
)

if TYPE_CHECKING:
    import pandas as pd


class Run:
    """A run by its id. What is asked of it is looked up when it is asked: the object keeps nothing.

    A run in a workspace lives in the process that started it. When that ends before the run, the next `wait` resumes
    the run where it was.
    """

    def __init__(self, session: Session, pipeline_name: str, run_id: str) -> None:
        self._session = session
        self._pipeline_name = pipeline_name
        self.run_id = run_id

    def __repr__(self) -> str:
        return f"Run({self.run_id!r})"

    @property
    def parameters(self) -> Mapping[str, str]:
        """Every pipeline parameter with the value the run has, as text."""
        return self._record().parameters

    def status(self) -> dict[str, Any]:
        """How the run stands, as `status --json` prints it: execution, steps, progress, outcome, cause."""
        return run_status(self._session, self._record(), datetime.now(UTC))[0]

    def wait(self, *, check: bool = True, report_to: Callable[[str], None] | None = None) -> dict[str, Any]:
        """Follow the run to its end; the document that `wait --json` prints.

        `report_to` is called with a line of text for each step that changes its status. With `check` a run that
        published nothing raises the error that explains why: DataError, ModelError, CoverageError or ServiceError.
        """
        record = self._record()
        lines = nullcontext(StatusLines(report_to or (lambda _: None)))
        try:
            runs_uri = record.parameters["RunsUri"]
            document, exit_code = wait_for_run(self._session, record.arn, runs_uri, display=lambda _: lines)
        except SystemExit:  # how a command ends that is interrupted while the run goes on
            raise KeyboardInterrupt from None
        if check and exit_code:
            raise _error(document, exit_code)
        return document

    def logs(self, step: str | None = None) -> Iterator[str]:
        """The lines that the containers of the run's jobs wrote, step by step; of `step` alone where it is named."""
        for one in view(self._session.client("sagemaker"), self._record().arn).steps:
            if one.job and step in (None, one.name):
                yield from (line.text for line in job_log(self._session, one.job))

    def stop(self) -> None:
        """Stop the run and its jobs; nothing of it is published. A run that has ended stays as it is."""
        record = self._record()
        if record.status not in ENDED:
            stop_run(self._session.client("sagemaker"), record.arn)

    def rerun(self, parameters: Mapping[str, object] | None = None) -> Run:
        """Start a run that reuses the good forecasts of this one, sends only the other records and publishes the
        whole. Raises ConfigError when nothing is left to run."""
        overrides = {name: str(value) for name, value in (parameters or {}).items()}
        values = rerun_of_the_rest(self._record(), overrides)
        return Run(self._session, self._pipeline_name, start_with(self._session, self._pipeline_name, values))

    def report(self) -> dict[str, Any]:
        """What report.json of the run says. Raises DataError while the run has none."""
        found = self._record().report()
        if found is None:
            what = f"run {self.run_id} has no report: its records have not been accounted for."
            raise DataError(Problem("no_report", what, remedy="Wait for its end; `status` says why it has none."))
        return found

    def forecasts(self, **selection: Any) -> pd.DataFrame:
        """What this run published, whether readers see it or not; `selection` as `read_forecasts` takes it."""
        publish_uri = self._record().parameters["PublishUri"]
        return read_forecasts(publish_uri, run_id=self.run_id, store=self._session.store, **selection)

    def _record(self) -> RunRecord:
        return find_run(self._session, self._pipeline_name, self.run_id)


def _error(document: Mapping[str, Any], exit_code: int) -> Exception:
    kinds: tuple[type[BatchcastError], ...] = (ConfigError, DataError, ModelError, CoverageError, ServiceError)
    kind = next((each for each in kinds if each.exit_code == exit_code), ServiceError)
    run_id, status = document["run_id"], document["execution"]["status"]
    cause = document["cause"] or f"the execution ended {status}."
    return kind(Problem("run_failed", cause, f"run {run_id}", f"`rerun {run_id}` sends what is left."))


def start_with(session: Session, pipeline_name: str, values: Mapping[str, str]) -> str:
    """Start a run with these parameters; its id. The same label and parameters are one run on AWS.

    Raises ServiceError when another run has the publish prefix, and ConfigError for a label that is taken by a run
    that failed, or for a model that no server of the workspace stands for.
    """
    if isinstance(session, WorkspaceSession):
        return start_in_workspace(session, pipeline_name, values).rsplit("/", 1)[-1]
    client = session.client("sagemaker")
    check_no_overlap(session, pipeline_name, values, once=True)
    arn = start_run(client, pipeline_name, values, once=True)
    started_status(client, arn, values["RunLabel"])
    return arn.rsplit("/", 1)[-1]
