"""The pipeline's graph in the SDK's classes, with the default settings, compiled offline.

The only module that imports `sagemaker`, and only as a compiler: no network, no credentials, no telemetry, no
change to the root logger.
"""

import json
import logging
import os
import tomllib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

from batchcast.pipelines.parameters import BUILD_SHARDS, VALIDATE_AND_PUBLISH, declared_parameters
from batchcast.pipelines.settings import BUILD_STEP, DEFAULTS
from batchcast.steps.container import ContainerPaths

_MODEL_CLIENT_CONFIG = ("InvocationsTimeoutInSeconds", "InvocationsMaxRetries")
_CONTENT_TYPE = "application/json"
_CONTAINER = ContainerPaths()
NO_TELEMETRY = {"SchemaVersion": "1.0", "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}}}
"""The SDK's configuration: nothing is reported of what is compiled or called."""


_LENT = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}
_TAKEN = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "SAGEMAKER_ADMIN_CONFIG_OVERRIDE",
    "SAGEMAKER_USER_CONFIG_OVERRIDE",
)


@contextmanager
def offline_sdk() -> Iterator[None]:
    """Lend the SDK what it insists on, and undo what it does at import.

    It needs a region and looks for credentials (on EC2 over the network) although nothing is called, and it gives
    the root logger a handler and a level.
    """
    import boto3

    root, disabled = logging.getLogger(), logging.root.manager.disable
    level, handlers = root.level, root.handlers[:]
    environment = {name: value for name, value in os.environ.items() if name not in _TAKEN} | _LENT
    logging.disable(logging.WARNING)
    try:
        with (
            patch.dict(os.environ, environment, clear=True),
            patch.object(boto3, "DEFAULT_SESSION", boto3.DEFAULT_SESSION),
            warnings.catch_warnings(),
        ):
            warnings.filterwarnings("ignore", message="Running within a PipelineSession", category=UserWarning)
            # Modules of the SDK warn of each other when they are imported.
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        logging.disable(disabled)
        root.setLevel(level)
        root.handlers[:] = handlers


def compile_graph() -> dict[str, Any]:
    """What the SDK makes of the graph, before `batchcast.pipelines.definition` completes and fills it."""
    with offline_sdk():
        from sagemaker.core.workflow.pipeline_context import PipelineSession
        from sagemaker.mlops.workflow.pipeline import Pipeline

        session = PipelineSession(sagemaker_config=NO_TELEMETRY)
        pipeline = Pipeline(**pipeline_parts(session), sagemaker_session=session)
        compiled: dict[str, Any] = json.loads(pipeline.definition())
    return compiled


def pipeline_parts(session: Any, pipeline_name: str = DEFAULTS.pipeline_name) -> dict[str, Any]:
    """What the SDK's Pipeline is made of, by its arguments; `session` is the SDK's PipelineSession."""
    from sagemaker.core.workflow import parameters as sdk

    types = {"String": sdk.ParameterString, "Integer": sdk.ParameterInteger, "Float": sdk.ParameterFloat}
    parameters = {one.name: types[one.type](one.name, default_value=one.default) for one in declared_parameters()}
    graph = _Graph(session=session, parameters=parameters)
    return {
        "name": pipeline_name,
        "parameters": list(parameters.values()),
        "steps": graph.steps(),
        "pipeline_experiment_config": None,
    }


@cache
def step_descriptions() -> Mapping[str, Mapping[str, str]]:
    """Display name and description in the Studio graph, step by step."""
    return tomllib.loads(Path(__file__).parents[1].joinpath("step_descriptions.toml").read_text(encoding="utf-8"))


def _texts(step: str) -> dict[str, Any]:
    text = step_descriptions()[step]
    return {"display_name": text["title"], "description": text["description"]}


def _step_options(step: str, after: Any) -> dict[str, Any]:
    return _texts(step) | {"depends_on": [after] if after else None, "retry_policies": _retry_policies()}


