"""The pipeline as the SageMaker Python SDK's own object, for who knows the SDK and the templates of Studio."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchcast.account.deploy import locate_objects, put_request
from batchcast.account.deploy_settings import DeploySettings, read_deploy_settings
from batchcast.pipelines.definition import complete_definition, fill, with_defaults, write_definition
from batchcast.pipelines.sdk.graph import NO_TELEMETRY, offline_sdk, pipeline_parts
from batchcast.steps.contract.model_contract import parse_contract
from batchcast.steps.errors import ConfigError, Problem

if TYPE_CHECKING:
    from sagemaker.mlops.workflow.pipeline import Pipeline


def get_pipeline(
    region: str | None = None,
    role: str | None = None,
    default_bucket: str | None = None,
    *,
    contract: str | Path,
    pipeline_name: str = "batchcast",
    parameters: Mapping[str, object] | None = None,
    sagemaker_session: Any = None,
    **build_settings: Any,
) -> Pipeline:
    """A `sagemaker.mlops.workflow.pipeline.Pipeline`, ready for `upsert()`, `start()` and `definition()`.

    `definition()` is the text that `deploy` sends; `create`, `update` and `upsert` put code and contract into the
    bucket first, and take `role` unless they are given another. `parameters` are defaults of the pipeline's parameters,
    `build_settings` those of BuildSettings; `processing_role_arn` is `role` unless it is among them. Without
    `sagemaker_session` one is made for the region, which reports nothing to AWS. Raises ConfigError for what is missing
    or wrong.
    """
    session = sagemaker_session or _sdk_session(region)
    given = {
        **build_settings,
        "pipeline_role_arn": role,
        "processing_role_arn": build_settings.get("processing_role_arn", role),
        "bucket": default_bucket,
        "contract": Path(contract),
        "pipeline_name": pipeline_name,
        "defaults": tuple(f"{name}={value}" for name, value in (parameters or {}).items()),
    }
    settings = read_deploy_settings(None, given, region=region or str(session.boto_region_name))
    if settings.group:
        what = "a Pipeline of the SDK has the model that its parameter names."
        raise ConfigError(Problem("setting", what, "model_package_group", "Give parameters={'ModelName': …}."))
    with offline_sdk():
        parts, pipeline_class = _parts(settings), _pipeline_class(settings)
    made: Pipeline = pipeline_class(**parts, sagemaker_session=session)
    return made


def _sdk_session(region: str | None) -> Any:
    try:
        with offline_sdk():  # what the SDK does at import is undone
            from sagemaker.core.helper.session_helper import Session
    except ModuleNotFoundError as error:
        what = f"the SageMaker Python SDK is needed ({error})."
        remedy = "Type pip install 'sagemaker>=3.12,<4', or work in Studio, which has the SDK."
        raise ConfigError(Problem("sdk_missing", what, remedy=remedy)) from error
    import boto3

    return Session(boto_session=boto3.Session(region_name=region), sagemaker_config=NO_TELEMETRY)


def _parts(settings: DeploySettings) -> dict[str, Any]:
    from sagemaker.core.workflow.pipeline_context import PipelineSession

    return pipeline_parts(PipelineSession(sagemaker_config=NO_TELEMETRY), settings.build.pipeline_name)


def _pipeline_class(settings: DeploySettings) -> Any:
    """The SDK's Pipeline, whose definition is completed and whose objects lie in the bucket before it is sent."""
    from sagemaker.mlops.workflow.pipeline import Pipeline

    class BatchForecastPipeline(Pipeline):  # type: ignore[misc]
        def definition(self) -> str:
            with offline_sdk():
                compiled = json.loads(super().definition())
            located, objects = locate_objects(settings)
            request = parse_contract(objects[located.contract_uri]).request
            definition = fill(complete_definition(compiled), located, request)
            return write_definition(with_defaults(definition, settings.defaults))

        def create(self, role_arn: str | None = None, *args: Any, **options: Any) -> Any:
            _upload(self.sagemaker_session.boto_session.client("s3"), settings)
            return super().create(role_arn or settings.pipeline_role_arn, *args, **options)

        def update(self, role_arn: str | None = None, *args: Any, **options: Any) -> Any:
            _upload(self.sagemaker_session.boto_session.client("s3"), settings)
            return super().update(role_arn or settings.pipeline_role_arn, *args, **options)

        def upsert(self, role_arn: str | None = None, *args: Any, **options: Any) -> Any:
            return super().upsert(role_arn or settings.pipeline_role_arn, *args, **options)

    return BatchForecastPipeline


def _upload(client: Any, settings: DeploySettings) -> None:
    """Objects lie under the digest of their content: to write one again changes nothing."""
    for uri, data in locate_objects(settings)[1].items():
        client.put_object(**put_request(settings, uri, data))
