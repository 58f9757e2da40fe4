"""An execution on AWS whose course is written down: what moto does not have of SageMaker's pipelines.

It answers in place of the network, after botocore has checked the request, and its answers have the service's shapes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.awsrequest import AWSResponse
from strict import violations

__all__ = ["ARN", "BEGAN", "RUN_ID", "ScriptedRun", "step"]

RUN_ID = "runaaaaaaaaa"
PREFIX = "arn:aws:sagemaker:eu-central-1:123456789012"
PIPELINE_ARN = f"{PREFIX}:pipeline/batchcast"
ARN = f"{PIPELINE_ARN}/execution/{RUN_ID}"
BEGAN = datetime(2026, 11, 22, 3, 30, tzinfo=UTC)
_JOBS = {"BuildShards": "processing-job", "ValidateAndPublish": "processing-job", "Transform": "transform-job"}


def step(name: str, status: str, *, start: float = 0.0, end: float | None = None, reason: str = "") -> dict[str, Any]:
    """A step as ListPipelineExecutionSteps tells of it; `start` and `end` in seconds after BEGAN."""
    kind = _JOBS[name.removesuffix("Retry")]
    job = f"{PREFIX}:{kind}/pipelines-{RUN_ID}-{name}-abc"
    member = "ProcessingJob" if kind == "processing-job" else "TransformJob"
    return {
        "StepName": name,
        "StepStatus": status,
        "StartTime": BEGAN + timedelta(seconds=start),
        **({} if end is None else {"EndTime": BEGAN + timedelta(seconds=end)}),
        **({"FailureReason": reason} if reason else {}),
        "Metadata": {member: {"Arn": job}},
    }


@dataclass
class ScriptedRun:
    """`steps` and `status` may be functions that are asked at every call; `fails` may raise or answer with an error."""

    status: str | Callable[[], str] = "Executing"
    steps: list[dict[str, Any]] | Callable[[], list[dict[str, Any]]] = field(default_factory=list)
    parameters: dict[str, str] = field(default_factory=dict)
    definition: str = '{"Parameters": []}'
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    objects: Callable[[str], list[str]] | None = None
    log: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    may_not: frozenset[str] = frozenset()
    quotas: dict[str, float] = field(default_factory=dict)
    fails: Callable[[str], str | None] = lambda _: None
    tokens: dict[str, str] = field(default_factory=dict)
    access_keys: list[str] = field(default_factory=list)

    def handlers(self) -> list[tuple[str, Any]]:
        """For `botocore.handlers.BUILTIN_HANDLERS`."""
        return [("before-call", self._answer)]

    def _answer(
        self, model: Any, params: dict[str, Any], request_signer: Any, **_: Any
    ) -> tuple[Any, dict[str, Any]] | None:
        self.access_keys.append(request_signer._credentials.access_key)
        code = self.fails(model.name)
        if code:
            error = {"Error": {"Code": code, "Message": f"{code} for {model.name}"}}
            return AWSResponse("", 400, {}, None), error
        answer = getattr(self, f"_{model.name}", None)
        if answer is None:
            return None
        body = json.loads(params["body"]) if isinstance(params.get("body"), bytes | str) and params["body"] else params
        found = answer(body)
        if found is None:
            return None
        wrong = list(violations(model.output_shape, found, model.name))
        assert not wrong, wrong
        return AWSResponse("", 200, {}, None), {**found, "ResponseMetadata": {"HTTPStatusCode": 200}}

    def _DescribePipelineExecution(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - operations
        status = self.status if isinstance(self.status, str) else self.status()
        reason = {"FailureReason": "Step failure: One or multiple steps failed."} if status == "Failed" else {}
        return {
            "PipelineArn": PIPELINE_ARN,
            "PipelineExecutionArn": request["PipelineExecutionArn"],
            "PipelineExecutionStatus": status,
            **reason,
        }

    def _ListPipelineExecutionSteps(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        steps = self.steps if isinstance(self.steps, list) else self.steps()
        start, most = int(request.get("NextToken", 0)), 2  # short pages, so that paging is seen to work
        rest = {"NextToken": str(start + most)} if len(steps) > start + most and not callable(self.steps) else {}
        return {"PipelineExecutionSteps": steps[start : start + most] if rest or start else steps[start:], **rest}

    def _DescribePipelineDefinitionForExecution(self, _: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"PipelineDefinition": self.definition}

    def _ListPipelineParametersForExecution(self, _: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"PipelineParameters": [{"Name": name, "Value": value} for name, value in self.parameters.items()]}

    def _ListPipelineExecutions(self, _: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        status = self.status if isinstance(self.status, str) else self.status()
        summary = {"PipelineExecutionArn": ARN, "PipelineExecutionStatus": status, "StartTime": BEGAN}
        return {"PipelineExecutionSummaries": [{**summary, "PipelineExecutionDisplayName": "2026-11-22"}]}

    def _StartPipelineExecution(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        number = f"{len(self.tokens):012d}" if self.tokens else RUN_ID
        run_id = self.tokens.setdefault(request["ClientRequestToken"], number)
        return {"PipelineExecutionArn": f"{PIPELINE_ARN}/execution/{run_id}"}

    def _StopPipelineExecution(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        self.status = "Stopping"
        return {"PipelineExecutionArn": request["PipelineExecutionArn"]}

    def _DescribeTransformJob(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {
            "TransformJobName": request["TransformJobName"],
            "TransformJobArn": f"{PREFIX}:transform-job/{request['TransformJobName']}",
            "TransformJobStatus": "InProgress",
            "ModelName": "demand-model",
            "TransformInput": {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/in/"}}},
            "TransformResources": {"InstanceType": "ml.m5.4xlarge", "InstanceCount": 20},
            "CreationTime": BEGAN,
            **self.jobs.get(request["TransformJobName"], {}),
        }

    def _DescribeProcessingJob(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {
            "ProcessingJobName": request["ProcessingJobName"],
            "ProcessingJobArn": f"{PREFIX}:processing-job/{request['ProcessingJobName']}",
            "ProcessingJobStatus": "Failed",
            "ProcessingResources": {
                "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.4xlarge", "VolumeSizeInGB": 200}
            },
            "AppSpecification": {"ImageUri": "image"},
            "CreationTime": BEGAN,
            **self.jobs.get(request["ProcessingJobName"], {}),
        }

    def _FilterLogEvents(self, request: dict[str, Any]) -> dict[str, Any] | None:  # noqa: N802
        if not self.log:
            return None
        term = request.get("filterPattern", "").strip('"')
        events = [
            {"logStreamName": stream, "timestamp": int(BEGAN.timestamp() * 1000), "message": line}
            for stream, line in self.log.get(request["logGroupName"], [])
            if stream.startswith(request["logStreamNamePrefix"]) and term in line
        ]
        start = int(request.get("nextToken", 0))
        rest = {"nextToken": str(start + 2)} if len(events) > start + 2 else {}
        return {"events": events[start : start + 2], **rest}

    def _ListObjectsV2(self, request: dict[str, Any]) -> dict[str, Any] | None:  # noqa: N802
        query = request["query_string"]
        found = self.objects(query["prefix"]) if self.objects else None
        if found is None:
            return None
        start = int(query.get("continuation-token", 0))
        rest = {"NextContinuationToken": str(start + 1000)} if len(found) > start + 1000 else {}
        contents = [{"Key": key, "Size": 10} for key in found[start : start + 1000]]
        return {"Contents": contents, "KeyCount": len(contents), "IsTruncated": bool(rest), **rest}

    def _SimulatePrincipalPolicy(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        action, resource = request["body"]["ActionNames.member.1"], request["body"]["ResourceArns.member.1"]
        refused = any(text in f"{request['body']['PolicySourceArn']} {action} {resource}" for text in self.may_not)
        decision = "implicitDeny" if refused else "allowed"
        return {
            "EvaluationResults": [{"EvalActionName": action, "EvalResourceName": resource, "EvalDecision": decision}],
            "IsTruncated": False,
        }

    def _ListServiceQuotas(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        names, start = sorted(self.quotas), int(request.get("NextToken", 0))
        page = [{"QuotaName": name, "Value": self.quotas[name]} for name in names[start : start + 2]]
        return {"Quotas": page, **({"NextToken": str(start + 2)} if len(names) > start + 2 else {})}
