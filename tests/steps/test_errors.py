"""What an error says, and what is read back of it from the message of a job."""

from __future__ import annotations

import pytest

from batchcast.steps.errors import BatchcastError, DataError, Problem, ServiceError, parse_error
from batchcast.steps.store.objects import conflict, missing


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (DataError(Problem("a", "one.", "here", "Fix it."), Problem("b", "two.")), DataError),
        (missing("s3://bucket/key"), DataError),
        (conflict("s3://bucket/key"), ServiceError),
    ],
)
def test_a_message_is_read_back_as_an_error_of_its_kind(error: BatchcastError, kind: type[BatchcastError]) -> None:
    found = parse_error(str(error))
    assert type(found) is kind
    assert str(found) == str(error)


def test_other_messages_are_no_errors_of_ours() -> None:
    assert parse_error("Traceback: ValueError [x] y") is None
