"""Build settings: what is fixed when the pipeline is compiled, as opposed to the parameters of a run; and the code.

The processing image is the scikit-learn image of the region, which has the pandas and pyarrow that the steps need. With
`build_engine = "spark"` BuildShards runs in the Spark image on any number of instances; that image has no pyarrow.

The code of the processing steps is one zip application, the same bytes on every machine. Same bytes, same SHA-256: the
bundle is stored under its digest, and an unchanged pipeline compiles to an unchanged definition.
"""

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

import batchcast.steps
from batchcast.steps.arguments import SPARK
from batchcast.steps.container import ContainerPaths
from batchcast.steps.errors import ConfigError, Problem, did_you_mean

# Starts the bundle argv[1] if argv[2] is its SHA-256; its own code cannot vouch for itself.
# One line, for the service's pattern of an entrypoint knows no other.
VERIFIED_START = (
    "import hashlib as h,runpy,sys;p,d=sys.argv[1:3];del sys.argv[1:3];"
    'm="ConfigError [code] not the deployed code";'
    'h.sha256(open(p,"rb").read()).hexdigest()==d or(open("/opt/ml/output/message","w").write(m),sys.exit(m));'
    'runpy.run_path(p,run_name="__main__")'
)

BUILD_STEP, PACKAGES = "BuildShards", "packages"
"""The step that may run on Spark, and its input with what the image lacks."""
RoleArn = Annotated[str, Field(pattern=r"^arn:aws[a-z\-]*:iam::\d{12}:role/[a-zA-Z_0-9+=,.@\-_/]+$")]
CodeUri = Annotated[str, Field(pattern=r"^s3://[^/\s]+/(\S+/)?app\.pyz$", max_length=1024)]
ContractUri = Annotated[str, Field(pattern=r"^s3://[^/\s]+/(\S+/)?model\.toml$", max_length=1024)]
Image = Annotated[str, Field(pattern=r"^\S{1,255}$")]
Identifier = Annotated[str, Field(pattern=r"^[-0-9a-zA-Z]{1,32}$")]
KmsKey = Annotated[str, Field(pattern=r"^[a-zA-Z0-9:/_-]{1,2048}$")]

_TAG_TEXT = r"^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$"
TagKey = Annotated[str, Field(pattern=_TAG_TEXT, min_length=1, max_length=128)]
TagValue = Annotated[str, Field(pattern=_TAG_TEXT, max_length=256)]
VariableName = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]{0,1023}$")]
VariableValue = Annotated[str, Field(max_length=10_240)]

_Model = TypeVar("_Model", bound=BaseModel)


