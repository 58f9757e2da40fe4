"""The entry of the processing container: `python3 app.pyz <step> --flags…`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version

from steps.container import ContainerPaths
from steps.errors import BatchcastError, ConfigError, Problem

__all__ = ["MINIMUM_VERSIONS", "STEPS", "main"]

MINIMUM_VERSIONS = {"python": (3, 11), "pandas": (2, 2), "pyarrow": (17, 0)}
STEPS = ("build_shards", "validate_and_publish")
_MESSAGE_BYTES = 1000  # The service shows the first kilobyte.


def main(argv: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> int:
    """Run the step; its exit code. An error is written to stderr and to the file the service shows as ExitMessage."""
    environ = os.environ if environ is None else environ
    try:
        step, arguments = _step(sys.argv[1:] if argv is None else argv)
        _check_versions()
        step(arguments, environ)
    except BatchcastError as error:
        _leave_message(str(error), ContainerPaths.from_environment(environ))
        return error.exit_code
    except Exception as error:
        _leave_message(f"bug in batchcast: {type(error).__name__}: {error}", ContainerPaths.from_environment(environ))
        raise
    return 0


def _step(argv: Sequence[str]) -> tuple[Callable[[Sequence[str], Mapping[str, str]], None], Sequence[str]]:
    name = argv[0] if argv else ""
    match name:
        case "build_shards":
            from steps.build_shards import main as step
        case "validate_and_publish":
            from steps.validate_and_publish import main as step
        case _:
            what = f"there is no step {name!r}."
            raise ConfigError(Problem("step", what, remedy=f"The steps are {', '.join(STEPS)}."))
    return step, argv[1:]


def _check_versions() -> None:
    problems = []
    for package, minimum in MINIMUM_VERSIONS.items():
        found = _version(package)
        if found < minimum:
            there = ".".join(map(str, found)) or "missing"
            what = f"{package} is {there}; the steps need {'.'.join(map(str, minimum))} or later."
            problems.append(Problem("version", what, remedy="Use a newer processing image."))
    if problems:
        raise ConfigError(*problems)


def _version(package: str) -> tuple[int, ...]:
    if package == "python":
        return sys.version_info[:2]
    try:
        return tuple(int(part) for part in version(package).split(".")[:2])
    except PackageNotFoundError:
        return ()


def _leave_message(message: str, paths: ContainerPaths) -> None:
    sys.stderr.write(f"{message}\n")
    paths.message.parent.mkdir(parents=True, exist_ok=True)
    cut = message.encode()[:_MESSAGE_BYTES].decode(errors="ignore")
    paths.message.write_text(cut, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
