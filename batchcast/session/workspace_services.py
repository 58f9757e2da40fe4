"""What the local engine's workspace has beside SageMaker: its objects and logs, as S3 and CloudWatch Logs answer."""

import io
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from batchcast.engine.errors import ServiceException, not_emulated
from batchcast.engine.state import ACCOUNT
from batchcast.session.service_errors import operation_name
from batchcast.steps.errors import ConfigError
from batchcast.steps.store.objects import ObjectMissingError, ObjectStore, StoredObject

Answer = dict[str, Any]
_Answer = Callable[[Mapping[str, Any]], Answer]

_EVENTS_A_PAGE = 10_000
_KEYS_A_PAGE = 1000


def service_answers(service: str, operations: object) -> Callable[[str, Mapping[str, Any]], Answer]:
    """What answers a service's operation with these parameters: the method of `operations` that has boto3's name of it.
    Raises ServiceException, and NotEmulatedError where there is none."""
    methods = (name for name in vars(type(operations)) if not name.startswith("_"))
    answers: dict[str, _Answer] = {operation_name(name): getattr(operations, name) for name in methods}

    def answer(operation: str, request: Mapping[str, Any]) -> Answer:
        if operation not in answers:
            what = f"{operation} is not emulated locally; of {service} there are {', '.join(answers)}."
            raise not_emulated(what, where=f"{service}:{operation}", remedy="Call it on AWS.")
        return answers[operation](request)

    return answer


class CallerIdentity:
    """The account that the engine's ARNs name."""

    def get_caller_identity(self, _: Mapping[str, Any]) -> Answer:
        return {"UserId": ACCOUNT, "Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:root"}


