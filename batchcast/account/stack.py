"""What the CloudFormation stack of infra/batchcast.yaml made, so that nobody copies an ARN by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from batchcast.session.service_errors import error_code
from batchcast.session.session import Session
from batchcast.steps.errors import ConfigError, Problem

_Command = TypeVar("_Command")
_NEEDED = (
    "BucketName",
    "DeadLetterQueueArn",
    "HistoryUri",
    "PipelineName",
    "PipelineRoleArn",
    "Prefix",
    "ProcessingRoleArn",
    "SchedulerRoleArn",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """The outputs of one stack, by their names in the template."""

    name: str
    outputs: Mapping[str, str]

    def deploy_settings(self) -> dict[str, Any]:
        """What of a deployment follows from the stack; a settings file and options take precedence."""
        outputs = self.outputs
        place = f"s3://{outputs['BucketName']}/{outputs['Prefix']}"
        key = {"output_kms_key": outputs["KmsKeyArn"]} if outputs.get("KmsKeyArn") else {}
        return {
            "pipeline_role_arn": outputs["PipelineRoleArn"],
            "processing_role_arn": outputs["ProcessingRoleArn"],
            "bucket": outputs["BucketName"],
            "prefix": outputs["Prefix"],
            "pipeline_name": outputs["PipelineName"],
            **key,
            "parameters": {
                "HistoryUri": outputs["HistoryUri"],
                "RunsUri": f"{place}/runs",
                "PublishUri": f"{place}/published",
            },
        }


def read_stack(session: Session, name: str) -> Stack:
    """The stack's outputs. Raises ConfigError when it does not exist, is not complete or is of another template."""
    try:
        (found,) = session.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except ConfigError as error:
        if error_code(error) != "ValidationError":
            raise
        what = f"there is no stack {name!r} in {session.region}."
        raise ConfigError(Problem("stack", what, "--stack", "docs/on-aws.md has the command that makes it.")) from error
    outputs = {one["OutputKey"]: one["OutputValue"] for one in found.get("Outputs", [])}
    missing = [one for one in _NEEDED if one not in outputs]
    if missing:
        what = f"{name} is {found['StackStatus']} and has no output {', '.join(missing)}."
        remedy = "Wait until it is complete, or update it with this version's infra/batchcast.yaml."
        raise ConfigError(Problem("stack", what, "--stack", remedy))
    return Stack(name=name, outputs=outputs)


def stack_option(command: _Command) -> _Command:
    """`--stack` on a click command."""
    text = "Take roles, bucket, queue and prefixes from the outputs of this CloudFormation stack."
    decorated: _Command = click.option("--stack", metavar="NAME", help=text)(command)  # type: ignore[type-var]
    return decorated
