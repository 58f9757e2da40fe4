"""What `model.toml` declares of a model: how to read the history, what a request looks like, how to read the answer.

Nothing unknown is ignored: every problem of the file is found, and all are raised together.
"""

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path

from batchcast.steps.contract.checks import Checks, read_checks
from batchcast.steps.contract.outputs import Outputs, read_outputs
from batchcast.steps.contract.request import Request, read_request
from batchcast.steps.contract.series import ITEM_ID_KEY, Series, read_series
from batchcast.steps.contract.template import Period, RowList
from batchcast.steps.contract.toml_table import TomlTable
from batchcast.steps.errors import ConfigError, Problem

CONTRACT_FILE = "model.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelContract:
    """The whole file; `sha256` is the digest of its bytes."""

    series: Series
    request: Request
    outputs: Outputs
    checks: Checks
    sha256: str

    def row_lists(self, period: Period) -> tuple[RowList, ...]:
        """The arrays of a request that hold rows of that period."""
        return tuple(part for part in self.request.row_lists if part.period in (period, "both"))

    @property
    def value_columns(self) -> tuple[str, ...]:
        """The columns that are read beside the ids and the date: targets, then those of the rows, each once."""
        named = [column for part in self.request.row_lists for column in part.sources]
        own = {*self.series.item_id, *self.series.static, self.series.timestamp, ITEM_ID_KEY}
        return tuple(dict.fromkeys(name for name in (*self.series.targets, *named) if name not in own))


def read_contract(path: Path) -> ModelContract:
    """The contract of the file. Raises ConfigError with every problem found in it."""
    try:
        data = path.read_bytes()
    except OSError as error:
        remedy = "Deploy the pipeline with a contract file."
        raise ConfigError(Problem("contract_missing", f"cannot be read: {error}.", str(path), remedy)) from error
    return parse_contract(data, where=path.name)


def parse_contract(data: bytes, *, where: str = CONTRACT_FILE) -> ModelContract:
    """The contract of the file's bytes. Raises ConfigError with every problem found in them."""
    try:
        document = tomllib.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:  # also a number of 5,000 digits
        remedy = "Correct the TOML."
        raise ConfigError(Problem("contract_syntax", f"is not TOML in UTF-8: {error}.", where, remedy)) from error
    root = TomlTable(document, where)
    series = read_series(root.table("series"))
    contract = ModelContract(
        series=series,
        request=read_request(root.table("request"), series),
        outputs=read_outputs(root.table("outputs"), root.table("answer", optional=True), series),
        checks=read_checks(root.table("checks", optional=True)),
        sha256=hashlib.sha256(data).hexdigest(),
    )
    root.finish()
    return contract
