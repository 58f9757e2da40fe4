"""Airflow's operators for SageMaker, as a DAG runs them: `python operators.py <workspace>` prints what they return."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import boto3
from house_prices import IMAGE, INPUT, OUTPUT, ROLE, engine

import batchcast as bc

_RESOURCES = {"ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 30}}


def processing_job(program: str, source: str, target: str, *arguments: Any) -> dict[str, Any]:
    """One that runs a program of the store, from one prefix to another."""
    code = "/opt/ml/processing/input/code"
    entry = ["python3", f"{code}/{program}"]
    output = {"S3Uri": target, "LocalPath": OUTPUT, "S3UploadMode": "EndOfJob"}
    return {
        "ProcessingResources": _RESOURCES,
        "AppSpecification": {
            "ImageUri": "image",
            "ContainerEntrypoint": entry,
            "ContainerArguments": [INPUT, OUTPUT, *arguments],
        },
        "RoleArn": ROLE,
        "ProcessingInputs": [_input("data", source, INPUT), _input("code", f"s3://houses/{program}", code)],
        "ProcessingOutputConfig": {"Outputs": [{"OutputName": "out", "S3Output": output}]},
    }


def _input(name: str, uri: str, path: str) -> dict[str, Any]:
    source = {"S3Uri": uri, "LocalPath": path, "S3DataType": "S3Prefix", "S3InputMode": "File"}
    return {"InputName": name, "S3Input": source}


def transform_job(name: str) -> dict[str, Any]:
    """A transform job over those lines."""
    return {
        "TransformJobName": name,
        "ModelName": "houses",
        "BatchStrategy": "SingleRecord",
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://houses/prepared/"}},
            "ContentType": "application/json",
            "SplitType": "Line",
        },
        "TransformOutput": {"S3OutputPath": "s3://houses/predicted", "AssembleWith": "Line"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    }


def put_pipeline() -> None:
    """The pipeline that the operator starts: one step, which fails where it expects more than there is."""
    expected = {"Get": "Parameters.Expected"}
    evaluate = processing_job("evaluate.py", "s3://houses/predicted/", "s3://houses/evaluation", expected)
    definition = {
        "Version": "2020-12-01",
        "Parameters": [{"Name": "Expected", "Type": "String", "DefaultValue": "3"}],
        "Steps": [{"Name": "Evaluate", "Type": "Processing", "Arguments": evaluate}],
    }
    boto3.client("sagemaker").create_pipeline(
        PipelineName="houses", PipelineDefinition=json.dumps(definition), RoleArn=ROLE
    )


def main(workspace: str) -> None:
    """The three operators one after another, and what the last of them says of a run that fails."""
    logging.disable(logging.CRITICAL)
    from airflow.providers.amazon.aws.operators.sagemaker import (
        SageMakerProcessingOperator,
        SageMakerStartPipelineOperator,
        SageMakerTransformOperator,
    )

    with bc.local_aws(engine(workspace)):
        boto3.client("sagemaker").create_model(
            ModelName="houses", PrimaryContainer={"Image": IMAGE}, ExecutionRoleArn=ROLE
        )
        waiting = {"wait_for_completion": True, "check_interval": 1, "aws_conn_id": None}
        prepare = processing_job("prepare.py", "s3://houses/rows.csv", "s3://houses/prepared")
        processed = SageMakerProcessingOperator(
            task_id="p", config={"ProcessingJobName": "prepare", **prepare}, **waiting
        ).execute({})
        transformed = SageMakerTransformOperator(task_id="t", config=transform_job("predict"), **waiting).execute({})
        put_pipeline()
        pipeline = {"pipeline_name": "houses", "wait_for_completion": True, "check_interval": 1, "aws_conn_id": None}
        started = SageMakerStartPipelineOperator(task_id="s", **pipeline).execute({})
        try:
            SageMakerStartPipelineOperator(task_id="f", pipeline_params={"Expected": "many"}, **pipeline).execute({})
            failed = ""
        except Exception as error:
            failed = f"{type(error).__name__}: {error}"
    seen = {
        "processing": processed["Processing"]["ProcessingJobStatus"],
        "transform": transformed["Transform"]["TransformJobStatus"],
        "pipeline": started,
        "failed": failed,
    }
    print(json.dumps(seen, default=str), file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1])
