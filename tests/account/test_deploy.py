"""`deploy` on an account: what it sends, that it does nothing twice, and what it says changed."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest
from botocore import handlers
from click.testing import CliRunner
from golden import matches_golden
from scripted_run import ScriptedRun
from strict import Recorder
from team import BUCKET, CONTRACT, DEFAULTS, REGION, ROLE

from batchcast.account import deploy as deploying
from batchcast.account.deploy import Deployment, Package, apply, plan_deployment
from batchcast.account.deploy_settings import DERIVED, OPTIONS, DeploySettings, read_deploy_settings
from batchcast.account.differences import differences
from batchcast.cli.main import root
from batchcast.pipelines import definition
from batchcast.pipelines.settings import BuildSettings
from batchcast.runs.start import deployed_pipeline
from batchcast.session.session import AwsSession
from batchcast.steps.errors import BatchcastError, ConfigError, ServiceError

ROLES = f'pipeline_role_arn = "{ROLE}"\nprocessing_role_arn = "{ROLE}"\n'
KEY = "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d"


def deployed(session: AwsSession, settings: DeploySettings, packed: Package) -> Deployment:
    """Plan and do."""
    plan = plan_deployment(session, settings, packed)
    apply(session, plan)
    return plan


def changed(settings: DeploySettings, **build: object) -> DeploySettings:
    """The settings with other build settings."""
    return dataclasses.replace(settings, build=settings.build.model_copy(update=build))


def test_the_first_deployment_uploads_and_creates(
    account: Recorder, session: AwsSession, settings: DeploySettings, packed: Package
) -> None:
    plan = plan_deployment(session, settings, packed)
    assert account.operations() == ["sagemaker:DescribePipeline", "s3:GetObject", "s3:GetObject"]
    apply(session, plan)
    assert account.operations()[3:] == ["s3:PutObject", "s3:PutObject", "sagemaker:CreatePipeline"]
    assert json.loads(plan.calls[-1].request["PipelineDefinition"]) == packed.definition
    assert matches_golden("deploy", [call.document() for call in plan.calls])


def test_what_is_sent_is_the_committed_definition_with_the_settings_of_the_team(packed: Package) -> None:
    committed = json.loads(Path(definition.__file__).with_name("pipeline.json").read_text())
    paths = [re.sub(r"\.\d+$", "", change.path) for change in differences(committed, packed.definition)]
    places = {path.split(".")[-1] for path in paths}
    assert places == {"DefaultValue", "RoleArn", "ImageUri", "S3Uri", "Environment", "ContainerEntrypoint"}


def test_the_second_deployment_does_nothing(
    account: Recorder, session: AwsSession, settings: DeploySettings, packed: Package
) -> None:
    deployed(session, settings, packed)
    before = len(account.calls)
    plan = deployed(session, settings, packed)
    assert plan.exists
    assert (plan.calls, plan.changes) == ((), ())
    assert account.operations()[before:] == ["sagemaker:DescribePipeline", "s3:GetObject", "s3:GetObject"]


def test_other_bytes_under_the_name_of_the_code_are_not_trusted(
    session: AwsSession, settings: DeploySettings, packed: Package
) -> None:
    deployed(session, settings, packed)
    code = next(iter(packed.objects))
    session.store.write(code, b"something else")
    assert [call.method for call in deployed(session, settings, packed).calls] == ["put_object"]
    assert session.store.read(code) == packed.objects[code]


def test_an_update_says_what_changed_and_where(session: AwsSession, settings: DeploySettings, packed: Package) -> None:
    deployed(session, settings, packed)
    edited = json.loads(packed.text)
    edited["Parameters"][6]["DefaultValue"] = 14
    edited["Steps"][0]["Arguments"]["ProcessingResources"]["ClusterConfig"]["VolumeSizeInGB"] = 300
    other = dataclasses.replace(packed, definition=edited, text=json.dumps(edited))
    plan = deployed(session, settings, other)
    assert [call.method for call in plan.calls] == ["update_pipeline"]
    assert [str(change) for change in plan.changes] == [
        "Definition.Parameters.ForecastHorizon.DefaultValue: 31 -> 14",
        "Definition.Steps.BuildShards.Arguments.ProcessingResources.ClusterConfig.VolumeSizeInGB: 200 -> 300",
    ]
    assert deployed(session, settings, other).calls == ()


def test_objects_are_encrypted_with_the_key_where_one_is_set(
    session: AwsSession, settings: DeploySettings, packed: Package
) -> None:
    plan = plan_deployment(session, changed(settings, output_kms_key=KEY), packed)
    puts = [call.request for call in plan.calls if call.method == "put_object"]
    assert [put["SSEKMSKeyId"] for put in puts] == [KEY, KEY]
    assert {put["ServerSideEncryption"] for put in puts} == {"aws:kms"}


def test_a_long_definition_goes_by_its_location(session: AwsSession, settings: DeploySettings, packed: Package) -> None:
    long = json.dumps({**packed.definition, "Metadata": {"why": "x" * 102_400}})
    objects = {**packed.objects, deploying.definition_uri(settings, long): long.encode()}
    packed = dataclasses.replace(packed, definition=json.loads(long), text=long, objects=objects)
    plan = deployed(session, settings, packed)
    request = plan.calls[-1].request
    assert "PipelineDefinition" not in request
    location = request["PipelineDefinitionS3Location"]
    assert session.store.read(f"s3://{location['Bucket']}/{location['ObjectKey']}") == long.encode()
    assert deployed(session, settings, packed).calls == ()


def test_tags_are_added_and_those_of_others_left_alone(
    account: Recorder, session: AwsSession, settings: DeploySettings, packed: Package
) -> None:
    deployed(session, changed(settings, tags={"team": "forecasting"}), packed)
    client = session.client("sagemaker")
    arn = client.describe_pipeline(PipelineName="batchcast")["PipelineArn"]
    client.add_tags(ResourceArn=arn, Tags=[{"Key": "owner", "Value": "finance"}])
    plan = deployed(session, changed(settings, tags={"team": "demand"}), packed)
    assert [call.method for call in plan.calls] == ["add_tags"]
    tags = {tag["Key"]: tag["Value"] for tag in client.list_tags(ResourceArn=arn)["Tags"]}
    assert tags == {"team": "demand", "owner": "finance"}


def test_the_code_lies_under_its_digest(packed: Package) -> None:
    code, contract = packed.objects
    assert code.startswith(f"s3://{BUCKET}/batchcast/code/")
    assert code.endswith("/app.pyz")
    assert packed.objects[contract] == CONTRACT.read_bytes()
    text = packed.text
    assert text.count(code) == text.count(contract) == 3
    assert len({len(uri.split("/")[-2]) for uri in (code, contract)} | {64}) == 1


def test_defaults_of_the_team_are_those_of_the_pipeline(packed: Package) -> None:
    defaults = {one["Name"]: one.get("DefaultValue") for one in packed.definition["Parameters"]}
    assert {name: defaults[name] for name in DEFAULTS} == DEFAULTS


def test_a_dry_run_prints_the_requests_and_writes_nothing(
    account: Recorder, session: AwsSession, packed: Package
) -> None:
    options = [
        "--pipeline-role",
        ROLE,
        "--processing-role",
        ROLE,
        "--bucket",
        BUCKET,
        "--contract",
        str(CONTRACT),
        "--region",
        REGION,
        "--dry-run",
    ]
    for name, value in DEFAULTS.items():
        options += ["-p", f"{name}={value}"]
    done = CliRunner().invoke(root, ["deploy", *options], catch_exceptions=False)
    assert done.exit_code == 0
    assert matches_golden("deploy", json.loads(done.stdout))
    assert session.client("s3").list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0
    assert session.client("sagemaker").list_pipelines()["PipelineSummaries"] == []


def test_the_command_creates_and_says_so(
    account: Recorder, session: AwsSession, packed: Package, tmp_path: Path
) -> None:
    file = tmp_path / "deploy.toml"
    file.write_text(ROLES + f'bucket = "{BUCKET}"\ncontract = "{CONTRACT}"\n')
    done = CliRunner().invoke(root, ["deploy", "--settings", str(file), "--region", REGION], catch_exceptions=False)
    assert (
        done.stdout == "Pipeline batchcast in eu-central-1: created, version 1.\nObjects: 2 written, 0 there already.\n"
    )
    assert deployed_pipeline(session, "batchcast") is not None


def test_show_diff_says_what_a_deployment_would_change(
    account: Recorder, session: AwsSession, settings: DeploySettings, packed: Package, tmp_path: Path
) -> None:
    file = tmp_path / "deploy.toml"
    file.write_text(
        ROLES
        + f'bucket = "{BUCKET}"\ncontract = "{CONTRACT}"\n[parameters]\n'
        + "".join(f'{name} = "{value}"\n' for name, value in DEFAULTS.items())
    )
    deployed(session, settings, packed)
    before = len(account.calls)
    options = ["--settings", str(file), "--region", REGION, "-p", "ForecastHorizon=7"]
    done = CliRunner().invoke(root, ["show", "--diff", *options], catch_exceptions=False)
    assert "Definition.Parameters.ForecastHorizon.DefaultValue: 31 -> 7\n" in done.stdout
    assert {name.split(":")[1] for name in account.operations()[before:]} == {"DescribePipeline", "GetObject"}


def test_show_prints_what_deploy_would_send(packed: Package, tmp_path: Path) -> None:
    """Without the account: the definition itself, and the state machine of it, whose jobs take the same code."""
    file = tmp_path / "deploy.toml"
    parameters = "".join(f'{name} = "{value}"\n' for name, value in DEFAULTS.items())
    file.write_text(f'{ROLES}bucket = "{BUCKET}"\ncontract = "{CONTRACT}"\n[parameters]\n{parameters}')
    shown = [
        json.loads(CliRunner().invoke(root, ["show", *form, "--settings", str(file), "--region", REGION]).stdout)
        for form in ((), ("--asl", "--stop-after", "3"))
    ]
    assert shown[0] == packed.definition
    states = shown[1]["States"]
    assert {name: states["Defaults"]["Result"][name] for name in DEFAULTS} == DEFAULTS
    inputs = states["BuildShards"]["Parameters"]["ProcessingInputs"]
    assert [one["S3Input"]["S3Uri"] for one in inputs[:2]] == [*packed.objects]
    assert states["Transform"]["TimeoutSeconds"] == 3 * 3600


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--diff",), "--settings: --diff compares what these settings make."),
        (("--diff", "--requests", "--settings", "deploy.toml"), "--requests: --diff prints something else."),
        (("--asl", "--diff", "--settings", "deploy.toml"), "--diff: --asl prints something else."),
        (("--cloudformation",), "--settings: --cloudformation prints what these settings make."),
        (("--stop-after", "2"), "--stop-after: only --asl looks at it."),
        (("--requests", "--region", REGION), "--region: only --settings and --stack look at it."),
    ],
)
def test_show_refuses_an_option_that_would_do_nothing(options: tuple[str, ...], said: str) -> None:
    refused = CliRunner().invoke(root, ["show", *options]).exception
    assert isinstance(refused, ConfigError)
    assert said in str(refused)


def test_what_was_done_is_told(session: AwsSession, settings: DeploySettings, packed: Package) -> None:
    deployed(session, settings, packed)
    assert plan_deployment(session, settings, packed).describe(REGION, packed, None) == (
        "Pipeline batchcast in eu-central-1: is as it should be; nothing changed.\nObjects: 0 written, 2 there already."
    )
    other = dataclasses.replace(packed, description="Other.")
    assert plan_deployment(session, settings, other).describe(REGION, other, 2) == (
        "Pipeline batchcast in eu-central-1: updated, version 2.\n"
        f'  Description: "{packed.description}" -> "Other."\n'
        "Objects: 0 written, 2 there already."
    )


class TestSettings:
    """The file and the options."""

    def test_every_build_setting_has_an_option(self) -> None:
        assert {*OPTIONS, *DERIVED} == set(BuildSettings.model_fields)

    def test_options_take_precedence_over_the_file(self, tmp_path: Path) -> None:
        file = tmp_path / "deploy.toml"
        file.write_text(
            ROLES + 'bucket = "one-bucket"\ncontract = "model.toml"\npipeline_name = "weekly"\n'
            'volume_size_in_gb = 100\n[tags]\nteam = "a"\n[parameters]\nForecastHorizon = 7\nModelName = "m"\n'
        )
        given = {
            "bucket": "other-bucket",
            "volume_size_in_gb": 50,
            "tags": ("team=b",),
            "transform_environment": ("LEVEL=a=b",),
            "defaults": ("ForecastHorizon=14",),
        }
        settings = read_deploy_settings(file, given, region=REGION)
        assert settings.bucket == "other-bucket"
        assert settings.contract == tmp_path / "model.toml"
        assert settings.build.pipeline_name == "weekly"
        assert settings.build.volume_size_in_gb == 50
        assert settings.build.tags == {"team": "b"}
        assert settings.build.transform_environment == {"LEVEL": "a=b"}
        assert settings.build.processing_role_arn == ROLE
        assert settings.build.image_uri.startswith("492215442770.dkr.ecr.eu-central-1.amazonaws.com/")
        assert settings.defaults == {"ForecastHorizon": "14", "ModelName": "m"}

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            (
                {},
                [
                    "setting_missing] pipeline_role_arn",
                    "--processing-role",
                    "setting_missing] bucket",
                    "setting_missing] contract",
                    "--contract",
                ],
            ),
            ({"buckt": "x"}, ["there is no such setting", "Known are: pipeline_role_arn, processing_role_arn, bucket"]),
            ({"code_uri": "s3://b/app.pyz"}, ["follows from the code"]),
        ],
    )
    def test_what_is_missing_or_unknown_is_named(self, given: dict[str, str], said: list[str]) -> None:
        with pytest.raises(ConfigError) as raised:
            read_deploy_settings(None, given, region=REGION)
        assert all(each in str(raised.value) for each in said)

    def test_a_region_without_an_image_asks_for_one(self) -> None:
        given = {"pipeline_role_arn": ROLE, "processing_role_arn": ROLE, "bucket": BUCKET, "contract": CONTRACT}
        with pytest.raises(ConfigError, match="Did you mean eu-central-1"):
            read_deploy_settings(None, given, region="eu-centrl-1")
        read_deploy_settings(None, {**given, "image_uri": "own:1"}, region="eu-centrl-1")

    def test_spark_in_a_workspace_needs_no_image_and_no_packages(self) -> None:
        spark = {"contract": CONTRACT, "build_engine": "spark", "build_instance_count": 2}
        for more in ({}, {"spark_packages_uri": "s3://team/packages/"}):
            build = read_deploy_settings(None, spark | more, region="local").build
            assert (build.container("BuildShards")[1], build.packages("BuildShards")) == (2, {})
        with pytest.raises(ConfigError, match="of build_engine spark alone"):
            read_deploy_settings(None, {"contract": CONTRACT, "spark_packages_uri": "s3://p/"}, region="local")

    def test_a_contract_file_that_is_none_is_refused(self, settings: DeploySettings, tmp_path: Path) -> None:
        broken = tmp_path / "model.toml"
        with pytest.raises(ConfigError, match="cannot be read"):
            deploying.package(dataclasses.replace(settings, contract=broken))
        broken.write_text("[histry]\n")
        with pytest.raises(ConfigError, match="histry"):
            deploying.package(dataclasses.replace(settings, contract=broken))


REFUSALS = [
    ("ThrottlingException", ServiceError, "throttled"),
    ("AccessDeniedException", ConfigError, "access_denied"),
    ("ExpiredTokenException", ServiceError, "credentials"),
    ("ValidationException", ConfigError, "refused"),
]


@pytest.fixture
def script(account: Recorder, monkeypatch: pytest.MonkeyPatch) -> ScriptedRun:
    """The account with refusals of its own."""
    script = ScriptedRun()
    monkeypatch.setattr(handlers, "BUILTIN_HANDLERS", [*handlers.BUILTIN_HANDLERS, *script.handlers()])
    return script


@pytest.mark.parametrize(("code", "kind", "told"), REFUSALS)
@pytest.mark.parametrize("operation", ["DescribePipeline", "CreatePipeline", "PutObject"])
def test_a_refusal_is_told_and_the_next_deployment_finishes_the_work(
    session: AwsSession,
    script: ScriptedRun,
    settings: DeploySettings,
    packed: Package,
    operation: str,
    code: str,
    kind: type[BatchcastError],
    told: str,
) -> None:
    script.fails = lambda name: code if name == operation else None
    with pytest.raises(kind) as raised:
        deployed(session, settings, packed)
    assert raised.value.problems[0].code == told
    hinted = operation == "CreatePipeline" and code == "ValidationException"
    assert ("--no-run-conditions" in str(raised.value)) == hinted
    script.fails = lambda _: None
    deployed(session, settings, packed)
    assert plan_deployment(session, settings, packed).calls == ()


def test_objects_are_written_where_looking_for_them_is_not_allowed(
    session: AwsSession, script: ScriptedRun, settings: DeploySettings, packed: Package
) -> None:
    script.fails = lambda name: "403" if name == "GetObject" else None
    assert [call.method for call in deployed(session, settings, packed).calls] == [
        "put_object",
        "put_object",
        "create_pipeline",
    ]
