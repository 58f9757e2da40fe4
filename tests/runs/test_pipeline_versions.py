"""Earlier versions of a pipeline: run again, and made the latest again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from local_pipeline import ROLE, definition, processing

from batchcast.account.deploy import restore_version
from batchcast.cli.main import root
from batchcast.runs.follow import WORKSPACE_PACE, follow
from batchcast.runs.start import required_pipeline, start_run
from batchcast.session.session import WorkspaceSession
from batchcast.steps.errors import ConfigError

VALUES = {"RunLabel": "manual"}


def text(step: str) -> str:
    label = {"Name": "RunLabel", "Type": "String", "DefaultValue": "manual"}
    return definition(processing(step, "pass"), parameters=[label])


@pytest.fixture
def session(tmp_path: Path) -> WorkspaceSession:
    """A workspace with a pipeline of one version, in which a step A runs."""
    made = WorkspaceSession(tmp_path / "workspace")
    made.client("sagemaker").create_pipeline(
        PipelineName="p", PipelineDefinition=text("A"), RoleArn=ROLE, ClientRequestToken="x" * 32
    )
    return made


def steps_of(session: WorkspaceSession, arn: str) -> list[str]:
    last = follow(session, arn, on_view=lambda _: None, pace=WORKSPACE_PACE)
    return [step.name for step in last.steps]


def latest(session: WorkspaceSession) -> Any:
    return json.loads(required_pipeline(session, "p")["PipelineDefinition"])["Steps"][0]["Name"]


def test_an_earlier_version_is_run_and_described_as_it_was(session: WorkspaceSession) -> None:
    client = session.client("sagemaker")
    client.update_pipeline(PipelineName="p", PipelineDefinition=text("B"))
    assert '"A"' in required_pipeline(session, "p", 1)["PipelineDefinition"]
    assert steps_of(session, start_run(client, "p", VALUES, version=1)) == ["A"]
    assert steps_of(session, start_run(client, "p", VALUES)) == ["B"]
    with pytest.raises(ConfigError, match="no pipeline 'p' of version 3"):
        required_pipeline(session, "p", 3)


def test_the_version_belongs_to_what_a_label_started_once(session: WorkspaceSession) -> None:
    client = session.client("sagemaker")
    client.update_pipeline(PipelineName="p", PipelineDefinition=text("B"))
    labelled = {"RunLabel": "week-1"}
    first = start_run(client, "p", labelled, once=True, version=1)
    assert start_run(client, "p", labelled, once=True, version=1) == first
    assert start_run(client, "p", labelled, once=True) != first


def test_rollback_gives_the_pipeline_its_earlier_definition(session: WorkspaceSession) -> None:
    with pytest.raises(ConfigError, match="has one version, and none before it"):
        restore_version(session, "p")
    session.client("sagemaker").update_pipeline(PipelineName="p", PipelineDefinition=text("B"))
    rollback = ["rollback", "--code", "--name", "p", "--workspace", str(session.workspace)]
    done = CliRunner().invoke(root, rollback)
    assert done.output == "Pipeline p is what version 1 was, as version 3; what is published stays.\n"
    assert latest(session) == "A"
    assert "what version 2 was, as version 4" in CliRunner().invoke(root, [*rollback, "--version", "2"]).output
    assert latest(session) == "B"


@pytest.mark.parametrize("options", [["--version", "2"], ["--code", "--to", "abc"]])
def test_options_of_the_other_kind_of_rollback_are_refused(session: WorkspaceSession, options: list[str]) -> None:
    done = CliRunner().invoke(root, ["rollback", "--workspace", str(session.workspace), *options])
    assert isinstance(done.exception, ConfigError)
