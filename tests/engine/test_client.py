"""What LocalSageMaker promises beyond shapes: tokens, pages, filters, models, one workspace for many processes."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from engine_client import EngineClient
from local_pipeline import (
    MODEL,
    ROLE,
    definition,
    ended,
    local,
    processing,
    start,
    steps_of,
    store_of,
    transform,
)

from batchcast.engine.errors import NotEmulatedError, ServiceException
from batchcast.engine.server.model_server import ModelCommand, ModelUrl

TOKEN = "t" * 32


def code_of(error: pytest.ExceptionInfo[ServiceException]) -> str:
    return error.value.response["Error"]["Code"]


def test_the_same_token_starts_one_execution(tmp_path: Path) -> None:
    client = local(tmp_path)
    arn = start(client, processing("A", "pass"), ClientRequestToken=TOKEN)
    again = client.start_pipeline_execution(PipelineName="p", ClientRequestToken=TOKEN)
    other = client.start_pipeline_execution(PipelineName="p", ClientRequestToken="u" * 32)
    assert again["PipelineExecutionArn"] == arn != other["PipelineExecutionArn"]
    assert len(client.list_pipeline_executions(PipelineName="p")["PipelineExecutionSummaries"]) == 2
    for each in (arn, other["PipelineExecutionArn"]):
        ended(client, each)


def test_a_pipeline_s_name_is_its_own_unless_the_token_says_it_is_the_same_call(tmp_path: Path) -> None:
    client = local(tmp_path)
    request = {"PipelineName": "p", "RoleArn": ROLE, "PipelineDefinition": definition(processing("A", "pass"))}
    first = client.create_pipeline(**request, ClientRequestToken=TOKEN)
    assert client.create_pipeline(**request, ClientRequestToken=TOKEN) == first
    with pytest.raises(ServiceException, match="must be unique within an AWS account") as refused:
        client.create_pipeline(**request)
    assert code_of(refused) == "ValidationException"


def test_arns_and_ids_look_like_the_service_s(tmp_path: Path) -> None:
    client = local(tmp_path)
    arn = start(client, processing("A_step", "pass"))
    head, _, execution_id = arn.rpartition("/")
    assert head == "arn:aws:sagemaker:local:000000000000:pipeline/p/execution"
    assert len(execution_id) == 12 and execution_id.isalnum() and execution_id == execution_id.lower()
    ended(client, arn)
    job = steps_of(client, arn)["A_step"]["Metadata"]["ProcessingJob"]["Arn"]
    assert job.startswith(f"arn:aws:sagemaker:local:000000000000:processing-job/pipelines-{execution_id}-A-step-")


def test_lists_come_in_pages_that_together_are_everything(tmp_path: Path) -> None:
    client = local(tmp_path)
    text = definition(processing("A", "pass"))
    for number in range(7):
        client.create_pipeline(PipelineName=f"p{number}", RoleArn=ROLE, PipelineDefinition=text)
    names: list[str] = []
    page = client.list_pipelines(MaxResults=3, SortBy="Name", SortOrder="Ascending")
    while True:
        assert len(page["PipelineSummaries"]) <= 3
        names += [each["PipelineName"] for each in page["PipelineSummaries"]]
        if "NextToken" not in page:
            break
        page = client.list_pipelines(MaxResults=3, SortBy="Name", SortOrder="Ascending", NextToken=page["NextToken"])
    assert names == [f"p{number}" for number in range(7)]
    with pytest.raises(ServiceException, match="Invalid NextToken"):
        client.list_pipelines(NextToken="made up")


def test_lists_are_filtered_and_sorted(tmp_path: Path) -> None:
    client = local(tmp_path)
    text = definition(processing("A", "pass"))
    for name in ("beta", "alpha", "alps"):
        client.create_pipeline(PipelineName=name, RoleArn=ROLE, PipelineDefinition=text)

    def names(**request: object) -> list[str]:
        return [each["PipelineName"] for each in client.list_pipelines(**request)["PipelineSummaries"]]

    created = client.describe_pipeline(PipelineName="alpha")["CreationTime"]
    assert names(SortBy="Name", SortOrder="Descending") == ["beta", "alps", "alpha"]
    assert names(PipelineNamePrefix="al", SortBy="Name", SortOrder="Ascending") == ["alpha", "alps"]
    assert names(CreatedAfter=datetime.now(UTC) + timedelta(hours=1)) == []
    assert "alpha" in names(CreatedBefore=(created + timedelta(milliseconds=1)).replace(tzinfo=None))


def test_jobs_are_listed_by_status_and_by_a_part_of_their_name(tmp_path: Path) -> None:
    client = local(tmp_path)
    ended(client, start(client, processing("Good", "pass"), processing("Bad", "exit(1)")))

    def steps(**request: object) -> set[str]:
        found = client.list_processing_jobs(**request)["ProcessingJobSummaries"]
        return {each["ProcessingJobName"].split("-")[2] for each in found}

    assert steps() == {"Good", "Bad"}
    assert steps(StatusEquals="Failed") == {"Bad"}
    assert steps(NameContains="good") == {"Good"}
    assert steps(LastModifiedTimeAfter=datetime.now(UTC) + timedelta(hours=1)) == set()


def test_steps_are_listed_the_last_first_and_have_times_while_they_run(tmp_path: Path) -> None:
    client = local(tmp_path)
    arn = start(client, processing("A", "pass"), processing("B", "import time; time.sleep(1)", DependsOn=["A"]))
    while "B" not in steps_of(client, arn):
        time.sleep(0.01)
    listed = client.list_pipeline_execution_steps(PipelineExecutionArn=arn)["PipelineExecutionSteps"]
    assert [each["StepName"] for each in listed] == ["B", "A"]
    assert "EndTime" not in listed[0]
    assert listed[1]["StartTime"] <= listed[1]["EndTime"] <= listed[0]["StartTime"]
    ended(client, arn)


def test_another_process_s_client_sees_the_same(tmp_path: Path) -> None:
    client, other = local(tmp_path), local(tmp_path)
    arn = start(client, processing("A", "pass"))
    execution = ended(client, arn)
    assert other.describe_pipeline_execution(PipelineExecutionArn=arn) == execution
    assert steps_of(other, arn) == steps_of(client, arn)


def test_a_running_execution_keeps_the_definition_it_was_started_with(tmp_path: Path) -> None:
    client = local(tmp_path)
    arn = start(client, processing("A", "pass"))
    old = client.describe_pipeline(PipelineName="p")["PipelineDefinition"]
    client.update_pipeline(PipelineName="p", PipelineDefinition=definition(processing("B", "pass")))
    ended(client, arn)
    assert set(steps_of(client, arn)) == {"A"}
    assert client.describe_pipeline_definition_for_execution(PipelineExecutionArn=arn)["PipelineDefinition"] == old
    newer = client.start_pipeline_execution(PipelineName="p")["PipelineExecutionArn"]
    ended(client, newer)
    assert set(steps_of(client, newer)) == {"B"}


def test_p23_a_definition_is_a_version_that_can_be_described_and_run(tmp_path: Path) -> None:
    client = local(tmp_path)
    first = start(client, processing("A", "pass"))
    ended(client, first)
    old = client.describe_pipeline(PipelineName="p")["PipelineDefinition"]
    new = definition(processing("B", "pass"))
    assert client.update_pipeline(PipelineName="p", PipelineDefinition=new)["PipelineVersionId"] == 2
    assert client.update_pipeline(PipelineName="p", PipelineDefinition=new)["PipelineVersionId"] == 2
    assert client.describe_pipeline(PipelineName="p")["PipelineDefinition"] == new
    assert client.describe_pipeline(PipelineName="p", PipelineVersionId=1)["PipelineDefinition"] == old
    again = client.start_pipeline_execution(PipelineName="p", PipelineVersionId=1)["PipelineExecutionArn"]
    assert ended(client, again)["PipelineVersionId"] == 1
    assert set(steps_of(client, again)) == {"A"}
    listed = client.list_pipeline_versions(PipelineName="p")["PipelineVersionSummaries"]
    assert [each["PipelineVersionId"] for each in listed] == [2, 1]
    assert [each.get("LastExecutionPipelineExecutionArn") for each in listed] == [None, again]
    with pytest.raises(ServiceException, match="ResourceNotFound: Pipeline version 3 of"):
        client.start_pipeline_execution(PipelineName="p", PipelineVersionId=3)


def test_the_experiment_of_an_execution_is_described(tmp_path: Path) -> None:
    client = local(tmp_path)
    names = {"ExperimentName": {"Get": "Execution.PipelineName"}, "TrialName": {"Get": "Execution.PipelineExecutionId"}}
    document = {**json.loads(definition(processing("A", "pass"))), "PipelineExperimentConfig": names}
    client.create_pipeline(PipelineName="p", RoleArn=ROLE, PipelineDefinition=json.dumps(document))
    arn = client.start_pipeline_execution(PipelineName="p")["PipelineExecutionArn"]
    described = ended(client, arn)["PipelineExperimentConfig"]
    assert described == {"ExperimentName": "p", "TrialName": arn.rsplit("/", 1)[1]}


def test_a_definition_may_lie_in_the_store(tmp_path: Path) -> None:
    client = local(tmp_path)
    store_of(tmp_path).write("s3://code/pipeline.json", definition(processing("A", "pass")).encode())
    where = {"Bucket": "code", "ObjectKey": "pipeline.json"}
    client.create_pipeline(PipelineName="p", RoleArn=ROLE, PipelineDefinitionS3Location=where)
    assert json.loads(client.describe_pipeline(PipelineName="p")["PipelineDefinition"])["Steps"][0]["Name"] == "A"
    with pytest.raises(ServiceException, match="Exactly one of"):
        client.create_pipeline(PipelineName="q", RoleArn=ROLE)


def test_a_definition_that_cannot_run_creates_no_pipeline(tmp_path: Path) -> None:
    client = local(tmp_path)
    with pytest.raises(NotEmulatedError, match="step type 'EMR' is not emulated"):
        start(client, {"Name": "A", "Type": "EMR", "Arguments": {}})
    with pytest.raises(ServiceException, match="does not exist") as absent:
        client.describe_pipeline(PipelineName="p")
    assert code_of(absent) == "ResourceNotFound"


def test_a_pipeline_is_found_by_its_name_and_its_own_arn_only(tmp_path: Path) -> None:
    client = local(tmp_path)
    arn = client.create_pipeline(
        PipelineName="p", RoleArn=ROLE, PipelineDefinition=definition(processing("A", "pass"))
    )["PipelineArn"]
    assert client.describe_pipeline(PipelineName=arn)["PipelineName"] == "p"
    with pytest.raises(ServiceException, match="does not exist"):
        client.describe_pipeline(PipelineName=arn.replace("local", "us-east-1"))


def test_a_server_that_cannot_be_used_is_the_client_s_error_and_is_not_retried(tmp_path: Path) -> None:
    client = EngineClient(tmp_path, {"tiny": ModelUrl(url="https://model")})
    store_of(tmp_path).write("s3://b/in/a.jsonl", b'{"id": 1}\n')
    policies = [{"ExceptionType": ["SageMaker.JOB_INTERNAL_ERROR"], "MaxAttempts": 5}]
    arn = start(client, transform("T", "s3://b/in/", "s3://b/out", RetryPolicies=policies))
    ended(client, arn)
    step = steps_of(client, arn)["T"]
    assert step["FailureReason"].startswith("ClientError: ConfigError [model_url]")
    assert step["AttemptCount"] == 1


def test_a_pipeline_that_runs_cannot_be_deleted(tmp_path: Path) -> None:
    client = local(tmp_path)
    arn = start(client, processing("A", "import time; time.sleep(0.5)"))
    with pytest.raises(ServiceException) as refused:
        client.delete_pipeline(PipelineName="p")
    assert code_of(refused) == "ConflictException"
    ended(client, arn)
    client.delete_pipeline(PipelineName="p")
    with pytest.raises(ServiceException) as absent:
        client.describe_pipeline_execution(PipelineExecutionArn=arn)
    assert code_of(absent) == "ResourceNotFound"


def test_progress_of_a_transform_is_seen_from_outside(tmp_path: Path) -> None:
    client = local(tmp_path)
    for number in range(3):
        store_of(tmp_path).write(f"s3://b/in/part-{number}.jsonl", b'{"id": 1}\n{"id": 2}\n')
    arn = start(client, transform("T", "s3://b/in/", "s3://b/out"))
    ended(client, arn)
    job = steps_of(client, arn)["T"]["Metadata"]["TransformJob"]["Arn"].rsplit("/", 1)[1]
    progress = local(tmp_path).transform_progress(job)
    assert (progress.files_done, progress.files_total, progress.records_done) == (3, 3, 6)
    assert local(tmp_path).transform_progress("unknown").files_total == 0


def test_a_model_is_served_by_what_is_declared_for_its_name_or_its_image(tmp_path: Path) -> None:
    client = EngineClient(tmp_path, {"registry/image:1": MODEL})
    client.create_model(ModelName="created", PrimaryContainer={"Image": "registry/image:1"}, ExecutionRoleArn=ROLE)
    store_of(tmp_path).write("s3://b/in/a.jsonl", b'{"id": 1}\n')
    step = transform("T", "s3://b/in/", "s3://b/out")
    step["Arguments"]["ModelName"] = "created"
    assert ended(client, start(client, step))["PipelineExecutionStatus"] == "Succeeded"
    with pytest.raises(NotEmulatedError, match="No server is declared for model other or its image"):
        client.create_model(ModelName="other", PrimaryContainer={"Image": "x"}, ExecutionRoleArn=ROLE)


def test_p22_a_model_of_one_container_in_a_list_is_served_and_one_of_two_is_not_emulated(tmp_path: Path) -> None:
    client = EngineClient(tmp_path, {"registry/image:1": MODEL})
    one = {"Image": "registry/image:1", "ModelDataUrl": "s3://b/model.tar.gz"}
    client.create_model(ModelName="created", Containers=[one], ExecutionRoleArn=ROLE)
    assert client.describe_model(ModelName="created")["PrimaryContainer"] == one
    store_of(tmp_path).write("s3://b/in/a.jsonl", b'{"id": 1}\n')
    step = transform("T", "s3://b/in/", "s3://b/out")
    step["Arguments"]["ModelName"] = "created"
    assert ended(client, start(client, step))["PipelineExecutionStatus"] == "Succeeded"
    with pytest.raises(NotEmulatedError, match="2 containers in a row"):
        client.create_model(ModelName="two", Containers=[one, one], ExecutionRoleArn=ROLE)
    with pytest.raises(NotEmulatedError, match=r"Containers\[\]\.Mode"):
        client.create_model(ModelName="mode", Containers=[{**one, "Mode": "MultiModel"}], ExecutionRoleArn=ROLE)


def test_p24_an_artefact_that_is_not_there_is_said_and_refuses_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client = EngineClient(tmp_path, {"image": MODEL})
    store_of(tmp_path).write("s3://b/there.tar.gz", b"model")
    for name, place in (("lacks", "s3://b/gone.tar.gz"), ("has", "s3://b/there.tar.gz"), ("web", "https://b/x.tar.gz")):
        container = {"Image": "image", "ModelDataUrl": place}
        client.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE)
    client.create_model(ModelName="none", PrimaryContainer={"Image": "image"}, ExecutionRoleArn=ROLE)
    said = "model lacks: nothing lies at its ModelDataUrl s3://b/gone.tar.gz, which SageMaker would refuse."
    assert [record.getMessage() for record in caplog.records] == [said]


def test_the_environment_of_a_created_model_reaches_its_server(tmp_path: Path) -> None:
    dump = "import os; print('GREETING=' + os.environ.get('GREETING', ''), flush=True)"
    client = EngineClient(tmp_path, {"image": ModelCommand(command=f'{MODEL.command.split()[0]} -c "{dump}"')})
    container = {"Image": "image", "Environment": {"GREETING": "hello"}}
    client.create_model(ModelName="tiny", PrimaryContainer=container, ExecutionRoleArn=ROLE)
    store_of(tmp_path).write("s3://b/in/a.jsonl", b'{"id": 1}\n')
    arn = start(client, transform("T", "s3://b/in/", "s3://b/out"))
    ended(client, arn)
    logs = [path.read_text() for path in tmp_path.glob("logs/aws/sagemaker/TransformJobs/*/*/container-log")]
    assert logs == ["GREETING=hello\n"]


def test_an_unknown_model_fails_the_step_that_names_it(tmp_path: Path) -> None:
    client = local(tmp_path)
    store_of(tmp_path).write("s3://b/in/a.jsonl", b'{"id": 1}\n')
    step = transform("T", "s3://b/in/", "s3://b/out")
    step["Arguments"]["ModelName"] = "nobody"
    arn = start(client, step)
    ended(client, arn)
    reason = steps_of(client, arn)["T"]["FailureReason"]
    assert reason.startswith(
        "ClientError: Failed to invoke sagemaker:CreateTransformJob. Error Details: Could not find"
    )


def test_tags_are_those_of_the_creation_and_those_that_were_added(tmp_path: Path) -> None:
    client = local(tmp_path)
    tag = {"Key": "team", "Value": "forecast"}
    text = definition(processing("A", "pass"))
    arn = client.create_pipeline(PipelineName="p", PipelineDefinition=text, RoleArn=ROLE, Tags=[tag])["PipelineArn"]
    assert client.list_tags(ResourceArn=arn)["Tags"] == [tag]
    more = {"Key": "cost", "Value": "1"}
    assert client.add_tags(ResourceArn=arn, Tags=[more, {**tag, "Value": "other"}])["Tags"] == [
        more,
        {**tag, "Value": "other"},
    ]
    assert local(tmp_path).list_tags(ResourceArn=arn, MaxResults=50)["Tags"][0] == more
    client.delete_pipeline(PipelineName="p")
    client.create_pipeline(PipelineName="p", PipelineDefinition=text, RoleArn=ROLE)
    assert client.list_tags(ResourceArn=arn)["Tags"] == []
    client.add_tags(ResourceArn=arn, Tags=[tag, more])
    client.delete_tags(ResourceArn=arn, TagKeys=["team", "absent"])
    assert client.list_tags(ResourceArn=arn)["Tags"] == [more]
    job = processing("A", "pass")["Arguments"]
    made = client.create_processing_job(ProcessingJobName="j", Tags=[tag], **job)["ProcessingJobArn"]
    assert client.list_tags(ResourceArn=made)["Tags"] == [tag]
    with pytest.raises(ServiceException, match="does not exist") as absent:
        client.list_tags(ResourceArn=arn.replace("pipeline/p", "pipeline/q"))
    assert code_of(absent) == "ResourceNotFound"
    with pytest.raises(ServiceException, match="51 tags"):
        client.add_tags(ResourceArn=arn, Tags=[{"Key": f"k{number}", "Value": ""} for number in range(50)])
