"""The reference page of the parameters, derived from their declaration.

`python -m pipelines.parameter_table` writes it anew.
"""

from __future__ import annotations

from pathlib import Path

from pipelines.parameter_rules import rule_texts
from pipelines.parameters import DeclaredParameter, declared_parameters

__all__ = ["PAGE", "parameter_page"]

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "parameters.md"
_HEAD = """\
# Pipeline parameters

Generated from `pipelines/parameters.py` by `python -m pipelines.parameter_table`.

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


def main() -> None:
    """Write the page."""
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(parameter_page())


if __name__ == "__main__":
    main()
