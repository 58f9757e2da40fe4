"""The SageMaker SDK 2 as its users call it: `python sdk2.py <workspace>` prints what they see, as JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

import boto3
from house_prices import IMAGE, INPUT, OUTPUT, ROLE, engine

import batchcast as bc

NO_TELEMETRY = {"SchemaVersion": "1.0", "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}}}
MODEL = {"PrimaryContainer": {"Image": IMAGE}, "ExecutionRoleArn": ROLE}


def transform(session: Any) -> str:
    """A transform job that the caller waits for, with its log."""
    from sagemaker.transformer import Transformer

    boto3.client("s3").put_object(Bucket="houses", Key="in/a.jsonl", Body=b'{"area": 1}\n{"area": 2}\n')
    transformer = Transformer(
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


def pipeline(session: Any) -> Any:
    """Prepare, transform, evaluate, and a condition on the evaluation."""
    from sagemaker.processing import ProcessingInput, ProcessingOutput, ScriptProcessor
    from sagemaker.transformer import Transformer
    from sagemaker.workflow.condition_step import ConditionStep
    from sagemaker.workflow.conditions import ConditionLessThanOrEqualTo
    from sagemaker.workflow.fail_step import FailStep
    from sagemaker.workflow.functions import Join, JsonGet
    from sagemaker.workflow.parameters import ParameterInteger, ParameterString
    from sagemaker.workflow.pipeline import Pipeline
    from sagemaker.workflow.properties import PropertyFile
    from sagemaker.workflow.steps import ProcessingStep, TransformStep

    expected, model = ParameterInteger("Expected", default_value=3), ParameterString("Model", default_value="houses")

    def processor() -> Any:
        return ScriptProcessor(
            image_uri="image",
            command=["python3"],
            role=ROLE,
            instance_count=1,
            instance_type="ml.m5.large",
            sagemaker_session=session,
        )

    def given(name: str, uri: Any, path: str) -> Any:
        return ProcessingInput(input_name=name, source=uri, destination=path)

    def kept(name: str, uri: str, path: str) -> Any:
        return ProcessingOutput(output_name=name, source=path, destination=uri)

    prepare = ProcessingStep(
        name="Prepare",
        step_args=processor().run(
            code="s3://houses/prepare.py",
            arguments=[INPUT, OUTPUT],
            inputs=[given("rows", "s3://houses/rows.csv", INPUT)],
            outputs=[kept("lines", "s3://houses/prepared", OUTPUT)],
        ),
    )
    prepared = prepare.properties.ProcessingOutputConfig.Outputs["lines"].S3Output.S3Uri
    transformer = Transformer(
        model_name=model,
        instance_count=1,
        instance_type="ml.m5.large",
        strategy="SingleRecord",
        assemble_with="Line",
        output_path="s3://houses/predicted",
        sagemaker_session=session,
    )
    predict = TransformStep(
        name="Predict",
        step_args=transformer.transform(data=prepared, content_type="application/json", split_type="Line"),
    )
    evaluation = PropertyFile(name="Evaluation", output_name="evaluation", path="evaluation.json")
    predicted = predict.properties.TransformOutput.S3OutputPath
    evaluate = ProcessingStep(
        name="Evaluate",
        step_args=processor().run(
            code="s3://houses/evaluate.py",
            arguments=[INPUT, OUTPUT, expected.to_string()],
            inputs=[given("predictions", predicted, INPUT)],
            outputs=[kept("evaluation", "s3://houses/evaluation", OUTPUT)],
        ),
        property_files=[evaluation],
    )
    missing = JsonGet(step_name="Evaluate", property_file=evaluation, json_path="missing.value")
    check = ConditionStep(
        name="Whole",
        conditions=[ConditionLessThanOrEqualTo(left=missing, right=0)],
        if_steps=[],
        else_steps=[FailStep(name="Short", error_message=Join(on=" ", values=["predictions are missing of", model]))],
    )
    steps = [prepare, predict, evaluate, check]
    return Pipeline(name="houses", parameters=[expected, model], steps=steps, sagemaker_session=session)


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


def main(workspace: str) -> None:
    """Everything that a user does first, on one engine."""
    with bc.local_aws(engine(workspace)):
        from sagemaker.session import Session
        from sagemaker.workflow.pipeline_context import PipelineSession

        boto3.client("sagemaker").create_model(ModelName="houses", **MODEL)
        session = Session(sagemaker_config=NO_TELEMETRY)
        seen: dict[str, Any] = {"account": session.account_id(), "output": transform(session)}
        houses = pipeline(PipelineSession(sagemaker_config=NO_TELEMETRY))
        created = houses.upsert(role_arn=ROLE, tags=[{"Key": "team", "Value": "houses"}])
        updated = houses.upsert(role_arn=ROLE, tags=[{"Key": "team", "Value": "prices"}])
        seen["upserts"] = [each["PipelineArn"] for each in (created, updated)]
        tags = boto3.client("sagemaker").list_tags(ResourceArn=created["PipelineArn"])["Tags"]
        seen["tags"] = {tag["Key"]: tag["Value"] for tag in tags}
        seen["good"] = run(houses)
        seen["short"] = run(houses, Expected=4)
        seen["log"] = log_of_the_first_job()
    print(json.dumps(seen), file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1])
