"""What the engine raises: the service's own refusals, and what only the engine refuses."""

import errno
import traceback
from collections.abc import Mapping
from pathlib import Path

from batchcast.steps.errors import ConfigError, Problem, ServiceError

NOT_EMULATED = "not_emulated"
"""The code of what only the engine refuses."""

_FREE = "Free some space"
_STORAGE: Mapping[int | None, tuple[str, str]] = {
    errno.ENOSPC: ("disk_full", _FREE),
    errno.EDQUOT: ("disk_full", _FREE),
    errno.EFBIG: ("disk_full", "Allow larger files, or free some space"),
    errno.EROFS: ("disk_read_only", "Mount it for writing"),
    errno.EACCES: ("disk_no_permission", "Allow this user to read and write there"),
    errno.EPERM: ("disk_no_permission", "Allow this user to read and write there"),
    errno.EIO: ("disk_fault", "Check the disk"),
}


class ServiceException(Exception):  # noqa: N818 - the service calls these exceptions
    """An error the service answers with, e.g. code `ValidationException`; shaped like botocore's ClientError.

    `response["Error"]["Code"]` and `["Message"]` are where boto3 has them, so one `except` clause can serve both.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    @property
    def response(self) -> dict[str, dict[str, str]]:
        return {"Error": {"Code": self.code, "Message": self.message}}

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class NotEmulatedError(ConfigError):
    """SageMaker takes this, the local engine does not."""


def not_emulated(what: str, *, where: str, remedy: str) -> NotEmulatedError:
    return NotEmulatedError(Problem(NOT_EMULATED, what, where=where, remedy=remedy))


def internal_error(error: Exception) -> str:
    """A failure of the engine's own as the FailureReason of what it stands for."""
    where = "".join(traceback.format_exception(error, limit=-1)).strip()
    return f"InternalServerError: {where}"


def storage_error(error: BaseException, workspace: Path) -> ServiceError | None:
    """What the disk under the workspace says, as the error of a command that can be run again; None for all else."""
    if not isinstance(error, OSError) or error.errno not in _STORAGE:
        return None
    code, remedy = _STORAGE[error.errno]
    resumed = f"{remedy} and run the command again: the run is resumed where it was."
    return ServiceError(Problem(code, f"{error.strerror}.", str(error.filename or workspace), resumed))
