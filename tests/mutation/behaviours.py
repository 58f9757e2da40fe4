"""`make behaviours`: take one numbered behaviour of the engine away at a time, and want its own tests to fail.

The changes stand in behaviours.toml, the tests of a behaviour in docs/fidelity.txt. `python
tests/mutation/behaviours.py [E33…]` tries those that are named.
"""

from __future__ import annotations

import ast
import os
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mutants import ROOT, _survives, _warm
from mutations import Mutant


def tests_of(behaviour: str) -> list[str]:
    """What pytest is to run: the files that the table of behaviours names, and of them the behaviour's own tests."""
    for line in (ROOT / "docs" / "fidelity.txt").read_text(encoding="utf-8").splitlines():
        name, *rest = (part.strip() for part in line.split("|"))
        if name == behaviour:
            files = [f"tests/engine/test_{each.strip()}.py" for each in rest[1].split(",")]
            return [*files, "-k", f"test_{behaviour[0].lower()}{int(behaviour[1:]):02}_"]
    raise SystemExit(f"{behaviour} is not in docs/fidelity.txt")


def survives(behaviour: str, change: dict[str, str]) -> bool:
    """Whether the behaviour's tests pass without it."""
    found = [path for path in (ROOT / "batchcast" / "engine").rglob("*.py") if change["was"] in path.read_text("utf-8")]
    source = "".join(path.read_text("utf-8") for path in found)
    if source.count(change["was"]) != 1:
        raise SystemExit(f"{behaviour}: {change['was']!r} stands {source.count(change['was'])} times in the engine")
    (path,) = found
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    if not _survives(module, path, tests_of(behaviour), Mutant(0, "nothing", ast.parse(source))):
        raise SystemExit(f"{' '.join(tests_of(behaviour))} fail with {path} as it is")
    tree = ast.parse(source.replace(change["was"], change["is"]))
    return _survives(module, path, tests_of(behaviour), Mutant(0, change["is"], tree))


def main(names: list[str]) -> None:
    """Exits 1 when a behaviour can be taken away and none of its tests says so."""
    changes = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    wanted = {name: change for name, change in changes.items() if not names or name in names}
    os.chdir(ROOT)
    _warm()
    with ThreadPoolExecutor(2) as threads:
        found = dict(zip(wanted, threads.map(survives, wanted, wanted.values()), strict=True))
    unnoticed = [name for name, survived in found.items() if survived]
    sys.stdout.write(f"{len(found) - len(unnoticed)} of {len(found)} noticed; not: {', '.join(unnoticed) or 'none'}\n")
    sys.exit(bool(unnoticed))


if __name__ == "__main__":
    main(sys.argv[1:])
