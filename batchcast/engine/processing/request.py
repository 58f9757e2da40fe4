"""CreateProcessingJob: the service's checks of its request, and what the engine refuses of it.

Rules that the documentation states in prose let values pass that are not known yet. Source: developer guide, "Build
Your Own Processing Container", read 2023-03.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from batchcast.engine.requests.request_check import check_request, get_path, refuse, refuse_as_service, values_at
from batchcast.steps.errors import Problem


def check_processing_request(request: Mapping[str, Any]) -> None:
    """What CreateProcessingJob checks before it answers, and what only this engine refuses.

    Raises ServiceException as the service would, and NotEmulatedError with every member that is not emulated.
    """
    check_request("CreateProcessingJob", request)
    refuse_as_service(processing_problems(request))
    refuse(_refused_values(request))


def _refused_values(request: Mapping[str, Any]) -> Iterator[Problem]:
    for path, value, remedy in (
        ("ProcessingInputs[].AppManaged", True, "Give LocalPath."),
        ("ProcessingInputs[].S3Input.S3InputMode", "Pipe", "Use File."),
        (
            "ProcessingInputs[].S3Input.S3CompressionType",
            "Gzip",
            "It needs Pipe mode: use None and unpack in the step.",
        ),
        ("ProcessingOutputConfig.Outputs[].AppManaged", True, "Give LocalPath."),
        ("ProcessingOutputConfig.Outputs[].S3Output.S3UploadMode", "Continuous", "Use EndOfJob."),
    ):
        if any(found == value for found in values_at(request, path)):
            yield Problem("not_emulated", f"{value} is not emulated locally.", where=path, remedy=remedy)
    if "ContainerEntrypoint" not in request["AppSpecification"]:
        what = "an image's own entrypoint cannot run without Docker."
        remedy = "Give the command, e.g. python3 and a script."
        yield Problem("not_emulated", what, where="AppSpecification.ContainerEntrypoint", remedy=remedy)


_ROOT = "/opt/ml/processing/"
_PLACES = (("ProcessingInputs", "InputName", "S3Input"), ("ProcessingOutputConfig.Outputs", "OutputName", "S3Output"))


def processing_problems(request: Mapping[str, Any]) -> Iterator[Problem]:
    """Everything that these rules find in a request whose members have the service model's types."""
    for where, name, location in _PLACES:
        places = get_path(request, *where.split("."), default=())
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
    path = get_path(place, member, "LocalPath", default="")
    if isinstance(path, str) and (not f"{path}/".startswith(_ROOT) or ".." in path.split("/")):
        what = f"{path or 'no path'} is not under {_ROOT}, the only place a processing job may use."
        remedy = f"Use {_ROOT}input/… or {_ROOT}output/…."
        yield Problem("local_path", what, f"{where}.{member}.LocalPath", remedy)
    uri = get_path(place, member, "S3Uri")
    if isinstance(uri, str) and not uri.startswith("s3://"):
        yield Problem("s3_uri", f"{uri} is not an s3:// URI.", f"{where}.{member}.S3Uri", "Write s3://bucket/key.")
