"""`make mutants`: change five modules that decide, one small change at a time, and count the changes a test notices.

Each mutant is a process that is forked from one in which pytest and the large libraries are loaded already; it has the
changed module in place of the real one, and ends with the first test that fails. `python tests/mutation/mutants.py
[--module NAME]… [--each N] [--seed S]`: N mutants of each module, drawn by the seed, 0 for all of them.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import os
import random
import resource
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from mutations import Mutant, mutants

ROOT = Path(__file__).resolve().parents[2]
LEAST_KILLED_PERCENT = 90
CPU_SECONDS, SECONDS = 20, 300
"""A mutant that takes more of the processor, or waits for so long, is stuck: that is noticed as well."""
# module -> (its file, the tests that are to notice a change)
TARGETS = {
    "batchcast.steps.outcome.reconcile": (
        "steps/outcome/reconcile.py",
        ["tests/steps/test_reconcile.py"],
    ),
    "batchcast.steps.outcome.decision": ("steps/outcome/decision.py", ["tests/steps/test_decision.py"]),
    "batchcast.engine.transform.data.packing": (
        "batchcast/engine/transform/data/packing.py",
        ["tests/engine/test_packing.py", "tests/engine/test_transform_input.py"],
    ),
    "batchcast.steps.history.partition": (
        "steps/history/partition.py",
        ["tests/steps/test_partition.py"],
    ),
    "batchcast.pipelines.cron": (
        "pipelines/cron.py",
        ["tests/account/test_cron.py", "tests/account/test_schedule_times.py"],
    ),
}
# Mutants of a module that do the same as the module does, and why; they are not tried.
EQUIVALENT = {
    "batchcast.steps.outcome.decision": {
        "whole >= _WORTH_SENDING  ->  whole > _WORTH_SENDING": "a power that rounding alone makes exactly one half",
    },
}


class _Loader(SourceFileLoader):
    """Loads the mutant under the module's name."""

    def __init__(self, name: str, path: Path, mutant: Mutant) -> None:
        super().__init__(name, str(path))
        self._mutant = mutant

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002
        return compile(self._mutant.tree, self.path, "exec")


class _Finder:
    """First on the way of every import; knows one module."""

    def __init__(self, loader: _Loader) -> None:
        self._loader = loader

    def find_spec(self, name: str, path: object, target: ModuleType | None = None) -> ModuleSpec | None:  # noqa: ARG002
        if name != self._loader.name:
            return None
        return importlib.util.spec_from_file_location(name, self._loader.path, loader=self._loader)


def _survives(name: str, path: Path, tests: list[str], mutant: Mutant) -> bool:
    """Run the tests in a process of its own with the mutant in place."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    status = 1
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(SECONDS)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        sys.meta_path.insert(0, _Finder(_Loader(name, path, mutant)))  # type: ignore[arg-type]
        import pytest

        plugins = ("cacheprovider", "randomly", "xdist")
        options = [
            "-x",
            "-q",
            "--assert=plain",
            "--hypothesis-profile=mutants",
            *(f"-pno:{plugin}" for plugin in plugins),
        ]
        status = int(pytest.main([*options, *tests]))
    finally:
        os._exit(min(status, 1))


def _warm() -> None:
    """Import once what every child needs, but nothing of batchcast, and describe how hard hypothesis tries."""
    import botocore.session
    import numpy as np
    import pandas as pd
    import pyarrow.parquet as pq
    import pydantic
    import pytest
    from hypothesis import settings

    del botocore, np, pd, pq, pydantic, pytest
    settings.register_profile("mutants", max_examples=40, deadline=None, derandomize=True, database=None)
    loaded = [name for name in sys.modules if name.startswith("batchcast")]
    assert not loaded, loaded


def _check(name: str, each: int, seed: int, workers: int) -> tuple[int, list[Mutant]]:
    """How many mutants were tried, and those that no test noticed."""
    file, tests = TARGETS[name]
    source = (ROOT / file).read_text(encoding="utf-8")
    if not _survives(name, ROOT / file, tests, Mutant(0, "nothing", ast.parse(source))):
        raise SystemExit(f"{' '.join(tests)} fail with {file} as it is")
    found = [mutant for mutant in mutants(source) if mutant.what not in EQUIVALENT.get(name, ())]
    if 0 < each < len(found):
        found = sorted(random.Random(seed).sample(found, each), key=lambda mutant: mutant.line)
    with ThreadPoolExecutor(workers) as pool:
        survived = list(pool.map(lambda mutant: _survives(name, ROOT / file, tests, mutant), found))
    return len(found), [mutant for mutant, alive in zip(found, survived, strict=True) if alive]


def main() -> int:
    """0 when enough mutants are noticed in every module."""
    parser = argparse.ArgumentParser()
    modules = {name.rsplit(".", 1)[-1]: name for name in TARGETS}
    parser.add_argument("--module", action="append", choices=modules)
    parser.add_argument("--each", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    os.chdir(ROOT)
    _warm()
    enough = True
    for name in [modules[module] for module in given.module or modules]:
        began = time.monotonic()
        tried, survivors = _check(name, given.each, given.seed, given.workers)
        percent = 100 * (tried - len(survivors)) / tried
        enough &= percent >= LEAST_KILLED_PERCENT
        print(f"{name}: {percent:.0f} % of {tried} noticed, {time.monotonic() - began:.0f} s", flush=True)  # noqa: T201
        for mutant in survivors:
            print(f"  {TARGETS[name][0]}:{mutant.line}: {mutant.what}", flush=True)  # noqa: T201
    return 0 if enough else 1


if __name__ == "__main__":
    sys.exit(main())
