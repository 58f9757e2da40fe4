"""Put the pipeline into an account: code and contract file on S3, the definition in SageMaker.

A deployment is planned before anything is written: the plan has the exact requests, and what they change. Objects lie
under the digest of their content, so that running executions keep theirs and the second deployment does nothing.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from batchcast.account.deploy_settings import DeploySettings
from batchcast.account.differences import Difference, differences
from batchcast.account.model_package import described_model
from batchcast.pipelines.definition import define, write_definition
from batchcast.pipelines.lint.lint import advice_codes, lint
from batchcast.pipelines.parameters import declared_parameters
from batchcast.pipelines.settings import BuildSettings, bundle, content_key, given_members, tag_list
from batchcast.runs.start import deployed_pipeline
from batchcast.session.service_errors import error_code
from batchcast.session.session import Session, pages
from batchcast.steps.contract.model_contract import parse_contract
from batchcast.steps.errors import ConfigError, Problem, ServiceError
from batchcast.steps.store.documents import read_file
from batchcast.steps.store.objects import ObjectMissingError, join_uri, split_uri

# A longer definition is sent by its S3 location, as the SageMaker Python SDK 3.27 does too.
_MAX_INLINE_BYTES = 100 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to a service; `method` and `request` are those of boto3's client."""

    service: str
    method: str
    request: Mapping[str, Any]

    def document(self) -> dict[str, Any]:
        """The call as JSON can show it: a body by its size and digest."""
        body = self.request.get("Body", b"")
        shown = {"Body": f"{len(body):,} bytes, SHA-256 {_sha256(body)}"} if body else {}
        return {"service": self.service, "method": self.method, "request": {**self.request, **shown}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """What a deployment consists of: the definition as it is sent, and the objects it or the service reads, by URI.

    `advice` is what lint has to say about a definition that SageMaker takes.
    """

    definition: Mapping[str, Any]
    text: str
    objects: Mapping[str, bytes]
    description: str
    advice: tuple[Problem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What is to be called, in order; nothing when the account has all of it."""

    pipeline_name: str
    exists: bool
    calls: tuple[Call, ...]
    changes: tuple[Difference, ...]

    @property
    def uploads(self) -> tuple[Call, ...]:
        return tuple(call for call in self.calls if call.service == "s3")

    def describe_objects(self, packed: Package) -> str:
        return f"Objects: {len(self.uploads)} written, {len(packed.objects) - len(self.uploads)} there already."

    def describe(self, region: str, packed: Package, version: int | None) -> str:
        """What the plan did, in words; `version` is the pipeline's that it made."""
        done = "is as it should be; nothing changed"
        if not self.exists:
            done = "created"
        elif any(call.method != "create_model" for call in self.calls[len(self.uploads) :]):
            done = "updated"
        done += "" if version is None else f", version {version}"
        lines = [f"Pipeline {self.pipeline_name} in {region}: {done}.", *(f"  {change}" for change in self.changes)]
        made = [call.request for call in self.calls if call.method == "create_model"]
        lines += (
            f"Model {one['ModelName']}: created of {one['PrimaryContainer']['ModelPackageName']}." for one in made
        )
        return "\n".join([*lines, self.describe_objects(packed)])


def package(settings: DeploySettings) -> Package:
    """Put everything together and check it, without an account. Raises ConfigError for what SageMaker would refuse."""
    located, objects = locate_objects(settings)
    definition = define(located, settings.defaults, parse_contract(objects[located.contract_uri]).request)
    found = lint(definition)
    refused = [problem for problem in found if problem.code not in advice_codes()]
    ConfigError.raise_any(refused)
    text = write_definition(definition)
    if _is_long(text):
        objects[definition_uri(settings, text)] = text.encode()
    code, contract = (_sha256(objects[uri])[:12] for uri in (located.code_uri, located.contract_uri))
    description = f"Weekly forecasts by batch transform. Code {code}, contract {contract}."
    return Package(definition=definition, text=text, objects=objects, description=description, advice=tuple(found))


def locate_objects(settings: DeploySettings) -> tuple[BuildSettings, dict[str, bytes]]:
    """The build settings with the places of code and contract, and what has to lie there, by URI."""
    code, contract = bundle(), read_file(settings.contract, "contract", "Name the file with --contract.")
    parse_contract(contract, where=str(settings.contract))
    prefix = join_uri(f"s3://{settings.bucket}", settings.prefix, "code")
    code_uri = join_uri(prefix, content_key(code))
    contract_uri = join_uri(prefix, _sha256(contract), "model.toml")
    located = settings.build.model_copy(update={"code_uri": code_uri, "contract_uri": contract_uri})
    return located, {code_uri: code, contract_uri: contract}


def plan_deployment(session: Session, settings: DeploySettings, packed: Package) -> Deployment:
    """Compare with the account and say what to call. Only reads.

    Reads: the pipeline, its tags where the settings have some, and each object: one with other bytes is written anew.
    """
    name = settings.build.pipeline_name
    current = deployed_pipeline(session, name)
    wanted = {"Definition": packed.definition, "RoleArn": settings.pipeline_role_arn, "Description": packed.description}
    changes: tuple[Difference, ...] = ()
    if current:
        definition, description = json.loads(current["PipelineDefinition"]), current.get("PipelineDescription", "")
        was = {"Definition": definition, "RoleArn": current["RoleArn"], "Description": description}
        changes = tuple(differences(was, wanted))
    missing = {uri: data for uri, data in packed.objects.items() if not _is_there(session, uri, data)}
    puts = [put_request(settings, uri, data) for uri, data in missing.items()]
    calls = [Call(service="s3", method="put_object", request=put) for put in puts]
    if settings.model and described_model(session, settings.model["ModelName"]) is None:
        calls.append(Call(service="sagemaker", method="create_model", request=settings.model))
    pipeline = _pipeline_request(settings, packed)
    if current is None:
        pipeline |= given_members(Tags=tag_list(settings.build.tags))
        calls.append(Call(service="sagemaker", method="create_pipeline", request=pipeline))
    else:
        if changes:
            calls.append(Call(service="sagemaker", method="update_pipeline", request=pipeline))
        calls += _retag(session, settings, current["PipelineArn"])
    return Deployment(pipeline_name=name, exists=current is not None, calls=tuple(calls), changes=changes)


def apply(session: Session, deployment: Deployment) -> int | None:
    """Make the calls of the plan: objects first, so that no definition names what is not there.

    The version of the pipeline that this made; None where it made none.
    """
    version = None
    for call in deployment.calls:
        try:
            answer = getattr(session.client(call.service), call.method)(**call.request)
        except ConfigError as error:
            raise _with_run_conditions(call, error) from error
        if call.method in ("create_pipeline", "update_pipeline"):
            version = answer.get("PipelineVersionId", None if deployment.exists else 1)
    return version


def restore_version(session: Session, name: str, version: int | None = None) -> tuple[int, int | None]:
    """Give the pipeline an earlier definition again, by default the one before the latest; which, and the version that
    this made. Code and contract lie where they lay: each definition names them by their digest.

    Raises ConfigError where there is no such version.
    """
    client = session.client("sagemaker")
    if version is None:
        listed = client.list_pipeline_versions(PipelineName=name, MaxResults=2)["PipelineVersionSummaries"]
        if len(listed) < 2:
            what = f"pipeline {name} has one version, and none before it."
            raise ConfigError(Problem("pipeline_version", what, "--code", "Deploy what you want it to be."))
        version = int(listed[1]["PipelineVersionId"])
    text = client.describe_pipeline(PipelineName=name, PipelineVersionId=version)["PipelineDefinition"]
    return version, client.update_pipeline(PipelineName=name, PipelineDefinition=text).get("PipelineVersionId")


def _with_run_conditions(call: Call, error: ConfigError) -> ConfigError:
    """Run conditions are known from the SDK alone: where a definition is refused, say how to do without."""
    if error_code(error) != "ValidationException" or '"Trigger"' not in str(call.request.get("PipelineDefinition")):
        return error
    what = "the definition has run conditions (Trigger), which an account may refuse."
    return ConfigError(*error.problems, Problem("run_conditions", what, remedy="Deploy with --no-run-conditions."))


def put_request(settings: DeploySettings, uri: str, data: bytes) -> dict[str, Any]:
    """PutObject's request, with the key of the settings where they name one."""
    bucket, name = split_uri(uri)
    key = settings.build.output_kms_key
    encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key} if key else {}
    return {"Bucket": bucket, "Key": name, "Body": data, **encryption}


def _is_there(session: Session, uri: str, data: bytes) -> bool:
    """Whether the object has these bytes: its name says so, but whoever may write there can put others under it."""
    try:
        return session.store.read(uri) == data
    except ObjectMissingError:
        return False
    except ServiceError as error:
        # S3 says 403 instead of 404 to who may not list the bucket; writing will tell which it was.
        if error.problems[0].code != "s3" or ("403" not in str(error) and "AccessDenied" not in str(error)):
            raise
        return False


def _pipeline_request(settings: DeploySettings, packed: Package) -> dict[str, Any]:
    body: dict[str, Any] = {"PipelineDefinition": packed.text}
    if _is_long(packed.text):
        bucket, key = split_uri(definition_uri(settings, packed.text))
        body = {"PipelineDefinitionS3Location": {"Bucket": bucket, "ObjectKey": key}}
    return {
        "PipelineName": settings.build.pipeline_name,
        **body,
        "PipelineDescription": packed.description,
        "RoleArn": settings.pipeline_role_arn,
    }


def _retag(session: Session, settings: DeploySettings, arn: str) -> Iterator[Call]:
    """Tags to add or change; tags that others have put on the pipeline are left alone."""
    if not settings.build.tags:
        return
    found = [tag for page in pages(session.client("sagemaker").list_tags, ResourceArn=arn) for tag in page["Tags"]]
    other = [tag for tag in tag_list(settings.build.tags) if tag not in found]
    if other:
        yield Call(service="sagemaker", method="add_tags", request={"ResourceArn": arn, "Tags": other})


def definition_uri(settings: DeploySettings, text: str) -> str:
    """Where a definition lies that is too long to be sent."""
    return join_uri(f"s3://{settings.bucket}", settings.prefix, "definitions", f"{_sha256(text.encode())}.json")


def _is_long(text: str) -> bool:
    return len(text.encode()) > _MAX_INLINE_BYTES


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def pipeline_template(settings: DeploySettings, packed: Package) -> dict[str, Any]:
    """The pipeline as a CloudFormation template, for teams that deploy with templates, CDK or Terraform.

    Each parameter without a default is a parameter of the template, and so is the pipeline's role; what the settings
    say are their defaults. The objects that the definition names are not in it: `deploy --no-pipeline` writes them.
    """
    help_of = {one.name: one.help for one in declared_parameters() if one.default is None}
    known = {one["Name"]: one.get("DefaultValue") for one in packed.definition["Parameters"] if one["Name"] in help_of}
    parameters = {name: _parameter(help_of[name], value) for name, value in known.items()}
    parameters["PipelineRoleArn"] = _parameter("Role that starts the jobs.", settings.pipeline_role_arn)
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": packed.description,
        "Parameters": parameters,
        "Resources": {
            "Pipeline": {
                "Type": "AWS::SageMaker::Pipeline",
                "Properties": {
                    "PipelineName": settings.build.pipeline_name,
                    "PipelineDescription": packed.description,
                    "PipelineDefinition": {"PipelineDefinitionBody": {"Fn::Sub": _body(packed.definition, known)}},
                    "RoleArn": {"Ref": "PipelineRoleArn"},
                    **given_members(Tags=tag_list(settings.build.tags)),
                },
            }
        },
        "Outputs": {"PipelineName": {"Value": {"Ref": "Pipeline"}}},
    }


def _parameter(help_text: str, default: str | None) -> dict[str, str]:
    return {"Type": "String", "Description": help_text} | ({"Default": default} if default else {})


def _body(definition: Mapping[str, Any], replaced: Mapping[str, Any]) -> str:
    """The definition as one line, in which `${Name}` stands for the default of each of `replaced`."""
    literal = json.loads(json.dumps(definition).replace("${", "${!"))
    for one in literal["Parameters"]:
        if one["Name"] in replaced:
            one["DefaultValue"] = f"${{{one['Name']}}}"
    return json.dumps(literal)
