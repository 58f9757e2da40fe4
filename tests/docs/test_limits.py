"""The table of limits in docs/on-aws.md: what it says of ours is counted, and lies within what AWS documents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from batchcast.account.deploy import Package
from batchcast.pipelines.requests import walk_steps

TABLE = (Path(__file__).resolve().parents[2] / "docs" / "on-aws.md").read_text().split("## Limits")[1]


def ours(limit: str) -> str:
    """The third column of the row whose first begins so."""
    (found,) = re.findall(rf"^\| {re.escape(limit)}[^|]*\|[^|]*\| ([^|]*) \|$", TABLE, flags=re.MULTILINE)
    return str(found)


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from strings(item)


def test_the_definition_is_within_the_limits_as_the_table_says(packed: Package) -> None:
    definition = packed.definition
    steps = [*walk_steps(definition["Steps"])]
    counted = f"{len(definition['Parameters'])} parameters, {len(steps)} steps"
    assert ours("200 parameters, 50 steps") == counted
    assert len(definition["Parameters"]) <= 200 and len(steps) <= 50

    size = len(packed.text.encode())
    assert ours("definition 1 MiB") == f"{round(size / 1000)} kB"
    assert size <= 100 * 1024

    words = [
        word
        for step in steps
        for part in ("ContainerArguments", "ContainerEntrypoint")
        for word in strings(step["Arguments"].get("AppSpecification", {}).get(part, []))
    ]
    assert ours("a step's argument") == f"longest {max(map(len, words))}"
    assert max(map(len, words)) <= 256 and not any("\n" in word for word in words)

    conditions = [step for step in definition["Steps"] if step["Type"] == "Condition"]
    inner = [step for step in steps if step["Type"] == "Condition"]
    assert ours("no condition inside") == "one condition, at the top"
    assert len(conditions) == len(inner) == 1
    assert not [step for step in steps if conditions[0]["Name"] in str(step.get("DependsOn", ""))]
    assert max(len(step["Name"]) for step in steps) <= 64
