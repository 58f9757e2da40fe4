"""The SageMaker SDK 3 as its users call it: `python sdk.py <workspace>` prints what they see, as JSON."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

from sdk_usage import main


def classes() -> SimpleNamespace:
    """The SDK's classes, and the inputs and outputs of its processing jobs."""
    from sagemaker.core.helper.session_helper import Session
    from sagemaker.core.processing import ProcessingInput, ProcessingOutput, ScriptProcessor
    from sagemaker.core.shapes import ProcessingS3Input, ProcessingS3Output
    from sagemaker.core.transformer import Transformer
    from sagemaker.core.workflow.conditions import ConditionLessThanOrEqualTo
    from sagemaker.core.workflow.functions import Join, JsonGet
    from sagemaker.core.workflow.parameters import ParameterInteger, ParameterString
    from sagemaker.core.workflow.pipeline_context import PipelineSession
    from sagemaker.core.workflow.properties import PropertyFile
    from sagemaker.mlops.workflow.condition_step import ConditionStep
    from sagemaker.mlops.workflow.fail_step import FailStep
    from sagemaker.mlops.workflow.pipeline import Pipeline
    from sagemaker.mlops.workflow.steps import ProcessingStep, TransformStep

    def given(name: str, uri: Any, path: str) -> Any:
        source = ProcessingS3Input(s3_uri=uri, local_path=path, s3_data_type="S3Prefix", s3_input_mode="File")
        return ProcessingInput(input_name=name, s3_input=source)

    def kept(name: str, uri: str, path: str) -> Any:
        target = ProcessingS3Output(s3_uri=uri, local_path=path, s3_upload_mode="EndOfJob")
        return ProcessingOutput(output_name=name, s3_output=target)

    return SimpleNamespace(
        given=given,
        kept=kept,
        ConditionLessThanOrEqualTo=ConditionLessThanOrEqualTo,
        ConditionStep=ConditionStep,
        FailStep=FailStep,
        Join=Join,
        JsonGet=JsonGet,
        ParameterInteger=ParameterInteger,
        ParameterString=ParameterString,
        Pipeline=Pipeline,
        PipelineSession=PipelineSession,
        PropertyFile=PropertyFile,
        ProcessingStep=ProcessingStep,
        ScriptProcessor=ScriptProcessor,
        Session=Session,
        Transformer=Transformer,
        TransformStep=TransformStep,
    )


if __name__ == "__main__":
    main(sys.argv[1], classes)
