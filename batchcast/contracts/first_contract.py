"""A first `model.toml` and `deploy.toml`: the proposal for a history and the container's family, written out."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from batchcast.contracts.families import ContainerFamily
from batchcast.contracts.proposal import Proposal

_TEMPLATES = ("body", "record")


def contract_text(proposal: Proposal, family: ContainerFamily) -> str:
    """The text of `model.toml`, which batchcast reads as it stands; every assumption is a comment above its key."""
    series: dict[str, Any] = {
        "item_id": list(proposal.item_id),
        "timestamp": proposal.timestamp,
        "targets": [proposal.target],
    }
    series |= {key: value for key in ("frequency", "season") if (value := getattr(proposal, key)) is not None}
    tables = {"series": {**series, **family.series}, **family.tables(proposal)}
    lines = [f"# The contract of {family.title}: what it takes and what it gives.", ""]
    lines += [f"# {note}" for note in family.notes]
    lines += ["#", "# Read from the history:", *(f"#   {line}" for line in proposal.assumptions)]
    for name, table in tables.items():
        if table:
            lines += ["", f"[{name}]", *(line for key, value in table.items() for line in _lines(key, value))]
    return "\n".join(lines) + "\n"


def deploy_text(pipeline_name: str) -> str:
    """The text of `deploy.toml`: what `deploy` needs of an account, to be filled in."""
    return "\n".join(
        [
            "# What `deploy --settings deploy.toml` needs; with `--stack NAME` roles and bucket come from the stack.",
            f"pipeline_name = {json.dumps(pipeline_name)}",
            'contract = "model.toml"',
            "",
            "[parameters]",
            '# HistoryUri = "s3://BUCKET/history/"',
            '# RunsUri = "s3://BUCKET/batchcast/runs"',
            '# PublishUri = "s3://BUCKET/batchcast/published"',
            '# ModelName = "MODEL"',
            "",
        ]
    )


def _lines(key: str, value: Any) -> Iterator[str]:
    if key in _TEMPLATES:
        yield f"{key} = '''{value}'''"
    elif isinstance(value, Mapping):
        inside = ", ".join(f"{name} = {_value(one)}" for name, one in value.items())
        yield f"{_key(key)} = {{ {inside} }}"
    else:
        yield f"{_key(key)} = {_value(value)}"


def _key(key: str) -> str:
    plain = key.replace("_", "").replace("-", "")
    return key if plain.isascii() and plain.isalnum() else json.dumps(key)


def _value(value: Any) -> str:
    # A JSON text, list or number is a TOML one; a text with quotes reads better as a literal one.
    if isinstance(value, str) and '"' in value and "'" not in value:
        return f"'{value}'"
    return json.dumps(value, ensure_ascii=False)
