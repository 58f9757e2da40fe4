"""The weekly run: an EventBridge schedule that starts the pipeline with its parameters.

The run label is the scheduled time, so that a run is known by its week however late or often it is delivered.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from batchcast.account.differences import Difference, differences
from batchcast.pipelines.cron import parse_cron, time_zone
from batchcast.runs.start import required_pipeline, run_parameters, stop_request
from batchcast.session.service_errors import answer_or_none
from batchcast.session.session import Session
from batchcast.steps.errors import ConfigError, Problem

# EventBridge Scheduler user guide, "Adding context attributes", read 2023-11.
SCHEDULED_TIME = "<aws.scheduler.scheduled-time>"
# What it becomes, to check the parameters with.
_EXAMPLE_LABEL = "2026-11-22T03:30:00Z"
# A run that could not be started within the hour is left to the dead-letter queue: better none than one on Monday.
_RETRY_POLICY = {"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 3600}
_MAX_NAME = 64
# Members of GetSchedule's answer that UpdateSchedule does not want back: what it is not told, it forgets.
_ANSWERED_ONLY = ("Arn", "CreationDate", "LastModificationDate", "ResponseMetadata")


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When and with what the pipeline is started. `parameters` beside the defaults.

    Starts that fail for an hour go to `dead_letter_queue`, the ARN of an SQS queue.
    """

    name: str
    pipeline_name: str
    cron: str
    timezone: str
    scheduler_role_arn: str
    dead_letter_queue: str
    parameters: Mapping[str, str]


def put_schedule(session: Session, schedule: Schedule) -> tuple[bool, list[Difference]]:
    """Create the schedule, or change it to this; whether it is new, and what changed of an old one.

    A schedule that was paused stays so. Raises ConfigError, before anything is written, for a time that is wrong, a
    pipeline that is not deployed, and parameters that a run would be refused for.
    """
    parse_cron(schedule.cron)
    time_zone(schedule.timezone)
    wanted = _request(session, schedule)
    current = _find(session, schedule.name)
    scheduler = session.client("scheduler")
    if current is None:
        scheduler.create_schedule(**wanted)
        return True, []
    wanted["State"] = current["State"]
    kept = {key: value for key, value in _kept(current).items() if key in wanted}
    changes = list(differences(kept, wanted))
    if changes:
        scheduler.update_schedule(**wanted)
    return False, changes


def schedule_stop(session: Session, arn: str, at: datetime, scheduler_role_arn: str) -> None:
    """Have an execution stopped at a time, whatever becomes of this command; the schedule then deletes itself.

    One that was made for it before stands.
    """
    partition, (pipeline_name, _, run_id) = arn.split(":")[1], arn.rsplit(":pipeline/", 1)[-1].split("/")
    name = f"{pipeline_name[: _MAX_NAME - len(run_id) - 6]}-stop-{run_id}"
    if _find(session, name) is not None:
        return
    session.client("scheduler").create_schedule(
        Name=name,
        Description=f"Stops run {run_id} if it still goes on.",
        ScheduleExpression=f"at({at.astimezone(UTC):%Y-%m-%dT%H:%M:%S})",
        ScheduleExpressionTimezone="UTC",
        FlexibleTimeWindow={"Mode": "OFF"},
        ActionAfterCompletion="DELETE",
        Target={
            "Arn": f"arn:{partition}:scheduler:::aws-sdk:sagemaker:stopPipelineExecution",
            "RoleArn": scheduler_role_arn,
            "Input": json.dumps(stop_request(arn)),
            # A run that has ended cannot be stopped: that is no failure to tell anybody of.
            "RetryPolicy": _RETRY_POLICY,
        },
    )


def get_schedule(session: Session, name: str) -> dict[str, Any]:
    """GetSchedule's answer. Raises ConfigError when there is no such schedule."""
    found = _find(session, name)
    if found is None:
        what = f"there is no schedule {name!r} in {session.region}."
        raise ConfigError(Problem("no_schedule", what, "--schedule", "`schedule create` makes one."))
    return found


def set_state(session: Session, name: str, *, enabled: bool) -> None:
    """Pause or resume; runs that have started go on. Raises ConfigError when there is no such schedule."""
    kept = _kept(get_schedule(session, name))
    session.client("scheduler").update_schedule(**kept | {"State": "ENABLED" if enabled else "DISABLED"})


def delete_schedule(session: Session, name: str) -> None:
    """The pipeline and its runs stay. Raises ConfigError when there is no such schedule."""
    get_schedule(session, name)
    session.client("scheduler").delete_schedule(Name=name)


def _request(session: Session, schedule: Schedule) -> dict[str, Any]:
    if "RunLabel" in schedule.parameters:
        what = "is the scheduled time of each run."
        raise ConfigError(Problem("parameter", what, "RunLabel", "Leave it out."))
    pipeline = required_pipeline(session, schedule.pipeline_name)
    run_parameters(pipeline, {**schedule.parameters, "RunLabel": _EXAMPLE_LABEL})
    parameters = {**schedule.parameters, "RunLabel": SCHEDULED_TIME}
    return {
        "Name": schedule.name,
        "Description": f"Starts the pipeline {schedule.pipeline_name}.",
        "ScheduleExpression": schedule.cron,
        "ScheduleExpressionTimezone": schedule.timezone,
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "State": "ENABLED",
        "Target": {
            "Arn": pipeline["PipelineArn"],
            "RoleArn": schedule.scheduler_role_arn,
            "SageMakerPipelineParameters": {
                "PipelineParameterList": [{"Name": name, "Value": value} for name, value in parameters.items()]
            },
            "RetryPolicy": _RETRY_POLICY,
            "DeadLetterConfig": {"Arn": schedule.dead_letter_queue},
        },
    }


def _find(session: Session, name: str) -> dict[str, Any] | None:
    return answer_or_none(session.client("scheduler").get_schedule, "ResourceNotFoundException", Name=name)


def _kept(current: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in current.items() if key not in _ANSWERED_ONLY and value is not None}
