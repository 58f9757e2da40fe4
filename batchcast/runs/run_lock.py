"""Runs that would overlap: who has the publish prefix for itself, and whether that run is still going on."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from batchcast.runs.follow import ENDED
from batchcast.runs.start import default_label
from batchcast.session.service_errors import answer_or_none
from batchcast.session.session import Session, WorkspaceSession
from batchcast.steps.errors import ServiceError
from batchcast.steps.publish.lock import PublishLock, free_lock, held_by, lock_uri, read_lock


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The run that has the lock; `status` of its execution, "" when this pipeline knows no such execution."""

    lock: PublishLock
    status: str

    @property
    def ended(self) -> bool:
        """Whether the run has ended without giving the lock back, as one does that was stopped or killed."""
        return self.status in ENDED


def find_holder(session: Session, pipeline_name: str, publish_uri: str) -> Holder | None:
    """Who has the lock; None when nobody has. Two API calls and one read.

    A run in a workspace has ended with the process that drove it, although it could go on.
    """
    lock = read_lock(session.store, publish_uri)
    if lock is None:
        return None
    sagemaker = session.client("sagemaker")
    arn = f"{sagemaker.describe_pipeline(PipelineName=pipeline_name)['PipelineArn']}/execution/{lock.run_id}"
    if isinstance(session, WorkspaceSession) and arn in session.engine.interrupted():
        return Holder(lock=lock, status="Stopped")
    describe = sagemaker.describe_pipeline_execution
    found = answer_or_none(describe, "ResourceNotFound", "ValidationException", PipelineExecutionArn=arn) or {}
    return Holder(lock=lock, status=str(found.get("PipelineExecutionStatus", "")))


def check_no_overlap(session: Session, pipeline_name: str, values: Mapping[str, str], *, once: bool = False) -> None:
    """Before a run with these parameters is started: free the lock of a run that has ended.

    Raises ServiceError when the run that has it goes on. `once`: a start that is repeated under its own label is
    answered with the run that it began, which is in nobody's way. An identity that may not read the lock learns
    from BuildShards whether it is free.
    """
    publish_uri = values["PublishUri"]
    try:
        holder = find_holder(session, pipeline_name, publish_uri)
    except ServiceError as error:
        if error.problems[0].code != "s3":
            raise
        return
    if holder is None:
        return
    if holder.ended:
        free_lock(session.store, publish_uri, holder.lock.run_id)
    elif not (once and values["RunLabel"] == holder.lock.run_label != default_label()):
        raise in_the_way(holder, pipeline_name, publish_uri)


def in_the_way(holder: Holder, pipeline_name: str, publish_uri: str) -> ServiceError:
    """The error for a run that finds this one before it. Of a run of another pipeline nobody here knows the end."""
    error = held_by(holder.lock, publish_uri)
    if holder.status:
        return error
    remedy = (
        f"It is no run of the pipeline {pipeline_name}: wait for it; once it has ended, delete {lock_uri(publish_uri)}."
    )
    return ServiceError(replace(error.problems[0], remedy=remedy))
