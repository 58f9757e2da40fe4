"""`lint` as a user calls it: on the committed definition, and on anybody's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tuning_document import write_tuning_document

from batchcast.cli.main import root
from batchcast.pipelines.definition import DEFINITION_FILE
from batchcast.steps.errors import ConfigError


def lint(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(root, ["lint", *arguments], input=stdin)


def findings(result: Result) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = json.loads(result.stdout)
    return rows


@pytest.fixture
def committed() -> Any:
    return json.loads(DEFINITION_FILE.read_text())


def write(directory: Path, definition: Any) -> str:
    path = directory / "pipeline.json"
    path.write_text(json.dumps(definition))
    return str(path)


def test_the_committed_definition_has_nothing_that_sagemaker_would_refuse() -> None:
    result = lint("--json")
    assert result.exit_code == 0, result.output
    assert [row for row in findings(result) if row["kind"] == "refused"] == []


def test_what_would_be_refused_ends_with_2_and_names_the_step(committed: Any, tmp_path: Path) -> None:
    committed["Steps"][1]["Arguments"]["MaxConcurrentTransforms"] = 1000
    result = lint(write(tmp_path, committed), "--json")
    assert result.exit_code == 2
    assert ("refused", "Transform") in {(row["kind"], row["where"].split(".")[0]) for row in findings(result)}


def test_advice_alone_ends_with_0_and_is_told_in_words(committed: Any, tmp_path: Path) -> None:
    committed["Parameters"].append({"Name": "NobodyReadsThis", "Type": "String", "DefaultValue": "x"})
    result = lint(write(tmp_path, committed))
    assert result.exit_code == 0
    assert "NobodyReadsThis" in result.stdout
    assert "refuse" not in result.stdout


def test_a_definition_can_come_from_stdin(committed: Any) -> None:
    result = lint("-", "--json", stdin=json.dumps(committed))
    assert (result.exit_code, findings(result)) == (0, findings(lint("--json")))


def test_parameters_are_those_of_the_definition_given(committed: Any, tmp_path: Path) -> None:
    committed["Parameters"].append({"Name": "Theirs", "Type": "Integer", "DefaultValue": 1})
    path = write(tmp_path, committed)
    assert lint(path, "-p", "Theirs=2").exit_code == 0
    assert lint(path, "-p", "Theirs=two").exit_code == 2
    assert lint(path, "-p", "Thiers=2").exit_code == 2


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\x00"])
def test_what_is_not_json_is_named_with_its_place(text: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_text(text)
    result = lint(str(path))
    assert isinstance(result.exception, ConfigError)
    assert str(path) in str(result.exception)


@pytest.mark.parametrize("text", ["3", "[]", '{"Steps": 4}', '{"Steps": [{}]}'])
def test_json_that_is_no_definition_is_a_finding(text: str) -> None:
    result = lint("-", stdin=text)
    assert (result.exit_code, "definition" in result.stdout) == (2, True)


def test_a_parameter_without_a_value_is_refused() -> None:
    result = lint("-p", "ForecastHorizon")
    assert isinstance(result.exception, ConfigError)
    assert "-p Name=Value" in str(result.exception)


@pytest.fixture
def tuning(tmp_path: Path) -> Path:
    return write_tuning_document(tmp_path / "tuning.json")


def advice(*arguments: str) -> set[tuple[str, str]]:
    result = lint("--json", *arguments)
    assert result.exit_code == 0, result.output
    return {(row["code"], row["where"]) for row in findings(result) if row["kind"] == "advice"}


def test_settings_that_fit_what_was_measured_are_clean(tuning: Path) -> None:
    assert advice("--tuning", str(tuning)) == advice()


@pytest.mark.parametrize(
    ("parameters", "code", "member"),
    [
        ({"InvocationsTimeoutInSeconds": 62}, "short_timeout", "ModelClientConfig.InvocationsTimeoutInSeconds"),
        # Between two levels the slower one counts.
        (
            {"InvocationsTimeoutInSeconds": 63, "MaxConcurrentTransforms": 5},
            "short_timeout",
            "ModelClientConfig.InvocationsTimeoutInSeconds",
        ),
        ({"MaxConcurrentTransforms": 9}, "not_measured", "MaxConcurrentTransforms"),
        ({"TransformInstanceType": "ml.c5.4xlarge"}, "not_checked", "TransformResources.InstanceType"),
    ],
)
def test_settings_that_the_measurement_speaks_against_are_named_in_both_rounds(
    tuning: Path, parameters: dict[str, object], code: str, member: str
) -> None:
    given = [text for name, value in parameters.items() for text in ("-p", f"{name}={value}")]
    found = advice("--tuning", str(tuning), *given) - advice(*given)
    assert found == {(code, f"{step}.{member}") for step in ("Transform", "TransformRetry")}


def test_a_timeout_is_told_with_what_was_measured_and_what_to_use(tuning: Path) -> None:
    printed = lint("--tuning", str(tuning), "-p", "InvocationsTimeoutInSeconds=60").stdout
    assert "60 s; with 4 requests at once one in a hundred took 62.5 s or longer. Use 188" in printed
