"""The reference page of the parameters, derived from their declaration."""

from __future__ import annotations

from batchcast.pipelines.parameter_rules import rule_texts
from batchcast.pipelines.parameters import DeclaredParameter, declared_parameters

_HEAD = """\
# Pipeline parameters

Written by `make docs` from `pipelines/parameters.py`.

Set one with `-p Name=Value`. Integers and floats are passed as text, as StartPipelineExecution takes them; no value
may be empty. A parameter without a default must be given.

| Parameter | Type | Default | Allowed | Meaning |
|---|---|---|---|---|
"""


def parameter_page() -> str:
    """The page as Markdown: a row a parameter, and the rules between them."""
    rows = "".join(_row(one) for one in declared_parameters())
    rules = "".join(f"- {text}\n" for text in rule_texts())
    return f"{_HEAD}{rows}\n## Rules between parameters\n\n{rules}"


def _row(one: DeclaredParameter) -> str:
    default = "required" if one.default is None else f"`{one.default}`"
    allowed = one.form if one.minimum is None else f"{one.minimum:,.15g} to {one.maximum:,.15g} {one.unit}"
    return f"| {one.name} | {one.type} | {default} | {allowed} | {one.help} |\n"
