"""What a run in a workspace is made of: noticed when it changes."""

from __future__ import annotations

from pathlib import Path

from local_pipeline import ROLE, definition, processing

from batchcast.session.session import WorkspaceSession
from batchcast.session.workspace_inputs import changed_inputs, describe_inputs, run_inputs


def test_an_input_of_a_job_may_be_a_prefix(tmp_path: Path) -> None:
    session = WorkspaceSession(tmp_path)
    step = processing("BuildShards", "pass", inputs={"packages": "s3://team/packages/"})
    client = session.client("sagemaker")
    client.create_pipeline(
        PipelineName="p", PipelineDefinition=definition(step), RoleArn=ROLE, ClientRequestToken="x" * 32
    )
    values = {"HistoryUri": "s3://history/", "ItemsUri": "all", "ModelName": "m"}
    described = []
    for name in ("a.py", "b.py"):
        described.append(describe_inputs(run_inputs(session, "p", values)))
        session.store.write(f"s3://team/packages/pyarrow/{name}", b"")
    now = run_inputs(session, "p", values)
    assert [changed_inputs(then, now) for then in described] == [["packages"], ["packages"]]
    assert changed_inputs(describe_inputs(now), now) == []
