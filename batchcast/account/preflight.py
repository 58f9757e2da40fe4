"""What would stop a run, found before it is paid for: the account is read, nothing in it is changed."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from batchcast.account.model_package import described_model, newest_approved, packages_of
from batchcast.account.roles import Access, denied
from batchcast.account.volume import check_volume
from batchcast.pipelines.parameters import Parameters
from batchcast.pipelines.requests import walk_steps
from batchcast.runs.start import find_holder, in_the_way, list_runs, pointer_problem
from batchcast.session.finding import Finding, Line
from batchcast.session.service_errors import answer_or_none
from batchcast.session.session import Session, pages
from batchcast.steps.errors import ConfigError, DataError, ServiceError
from batchcast.steps.store.objects import join_uri, split_uri

# Says in words what a run costs and takes; raises ConfigError for what it lacks. The planner's, or anybody's.
Estimate = Callable[[Parameters], str]
_LISTED_OBJECTS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """What is looked at: the run as it would be started, with the deployed definition."""

    session: Session
    pipeline_name: str
    values: Parameters
    jobs: tuple[Mapping[str, Any], ...]
    estimate: Estimate
    items: int | None


def preflight(
    session: Session, pipeline: Mapping[str, Any], values: Parameters, estimate: Estimate, items: int | None = None
) -> Iterator[Finding]:
    """The findings, check by check. `pipeline` is DescribePipeline's answer, `items` the number of records if known.

    What cannot be looked at, often because this identity may not, is a warning that it was not checked. Raises
    ServiceError when AWS cannot be reached. About 40 API calls, most of them for the list of quotas.
    """
    steps = walk_steps(json.loads(pipeline["PipelineDefinition"])["Steps"])
    jobs = tuple(step["Arguments"] for step in steps if step["Type"] in ("Processing", "Transform"))
    name = pipeline["PipelineName"]
    run = _Run(session=session, pipeline_name=name, values=values, jobs=jobs, estimate=estimate, items=items)
    for check in _CHECKS:
        name = check.__name__.strip("_").replace("_", " ")
        try:
            for level, what, remedy in check(run):
                yield Finding(check=name, level=level, what=what, remedy=remedy)
        except (ConfigError, ServiceError) as error:
            problem = error.problems[0]
            if isinstance(error, ServiceError) and problem.code != "s3":
                raise
            yield Finding(check=name, level="warning", what=f"not checked: {problem.what}", remedy=problem.remedy)
        except DataError as error:
            problem = error.problems[0]
            yield Finding(check=name, level="error", what=f"{problem.where}: {problem.what}", remedy=problem.remedy)


def _model(run: _Run) -> Iterator[Line]:
    name, model = run.values.model_name, described_model(run.session, run.values.model_name)
    if model is None:
        yield "error", f"there is no model {name} in {run.session.region}.", "Give -p ModelName=…, or create the model."
        return
    containers = [*(model.get("Containers") or [model.get("PrimaryContainer", {})])]
    for package in packages_of(run.session, model):
        yield _package(run, name, package)
        containers += package.get("InferenceSpecification", {}).get("Containers", [])
    if any("ModelDataSource" in one for one in containers):
        what = f"{name} has its artefact in ModelDataSource, which Batch Transform does not take."
        yield "error", what, "Create a model of a model.tar.gz in ModelDataUrl."
    elif not any("ModelDataUrl" in one for one in containers):
        yield "warning", f"{name} has no ModelDataUrl.", "That is right where the image brings the model with it."
    else:
        yield "ok", f"{name} exists and has a ModelDataUrl.", ""


def _package(run: _Run, name: str, package: Mapping[str, Any]) -> Line:
    """Which version of the registry it is, how it stands there, and whether a newer one is approved."""
    group, version, status = (
        package.get(each, "") for each in ("ModelPackageGroupName", "ModelPackageVersion", "ModelApprovalStatus")
    )
    what = f"{name} is version {version} of {group or package['ModelPackageName']}, {status}."
    newest = newest_approved(run.session, group) if group else None
    if newest and newest["ModelPackageVersion"] != version:
        newer = f"{what} The newest approved is {newest['ModelPackageVersion']}."
        return "warning", newer, "`deploy --model-package-group` takes that."
    return ("warning" if status == "Rejected" else "ok"), what, ""


def _model_role(run: _Run) -> Iterator[Line]:
    """It is the model's role, not the pipeline's, that reads the records and writes the answers."""
    model = described_model(run.session, run.values.model_name)
    if model is None:
        yield "warning", "not checked: there is no model to have one.", "Name a model that exists."
        return
    runs = run.values.runs_uri
    wanted = [
        Access.on("s3:ListBucket", join_uri(runs, "run", "input", "r0") + "/"),
        Access.on("s3:GetObject", join_uri(runs, "run", "input", "r0", "part-00000.jsonl")),
        Access.on("s3:PutObject", join_uri(runs, "run", "output", "r0", "part-00000.jsonl.out")),
    ]
    yield from _access(run, model["ExecutionRoleArn"], wanted)


def _processing_role(run: _Run) -> Iterator[Line]:
    role = next(job["RoleArn"] for job in run.jobs if "RoleArn" in job)
    wanted = [
        Access.on("s3:ListBucket", run.values.history_uri),
        Access.on("s3:GetObject", join_uri(run.values.history_uri, "part.parquet")),
        Access.on("s3:GetObject", join_uri(run.values.runs_uri, "run", "output", "r0", "part-00000.jsonl.out")),
        Access.on("s3:PutObject", join_uri(run.values.runs_uri, "run", "input", "r0", "part-00000.jsonl")),
        Access.on("s3:PutObject", join_uri(run.values.publish_uri, "latest.json")),
    ]
    yield from _access(run, role, wanted)


def _access(run: _Run, role: str, wanted: list[Access]) -> Iterator[Line]:
    keys = [_described(run, key)["Arn"] for key in _output_keys(run)]
    wanted += [Access(action=f"kms:{one}", resource=key) for key in keys for one in ("Decrypt", "GenerateDataKey")]
    refused = denied(run.session, role, wanted)
    for one in refused:
        what = f"{role} may not {one.action} {one.resource}."
        yield "error", what, "Add the statement to its policy; infra/batchcast.yaml has it."
    if not refused:
        yield "ok", f"{role} may do all that it needs, by its own policies.", ""


def _keys(run: _Run) -> Iterator[Line]:
    keys = {*_output_keys(run), *_named(run.jobs, "VolumeKmsKeyId")}
    for key in sorted(keys):
        found = _described(run, key)
        if found["KeyState"] == "Enabled":
            yield "ok", f"{key} is enabled.", ""
        else:
            yield "error", f"{key} is {found['KeyState']}.", "Enable it, or deploy with another."
    if not keys:
        yield "ok", "no key of your own is used.", ""


def _buckets(run: _Run) -> Iterator[Line]:
    values, region = run.values, run.session.region
    for bucket in dict.fromkeys(split_uri(uri)[0] for uri in (values.history_uri, values.runs_uri, values.publish_uri)):
        found = answer_or_none(run.session.client("s3").head_bucket, "404", Bucket=bucket)
        if found is None:
            yield "error", f"there is no bucket {bucket}.", "Create it, or correct the parameter."
        elif found["BucketRegion"] == region:
            yield "ok", f"{bucket} is in {region}.", ""
        else:
            what = f"{bucket} is in {found['BucketRegion']}; jobs in {region} cannot use it."
            yield "error", what, "Use a bucket of the same region."


def _history(run: _Run) -> Iterator[Line]:
    uri = run.values.history_uri
    objects = list(islice(run.session.store.list(uri), _LISTED_OBJECTS))
    files = [one for one in objects if one.uri.endswith(".parquet")]
    more = " or more" if len(objects) == _LISTED_OBJECTS else ""
    if not files:
        found = f"{len(objects)}{more} objects, none of them .parquet" if objects else "no objects"
        yield "error", f"{uri} has {found}.", "Name the prefix of the history."
    else:
        size = sum(one.size for one in files)
        yield "ok", f"{len(files):,}{more} Parquet files, {size / 1e6:,.1f} MB{more}.", ""
        yield from check_volume(run.session, run.jobs, run.values, size, run.items)


def _quotas(run: _Run) -> Iterator[Line]:
    values = run.values
    wanted = {
        f"{values.transform_instance_type} for transform job usage": values.transform_instance_count,
        f"{values.processing_instance_type} for processing job usage": 1,
    }
    client = run.session.client("service-quotas")
    own: dict[str, int] = {}
    with suppress(ConfigError):  # this identity may not ask for the account's own
        own = _quota_values(client.list_service_quotas)
    defaults = {} if wanted.keys() <= own.keys() else _quota_values(client.list_aws_default_service_quotas)
    for name, count in wanted.items():
        allowed = own.get(name, defaults.get(name))
        has = f"{name}: {count} are needed, {'the account has' if name in own else 'the default of AWS is'} {allowed}."
        if allowed is None:
            yield "warning", f"there is no quota {name!r} in the list.", "Look it up in Service Quotas."
        elif allowed < count:
            yield "error", has, "Ask for more in Service Quotas, or use fewer instances."
        else:
            yield "ok", has, ""


def _quota_values(listing: Callable[..., Any]) -> dict[str, int]:
    found = pages(listing, ServiceCode="sagemaker", MaxResults=100)
    return {one["QuotaName"]: int(one["Value"]) for page in found for one in page["Quotas"]}


def _other_runs(run: _Run) -> Iterator[Line]:
    runs = list_runs(run.session.client("sagemaker"), run.pipeline_name, 20)
    going = [one.run_id for one in runs if one.status in ("Executing", "Stopping")]
    if going:
        what = f"going on: {', '.join(going)}."
        yield "warning", what, "`wait` for it; runs share the quota of instances."
    else:
        yield "ok", "no other run is going on.", ""


def _lock(run: _Run) -> Iterator[Line]:
    holder = find_holder(run.session, run.pipeline_name, run.values.publish_uri)
    if holder is None:
        yield "ok", "no run has the publish prefix for itself.", ""
    elif holder.ended:
        what = f"run {holder.lock.run_id} ended {holder.status} without giving it back."
        yield "warning", what, "`start` frees it; a run started in another way waits for its end."
    else:
        problem = in_the_way(holder, run.pipeline_name, run.values.publish_uri).problems[0]
        yield "error", problem.what, problem.remedy


def _published(run: _Run) -> Iterator[Line]:
    values = run.values
    found = pointer_problem(run.session.store, values.publish_uri, values.run_date, datetime.now(UTC).date())
    if found is None:
        yield "ok", "nothing keeps latest.json from naming the run.", ""
    else:
        yield "warning", f"{found.where}: {found.what}", found.remedy


def _estimate(run: _Run) -> Iterator[Line]:
    try:
        found = run.estimate(run.values)
    except ConfigError as error:
        for problem in error.problems:
            yield "warning", f"not estimated: {problem.where}: {problem.what}", problem.remedy
        return
    yield "ok", found, ""


_CHECKS: Sequence[Callable[[_Run], Iterator[Line]]] = (
    *(_model, _model_role, _processing_role, _keys, _buckets, _history, _quotas),
    *(_other_runs, _lock, _published, _estimate),
)


def _output_keys(run: _Run) -> list[str]:
    return sorted(set(_named(run.jobs, "KmsKeyId")))


def _described(run: _Run, key: str) -> dict[str, Any]:
    """The key's metadata; an alias or an id is as good as an ARN."""
    return dict(run.session.client("kms").describe_key(KeyId=key)["KeyMetadata"])


def _named(value: Any, name: str) -> Iterator[str]:
    """Every text under that member name, at any depth."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key == name and isinstance(item, str):
                yield item
            else:
                yield from _named(item, name)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _named(item, name)
