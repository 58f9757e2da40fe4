"""What can go wrong, by who must act.

    BatchcastError        exit code
    ├── ConfigError        2   nothing ran: fix the parameter, option or file that is named
    ├── DataError          3   the history is not what the contract declares
    ├── ModelError         4   the model container cannot serve a batch
    ├── CoverageError      5   the run was held: records are unaccounted for, nothing was published
    └── ServiceError      75   AWS, the network or another run was in the way: try again

Any other exception is a bug of batchcast and ends with exit code 1 and a traceback.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: a stable code, what was found against which limit, where, and what to do."""

    code: str
    what: str
    where: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        where = f"{self.where}: " if self.where else ""
        remedy = f" {self.remedy}" if self.remedy else ""
        return f"[{self.code}] {where}{self.what}{remedy}"


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """The remedy for a name that is nearly one of the known."""
    near = get_close_matches(name, list(known), n=1)
    return f"Did you mean {near[0]}?" if near else otherwise


class BatchcastError(Exception):
    """One or more problems of one kind; all that were found are reported together."""

    exit_code: ClassVar[int] = 1

    def __init__(self, *problems: Problem) -> None:
        if not problems:
            raise ValueError("an error needs at least one problem")
        super().__init__(*problems)
        self.problems = problems

    @classmethod
    def raise_any(cls, problems: Iterable[Problem]) -> None:
        """Raises this error with all of the problems, if there are any."""
        if found := tuple(problems):
            raise cls(*found)

    def __str__(self) -> str:
        # An error derived from one of the five is of its kind; `parse_error` knows no other.
        kind = next(cls.__name__ for cls in type(self).__mro__ if "exit_code" in vars(cls))
        return "\n".join(f"{kind} {problem}" for problem in self.problems)


class ConfigError(BatchcastError):
    """A parameter, option or file of the user's is wrong; nothing ran."""

    exit_code = 2


class DataError(BatchcastError):
    """The history, or another data set the run reads, is not what it must be."""

    exit_code = 3


class ModelError(BatchcastError):
    """The model's container did not start, did not answer, or broke its contract."""

    exit_code = 4


class CoverageError(BatchcastError):
    """Records are missing or wrong beyond the tolerance; nothing was published."""

    exit_code = 5


class ServiceError(BatchcastError):
    """Something outside was in the way; the same command may succeed later."""

    exit_code = 75


KINDS = (ConfigError, DataError, ModelError, CoverageError, ServiceError)
_LINE = re.compile(r"^(?P<kind>\w+Error) \[(?P<code>[\w.-]+)\] (?P<what>.*)$")


def parse_error(message: str) -> BatchcastError | None:
    """The error whose `str()` is `message`, as far as the 1 KB of an exit message kept it; None for any other text."""
    kinds = {kind.__name__: kind for kind in KINDS}
    found = [match for line in message.splitlines() if (match := _LINE.match(line)) and match["kind"] in kinds]
    if not found:
        return None
    return kinds[found[0]["kind"]](*(Problem(match["code"], match["what"]) for match in found))
