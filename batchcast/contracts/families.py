"""What common forecasting containers take and give, as tables of `model.toml`: families.toml, and here what a request
holds of a history's own columns. With the proposal for a history it is written out as a first contract."""

import json
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batchcast.contracts.proposal import Proposal


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerFamily:
    """One kind of container: its `request`, `outputs` and `answer`.

    `outputs` go by what follows the target's name. `series` has keys that the container needs beside those of the
    history, `own_columns` those of the request that depend on it; `notes` are said to the user.
    """

    title: str
    notes: Sequence[str]
    request: Mapping[str, Any]
    outputs: Mapping[str, Any]
    answer: Mapping[str, Any] = field(default_factory=dict)
    series: Mapping[str, Any] = field(default_factory=dict)
    own_columns: Callable[[Proposal], Mapping[str, str]]

    def tables(self, proposal: Proposal) -> dict[str, Mapping[str, Any]]:
        """The tables for a history, but for `series`."""
        return {
            "request": {**self.request, **self.own_columns(proposal)},
            "outputs": {proposal.target + suffix: path for suffix, path in self.outputs.items()},
            "answer": self.answer,
        }


def _object(values: Mapping[str, str]) -> str:
    """A JSON object whose values are placeholders."""
    return "{" + ", ".join(f"{json.dumps(name)}: {value}" for name, value in values.items()) + "}"


def _columns(names: tuple[str, ...], period: str) -> str:
    return _object({name: f"${period}({_column(name)})" for name in names})


def _column(name: str) -> str:
    return f"${name}" if name.isidentifier() and name.isascii() else f"${{{name}}}"


def _rows(names: tuple[str, ...], period: str) -> str:
    return f"${period}({_object({name: _column(name) for name in names})})"


def _all_columns(proposal: Proposal) -> tuple[str, ...]:
    return (proposal.timestamp, proposal.target, *proposal.known, *proposal.past)


def _deepar(proposal: Proposal) -> dict[str, str]:
    features = ", ".join(f"$both({_column(name)})" for name in proposal.known)
    dynamic = f', "dynamic_feat": [{features}]' if features else ""
    return {"body": '{"start": $start_time, "target": $target_time_series' + dynamic + "}"}


def _chronos(proposal: Proposal) -> dict[str, str]:
    past = (*proposal.known, *proposal.past)
    covariates = f', "past_covariates": {_columns(past, "history")}' if past else ""
    if proposal.known:
        covariates += f', "future_covariates": {_columns(proposal.known, "future")}'
    return {"record": '{"target": $target_time_series' + covariates + "}"}


def _autogluon(proposal: Proposal) -> dict[str, str]:
    columns = {"item_id": "$item_id", "timestamp": _column(proposal.timestamp), "target": _column(proposal.target)}
    covariates = {name: _column(name) for name in proposal.past}
    return {"record": f"$history({_object({**columns, **covariates})})"}


def _mlflow(proposal: Proposal) -> dict[str, str]:
    names = _all_columns(proposal)
    row = ", ".join(_column(name) for name in names)
    table = f'{{"columns": {json.dumps(list(names))}, "data": $history([{row}])}}'
    return {"body": f'{{"dataframe_split": {table}, "params": {{"horizon": $horizon}}}}'}


def _prophet(proposal: Proposal) -> dict[str, str]:
    row = {"ds": _column(proposal.timestamp), "y": _column(proposal.target)}
    return {"body": f"$history({_object(row)})"}


def _custom(proposal: Proposal) -> dict[str, str]:
    body = {"history": _rows(_all_columns(proposal), "history")}
    if proposal.known:
        body["future"] = _rows((proposal.timestamp, *proposal.known), "future")
    return {"body": _object({**body, "horizon": "$horizon"})}


_OWN_COLUMNS: Mapping[str, Callable[[Proposal], Mapping[str, str]]] = {
    "deepar": _deepar,
    "chronos-2": _chronos,
    "autogluon": _autogluon,
    "mlflow": _mlflow,
    "prophet": _prophet,
    "custom": _custom,
}

FAMILIES: Mapping[str, ContainerFamily] = {
    name: ContainerFamily(own_columns=_OWN_COLUMNS.get(name, lambda _: {}), **declared)
    for name, declared in tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")).items()
}


_TEMPLATES = ("body", "record")


def contract_text(proposal: Proposal, family: ContainerFamily) -> str:
    """The text of `model.toml`, which batchcast reads as it stands; every assumption is a comment above its key."""
    series: dict[str, Any] = {
        "item_id": list(proposal.item_id),
        "timestamp": proposal.timestamp,
        "targets": [proposal.target],
    }
    series |= {
        key: value for key in ("frequency", "season", "timezone") if (value := getattr(proposal, key)) is not None
    }
    tables = {"series": {**series, **family.series}, **family.tables(proposal)}
    lines = [f"# The contract of {family.title}: what it takes and what it gives.", ""]
    lines += [f"# {note}" for note in family.notes]
    lines += ["#", "# Read from the history:", *(f"#   {line}" for line in proposal.assumptions)]
    for name, table in tables.items():
        if table:
            lines += ["", f"[{name}]", *(line for key, value in table.items() for line in _lines(key, value))]
    return "\n".join(lines) + "\n"


def deploy_text() -> str:
    """The text of `deploy.toml`: what `deploy` needs of an account, to be filled in."""
    return Path(__file__).with_name("deploy.toml").read_text(encoding="utf-8")


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