class BuildSettings(BaseModel):
    """Settings of one compiled definition. The defaults are those of the committed `pipeline.json`.

    They name no real account: a local run puts the bundle at `code_uri` and runs the definition as it is.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    pipeline_name: str = Field(default="batchcast", pattern=r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,255}$")
    processing_role_arn: RoleArn = "arn:aws:iam::000000000000:role/batchcast"
    code_uri: CodeUri = "s3://batchcast/code/app.pyz"
    contract_uri: ContractUri = "s3://batchcast/code/model.toml"
    image_uri: Image = "000000000000.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"
    build_engine: Literal["processes", "spark"] = "processes"
    build_instance_count: Annotated[int, Field(ge=1, le=100)] = 1
    spark_image_uri: Image = "000000000000.dkr.ecr.us-east-1.amazonaws.com/sagemaker-spark-processing:3.5-cpu-py312"
    spark_packages_uri: Annotated[str, Field(pattern=r"^s3://[^/\s]+/\S*$", max_length=1024)] | None = None
    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")] | None = None
    volume_size_in_gb: Annotated[int, Field(ge=1, le=16384)] = 200
    max_runtime_in_seconds: Annotated[int, Field(ge=1, le=777_600)] = 14_400
    volume_kms_key: KmsKey | None = None
    output_kms_key: KmsKey | None = None
    subnets: Annotated[tuple[Identifier, ...], Field(max_length=16)] = ()
    security_group_ids: Annotated[tuple[Identifier, ...], Field(max_length=5)] = ()
    isolated_steps: tuple[str, ...] = ()
    encrypt_inter_container_traffic: bool = False
    transform_environment: Mapping[VariableName, VariableValue] = Field(default_factory=dict, max_length=16)
    transform_ami_version: Annotated[str, Field(pattern=r"^[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*$", max_length=63)] | None = None
    data_capture_uri: Annotated[str, Field(pattern=r"^s3://[^/\s]+(/\S*)?$", max_length=512)] | None = None
    tags: Mapping[TagKey, TagValue] = Field(default_factory=dict, max_length=50)
    run_conditions: bool = True

    @model_validator(mode="after")
    def _settings_agree(self) -> Self:
        ConfigError.raise_any([*_network_problems(self), *_spark_problems(self)])
        return self

    @property
    def vpc(self) -> dict[str, list[str]]:
        """The network as requests have it, empty where none is set."""
        members = {"SecurityGroupIds": list(self.security_group_ids), "Subnets": list(self.subnets)}
        return members if self.subnets else {}

    @property
    def entrypoint(self) -> list[str]:
        """What a processing container starts: the bundle, where its digest is known only if it has that digest.

        A string of an entrypoint has at most 256 characters (API reference, ContainerEntrypoint).
        """
        bundle = str(ContainerPaths().input("code") / "app.pyz")
        digest = re.fullmatch(r"s3://.*/([0-9a-f]{64})/app\.pyz", self.code_uri)
        return ["python3", "-c", VERIFIED_START, bundle, digest[1]] if digest else ["python3", bundle]

    def processing_environment(self, step: str) -> dict[str, str]:
        """What a processing container does not get by itself: boto3 finds no region in it but this one, and Python in
        the Spark image no pyarrow."""
        environment = {"AWS_DEFAULT_REGION": self.region} if self.region else {}
        if self.packages(step):
            environment["PYTHONPATH"] = str(ContainerPaths().input(PACKAGES))
        return environment

    def packages(self, step: str) -> dict[str, str]:
        """The input with the packages that the step's image does not have."""
        wanted = step == BUILD_STEP and self.spark_packages_uri is not None
        return {PACKAGES: str(self.spark_packages_uri)} if wanted else {}

    def container(self, step: str) -> tuple[str, int]:
        on_spark = step == BUILD_STEP and self.build_engine == SPARK
        return (self.spark_image_uri, self.build_instance_count) if on_spark else (self.image_uri, 1)


def read_settings(values: Mapping[str, Any]) -> BuildSettings:
    """The settings from a table of values, as a TOML file or the command line has them. Raises ConfigError."""
    return validated(BuildSettings, values, _problem)


