"""What the engine raises: the service's own refusals, and what only the engine refuses."""

from __future__ import annotations

from batchcast.steps.errors import ConfigError, Problem

__all__ = ["NotEmulatedError", "ServiceException", "not_emulated"]


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
        """The part of botocore's error response that callers read."""
        return {"Error": {"Code": self.code, "Message": self.message}}

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class NotEmulatedError(ConfigError):
    """SageMaker takes this, the local engine does not."""


def not_emulated(what: str, *, where: str, remedy: str) -> NotEmulatedError:
    """The refusal of one field or value by name."""
    return NotEmulatedError(Problem("not_emulated", what, where=where, remedy=remedy))
