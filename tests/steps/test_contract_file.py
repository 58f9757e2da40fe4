from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from shard_build import DAILY_CONTRACT

from batchcast.steps.contract.model_contract import parse_contract, read_contract
from batchcast.steps.contract.outputs import Output, Outputs
from batchcast.steps.contract.template import RowList, Value
from batchcast.steps.errors import ConfigError

WHOLE = """
[series]
item_id = ["store", "product"]
timestamp = "day"
targets = ["sales", "returns"]
min_history = 28
nulls = "quarantine"
timestamp_format = "date"

[request]
body = '''
{
  "kind": {"a": 1, "ü": [true, 1.5, "x y"]},
  "item_id": $item_id,
  "store": $store,
  "start": [$start_time],
  "days": $horizon,
  "target": $history($sales),
  "rows": $history({"when": $day, "sales": $sales}),
  "known": $future({"when": $day, "promo": $promo})
}
'''

[outputs]
sales = { path = "forecast[*].p50", quantile = 0.5 }
sales_p90 = { path = "forecast[*].p90", quantile = 0.9, target = "sales" }
returns = "forecast[*].returns"

[answer]
item_id = "item_id"
timestamps = "forecast[*].date"
error = "problem"
minimum = 0
maximum = 1e6

[checks]
scale = "hold"
missing_forecasts = "carry_forward"
"""


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_contract(text.encode())
    return [str(problem) for problem in caught.value.problems]


def test_every_declaration_is_read() -> None:
    contract = parse_contract(WHOLE.encode())
    assert contract.series.item_id == ("store", "product")
    assert (contract.series.timestamp, contract.series.targets) == ("day", ("sales", "returns"))
    assert (contract.series.min_history, contract.series.nulls, contract.series.timestamp_format) == (
        28,
        "quarantine",
        "date",
    )
    rows = ('{"when":', Value("day", ("when",)), ',"sales":', Value("sales", ("sales",)), "}")
    known = ('{"when":', Value("day", ("when",)), ',"promo":', Value("promo", ("promo",)), "}")
    assert contract.request.body == (
        '{"kind":{"a":1,"ü":[true,1.5,"x y"]},"item_id":',
        Value("item_id", ("item_id",)),
        ',"store":',
        Value("store", ("store",)),
        ',"start":[',
        Value("start_time", ("start", 0)),
        '],"days":',
        Value("horizon", ("days",)),
        ',"target":',
        RowList("history", ("", Value("sales"), ""), ("target",)),
        ',"rows":',
        RowList("history", rows, ("rows",)),
        ',"known":',
        RowList("future", known, ("known",)),
        "}",
    )
    assert contract.outputs == Outputs(
        columns=(
            Output(name="sales", path="forecast[*].p50", target="sales", quantile=0.5),
            Output(name="sales_p90", path="forecast[*].p90", target="sales", quantile=0.9),
            Output(name="returns", path="forecast[*].returns", target="returns"),
        ),
        item_id="item_id",
        timestamps="forecast[*].date",
        error="problem",
        minimum=0.0,
        maximum=1e6,
    )
    assert (contract.outputs.point("sales"), contract.outputs.point("returns")) == (0, 2)
    assert contract.outputs.quantiles("sales") == ((0.5, 0), (0.9, 1))
    assert contract.checks.severities["scale"] == "hold"
    assert contract.checks.missing_forecasts == "carry_forward"
    assert contract.sha256 == hashlib.sha256(WHOLE.encode()).hexdigest()


def test_what_may_be_left_out_has_a_default() -> None:
    contract = parse_contract(DAILY_CONTRACT.encode())
    assert (contract.series.min_history, contract.series.nulls, contract.series.timestamp_format) == (1, "null", None)
    assert (contract.outputs.error, contract.outputs.records) == ("error", None)
    assert (contract.outputs.minimum, contract.outputs.maximum) == (None, None)
    assert (contract.checks.severities["scale"], contract.checks.missing_forecasts) == ("warn", "leave_out")


def test_outputs_alone_are_enough() -> None:
    text = DAILY_CONTRACT.split("[outputs]")[0] + "[outputs]\nmean = 'predictions[0].\"0.5\"'\n"
    (output,) = parse_contract(text.encode()).outputs.columns
    assert (output.name, output.path, output.target, output.quantile) == ("mean", 'predictions[0]."0.5"', "sales", None)


