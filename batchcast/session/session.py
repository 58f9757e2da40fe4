"""Where a command works: an AWS account, or a workspace on this machine that stands for one.

Both give clients with boto3's methods, so that every command has one code path.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from batchcast.engine.state import REGION
from batchcast.session.local_session import local_session
from batchcast.session.service_errors import TranslatingClient
from batchcast.session.workspace_models import LOCAL_START_SECONDS, MODELS_FILE, read_models
from batchcast.steps.errors import ConfigError, Problem
from batchcast.steps.store.objects import DirectoryStore, ObjectStore

if TYPE_CHECKING:
    import boto3

    from batchcast.engine.faults import FaultPlan

# What stands for the region in a workspace.
LOCAL_REGION = REGION
_LOCAL_POLL_SECONDS, _POLL_SECONDS = 0.05, 15.0
_DEFAULT_WORKSPACE = Path("workspace")
_NO_ACCOUNT = ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_EC2_METADATA_DISABLED", "AWS_CA_BUNDLE")
_Command = TypeVar("_Command", bound=Callable[..., Any])


class AwsSession:
    """boto3's clients, with the credentials and the region that boto3 finds. Raises ConfigError without a region."""

    def __init__(self, region: str | None = None, profile: str | None = None) -> None:
        self._profile = profile
        self._clients: dict[str, Any] = {}
        # AWS's newer tools and Lambda set AWS_REGION, boto3 reads AWS_DEFAULT_REGION alone.
        self.region = region or str(self._boto_session.region_name or os.environ.get("AWS_REGION", ""))
        if not self.region:
            remedy = "Give --region, or set AWS_REGION; `local` and --workspace DIR work without AWS."
            raise ConfigError(Problem("aws_settings", "no AWS region is set.", remedy=remedy))

    def client(self, service: str) -> Any:
        """A client with boto3's methods that raises batchcast's errors."""
        return TranslatingClient(self._client(service), service)

    @property
    def store(self) -> ObjectStore:
        from batchcast.steps.store.s3 import S3Store

        return S3Store(self._client("s3"))

    def renew(self) -> None:
        """Forget clients and credentials, so that the next call looks for new ones."""
        self._clients.clear()
        self.__dict__.pop("_boto_session", None)

    @cached_property
    def _boto_session(self) -> Any:
        import boto3
        from botocore.exceptions import ProfileNotFound

        try:
            return boto3.Session(profile_name=self._profile)
        except ProfileNotFound as error:
            remedy = "Name one of ~/.aws/config, or leave --profile out."
            raise ConfigError(Problem("aws_settings", f"{error}.", remedy=remedy)) from error

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            from botocore.config import Config

            config = Config(
                retries={"mode": "standard", "max_attempts": 8},
                connect_timeout=10,
                read_timeout=70,  # a model has 60 s to answer InvokeEndpoint (API reference)
                user_agent_extra="batchcast",
            )
            self._clients[service] = self._boto_session.client(service, region_name=self.region, config=config)
        return self._clients[service]


class WorkspaceSession:
    """The local engine in a workspace: `models.toml` in it says which server stands for which model.

    `faults` befall the requests of transform jobs, for rehearsals. `start_seconds` is how long a model server may
    take to answer its first ping.

    Executions run in the process that starts them, and go on in the next one that resumes them.
    """

    region = LOCAL_REGION

    def __init__(
        self, workspace: Path, *, faults: FaultPlan | None = None, start_seconds: float = LOCAL_START_SECONDS
    ) -> None:
        from batchcast.engine.client import LocalSageMaker
        from batchcast.engine.faults import FaultPlan
        from batchcast.engine.transform.plan import TransformOptions

        self.workspace = workspace.resolve()
        self.store = DirectoryStore(self.workspace / "s3")
        models = read_models(self.workspace)
        options = TransformOptions(start_seconds=start_seconds)
        self.engine = LocalSageMaker(self.workspace, models, self.store, faults or FaultPlan(), options=options)
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = self._boto_session.client(service)
        return TranslatingClient(self._clients[service], service)

    @cached_property
    def _boto_session(self) -> boto3.Session:
        return local_session(self.engine, LOCAL_REGION)

    def renew(self) -> None:
        """Nothing expires here."""

    def require_model(self, name: str) -> None:
        """Raises ConfigError when no server of the workspace stands for the model, before a run begins without one."""
        try:
            self.client("sagemaker").describe_model(ModelName=name)
        except ConfigError as error:
            path = self.workspace / MODELS_FILE
            remedy = f"Write [{name}] with its command or url into {path}, or name another model."
            raise ConfigError(Problem("no_model", f"no server stands for {name!r}.", "ModelName", remedy)) from error


Session = AwsSession | WorkspaceSession
"""Clients and objects of one account and region, or of one workspace."""


def open_session(workspace: Path | None = None, *, region: str | None = None, profile: str | None = None) -> Session:
    """The workspace if one is given, else AWS. Where nothing is given and no account is configured, `./workspace` is
    taken if `local` has made one, which stderr says. Raises ConfigError for what boto3 cannot work with."""
    if workspace:
        return WorkspaceSession(workspace)
    if not (region or profile or _account_is_configured()) and _DEFAULT_WORKSPACE.is_dir():
        click.echo(f"No AWS account is configured: working in ./{_DEFAULT_WORKSPACE}.", err=True)  # noqa: TID251
        return WorkspaceSession(_DEFAULT_WORKSPACE)
    return AwsSession(region, profile)


def _account_is_configured() -> bool:
    """Whether boto3 would find credentials or a region without asking a network."""
    if any(name.startswith("AWS_") and name not in _NO_ACCOUNT for name in os.environ):
        return True
    files = [
        Path(os.environ.get("AWS_CONFIG_FILE", "~/.aws/config")),
        Path(os.environ.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")),
        Path("/opt/ml/metadata/resource-metadata.json"),  # SageMaker Studio
    ]
    return any(path.expanduser().is_file() for path in files)


def pages(call: Callable[..., Any], *, mark: str = "NextToken", **request: Any) -> Iterator[Any]:
    """Every page of a listing; `mark` is what the operation calls the mark of the next page."""
    while True:
        page = call(**request)
        yield page
        if not page.get(mark):
            return
        request[mark] = page[mark]


def finished_transform_job(session: Session, request: Mapping[str, Any]) -> dict[str, Any]:
    """The job as it is described when it has ended."""
    client = session.client("sagemaker")
    client.create_transform_job(**request)
    while True:
        job: dict[str, Any] = client.describe_transform_job(TransformJobName=request["TransformJobName"])
        if job["TransformJobStatus"] in ("Completed", "Failed", "Stopped"):
            return job
        time.sleep(_LOCAL_POLL_SECONDS if session.region == LOCAL_REGION else _POLL_SECONDS)


def together(*options: Callable[[Any], Any]) -> Callable[[_Command], _Command]:
    """Several options as one decorator of a click command, in the order of the help."""

    def decorate(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


account_options = together(
    click.option("--region", help="The AWS region; else the one boto3 finds."),
    click.option("--profile", help="A profile of ~/.aws/config."),
)
session_options = together(
    click.option(
        "--workspace",
        type=click.Path(path_type=Path, file_okay=False),
        help="Work in this directory with the local engine not on AWS. Default without an account: ./workspace.",
    ),
    account_options,
)
