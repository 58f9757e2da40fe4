"""The licences of what `locks/run.lock` installs, read from the installed distributions."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

LOCK = Path(__file__).resolve().parent.parent / "locks" / "run.lock"
# Permissive ones: each may be used with, and shipped beside, a work under Apache-2.0.
ALLOWED = {
    "0BSD", "Apache-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "MIT", "MIT-CMU", "PSF-2.0", "Zlib",
}  # fmt: skip
_CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "MIT License": "MIT",
    "Python Software Foundation License": "PSF-2.0",
}
_SPELLED = {"Apache License 2.0": "Apache-2.0"}

_PAGE = """\
# Licences

Written by `make docs` from the installed distributions of `locks/run.lock`. batchcast itself is under Apache-2.0; a
test refuses a dependency under any other licence than these: {allowed}.

| package | licence |
|---|---|
"""


def licences() -> dict[str, str]:
    """Package -> licence as an SPDX expression, "unknown" where its metadata says none; for this platform."""
    locked = re.findall(r"^([\w.-]+)==(.*)$", LOCK.read_text(), flags=re.MULTILINE)
    return {name: _licence(name) for name, rest in sorted(locked) if "platform" not in rest}


def _licence(name: str) -> str:
    metadata = importlib.metadata.metadata(name)
    if expression := metadata.get("License-Expression"):
        return expression
    classifiers = metadata.get_all("Classifier") or []
    named = [each.rpartition(" :: ")[2] for each in classifiers if each.startswith("License :: OSI Approved")]
    if named:
        return " OR ".join(sorted(_CLASSIFIERS.get(each, each) for each in named))
    text = (metadata.get("License") or "unknown").splitlines()[0]
    return _SPELLED.get(text, text)


def refused(found: dict[str, str]) -> dict[str, str]:
    """Those with a part that is not allowed; of a choice one allowed part is enough."""
    return {
        name: text
        for name, text in found.items()
        if not any(all(part.strip(" ()") in ALLOWED for part in choice.split(" AND ")) for choice in text.split(" OR "))
    }


def licences_page() -> str:
    """A row a package."""
    rows = "".join(f"| {name} | {text} |\n" for name, text in licences().items())
    return _PAGE.format(allowed=", ".join(sorted(ALLOWED))) + rows
