"""Start a run that this process need not wait for."""

from __future__ import annotations

from collections.abc import Mapping

from batchcast.session.session import Session, WorkspaceSession


def start_with(session: Session, pipeline_name: str, values: Mapping[str, str]) -> str:
    """Start a run with these parameters; its id. The same label and parameters are one run on AWS.

    Raises ServiceError when another run has the publish prefix, and ConfigError for a label that is taken by a run
    that failed, or for a model that no server of the workspace stands for.
    """
    from batchcast.runs.run_lock import check_no_overlap
    from batchcast.runs.start import start_run, started_status
    from batchcast.runs.watch.run_and_wait import start_in_workspace

    if isinstance(session, WorkspaceSession):
        return start_in_workspace(session, pipeline_name, values).rsplit("/", 1)[-1]
    client = session.client("sagemaker")
    check_no_overlap(session, pipeline_name, values, once=True)
    arn = start_run(client, pipeline_name, values, once=True)
    started_status(client, arn, values["RunLabel"])
    return arn.rsplit("/", 1)[-1]
