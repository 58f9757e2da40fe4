"""What users of either SageMaker SDK do first; `sdk.py` and `sdk2.py` bring the SDK's classes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import boto3
from house_prices import IMAGE, INPUT, OUTPUT, ROLE, engine

import batchcast as bc

NO_TELEMETRY = {"SchemaVersion": "1.0", "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}}}
MODEL = {"PrimaryContainer": {"Image": IMAGE}, "ExecutionRoleArn": ROLE}


def transform(sdk: SimpleNamespace, session: Any) -> str:
    """A transform job that the caller waits for, with its log."""
    boto3.client("s3").put_object(Bucket="houses", Key="in/a.jsonl", Body=b'{"area": 1}\n{"area": 2}\n')
    transformer = sdk.Transformer(
        model_name="houses",
        instance_count=1,
        instance_type="ml.m5.large",
        strategy="SingleRecord",
        assemble_with="Line",
        output_path="s3://houses/out",
        sagemaker_session=session,
    )
    transformer.transform("s3://houses/in/", content_type="application/json", split_type="Line", wait=True, logs=True)
    return boto3.resource("s3").Object("houses", "out/a.jsonl.out").get()["Body"].read().decode()


def pipeline(sdk: SimpleNamespace, session: Any) -> Any:
    """Prepare, transform, evaluate, and a condition on the evaluation."""
    expected, model = (
        sdk.ParameterInteger("Expected", default_value=3),
        sdk.ParameterString("Model", default_value="houses"),
    )

    def processor() -> Any:
        return sdk.ScriptProcessor(
            image_uri="image",
            command=["python3"],
            role=ROLE,
            instance_count=1,
            instance_type="ml.m5.large",
            sagemaker_session=session,
        )

    prepare = sdk.ProcessingStep(
        name="Prepare",
        step_args=processor().run(
            code="s3://houses/prepare.py",
            arguments=[INPUT, OUTPUT],
            inputs=[sdk.given("rows", "s3://houses/rows.csv", INPUT)],
            outputs=[sdk.kept("lines", "s3://houses/prepared", OUTPUT)],
        ),
    )
    prepared = prepare.properties.ProcessingOutputConfig.Outputs["lines"].S3Output.S3Uri
    transformer = sdk.Transformer(
        model_name=model,
        instance_count=1,
        instance_type="ml.m5.large",
        strategy="SingleRecord",
        assemble_with="Line",
        output_path="s3://houses/predicted",
        sagemaker_session=session,
    )
    predict = sdk.TransformStep(
        name="Predict",
        step_args=transformer.transform(data=prepared, content_type="application/json", split_type="Line"),
    )
    evaluation = sdk.PropertyFile(name="Evaluation", output_name="evaluation", path="evaluation.json")
    predicted = predict.properties.TransformOutput.S3OutputPath
    evaluate = sdk.ProcessingStep(
        name="Evaluate",
        step_args=processor().run(
            code="s3://houses/evaluate.py",
            arguments=[INPUT, OUTPUT, expected.to_string()],
            inputs=[sdk.given("predictions", predicted, INPUT)],
            outputs=[sdk.kept("evaluation", "s3://houses/evaluation", OUTPUT)],
        ),
        property_files=[evaluation],
    )
    missing = sdk.JsonGet(step_name="Evaluate", property_file=evaluation, json_path="missing.value")
    check = sdk.ConditionStep(
        name="Whole",
        conditions=[sdk.ConditionLessThanOrEqualTo(left=missing, right=0)],
        if_steps=[],
        else_steps=[
            sdk.FailStep(name="Short", error_message=sdk.Join(on=" ", values=["predictions are missing of", model]))
        ],
    )
    steps = [prepare, predict, evaluate, check]
    return sdk.Pipeline(name="houses", parameters=[expected, model], steps=steps, sagemaker_session=session)


def run(houses: Any, **parameters: Any) -> Any:
    """How an execution ended, as `wait` and `list_steps` see it."""
    execution = houses.start(parameters=parameters)
    try:
        execution.wait(delay=1, max_attempts=60)
        ended = "waited"
    except Exception as error:
        ended = type(error).__name__
    steps = {step["StepName"]: step["StepStatus"] for step in execution.list_steps()}
    return {"ended": ended, "status": execution.describe()["PipelineExecutionStatus"], "steps": steps}


def log_of_the_first_job() -> list[str]:
    """The lines of the job that prepared the rows first, as CloudWatch gives them."""
    logs, group = boto3.client("logs"), "/aws/sagemaker/ProcessingJobs"
    streams = logs.describe_log_streams(logGroupName=group)["logStreams"]
    name = next(each["logStreamName"] for each in streams if "-Prepare-" in each["logStreamName"])
    return [each["message"] for each in logs.get_log_events(logGroupName=group, logStreamName=name)["events"]]


def main(workspace: str, load: Callable[[], SimpleNamespace]) -> None:
    """Everything that a user does first, on one engine; `load` imports the SDK, which wants a region then."""
    with bc.local_aws(engine(workspace)):
        sdk = load()
        boto3.client("sagemaker").create_model(ModelName="houses", **MODEL)
        session = sdk.Session(sagemaker_config=NO_TELEMETRY)
        seen: dict[str, Any] = {"account": session.account_id(), "output": transform(sdk, session)}
        houses = pipeline(sdk, sdk.PipelineSession(sagemaker_config=NO_TELEMETRY))
        created = houses.upsert(role_arn=ROLE, tags=[{"Key": "team", "Value": "houses"}])
        updated = houses.upsert(role_arn=ROLE, tags=[{"Key": "team", "Value": "prices"}])
        seen["upserts"] = [each["PipelineArn"] for each in (created, updated)]
        tags = boto3.client("sagemaker").list_tags(ResourceArn=created["PipelineArn"])["Tags"]
        seen["tags"] = {tag["Key"]: tag["Value"] for tag in tags}
        seen["good"] = run(houses)
        seen["short"] = run(houses, Expected=4)
        seen["log"] = log_of_the_first_job()
    print(json.dumps(seen), file=sys.stderr)
