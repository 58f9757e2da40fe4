"""What of this machine would stop a user, looked at without a network unless an account is asked for."""

import importlib.metadata
import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from batchcast.local.sample import SAMPLE
from batchcast.session.finding import Finding, Line

_PYTHONS = ((3, 11), (3, 12))
# What the commands need; the floors of pyproject.toml, which a test compares.
FLOORS: Mapping[str, tuple[int, ...]] = {
    "boto3": (1, 43),
    "click": (8, 2),
    "numpy": (1, 26),
    "pandas": (2, 2),
    "pyarrow": (17,),
    "pydantic": (2, 11),
    "rich": (14,),
}
_CEILINGS: Mapping[str, tuple[int, ...]] = {"pandas": (3, 2), "pyarrow": (26,)}
_SDK_FLOOR, _SDK_CEILING = (3, 12), (4,)
# SageMaker Studio writes it (developer guide, "Get Studio app metadata", 2026).
_STUDIO_METADATA = Path("/opt/ml/metadata/resource-metadata.json")
_WRONG_CONFIGURATION = "Correct ~/.aws/config, or unset AWS_PROFILE."
_LEAST_FREE_GB = 1.0
_LEAST_FILES = 1024


def examine(
    environ: Mapping[str, str] = os.environ, folder: Path | None = None, *, call_aws: bool = False
) -> Iterator[Finding]:
    """Line by line. `folder` is where runs would be kept; with `call_aws` the credentials are tried by one call."""
    where = folder or Path.cwd()
    checks: dict[str, Callable[[], Line]] = {
        "python": _python,
        "libraries": _libraries,
        "SageMaker SDK": _sdk,
        "sample": _sample,
        "folder": lambda: _folder(where),
        "open files": _open_files,
        "Studio": lambda: ("ok", f"this is {'' if _STUDIO_METADATA.exists() else 'not '}SageMaker Studio", ""),
        "browser": lambda: _browser(environ),
        "region": lambda: _region(environ),
        "credentials": lambda: _credentials(environ, call_aws),
    }
    for name, look in checks.items():
        level, what, remedy = look()
        yield Finding(check=name, level=level, what=what, remedy=remedy)


def _python() -> Line:
    version = sys.version_info[:2]
    text = f"Python {sys.version.split()[0]} at {sys.executable}"
    if version < _PYTHONS[0]:
        return "error", f"{text}; 3.11 or 3.12 is needed.", "Install Python 3.11, then `make run PYTHON=python3.11`."
    if version > _PYTHONS[-1]:
        return "warning", f"{text}; tested are 3.11 and 3.12.", ""
    return "ok", text, ""


def _libraries() -> Line:
    wrong = [text for name in FLOORS if (text := _wrong_version(name, FLOORS[name], _CEILINGS.get(name)))]
    if wrong:
        remedy = "Use the environment that `make run` makes: .venv/bin/python run_pipeline.py doctor."
        return "error", "; ".join(wrong) + ".", remedy
    return "ok", ", ".join(f"{name} {importlib.metadata.version(name)}" for name in FLOORS), ""


def _wrong_version(name: str, floor: tuple[int, ...], ceiling: tuple[int, ...] | None) -> str:
    found = _installed(name)
    if found is None:
        return f"{name} is missing"
    if found < floor:
        return f"{name} is {_dotted(found)}; {_dotted(floor)} or later is needed"
    if ceiling and found >= ceiling:
        return f"{name} is {_dotted(found)}; before {_dotted(ceiling)} is needed"
    return ""


def _installed(name: str) -> tuple[int, ...] | None:
    try:
        parts = importlib.metadata.version(name).split(".")[:2]
        return tuple(int(part) for part in parts)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return None


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _sdk() -> Line:
    found = _installed("sagemaker")
    if found is None:
        return "ok", "not installed; only get_pipeline() needs it.", ""
    if not _SDK_FLOOR <= found < _SDK_CEILING:
        what = f"sagemaker {_dotted(found)}; get_pipeline() needs {_dotted(_SDK_FLOOR)} up to {_dotted(_SDK_CEILING)}."
        return "warning", what, "Everything else works without it; else `pip install 'sagemaker>=3.12,<4'`."
    return "ok", f"sagemaker {importlib.metadata.version('sagemaker')}", ""


