"""The entry of the processing container: `python3 app.pyz <step> --flags…`."""

import errno
import gc
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version

from batchcast.steps.container import ContainerPaths
from batchcast.steps.errors import BatchcastError, ConfigError, Problem, ServiceError
from batchcast.steps.freed_memory import return_freed_memory
from batchcast.steps.no_pandas import refuse_pandas
from batchcast.steps.plain_text import plain_text

MINIMUM_VERSIONS = {"python": (3, 11), "numpy": (1, 26), "pyarrow": (17, 0)}
STEPS = ("build_shards", "validate_and_publish")
_MESSAGE_BYTES = 1000  # The service shows the first kilobyte.


def main(argv: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> int:
    """Run the step; its exit code. An error goes to stderr and to the file that the service shows as ExitMessage.

    A bug is raised: the interpreter prints its traceback and exits with 1. Without `argv` the process is its own.
    """
    environ = os.environ if environ is None else environ
    if argv is None:
        refuse_pandas()
        return_freed_memory()
    try:
        step, arguments = _step(sys.argv[1:] if argv is None else argv)
        if argv is None:
            gc.freeze()  # What was imported stays: to look through it again and again costs a tenth of reading.
        _check_versions()
        step(arguments, environ)
    except BatchcastError as error:
        return _fail(error, environ)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        problem = Problem("disk_full", f"{error}.", remedy="Give the processing job a larger volume.")
        return _fail(ServiceError(problem), environ)
    return 0


def _step(argv: Sequence[str]) -> tuple[Callable[[Sequence[str], Mapping[str, str]], None], Sequence[str]]:
    name = argv[0] if argv else ""
    match name:
        case "build_shards":
            from batchcast.steps.build_shards import main as step
        case "validate_and_publish":
            from batchcast.steps.validate_and_publish import main as step
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
    ConfigError.raise_any(problems)


def _version(package: str) -> tuple[int, ...]:
    if package == "python":
        return sys.version_info[:2]
    try:
        return tuple(int(part) for part in version(package).split(".")[:2])
    except PackageNotFoundError:
        return ()


def _fail(error: BatchcastError, environ: Mapping[str, str]) -> int:
    text = plain_text(str(error))
    sys.stderr.write(f"{text}\n")
    path = ContainerPaths.from_environment(environ).message
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode()[:_MESSAGE_BYTES].decode(errors="ignore").encode())
    return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
