"""The builder against a slow, obvious one, on random data: same values, and the same bytes however rows are split."""

from __future__ import annotations

import datetime as dt
import json
import math
import random
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from plain_records import plain_records
from shard_build import build

from batchcast.steps.contract.model_contract import parse_contract
from batchcast.steps.shards.sent_records import SentRecords

RUN_DATE = dt.date(2026, 1, 20)
DAYS = 3
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
TYPES: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "int8": (pa.int8(), st.integers(-128, 127)),
    "int64": (pa.int64(), st.integers(-(2**53) - 1, 2**53 + 1) | st.integers(0, 3)),
    "uint64": (pa.uint64(), st.integers(0, 2**53 + 1)),
    "float64": (pa.float64(), st.floats() | st.sampled_from([18.0, -0.0, 1e10, 1e16, 1e22, 0.1, 5e-324])),
    "float32": (pa.float32(), st.floats(width=32) | st.sampled_from([0.5, 16777216.0])),
    "bool": (pa.bool_(), st.booleans()),
    "text": (pa.string(), TEXT | st.sampled_from(['"', "\\", "\n", "\u2028", "漢", "\x00", "a/b"])),
    "large text": (pa.large_string(), TEXT),
    "coded text": (pa.dictionary(pa.int8(), pa.string()), st.sampled_from(["fête", "", "x"])),
    "date": (pa.date32(), st.dates()),
    "seconds": (pa.timestamp("s"), st.datetimes().map(lambda time: time.replace(microsecond=0))),
    "micros": (pa.timestamp("us"), st.datetimes()),
    "decimal": (pa.decimal128(10, 2), st.integers(-(10**6), 10**6).map(lambda cents: Decimal(cents) / 100)),
    "nothing": (pa.null(), st.none()),
}
DATES = {
    "date32": pa.date32(),
    "s": pa.timestamp("s"),
    "ms": pa.timestamp("ms"),
    "us": pa.timestamp("us"),
    "ns": pa.timestamp("ns"),
}


STORES = st.sampled_from(["7", "a/b", "ü\n", '"'])


@st.composite
def cases(draw: st.DrawFn) -> tuple[pa.Table, str]:
    """A table and a contract that reads it: whole items mostly, some of them spoiled."""
    kinds = draw(st.lists(st.sampled_from(sorted(TYPES)), min_size=1, max_size=4))
    date_type = DATES[draw(st.sampled_from(sorted(DATES)))]
    ids = draw(st.sampled_from([["store"], ["store", "product"]]))
    future = draw(st.booleans())
    nulls = draw(st.booleans())
    values = {f"v{n}": TYPES[kind][1] | st.none() if nulls else TYPES[kind][1] for n, kind in enumerate(kinds)}
    cells = st.fixed_dictionaries(
        {"sales": st.floats(allow_nan=nulls, allow_infinity=nulls) | st.just(math.nan if nulls else 1.0), **values}
    )
    hours = st.just(0) if date_type == pa.date32() or draw(st.booleans()) else st.integers(0, 23)
    products = st.just(1) if len(ids) == 1 else st.integers(1, 2)
    rows = []
    for store, product in draw(st.sets(st.tuples(STORES, products), min_size=1, max_size=3)):
        days = draw(st.sets(st.integers(1, RUN_DATE.day), min_size=1, max_size=6))
        if draw(st.booleans()):
            days = set(range(RUN_DATE.day + 1 - len(days), RUN_DATE.day + 1))
        days |= set(range(RUN_DATE.day + 1, RUN_DATE.day + 1 + draw(st.integers(DAYS - future, DAYS + 1))))
        for day in sorted(days):
            time = dt.datetime(2026, 1, day, draw(hours))
            date = time.date() if date_type == pa.date32() else time
            rows.append({"store": store, "product": product, "date": date, **draw(cells)})
    spoiled = st.sampled_from([{}, {"date": None}, {"store": None}, {"store": ""}, {"product": None}])
    rows += [row | draw(spoiled) for row in draw(st.lists(st.sampled_from(rows), max_size=1))]
    schema = pa.schema(
        [
            ("store", pa.string()),
            ("product", pa.int32()),
            ("date", date_type),
            ("sales", pa.float64()),
            *((f"v{n}", TYPES[kind][0]) for n, kind in enumerate(kinds)),
        ]
    )
    names = [f"v{n}" for n in range(len(kinds))]
    return pa.Table.from_pylist(rows, schema=schema), _contract(draw, ids, names, future=future)