def _sample() -> Line:
    if not (SAMPLE / "history").is_dir():
        return "warning", f"the sample is not at {SAMPLE}.", "It is in the checkout, not in the wheel: clone it."
    if importlib.util.find_spec("lightgbm") is None:
        return "warning", "the sample is here, and lightgbm, which its model needs, is not.", "Run `make run`."
    return "ok", f"{SAMPLE}", ""


def _folder(folder: Path) -> Line:
    try:
        with tempfile.TemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free / 1e9
    except OSError as error:
        return "error", f"{folder} cannot be written: {error.strerror}.", "Go to a folder of your own, or --workspace."
    if free < _LEAST_FREE_GB:
        what = f"{free:.1f} GB are free in {folder}; a run of the sample needs {_LEAST_FREE_GB:.0f} GB."
        return "error", what, "`prune --workspace` removes old runs."
    return "ok", f"{folder}, {free:.0f} GB free", ""


def _open_files() -> Line:
    import resource

    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit < _LEAST_FILES:
        return "warning", f"{limit} files may be open at once; {_LEAST_FILES} are wise.", "`ulimit -n 4096`."
    return "ok", f"{limit} at once", ""


def _browser(environ: Mapping[str, str]) -> Line:
    shown = [name for name in ("BROWSER", "WAYLAND_DISPLAY", "DISPLAY") if environ.get(name)]
    if shown or sys.platform == "darwin":
        return "ok", "pages can be opened here", ""
    if _STUDIO_METADATA.exists():
        return "ok", "open report.html in JupyterLab's file browser, and trust it: its search needs a script", ""
    remedy = "Copy report.html to where there is one: it is one file and needs nothing else. --json says the same."
    return "warning", "no display, so no browser for the report and the page of `plan`.", remedy


def _region(environ: Mapping[str, str]) -> Line:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        if environ.get(name):
            return "ok", f"{environ[name]}, from {name}", ""
    region = _boto_session(environ, lambda session: session.get_config_variable("region"))
    if isinstance(region, Exception):
        return "error", f"{region}.", _WRONG_CONFIGURATION
    if region:
        return "ok", f"{region}, from the AWS configuration", ""
    return "warning", "no AWS region is set.", "Set AWS_REGION, or give --region. Nothing on this machine needs it."


def _credentials(environ: Mapping[str, str], call_aws: bool) -> Line:
    found = _boto_session(environ, lambda session: session.get_credentials())
    if isinstance(found, Exception):
        return "error", f"{found}.", _WRONG_CONFIGURATION
    if found is None:
        return (
            "warning",
            "no AWS credentials are found.",
            "`aws configure sso`, or work in Studio. A laptop needs none.",
        )
    if not call_aws:
        return "ok", f"found ({found.method}), not tried: --aws tries them", ""
    from batchcast.session.session import AwsSession
    from batchcast.steps.errors import BatchcastError

    try:
        identity = AwsSession().client("sts").get_caller_identity()
        return "ok", f"account {identity['Account']}, {identity['Arn']}", ""
    except BatchcastError as error:
        problem = error.problems[0]
        return "error", problem.what, problem.remedy or "Renew them."


def _boto_session(environ: Mapping[str, str], ask: Callable[[Any], Any]) -> Any:
    """What botocore finds without asking the network; the exception where its configuration is wrong."""
    if importlib.util.find_spec("botocore") is None:
        return None
    from botocore.exceptions import BotoCoreError
    from botocore.session import Session

    session = Session(profile=environ.get("AWS_PROFILE"))
    session.set_config_variable("metadata_service_num_attempts", 1)
    session.set_config_variable("metadata_service_timeout", 1)
    try:
        return ask(session)
    except BotoCoreError as error:
        return error
