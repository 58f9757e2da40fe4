"""An asynchronous endpoint that answers at once, in place of the network, and a run to send through it."""

from __future__ import annotations

import io
import json
from datetime import date
from pathlib import Path
from typing import Any

import boto3
from botocore.awsrequest import AWSResponse
from sample_run import SampleRun
from team import BUCKET, CONTRACT, DEFAULTS, REGION, ROLE

from batchcast.account.deploy import Package, apply, plan_deployment
from batchcast.account.deploy_settings import DeploySettings
from batchcast.session.session import AwsSession

__all__ = ["MODEL", "OUTPUT", "AnsweringEndpoint", "answering_endpoint"]

MODEL = "demand-model"
OUTPUT = f"s3://{BUCKET}/batchcast/async"


class AnsweringEndpoint:
    """Answers in place of the network what moto has no answer for: requests at once, no scaling activity, an update."""

    def __init__(self, run: SampleRun) -> None:
        self.run = run
        self.poison = ""
        self.sent: list[str] = []

    def __call__(self, model: Any, params: dict[str, Any], **_: Any) -> tuple[Any, dict[str, Any]] | None:
        answer = getattr(self, f"_{model.name}", None)
        if answer is None:
            return None
        return AWSResponse("", 200, {}, None), {**answer(params), "ResponseMetadata": {"HTTPStatusCode": 200}}

    def _DescribeScalingActivities(self, _: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - operations
        return {"ScalingActivities": []}

    def _UpdateEndpoint(self, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        wanted = json.loads(params["body"])
        sagemaker = boto3.client("sagemaker", region_name=REGION)
        sagemaker.delete_endpoint(EndpointName=wanted["EndpointName"])
        return dict(
            sagemaker.create_endpoint(**{name: wanted[name] for name in ("EndpointName", "EndpointConfigName")})
        )

    def _InvokeEndpoint(self, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        body = json.dumps(self.run.answer(json.loads(params["body"])["item_id"])).encode()
        return {"Body": io.BytesIO(body), "ContentType": "application/json"}

    def _InvokeEndpointAsync(self, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        headers = {name.removeprefix("X-Amzn-SageMaker-"): value for name, value in params["headers"].items()}
        item = json.loads(params["body"])["item_id"]
        self.sent.append(item)
        place = f"{headers.get('S3OutputPathExtension', '')}/{headers.get('Filename', headers['Inference-Id'])}"
        keys = {
            "OutputLocation": f"batchcast/async/answers/{place}",
            "FailureLocation": f"batchcast/async/failures/{place}",
        }
        failed = item == self.poison
        body = b"out of memory" if failed else json.dumps(self.run.answer(item)).encode()
        key = keys["FailureLocation" if failed else "OutputLocation"]
        boto3.client("s3", region_name=REGION).put_object(Bucket=BUCKET, Key=key, Body=body)
        return {
            "InferenceId": headers["Inference-Id"],
            **{name: f"s3://{BUCKET}/{each}" for name, each in keys.items()},
        }


def answering_endpoint(
    session: AwsSession, settings: DeploySettings, packed: Package, folder: Path
) -> AnsweringEndpoint:
    """Deploy the pipeline, start a run whose shards are built, and create the model; the endpoint is yet to come."""
    apply(session, plan_deployment(session, settings, packed))
    started = session.client("sagemaker").start_pipeline_execution(PipelineName="batchcast")
    run_id = str(started["PipelineExecutionArn"]).rsplit("/", 1)[-1]
    run = SampleRun(root=folder, run_id=run_id, run_date=date(2026, 11, 22), days=31, contract=CONTRACT.read_text())
    for stored in run.store.list(f"s3://bucket/runs/{run_id}/"):
        session.store.write(
            DEFAULTS["RunsUri"] + stored.uri.removeprefix("s3://bucket/runs"), run.store.read(stored.uri)
        )
    container = {"Image": "image"}
    boto3.client("sagemaker", region_name=REGION).create_model(
        ModelName=MODEL, PrimaryContainer=container, ExecutionRoleArn=ROLE
    )
    return AnsweringEndpoint(run)