def _retry_policies() -> list[Any]:
    """Capacity, limits, throttling, service and internal errors; never an error of the data or of our code."""
    from sagemaker.mlops.workflow import retry

    job, step = retry.SageMakerJobExceptionTypeEnum, retry.StepExceptionTypeEnum
    return [
        retry.SageMakerJobStepRetryPolicy(
            exception_types=[job.CAPACITY_ERROR, job.RESOURCE_LIMIT],
            interval_seconds=60,
            backoff_rate=1.5,
            expire_after_mins=120,
        ),
        # An internal error repeats the whole job: once is worth it, more is not.
        retry.SageMakerJobStepRetryPolicy(
            failure_reason_types=[job.INTERNAL_ERROR], interval_seconds=60, backoff_rate=1.0, max_attempts=1
        ),
        retry.StepRetryPolicy(
            exception_types=[step.SERVICE_FAULT, step.THROTTLING], interval_seconds=10, backoff_rate=2.0, max_attempts=5
        ),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Graph:
    """The steps of a definition with the default settings; values of a run are references to `parameters`."""

    session: Any
    parameters: Mapping[str, Any]

    def steps(self) -> list[Any]:
        """The straight path and the branch on its outcome."""
        build_shards = self._build_shards()
        transform = self._transform("Transform", retry_round=0, after=build_shards)
        publish = self._validate_and_publish("ValidateAndPublish", retry_round=0, after=transform)
        return [build_shards, transform, publish, self._outcome()]

    def _outcome(self) -> Any:
        """The one condition: the service supports none inside another, so a held run fails by its step's exit."""
        from sagemaker.core.workflow.conditions import ConditionEquals
        from sagemaker.core.workflow.functions import JsonGet
        from sagemaker.mlops.workflow.condition_step import ConditionStep

        transform = self._transform("TransformRetry", retry_round=1)
        publish = self._validate_and_publish("ValidateAndPublishRetry", retry_round=1, after=transform)
        left = JsonGet(step_name="ValidateAndPublish", property_file="report", json_path="outcome")
        return ConditionStep(
            "Outcome",
            conditions=[ConditionEquals(left=left, right="RETRY")],
            if_steps=[transform, publish],
            else_steps=[],
            **_texts("Outcome"),
        )

    def _build_shards(self) -> Any:
        outputs = {"shards": "input/r0/", "manifest": "manifest/", "marker": "output/"}
        # PublishUri is the prefix that the run takes for itself.
        return self._processing_step(
            BUILD_STEP,
            arguments=["build_shards", "--run-id", self._run_id(), *self._flags([*BUILD_SHARDS, "PublishUri"])],
            inputs={"history": self.parameters["HistoryUri"]},
            outputs={name: self._run_uri(path) for name, path in outputs.items()},
        )

    def _transform(self, name: str, *, retry_round: int, after: Any = None) -> Any:
        from sagemaker.core.transformer import Transformer
        from sagemaker.mlops.workflow.steps import TransformStep

        transformer = Transformer(
            model_name=self.parameters["ModelName"],
            instance_count=1,  # replaced in pipelines.definition
            instance_type=self.parameters["TransformInstanceType"],
            strategy="SingleRecord",
            assemble_with="Line",
            output_path=self._run_uri(f"output/r{retry_round}"),
            accept=_CONTENT_TYPE,
            max_concurrent_transforms=self.parameters["MaxConcurrentTransforms"],
            max_payload=self.parameters["MaxPayloadInMB"],
            base_transform_job_name=name,
            sagemaker_session=self.session,
        )
        arguments = transformer.transform(
            data=self._run_uri(f"input/r{retry_round}/"),
            content_type=_CONTENT_TYPE,
            split_type="Line",
            model_client_config={key: self.parameters[key] for key in _MODEL_CLIENT_CONFIG},
        )
        return TransformStep(name, step_args=arguments, **_step_options(name, after))

    def _validate_and_publish(self, name: str, *, retry_round: int, after: Any) -> Any:
        head = ["validate_and_publish", "--run-id", self._run_id(), "--round", str(retry_round)]
        return self._processing_step(
            name,
            arguments=[*head, *self._flags(VALIDATE_AND_PUBLISH)],
            inputs={"manifest": self._run_uri("manifest/"), "output": self._run_uri("output/")},
            outputs={"report": self._run_uri("report"), "retry": self._run_uri("input/r1/")},
            after=after,
            report="report.json",
        )

    def _processing_step(
        self,
        name: str,
        *,
        arguments: list[Any],
        inputs: Mapping[str, Any],
        outputs: Mapping[str, Any],
        after: Any = None,
        report: str = "",
    ) -> Any:
        from sagemaker.core.processing import Processor
        from sagemaker.core.workflow.properties import PropertyFile
        from sagemaker.mlops.workflow.steps import ProcessingStep

        processor = Processor(
            role=DEFAULTS.processing_role_arn,
            image_uri=DEFAULTS.image_uri,
            instance_count=1,
            instance_type=self.parameters["ProcessingInstanceType"],
            entrypoint=DEFAULTS.entrypoint,
            volume_size_in_gb=DEFAULTS.volume_size_in_gb,
            max_runtime_in_seconds=DEFAULTS.max_runtime_in_seconds,
            base_job_name=name,
            sagemaker_session=self.session,
        )
        shipped = {"code": DEFAULTS.code_uri, "contract": DEFAULTS.contract_uri}
        return ProcessingStep(
            name,
            step_args=processor.run(
                inputs=[_processing_input(key, uri) for key, uri in {**shipped, **inputs}.items()],
                outputs=[_processing_output(key, uri) for key, uri in outputs.items()],
                arguments=arguments,
            ),
            property_files=[PropertyFile(name="report", output_name="report", path=report)] if report else None,
            **_step_options(name, after),
        )

    def _flags(self, names: Sequence[str]) -> Iterator[Any]:
        flags = {one.name: one.flag for one in declared_parameters()}
        for name in names:
            parameter = self.parameters[name]
            # A job's argument is text: numbers are turned into it by the service.
            yield from (flags[name], parameter if parameter.parameter_type.value == "String" else parameter.to_string())

    def _run_uri(self, path: str) -> Any:
        from sagemaker.core.workflow.functions import Join

        return Join(on="/", values=[self.parameters["RunsUri"], self._run_id(), path])

    def _run_id(self) -> Any:
        from sagemaker.core.workflow.execution_variables import ExecutionVariables

        return ExecutionVariables.PIPELINE_EXECUTION_ID


def _processing_input(name: str, uri: Any) -> Any:
    from sagemaker.core.shapes import ProcessingInput, ProcessingS3Input

    source = ProcessingS3Input(
        s3_uri=uri,
        local_path=str(_CONTAINER.input(name)),
        s3_data_type="S3Prefix",
        s3_input_mode="File",
        s3_data_distribution_type="FullyReplicated",
        s3_compression_type="None",
    )
    return ProcessingInput(input_name=name, s3_input=source)


def _processing_output(name: str, uri: Any) -> Any:
    from sagemaker.core.shapes import ProcessingOutput, ProcessingS3Output

    target = ProcessingS3Output(s3_uri=uri, local_path=str(_CONTAINER.output(name)), s3_upload_mode="EndOfJob")
    return ProcessingOutput(output_name=name, s3_output=target)
