"""The contract file that the records of a run were built with."""

from __future__ import annotations

import json

from batchcast.runs.run_record import PastRun
from batchcast.session.session import Session


def contract_of_run(session: Session, run: PastRun) -> tuple[str, bytes]:
    """Its URI and its bytes; the definition of the execution names it. Raises ObjectMissingError when it is gone."""
    described = session.client("sagemaker").describe_pipeline_definition_for_execution(PipelineExecutionArn=run.arn)
    steps = json.loads(described["PipelineDefinition"])["Steps"]
    build = next(step for step in steps if step["Name"] == "BuildShards")
    inputs = build["Arguments"]["ProcessingInputs"]
    uri = str(next(each["S3Input"]["S3Uri"] for each in inputs if each["InputName"] == "contract"))
    return uri, session.store.read(uri)