def test_the_columns_to_read_are_the_targets_and_those_of_the_rows_once_each() -> None:
    assert parse_contract(WHOLE.encode()).value_columns == ("sales", "returns", "promo")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('timestamp = "day"', 'timestam = "day"', ["timestamp is missing", "'timestam' is not known"]),
        ("min_history = 28", "min_histor = 28", ["'min_histor' is not known. Did you mean 'min_history'?"]),
        ("min_history = 28", "min_history = 0", ["min_history = 0 is below 1"]),
        ("min_history = 28", "min_history = true", ["min_history = True is not a whole number"]),
        ('nulls = "quarantine"', 'nulls = "droop"', ["nulls = 'droop' is not known", "Use null, quarantine"]),
        ('targets = ["sales", "returns"]', 'targets = ["day"]', ["column 'day' is named twice"]),
        (
            'targets = ["sales", "returns"]',
            'targets = ["step"]',
            ["'step' has the name of another column of the published"],
        ),
        ('targets = ["sales", "returns"]', "targets = []", ["targets = [] is not a list of different texts"]),
        ("$start_time", "$strat_time", ["placeholder $strat_time is not known. Did you mean $start_time?"]),
        ("$start_time", '"$start_time"', ["the placeholder $start_time stands in quotes"]),
        ("$start_time", "$", ["no placeholder begins with '$]"]),
        ("$start_time", "$start_time $end_time", ["body is not JSON: Expecting ',' delimiter", "$start_time"]),
        ("$start_time", "NaN", ["NaN is no JSON"]),
        ('"promo": $promo', '"promo: $promo', ["has no closing quote"]),
        ('"start"', '"kind"', ["the key 'kind' is there twice"]),
        ('"start"', "$horizon", ["a placeholder stands where a key is"]),
        ("body =", 'mode = "object"\npairing = "position"\nbody =', ["an object is paired by its name"]),
        ("body =", 'content_type = "text/csv"\nbody =', ["text/csv cannot travel in lines"]),
        ("body =", 'accept = "text/csv"\nbody =', ["joins input and answer of one type only"]),
        ("body =", "items_per_request = 8\nbody =", ["items_per_request = 8, and body has no list of them"]),
        ("$history($sales)", "$history($sales", ["the parenthesis of $history( is not closed"]),
        ("$history($sales)", "$history", ["$history has no row"]),
        ("$history($sales)", "$history(1)", ["$history(1) names no column"]),
        ("$history($sales)", "$history($future($promo))", ["$future(…) stands inside $history(…)"]),
        ("$history($sales)", "$both($sales)", ["the target 'sales' cannot be read from the future"]),
        ("$history($sales)", "$target_time_series", ["could be any of sales, returns"]),
        ('"promo": $promo', '"promo": $sales', ["the target 'sales' cannot be read from the future"]),
        ("$history($sales)", "$record", ["body holds $record, and no record says what that is"]),
        ("body =", "record = '{}'\nbody =", ["record has no place in body", "nothing in it carries the history"]),
        ("body =", "bodi =", ["body is missing", "'bodi' is not known. Did you mean 'body'?"]),
        ('returns = "forecast[*].returns"', "", ["nothing says where the forecast of 'returns' is"]),
        ('returns = "', 'back = "', ["it does not say which target back forecasts", "nothing says where"]),
        ('target = "sales"', 'target = "price"', ["sales_p90 forecasts 'price', which is not a target"]),
        ("quantile = 0.9", "quantile = 0.5", ["the quantile 0.5 of 'sales' is there twice"]),
        ("quantile = 0.9", "quantile = 90", ["sales_p90 has the quantile 90", "between 0 and 1"]),
        ("quantile = 0.9", "level = 0.9", ["sales_p90 has the unknown key level"]),
        ("forecast[*].p90", "forecast[*]..p90", ["'forecast[*]..p90' is no JMESPath"]),
        ("sales_p90 =", "item_id =", ["'item_id' is the name of another published column"]),
        ('"forecast[*].date"', "3", ["timestamps = 3 is not text"]),
        ("minimum = 0", "minimum = 1e7", ["minimum 10000000.0 is above maximum 1000000.0"]),
        ("minimum = 0", "minimum = inf", ["minimum = inf is not a finite number"]),
        ("minimum = 0", 'minimum = "0"', ["minimum = '0' is not a finite number"]),
        ('scale = "hold"', "scale = 1", ["scale = 1 is not text"]),
        ('scale = "hold"', 'scale = "holds"', ["'holds' is not known. Did you mean 'hold'?"]),
        ("[checks]", "[cheks]", ["'cheks' is not known. Did you mean 'checks'?"]),
    ],
)
def test_what_is_wrong_is_named_with_a_remedy(old: str, new: str, expected: list[str]) -> None:
    assert old in WHOLE
    found = "\n".join(problems(WHOLE.replace(old, new)))
    for text in expected:
        assert text in found


def test_all_problems_are_reported_together_and_once() -> None:
    found = problems(WHOLE.replace("min_history = 28", "min_history = 0").replace('scale = "hold"', "hold = 1"))
    assert len(found) == len(set(found)) == 2


def test_a_record_without_history_is_refused() -> None:
    text = DAILY_CONTRACT.replace('$history({"date": $date, "sales": $sales})', "$horizon")
    assert any("nothing in it carries the history" in problem for problem in problems(text))


def test_a_file_without_tables_names_all_of_them() -> None:
    found = "\n".join(problems("request = 3"))
    for name in ("series is missing", "request = 3 is not a table", "outputs is missing"):
        assert name in found


def test_text_that_is_not_toml_names_the_place() -> None:
    assert "line 2" in problems("[series]\nx == 1")[0]
    with pytest.raises(ConfigError, match="UTF-8"):
        parse_contract(b"\xff")


def test_a_missing_file_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="contract_missing"):
        read_contract(tmp_path / "model.toml")


def test_a_byte_order_mark_before_the_toml_is_no_fault() -> None:
    text = Path(__file__).parents[2].joinpath("examples/bakery/model.toml").read_bytes()
    assert parse_contract(b"\xef\xbb\xbf" + text).series == parse_contract(text).series
