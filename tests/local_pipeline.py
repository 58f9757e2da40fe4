"""Small pipeline definitions in the SDK's form, and a LocalSageMaker to run them on."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from batchcast.engine import LocalSageMaker, ModelCommand, TransformOptions
from batchcast.steps.store.objects import DirectoryStore

Json = dict[str, Any]

ROLE = "arn:aws:iam::000000000000:role/batchcast"
MODEL = ModelCommand(command=f"{sys.executable} {Path(__file__).with_name('tiny_model.py')} {{port}}")
ENDED = ("Succeeded", "Failed", "Stopped", "CompletedWithFailures")
RUN = {"Std:Join": {"On": "/", "Values": ["s3://runs", {"Get": "Execution.PipelineExecutionId"}]}}


def local(workspace: Path, **options: Any) -> LocalSageMaker:
    """A local SageMaker with the model `tiny`, on which a second of a retry policy lasts a millisecond."""
    options.setdefault("options", TransformOptions(time_scale=0.001))
    return LocalSageMaker(workspace, {"tiny": MODEL}, **options)


def store_of(workspace: Path) -> DirectoryStore:
    return DirectoryStore(workspace / "s3")


def program(workspace: Path, name: str, source: str) -> str:
    """Put a program into the store; its URI."""
    uri = f"s3://code/{name}.py"
    store_of(workspace).write(uri, source.encode())
    return uri


def under_run(name: str) -> Json:
    return {"Std:Join": {"On": "/", "Values": [RUN, name]}}


def processing(
    name: str,
    code: str,
    *arguments: Any,
    inputs: Mapping[str, Any] | None = None,
    outputs: Mapping[str, Any] | None = None,
    environment: Mapping[str, Any] | None = None,
    **members: Any,
) -> Json:
    """A Processing step that runs Python source, or the program at an s3:// URI.

    `inputs` and `outputs` map a name to an S3 location.
    """
    command = ["python3", "-c", code]
    if code.startswith("s3://"):
        command = ["python3", f"/opt/ml/processing/input/code/{code.rsplit('/', 1)[1]}"]
        inputs = {"code": code, **(inputs or {})}
    body: Json = {
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 30}
        },
        "AppSpecification": {"ImageUri": "image", "ContainerEntrypoint": command},
        "RoleArn": ROLE,
    }
    if arguments:
        body["AppSpecification"]["ContainerArguments"] = list(arguments)
    if inputs:
        body["ProcessingInputs"] = [_input(key, uri) for key, uri in inputs.items()]
    if outputs:
        body["ProcessingOutputConfig"] = {"Outputs": [_output(key, uri) for key, uri in outputs.items()]}
    if environment:
        body["Environment"] = environment
    return {"Name": name, "Type": "Processing", "Arguments": body, **members}


def _input(name: str, uri: Any) -> Json:
    location = {"S3Uri": uri, "LocalPath": f"/opt/ml/processing/input/{name}", "S3DataType": "S3Prefix"}
    return {"InputName": name, "S3Input": {**location, "S3InputMode": "File"}}


def _output(name: str, uri: Any) -> Json:
    location = {"S3Uri": uri, "LocalPath": f"/opt/ml/processing/output/{name}", "S3UploadMode": "EndOfJob"}
    return {"OutputName": name, "S3Output": location}


def transform(name: str, source: Any, target: Any, **members: Any) -> Json:
    """A Transform step over JSON lines with the model `tiny`."""
    arguments = {
        "ModelName": "tiny",
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": source}},
            "ContentType": "application/json",
            "SplitType": "Line",
        },
        "TransformOutput": {"S3OutputPath": target, "Accept": "application/json", "AssembleWith": "Line"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        "BatchStrategy": "SingleRecord",
        "ModelClientConfig": {"InvocationsTimeoutInSeconds": 600, "InvocationsMaxRetries": 0},
    }
    return {"Name": name, "Type": "Transform", "Arguments": arguments, **members}


def condition(name: str, conditions: Sequence[Json], then: Sequence[Json], otherwise: Sequence[Json] = ()) -> Json:
    arguments = {"Conditions": list(conditions), "IfSteps": list(then), "ElseSteps": list(otherwise)}
    return {"Name": name, "Type": "Condition", "Arguments": arguments}


def fail(name: str, message: Any = "it failed") -> Json:
    return {"Name": name, "Type": "Fail", "Arguments": {"ErrorMessage": message}}


def equals(left: Any, right: Any) -> Json:
    return {"Type": "Equals", "LeftValue": left, "RightValue": right}


def json_get(step: str, file: str, path: str) -> Json:
    return {"Std:JsonGet": {"PropertyFile": {"Get": f"Steps.{step}.PropertyFiles.{file}"}, "Path": path}}


def after(step: str, trigger: str = "Any") -> Json:
    return {"Step": step, "Trigger": trigger}


def definition(*steps: Json, parameters: Sequence[Json] = ()) -> str:
    return json.dumps({"Version": "2020-12-01", "Metadata": {}, "Parameters": list(parameters), "Steps": list(steps)})


def start(client: LocalSageMaker, *steps: Json, parameters: Sequence[Json] = (), **request: Any) -> str:
    """Create the pipeline `p` and start an execution of it; its ARN."""
    text = definition(*steps, parameters=parameters)
    client.create_pipeline(PipelineName="p", RoleArn=ROLE, PipelineDefinition=text)
    return str(client.start_pipeline_execution(PipelineName="p", **request)["PipelineExecutionArn"])


def ended(client: LocalSageMaker, arn: str, seconds: float = 30.0) -> Json:
    """The description of the execution once it has ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        described: Json = client.describe_pipeline_execution(PipelineExecutionArn=arn)
        if described["PipelineExecutionStatus"] in ENDED:
            return described
        time.sleep(0.01)
    raise AssertionError(f"{described}\n{steps_of(client, arn)}")


def run(client: LocalSageMaker, *steps: Json, **request: Any) -> tuple[Json, dict[str, Json]]:
    """Start and wait; the execution's description and its steps by name."""
    arn = start(client, *steps, **request)
    return ended(client, arn), steps_of(client, arn)


def steps_of(client: LocalSageMaker, arn: str) -> dict[str, Json]:
    listed = client.list_pipeline_execution_steps(PipelineExecutionArn=arn)["PipelineExecutionSteps"]
    return {step["StepName"]: step for step in listed}


def statuses(steps: Mapping[str, Json]) -> dict[str, str]:
    return {name: step["StepStatus"] for name, step in steps.items()}
