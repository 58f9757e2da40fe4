"""S3 through boto3, with what boto3 leaves to its callers.

boto3 does not resume a GET whose body breaks, and reports a conditional put as lost when only the reply was lost.
Both are fixed here (observed with boto3 1.43 against a real S3 server, 2026-11).
"""

import io
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from batchcast.steps.errors import Problem, ServiceError
from batchcast.steps.store.objects import ObjectStore, StoredObject, conflict, missing, split_uri

_CHUNK_BYTES = 1 << 20
_MAX_RESUMES = 5
_ABSENT = {"404", "NoSuchKey", "NotFound"}
# Its own variables, and those of the libraries it speaks HTTP with.
_READ_BY_BOTO3 = re.compile(r"AWS_\w+|(HTTP|HTTPS|NO)_PROXY|REQUESTS_CA_BUNDLE", re.IGNORECASE)
_AWS_ENDPOINT = re.compile(r"https://s3[\w.-]*\.amazonaws\.com(\.cn)?")
_CHANGED = {"412", "PreconditionFailed"}
_LOST = {"412", "PreconditionFailed", "409", "ConditionalRequestConflict"}


class S3Store(ObjectStore):
    """Objects on S3, or on any endpoint boto3 is configured for (`AWS_ENDPOINT_URL_S3`).

    `environment` has the variables with which boto3 of another process finds the client's credentials: those of this
    process unless given. A client that was handed its keys in Python needs them here as well.
    """

    def __init__(self, client: Any = None, environment: Mapping[str, str] | None = None) -> None:
        if client is None:
            import boto3
            from botocore.config import Config

            client = boto3.client("s3", config=Config(retries={"mode": "standard", "max_attempts": 8}))
        self._client = client
        self._settings = environment

    @property
    def environment(self) -> Mapping[str, str]:
        settings = self._settings
        if settings is None:
            settings = {name: value for name, value in os.environ.items() if _READ_BY_BOTO3.fullmatch(name)}
        # Where the objects lie says the client itself: wrong credentials are refused there, not taken elsewhere.
        meta = self._client.meta
        if _AWS_ENDPOINT.fullmatch(meta.endpoint_url):
            # Not named, because boto3 takes a named one for another service than S3: no redirects, no virtual hosts.
            place = {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}
        else:
            place = {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false", "AWS_ENDPOINT_URL_S3": meta.endpoint_url}
        return {**settings, **place, "AWS_DEFAULT_REGION": meta.region_name}

    def list(self, prefix: str) -> Iterator[StoredObject]:
        bucket, key = split_uri(prefix)
        request = {"Bucket": bucket, "Prefix": key}
        while True:
            page = _whole_reply(prefix, partial(self._client.list_objects_v2, **request), "IsTruncated")
            for entry in page.get("Contents", []):
                version, modified = entry.get("ETag", ""), entry.get("LastModified")
                yield StoredObject(f"s3://{bucket}/{entry['Key']}", entry["Size"], version, modified)
            if not page["IsTruncated"]:
                return
            request["ContinuationToken"] = page["NextContinuationToken"]

    def read(self, uri: str) -> bytes:
        return self.read_tagged(uri)[0]

    def read_tagged(self, uri: str) -> tuple[bytes, str]:
        for _ in range(_MAX_RESUMES):
            with suppress(_ChangedError):  # it was overwritten while it was read: the new one is read from its start
                return self._read_once(uri)
        return self._read_once(uri)

    def _read_once(self, uri: str) -> tuple[bytes, str]:
        stream = _ResumingBody(self._client, uri)
        with io.BufferedReader(stream, _CHUNK_BYTES) as reader:
            return reader.read(), stream.etag

    def age(self, uri: str) -> timedelta:
        found = _whole_reply(uri, partial(self._client.head_object, **_place(uri)), "LastModified")
        answered = found["ResponseMetadata"]["HTTPHeaders"].get("date")
        now = parsedate_to_datetime(answered) if answered else datetime.now(UTC)
        age: timedelta = now - found["LastModified"]
        return age

    def open(self, uri: str) -> BinaryIO:
        return io.BufferedReader(_ResumingBody(self._client, uri), _CHUNK_BYTES)

    def write(self, uri: str, data: bytes) -> None:
        _whole_reply(uri, partial(self._client.put_object, **_place(uri), Body=data))

    def put_if(self, uri: str, data: bytes, etag: str | None) -> str:
        from botocore.exceptions import ClientError
        from botocore.parsers import ResponseParserError

        condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        try:
            with _translated(uri, passing=_LOST | _ABSENT):
                reply = self._client.put_object(**_place(uri), Body=data, **condition)
            # Without an etag the head of the reply broke off.
            return str(reply.get("ETag") or self.read_tagged(uri)[1])
        except (ClientError, ResponseParserError, ValueError):
            # A put whose reply was lost is retried and then refused because of our own object.
            if self.exists(uri):
                current, current_etag = self.read_tagged(uri)
                if current == data:
                    return current_etag
            raise conflict(uri) from None

    def upload(self, path: Path, uri: str) -> None:
        with _translated(uri):
            self._client.upload_file(str(path), *split_uri(uri))

    def exists(self, uri: str) -> bool:
        from botocore.exceptions import ClientError

        try:
            with _translated(uri, passing=_ABSENT):
                self._client.head_object(**_place(uri))
        except ClientError:
            return False
        return True

    def delete(self, uri: str) -> None:
        with _translated(uri):
            self._client.delete_object(**_place(uri))


def _place(uri: str) -> dict[str, str]:
    return dict(zip(("Bucket", "Key"), split_uri(uri), strict=True))


class _ResumingBody(io.RawIOBase):
    """The body of one GET; where it breaks it goes on with a ranged GET of the same version of the object."""

    def __init__(self, client: Any, uri: str) -> None:
        self._client, self._uri = client, uri
        self._position = 0
        self._resumes = 0
        self.etag = ""
        self._body = self._get()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        from botocore.exceptions import HTTPClientError, IncompleteReadError, ResponseStreamingError
        from urllib3.exceptions import HTTPError

        broken = (HTTPClientError, IncompleteReadError, ResponseStreamingError, HTTPError, ConnectionError)
        while True:
            try:
                data = self._body.read(len(buffer))
                break
            except broken as error:
                self._resumes += 1
                if self._resumes > _MAX_RESUMES:
                    what = f"the download broke {self._resumes} times, last at byte {self._position}: {error}"
                    problem = Problem("download", what, where=self._uri, remedy="Try again.")
                    raise ServiceError(problem) from error
                self._body = self._get()
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _get(self) -> Any:
        resume = {"Range": f"bytes={self._position}-", "IfMatch": self.etag} if self._position else {}
        get = partial(self._client.get_object, **_place(self._uri), **resume)
        # Without its length nobody can tell whether the body is whole.
        reply = _whole_reply(self._uri, get, "ETag", "ContentLength")
        self.etag = reply["ETag"]
        return reply["Body"]


class _ChangedError(ServiceError):
    """An object was overwritten between two parts of it."""


def _whole_reply(uri: str, call: Callable[[], Any], *members: str) -> Any:
    """The reply of a call that may be made twice, asked for again when its head or its document broke off.

    The libraries below take a head that ends early for a short one: its reply lacks `members` that S3 always gives.
    """
    from botocore.exceptions import ClientError
    from botocore.parsers import ResponseParserError

    what = ""
    for _ in range(_MAX_RESUMES + 1):
        try:
            with _translated(uri, passing=_CHANGED):
                reply = call()
        except (ResponseParserError, ValueError) as error:
            what = str(error)[:200]
            continue
        except ClientError as error:
            problem = Problem("download", "the object changed while it was read.", uri, "Try again.")
            raise _ChangedError(problem) from error
        lacking = [member for member in members if member not in reply]
        if not lacking:
            return reply
        what = f"it has no {' and no '.join(lacking)}"
    problem = Problem("download", f"the server's reply broke off {_MAX_RESUMES + 1} times: {what}.", uri, "Try again.")
    raise ServiceError(problem)


@contextmanager
def _translated(uri: str, passing: Collection[str] = ()) -> Iterator[None]:
    """Botocore's errors as ours, with the URI; codes in `passing` are left for the caller."""
    from boto3.exceptions import S3UploadFailedError
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (ClientError, BotoCoreError, S3UploadFailedError) as error:
        code = str(error.response["Error"].get("Code", "")) if isinstance(error, ClientError) else ""
        if code in passing:
            raise
        if code in _ABSENT:
            raise missing(uri) from error
        remedy = "Check the credentials, the bucket policy and the network, then try again."
        raise ServiceError(Problem("s3", str(error), where=uri, remedy=remedy)) from error
