"""The SageMaker SDK 2 as its users call it: `python sdk2.py <workspace>` prints what they see, as JSON."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

from sdk_usage import main


def classes() -> SimpleNamespace:
    """The SDK's classes, and the inputs and outputs of its processing jobs."""
    from sagemaker.processing import ProcessingInput, ProcessingOutput, ScriptProcessor
    from sagemaker.session import Session
    from sagemaker.transformer import Transformer
    from sagemaker.workflow.condition_step import ConditionStep
    from sagemaker.workflow.conditions import ConditionLessThanOrEqualTo
    from sagemaker.workflow.fail_step import FailStep
    from sagemaker.workflow.functions import Join, JsonGet
    from sagemaker.workflow.parameters import ParameterInteger, ParameterString
    from sagemaker.workflow.pipeline import Pipeline
    from sagemaker.workflow.pipeline_context import PipelineSession
    from sagemaker.workflow.properties import PropertyFile
    from sagemaker.workflow.steps import ProcessingStep, TransformStep

    def given(name: str, uri: Any, path: str) -> Any:
        return ProcessingInput(input_name=name, source=uri, destination=path)

    def kept(name: str, uri: str, path: str) -> Any:
        return ProcessingOutput(output_name=name, source=path, destination=uri)

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
