"""Rules of a processing job's request that the documentation states in prose; values that are not known yet pass.

Source: developer guide, "Build Your Own Processing Container", read 2023-03.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from batchcast.engine.requests.members import known_member
from batchcast.steps.errors import Problem

_ROOT = "/opt/ml/processing/"
_PLACES = (("ProcessingInputs", "InputName", "S3Input"), ("ProcessingOutputConfig.Outputs", "OutputName", "S3Output"))


def processing_problems(request: Mapping[str, Any]) -> Iterator[Problem]:
    """Everything that these rules find in a request whose members have the service model's types."""
    for where, name, location in _PLACES:
        places = known_member(request, *where.split("."), default=())
        if isinstance(places, list | tuple):
            yield from _repeated_names(places, name, where)
            for index, place in enumerate(places):
                yield from _location(place, location, f"{where}[{index}]")


def _repeated_names(places: Any, name: str, where: str) -> Iterator[Problem]:
    names = [each.get(name) for each in places if isinstance(each, Mapping)]
    for value in sorted({str(value) for value in names if names.count(value) > 1}):
        yield Problem("repeated_name", f"the {name} {value} is used twice.", where, "Give each its own.")


def _location(place: Any, member: str, where: str) -> Iterator[Problem]:
    if not isinstance(place, Mapping) or not {member, "DatasetDefinition", "FeatureStoreOutput"} & place.keys():
        yield Problem("no_location", "has no S3 location.", where, f"Give {member}.")
        return
    if member not in place:
        return
    path = known_member(place, member, "LocalPath", default="")
    if isinstance(path, str) and (not f"{path}/".startswith(_ROOT) or ".." in path.split("/")):
        what = f"{path or 'no path'} is not under {_ROOT}, the only place a processing job may use."
        remedy = f"Use {_ROOT}input/… or {_ROOT}output/…."
        yield Problem("local_path", what, f"{where}.{member}.LocalPath", remedy)
    uri = known_member(place, member, "S3Uri")
    if isinstance(uri, str) and not uri.startswith("s3://"):
        yield Problem("s3_uri", f"{uri} is not an s3:// URI.", f"{where}.{member}.S3Uri", "Write s3://bucket/key.")