def _contract(draw: st.DrawFn, ids: list[str], names: list[str], *, future: bool) -> str:
    columns = "".join(f',"{name} é":${name}' for name in names)
    nested = ",".join(f"${name}" for name in names)
    shapes = [
        f'"rows":$history({{"wänn":$date,"sales":$sales,"shop":${{store}}{columns}}})',
        f'"lists":$history([$date,[{nested}],{{"é ( b":"x"}},$item_id])'.replace(" ( ", " "),
        f'"shop":${ids[-1]}',
        '"span":[$start_time,{"end":$end_time}]',
        '"target":$history($v0)',
        '"深":{"list":[$history([$v0,1]),$horizon,"漢 \\" x"]}',
    ]
    if future:
        shapes += [f'"known":$future({{"時":$date{columns}}})', '"known_first":$future($v0)', '"all":$both($v0)']
    chosen = draw(st.permutations(shapes))[: draw(st.integers(1, len(shapes)))]
    if not any("$history" in shape or "$both" in shape for shape in chosen):
        chosen.append(shapes[0])
    template = "{" + ",".join(['"item_id":$item_id', *dict.fromkeys(chosen)]) + "}"
    return f"""
[series]
item_id = {json.dumps(ids)}
timestamp = "date"
targets = ["sales"]
frequency = "D"
{draw(st.sampled_from(["", 'fill = "none"']))}
min_history = {draw(st.integers(1, 2))}
nulls = "{draw(st.sampled_from(["null", "quarantine", "zero", "nan", "drop"]))}"
[request]
body = '''{template}'''
[outputs]
sales = "mean"

[answer]
item_id = "item_id"
"""


WAYS = ("", 'pairing = "position"', 'mode = "object"')
ORDER = [("shard", "ascending"), ("line", "ascending"), ("position", "ascending")]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(cases(), st.sampled_from(WAYS), st.integers(1, 4))
def test_the_model_receives_the_template_however_a_request_travels(
    case: tuple[pa.Table, str], way: str, items: int
) -> None:
    """To the byte in lines that are paired by position and in objects, as a JSON value in envelopes."""
    table, text = case
    template = text.split("'''")[1]
    around = ('{"äll":', ',"steps":$horizon,"then":{"漢":[1.50,"$"]}}'.replace('$"', '\\u0024"'))
    contract_text = text.replace("body =", f"{way}\nbody =")
    if items > 1:
        body = f"items_per_request = {items}\n{way}\nbody = '''{'$records'.join(around)}'''\nrecord ="
        contract_text = text.replace("body =", body)
    wanted, _ = plain_records(table, parse_contract(contract_text.encode()), template, RUN_DATE, DAYS)
    with tempfile.TemporaryDirectory() as folder:
        made = build(Path(folder), contract_text, [table], run_date=RUN_DATE.isoformat(), forecast_horizon=DAYS)
        if not wanted:
            assert made.exit_code == 3
            return
        assert made.exit_code == 0, made.message
        rows = made.records_table.sort_by(ORDER).to_pylist()
        shards = made.shards
    held: dict[tuple[str, int], list[str]] = {}
    for row in rows:
        if row["shard"] is not None:
            held.setdefault((row["shard"], row["line"]), []).append(row["item_id"])
    assert sorted(item for own in held.values() for item in own) == sorted(wanted)
    assert max(map(len, held.values())) <= items
    for (shard, line), own in held.items():
        expected = ",".join(wanted[item] for item in own)
        if items > 1:
            expected = f"{around[0]}[{expected}]{around[1].replace('$horizon', str(DAYS))}"
        sent = shards[shard] if "object" in way else shards[shard].split(b"\n")[line]
        if way:
            assert sent == expected.encode()
        else:
            assert json.loads(sent) == {"body": json.loads(expected), "item_id": own if items > 1 else own[0]}
    event(f"{way or 'envelope'}, {len(wanted)} records in {len(held)} requests")


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(cases(), st.randoms(use_true_random=False), st.integers(1, 4), st.integers(1, 7))
def test_records_equal_the_plain_ones_and_bytes_do_not_depend_on_files(
    case: tuple[pa.Table, str], shuffle: random.Random, files: int, group_rows: int
) -> None:
    table, contract_text = case
    contract = parse_contract(contract_text.encode())
    template = contract_text.split("'''")[1]
    wanted, reasons = plain_records(table, contract, template, RUN_DATE, DAYS)
    order = list(range(table.num_rows))
    shuffle.shuffle(order)
    pieces = [table.take(pa.array(order[n::files], pa.int64())) for n in range(files)]
    with tempfile.TemporaryDirectory() as folder:
        flags: dict[str, Any] = {"run_date": RUN_DATE.isoformat(), "forecast_horizon": DAYS}
        whole = build(Path(folder, "whole"), contract_text, [table], **flags)
        split = build(Path(folder, "split"), contract_text, pieces, group_rows=group_rows, **flags)
        assert whole.files == split.files
        assert whole.exit_code == split.exit_code
        event(f"{min(len(wanted), 3)} records")
        for reason in sorted(set(reasons.values())):
            event(reason)
        if not wanted:
            assert whole.exit_code == 3
            assert "nothing_to_forecast" in whole.message
            return
        assert whole.exit_code == 0, whole.message
        sent = SentRecords.of(whole.manifest, whole.records_table)
        assert {
            one.item_id: one.body.decode() for one in sent.read(whole.records_table, whole.shards.__getitem__)
        } == wanted
        assert {item: json.loads(text) for item, text in wanted.items()} == whole.records
        assert whole.reasons == reasons
        assert {row["item_id"] for row in whole.table} == {*wanted, *reasons}