class WorkspaceObjects:
    """The store's objects; every member of a request that a directory cannot honour is refused."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._uploads: dict[str, dict[int, bytes]] = {}

    def head_bucket(self, request: Mapping[str, Any]) -> Answer:
        _take(request, "Bucket")
        return {"BucketRegion": "local"}

    def head_object(self, request: Mapping[str, Any]) -> Answer:
        found = self._find(_uri(_take(request, "Bucket", "Key", "ChecksumMode")), "404", "Not Found")
        return {"ContentLength": found.size, "LastModified": found.modified, "ETag": f'"{found.version}"'}

    def get_object(self, request: Mapping[str, Any]) -> Answer:
        from botocore.response import StreamingBody

        uri = _uri(_take(request, "Bucket", "Key", "ChecksumMode", "Range"))
        found = self._find(uri, "NoSuchKey", "The specified key does not exist.")
        data = self._store.read(uri)
        first, last = _range(request.get("Range", ""), len(data))
        part = data[first:last]
        total = {"ContentRange": f"bytes {first}-{last - 1}/{len(data)}"} if "Range" in request else {}
        body = StreamingBody(io.BytesIO(part), len(part))
        return {"Body": body, "ContentLength": len(part), "LastModified": found.modified, **total}

    def put_object(self, request: Mapping[str, Any]) -> Answer:
        uri = _uri(_take(request, "Bucket", "Key", "Body", "ContentType", "ChecksumAlgorithm"))
        self._store.write(uri, _bytes(request.get("Body", b"")))
        return {"ETag": f'"{self._find(uri, "404", "Not Found").version}"'}

    def delete_object(self, request: Mapping[str, Any]) -> Answer:
        self._store.delete(_uri(_take(request, "Bucket", "Key")))
        return {}

    def delete_objects(self, request: Mapping[str, Any]) -> Answer:
        keys = [each["Key"] for each in _take(request, "Bucket", "Delete", "ChecksumAlgorithm")["Delete"]["Objects"]]
        for key in keys:
            self._store.delete(_uri({"Bucket": request["Bucket"], "Key": key}))
        return {"Deleted": [{"Key": key} for key in keys]}

    def create_multipart_upload(self, request: Mapping[str, Any]) -> Answer:
        upload = uuid.uuid4().hex
        self._uploads[upload] = {}
        return {**_take(request, "Bucket", "Key", "ContentType", "ChecksumAlgorithm"), "UploadId": upload}

    def upload_part(self, request: Mapping[str, Any]) -> Answer:
        _take(request, "Bucket", "Key", "UploadId", "PartNumber", "Body", "ChecksumAlgorithm", "ContentLength")
        self._upload(request)[request["PartNumber"]] = _bytes(request["Body"])
        return {"ETag": f'"{request["PartNumber"]}"'}

    def complete_multipart_upload(self, request: Mapping[str, Any]) -> Answer:
        _take(request, "Bucket", "Key", "UploadId", "MultipartUpload")
        parts = self._upload(request)
        data = b"".join(parts[each["PartNumber"]] for each in request["MultipartUpload"]["Parts"])
        self.abort_multipart_upload(request)
        return self.put_object({"Bucket": request["Bucket"], "Key": request["Key"], "Body": data})

    def abort_multipart_upload(self, request: Mapping[str, Any]) -> Answer:
        self._upload(request)
        del self._uploads[request["UploadId"]]
        return {}

    def _upload(self, request: Mapping[str, Any]) -> dict[int, bytes]:
        if request["UploadId"] not in self._uploads:
            raise ServiceException("NoSuchUpload", "The specified upload does not exist.")
        return self._uploads[request["UploadId"]]

    def list_objects_v2(self, request: Mapping[str, Any]) -> Answer:
        """One page in key order; the token is the last key of the page before."""
        _take(request, "Bucket", "Prefix", "Delimiter", "MaxKeys", "ContinuationToken", "StartAfter", "EncodingType")
        bucket, prefix, delimiter = request["Bucket"], request.get("Prefix", ""), request.get("Delimiter", "")
        after = request.get("ContinuationToken") or request.get("StartAfter", "")
        most = min(request.get("MaxKeys", _KEYS_A_PAGE), _KEYS_A_PAGE)
        page = list(islice(self._entries(f"s3://{bucket}/", prefix, delimiter, after), most + 1))
        shown = page[:most]
        answer = {
            "Contents": [entry for _, entry in shown if entry is not None],
            "CommonPrefixes": [{"Prefix": name} for name, entry in shown if entry is None],
            "NextContinuationToken": shown[-1][0] if len(page) > most and shown else "",
        }
        told = {"IsTruncated": len(page) > most, "KeyCount": len(shown), "MaxKeys": most}
        return {"Name": bucket, "Prefix": prefix, **told, **{name: value for name, value in answer.items() if value}}

    def _entries(self, root: str, prefix: str, delimiter: str, after: str) -> Iterator[tuple[str, Answer | None]]:
        """Keys with what is told of them, and the common prefixes with None, in order and each once."""
        told = ""
        for each in self._store.list(f"{root}{prefix}"):
            key = each.uri.removeprefix(root)
            head, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
            name = f"{prefix}{head}{found}" if found else key
            if name <= after or (found and name == told):
                continue
            told = name
            described = {"Key": key, "Size": each.size, "LastModified": each.modified, "StorageClass": "STANDARD"}
            yield name, None if found else described

    def _find(self, uri: str, code: str, message: str) -> StoredObject:
        try:
            exists = self._store.exists(uri)
        except (ConfigError, ObjectMissingError):
            exists = False
        if not exists:
            raise ServiceException(code, message)
        return next(each for each in self._store.list(uri) if each.uri == uri)


def _take(request: Mapping[str, Any], *known: str) -> Mapping[str, Any]:
    for name in request:
        if name not in known:
            raise not_emulated("a directory does not do that.", where=f"s3: {name}", remedy="Leave it out locally.")
    return request


def _bytes(body: Any) -> bytes:
    read = body.read() if hasattr(body, "read") else body
    return read.encode() if isinstance(read, str) else bytes(read)


def _uri(request: Mapping[str, Any]) -> str:
    return f"s3://{request['Bucket']}/{request['Key']}"


def _range(text: str, size: int) -> tuple[int, int]:
    """The first byte and the one after the last of `bytes=2-5`, `bytes=2-` and `bytes=-5`."""
    if not text:
        return 0, size
    match = re.fullmatch(r"bytes=(?:(?P<first>\d+)-(?P<last>\d*)|-(?P<length>\d+))", text)
    first = size if match is None else int(match["first"] or max(0, size - int(match["length"] or 0)))
    if match is None or first >= size:
        raise ServiceException("InvalidRange", f"The requested range {text!r} is not satisfiable.")
    return first, min(size, int(match["last"]) + 1) if match["last"] else size


@dataclass
class WorkspaceLogs:
    """A group is a directory below `root`, a stream a file in it.

    A line without a time of its own has that of the line before it.
    """

    root: Path

    def filter_log_events(self, request: Mapping[str, Any]) -> Answer:
        """A page of events, stream by stream. The pattern is one term in quotes, which the line has to contain."""
        term = request.get("filterPattern", "").strip('"')
        streams = self._streams(request["logGroupName"], request.get("logStreamNamePrefix", ""))
        events = [
            {"logStreamName": name, **event}
            for name, path in streams
            for event in _events(path)
            if term in event["message"]
        ]
        start = int(request.get("nextToken", 0))
        last = start + _EVENTS_A_PAGE
        return {"events": events[start:last], **({"nextToken": str(last)} if last < len(events) else {})}

    def describe_log_streams(self, request: Mapping[str, Any]) -> Answer:
        group = request["logGroupName"]
        if not (self.root / group.strip("/")).is_dir():
            raise ServiceException("ResourceNotFoundException", "The specified log group does not exist.")
        found = self._streams(group, request.get("logStreamNamePrefix", ""))
        return {"logStreams": [{"logStreamName": name, "arn": f"{group}:{name}"} for name, _ in found]}

    def get_log_events(self, request: Mapping[str, Any]) -> Answer:
        """The events of one stream from a token on, which is a position; the same token at its end, as the service."""
        group, stream = request["logGroupName"], request["logStreamName"]
        path = dict(self._streams(group, stream)).get(stream)
        if path is None:
            raise ServiceException("ResourceNotFoundException", "The specified log stream does not exist.")
        events = list(_events(path))
        start = int(request.get("nextToken", "f/0").removeprefix("f/"))
        page = events[start : start + request.get("limit", _EVENTS_A_PAGE)]
        return {"events": page, "nextForwardToken": f"f/{start + len(page)}", "nextBackwardToken": "b/0"}

    def _streams(self, group: str, prefix: str) -> Iterator[tuple[str, Path]]:
        folder = self.root / group.strip("/")
        for path in sorted(each for each in folder.rglob("*") if each.is_file()):
            name = path.relative_to(folder).as_posix()
            if name.startswith(prefix):
                yield name, path


def _events(path: Path) -> Iterator[Answer]:
    when = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        when = _time_of(line) or when
        moment = int(when.timestamp() * 1000)
        yield {"timestamp": moment, "message": line, "ingestionTime": moment}


def _time_of(line: str) -> datetime | None:
    try:
        return datetime.fromisoformat(line[:23]).replace(tzinfo=UTC)
    except ValueError:
        return None
