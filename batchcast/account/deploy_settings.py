"""What a deployment is made of: a TOML file such as in docs/on-aws.md, options that take precedence over it, or both.

With `--stack`, what the CloudFormation stack of infra/batchcast.yaml made, so that nobody copies an ARN by hand.
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel, ConfigDict, Field

from batchcast.account.model_package import ModelPackageGroup, model_request
from batchcast.pipelines.parameters import parse_overrides, split_pairs
from batchcast.pipelines.settings import BuildSettings, image_of, read_settings, tag_list, validated
from batchcast.session.service_errors import answer_or_none
from batchcast.session.session import LOCAL_REGION, Session, together
from batchcast.steps.arguments import SPARK
from batchcast.steps.errors import ConfigError, Problem
from batchcast.steps.store.documents import read_file
from batchcast.steps.store.objects import split_uri

# Setting -> the output of the stack that it is; one without a key of its own has an empty KmsKeyArn, or none.
_FROM_STACK = {
    "pipeline_role_arn": "PipelineRoleArn",
    "processing_role_arn": "ProcessingRoleArn",
    "bucket": "BucketName",
    "prefix": "Prefix",
    "pipeline_name": "PipelineName",
    "output_kms_key": "KmsKeyArn",
}
_NEEDED = ({*_FROM_STACK.values()} - {"KmsKeyArn"}) | {"DeadLetterQueueArn", "HistoryUri", "SchedulerRoleArn"}


def _stack_settings(outputs: Mapping[str, str]) -> dict[str, Any]:
    """What of a deployment follows from the stack; a settings file and options take precedence."""
    place = f"s3://{outputs['BucketName']}/{outputs['Prefix']}"
    parameters = {"RunsUri": f"{place}/runs", "PublishUri": f"{place}/published"}
    settings = {name: outputs[output] for name, output in _FROM_STACK.items() if output in outputs}
    return {**settings, "parameters": {"HistoryUri": outputs["HistoryUri"], **parameters}}


def read_stack(session: Session, name: str | None) -> Mapping[str, str]:
    """The stack's outputs, by their names in the template; none without a name. Raises ConfigError when it does not
    exist, is not complete or is of another template."""
    if name is None:
        return {}
    described = answer_or_none(session.client("cloudformation").describe_stacks, "ValidationError", StackName=name)
    if described is None:
        what = f"there is no stack {name!r} in {session.region}."
        raise ConfigError(Problem("stack", what, "--stack", "docs/on-aws.md has the command that makes it."))
    (found,) = described["Stacks"]
    listed = {one["OutputKey"]: one["OutputValue"] for one in found.get("Outputs", [])}
    outputs = {name: value for name, value in listed.items() if value or name != "KmsKeyArn"}
    missing = sorted(_NEEDED - outputs.keys())
    if missing:
        what = f"{name} is {found['StackStatus']} and has no output {', '.join(missing)}."
        remedy = "Wait until it is complete, or update it with this version's infra/batchcast.yaml."
        raise ConfigError(Problem("stack", what, "--stack", remedy))
    return outputs


stack_option = click.option(
    "--stack", metavar="NAME", help="Take roles, bucket, queue and prefixes from what this CloudFormation stack made."
)


# Build settings that follow from the code, the contract file and the session.
DERIVED = ("code_uri", "contract_uri", "region")
_IN_A_WORKSPACE = {
    "pipeline_role_arn": BuildSettings().processing_role_arn,
    "processing_role_arn": BuildSettings().processing_role_arn,
    "bucket": split_uri(BuildSettings().code_uri)[0],
}
# Build setting -> its option and what it means.
OPTIONS: Mapping[str, tuple[str, str]] = tomllib.loads(
    Path(__file__).with_name("deploy_options.toml").read_text(encoding="utf-8")
)

# Settings that are tables, and the option that gives one pair of such a table.
_PAIRS = {"model_environment": "--model-environment"} | {
    name: option for name, (option, help_text) in OPTIONS.items() if help_text.startswith("KEY=VALUE")
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploySettings:
    """The pipeline's own role starts its jobs; `defaults` become those of the deployed pipeline's parameters.

    `group` is the one of the model registry that the pipeline follows, `model` CreateModel's request for its newest
    approved package, once the account was asked."""

    pipeline_role_arn: str
    bucket: str
    prefix: str
    contract: Path
    build: BuildSettings
    defaults: Mapping[str, str]
    group: ModelPackageGroup | None = None
    model: Mapping[str, Any] | None = None


def _option(field: str) -> Callable[[Any], Any]:
    flag, help_text = OPTIONS[field]
    default = BuildSettings.model_fields[field].get_default(call_default_factory=True)
    if isinstance(default, bool):
        return click.option(f"{flag}/--no-{flag[2:]}", field, default=None, help=help_text)
    if isinstance(default, tuple | dict):
        return click.option(flag, field, multiple=True, help=help_text)
    return click.option(flag, field, type=int if isinstance(default, int) else str, help=help_text)


_FILE = click.Path(path_type=Path, dir_okay=False)
deploy_options = together(
    click.option("--settings", "settings_file", type=_FILE, help="A TOML file of these options."),
    stack_option,
    click.option("--pipeline-role", "pipeline_role_arn", metavar="ARN", help="Role that starts the jobs."),
    click.option("--bucket", help="Bucket for the code, the contract file and large definitions."),
    click.option("--prefix", help="Where in the bucket.  [default: batchcast]"),
    click.option("--model-package-group", metavar="NAME", help="Take its newest approved package for ModelName."),
    click.option("--model-role", "model_role_arn", metavar="ARN", help="Role of the model that is made of it."),
    click.option("--model-environment", multiple=True, metavar="KEY=VALUE", help="Of that model; repeat for more."),
    click.option("--contract", type=_FILE, help="The model.toml that declares the model's records."),
    click.option("-p", "--parameter", "defaults", multiple=True, metavar="NAME=VALUE", help="Default of a parameter."),
    *(_option(field) for field in OPTIONS),
)


def read_deploy_settings(
    file: Path | None, given: Mapping[str, Any], *, region: str, stack: Mapping[str, str] | None = None
) -> DeploySettings:
    """What follows from the stack, overridden by `file`, overridden by the options `given` (None and empty: not given).

    A workspace needs neither role nor bucket; on AWS the image is the region's unless one is named.
    Raises ConfigError with everything that is missing or wrong.
    """
    local = region == LOCAL_REGION
    made = _stack_settings(stack) if stack else {}
    written = _read(file) if file else {}
    said = {key: value for key, value in given.items() if value not in (None, ())}
    named = {**made.pop("parameters", {}), **written.pop("parameters", {})}
    pairs = [*(f"{name}={value}" for name, value in named.items()), *said.pop("defaults", ())]
    # An option takes the place of the file's value for the same parameter.
    defaults = parse_overrides({pair.partition("=")[0]: pair for pair in pairs}.values())
    values = {**(_IN_A_WORKSPACE if local else {}), **made, **written}
    for name, option in _PAIRS.items():
        if isinstance(said.get(name), tuple):  # as the command line has them
            said[name] = split_pairs(said[name], "setting", option, f"Write {option} KEY=VALUE.")
    values |= said
    others = {key: value for key, value in values.items() if key not in OPTIONS or key in _Own.model_fields}
    own = validated(_Own, others, _problem)
    build = {key: value for key, value in values.items() if key in OPTIONS}
    if local and build.get("build_engine") == SPARK:
        # No image is pulled in a workspace: the Python that runs the engine is to have what Spark needs.
        build |= {"spark_image_uri": "python3", "spark_packages_uri": None}
    if not local:
        build |= {"region": region} | ({} if "image_uri" in build else {"image_uri": image_of(region)})
        if build.get("build_engine") == SPARK:
            build.setdefault("spark_image_uri", image_of(region, "spark_images"))
    settings = read_settings(build)
    given_own = {name: getattr(own, name) for name in ("pipeline_role_arn", "bucket", "contract")}
    group = own.group(settings, defaults)
    return DeploySettings(prefix=own.prefix.strip("/"), build=settings, defaults=defaults, group=group, **given_own)


def account_settings(
    session: Session, file: Path | None, given: Mapping[str, Any], stack: str | None
) -> DeploySettings:
    """The settings with what the account has to say: the outputs of the stack named, and the package of the group."""
    settings = read_deploy_settings(file, given, region=session.region, stack=read_stack(session, stack))
    if settings.group is None:
        return settings
    model = model_request(session, settings.group, tag_list(settings.build.tags))
    return replace(settings, model=model, defaults={**settings.defaults, "ModelName": model["ModelName"]})


class _Own(BaseModel):
    """The settings that are no build settings, and the one build setting that has to be given."""

    model_config = ConfigDict(extra="forbid")

    pipeline_role_arn: str
    processing_role_arn: str
    bucket: str
    contract: Path
    prefix: str = "batchcast"
    model_package_group: str | None = None
    model_role_arn: str | None = None
    model_environment: dict[str, str] = Field(default_factory=dict)

    def group(self, build: BuildSettings, defaults: Mapping[str, str]) -> ModelPackageGroup | None:
        """Raises ConfigError for what would do nothing, and for a group without the role of its models."""
        name, role = self.model_package_group, self.model_role_arn
        problems = []
        if name is None and (role or self.model_environment):
            problems.append(("model_role_arn", "is of the model of a package group.", "Give --model-package-group."))
        if name and role is None:
            problems.append(("model_role_arn", "is needed to make a model of the package.", "Give --model-role."))
        if name and "ModelName" in defaults:
            problems.append(("ModelName", "is the model of the package group.", "Leave one of the two out."))
        ConfigError.raise_any(Problem("setting", what, where, remedy) for where, what, remedy in problems)
        if not (name and role):
            return None
        return ModelPackageGroup(name=name, role_arn=role, environment=self.model_environment, vpc=build.vpc)


def _problem(one: Any) -> Problem:
    name = str(one["loc"][0])
    if name in DERIVED:
        return Problem("setting", "follows from the code, the contract file and the region.", name, "Leave it out.")
    if one["type"] == "extra_forbidden":
        known = ", ".join(dict.fromkeys([*_Own.model_fields, "parameters", *OPTIONS]))
        return Problem("setting", "there is no such setting.", name, f"Known are: {known}.")
    if one["type"] == "missing":
        flag = name.removesuffix("_arn").replace("_", "-")
        remedy = f"Give --{flag}, {name} in the file of --settings, or --stack."
        return Problem("setting_missing", "is needed.", name, remedy)
    return Problem("setting", f"{one['input']!r}: {one['msg']}.", name)


def _read(file: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(read_file(file, "settings_file").decode())
    except (ValueError, RecursionError) as error:
        raise ConfigError(Problem("settings_file", f"is not TOML: {error}.", str(file))) from error
    if isinstance(values.get("contract"), str):
        values["contract"] = str(file.parent / values["contract"])
    return values