def validated(model: type[_Model], values: Mapping[str, Any], problem: Callable[[Any], Problem]) -> _Model:
    """The model of these values. Raises ConfigError with the problem that each of pydantic's errors is."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problems = [problem(one) for one in error.errors(include_url=False)]
    raise ConfigError(*problems)


def _network_problems(settings: BuildSettings) -> Iterator[Problem]:
    if bool(settings.subnets) != bool(settings.security_group_ids):
        what = f"{len(settings.subnets)} subnets and {len(settings.security_group_ids)} security groups."
        yield Problem("setting", what, "subnets", "A VPC configuration needs at least one of each.")
    for step in settings.isolated_steps:
        what = f"{step} cannot run without a network."
        if step.startswith("ValidateAndPublish"):
            what = f"{step} writes the published data and moves the pointer itself, which an isolated container cannot."
        if step.startswith("Transform"):
            what = f"{step} has no network setting: a transform job takes it from the model."
        if step != BUILD_STEP:
            remedy = "Isolate BuildShards only, and give the others subnets with an S3 gateway endpoint."
            yield Problem("setting", what, "isolated_steps", remedy)


def _spark_problems(settings: BuildSettings) -> Iterator[Problem]:
    if settings.build_engine != SPARK:
        for name in ("build_instance_count", "spark_packages_uri"):
            if getattr(settings, name) != BuildSettings.model_fields[name].default:
                yield Problem("setting", "is of build_engine spark alone.", name, "Set build_engine, or leave it out.")
        return
    if BUILD_STEP in settings.isolated_steps:
        what = "the hosts of Spark talk to one another, which isolated containers cannot."
        yield Problem("setting", what, "isolated_steps", "Give subnets with an S3 gateway endpoint instead.")
    if "/sagemaker-spark-processing:" in settings.spark_image_uri and settings.spark_packages_uri is None:
        what = "the Spark image of SageMaker has no pyarrow, which Spark and the steps need."
        remedy = "Name a prefix with pyarrow for Python 3.12 (docs/on-aws.md), or an image that has it."
        yield Problem("setting", what, "spark_packages_uri", remedy)


def _problem(one: Any) -> Problem:
    where = ".".join(str(part) for part in one["loc"])
    if one["type"] == "extra_forbidden":
        known = ", ".join(BuildSettings.model_fields)
        return Problem("setting", "there is no such setting.", where, f"Known are: {known}.")
    return Problem("setting", f"{one['input']!r}: {one['msg']}.", where)


DEFAULTS = BuildSettings()


def image_of(region: str, table_name: str = "processing_images") -> str:
    """The image's URI by that table. Raises ConfigError for a region it does not have."""
    table = json.loads(Path(__file__).with_name(f"{table_name}.json").read_text(encoding="utf-8"))
    registry = table["registries"].get(region)
    if registry is None:
        near = did_you_mean(region, table["registries"])
        hint = f"{near} Else give" if near else "Give"
        what = f"no processing image is known for {region!r}."
        raise ConfigError(Problem("image", what, "--image-uri", f"{hint} --image-uri."))
    domain = next((name for prefix, name in table["domains"].items() if region.startswith(prefix)), "amazonaws.com")
    return f"{registry}.dkr.ecr.{region}.{domain}/{table['repository']}:{table['tag']}"


_ENTRY = b"""import sys

from batchcast.steps.__main__ import main

sys.exit(main())
"""
_SKIPPED_SUFFIXES = {".pyc", ".pyo"}
# The earliest date a zip file can hold.
_NO_DATE = (1980, 1, 1, 0, 0, 0)
_UNIX, _REGULAR_FILE_READABLE = 3, 0o100644


def bundle(package: Path | None = None) -> bytes:
    """The bytes of `app.pyz`: the package `batchcast.steps`, or a directory in its place, and the package above it.

    Stored, not deflated: what deflate makes of a file differs between versions of zlib.
    """
    root = package or Path(batchcast.steps.__file__).parent
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, "__main__.py", _ENTRY)
        _add(archive, "batchcast/__init__.py", Path(batchcast.__file__).read_bytes())
        for name, path in sorted(_files(root)):
            _add(archive, f"batchcast/steps/{name}", path.read_bytes())
    return buffer.getvalue()


def content_key(data: bytes) -> str:
    """Where the bundle lies below the code prefix: another content has another key."""
    return f"{hashlib.sha256(data).hexdigest()}/app.pyz"


def _files(root: Path) -> Iterator[tuple[str, Path]]:
    for path in root.rglob("*"):
        name = path.relative_to(root)
        hidden = any(part.startswith(".") or part == "__pycache__" for part in name.parts)
        if path.is_file() and not hidden and path.suffix not in _SKIPPED_SUFFIXES:
            yield name.as_posix(), path


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    entry = zipfile.ZipInfo(name, date_time=_NO_DATE)
    entry.create_system = _UNIX
    entry.external_attr = _REGULAR_FILE_READABLE << 16
    archive.writestr(entry, data)


def given_members(**members: Any) -> dict[str, Any]:
    """The members that have a value: what is not set is not in a request."""
    return {name: value for name, value in members.items() if value}


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
