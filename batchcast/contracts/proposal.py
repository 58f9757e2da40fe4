"""What a history looks like: ids, timestamp, target, covariates and frequency, proposed from its schema and its rows.

Nothing is decided silently: every assumption is a line of `Proposal.assumptions`, and what cannot be told is an error
that says which option says it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from batchcast.steps.errors import ConfigError, DataError, Problem
from batchcast.steps.reading_note import reading

if TYPE_CHECKING:
    from batchcast.steps.contract.frequency import Frequency

# Names that columns of such a kind have, the likeliest first.
_TIMESTAMPS = ("date", "timestamp", "ds", "day", "week", "month", "datetime", "time", "period", "start")
_TARGETS = ("sales", "demand", "target", "y", "quantity", "qty", "units", "units_sold", "volume", "load", "value")
_IDS = ("item_id", "unique_id", "series_id", "series", "item", "sku", "product", "article", "store", "shop", "location")
_MOST_IDS = 3
# Ids and dates of so many rows are looked at; a longer history is judged by its first files.
_ROWS_READ = 5_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A reading of the history. `known` are covariates whose values reach beyond the target, `past` the others.

    `frequency` is the alias of the grid that the rows lie on, as a run infers it, None where none is known; `season` is
    in steps, None where the frequency's own suits.
    """

    item_id: tuple[str, ...]
    timestamp: str
    target: str
    known: tuple[str, ...]
    past: tuple[str, ...]
    frequency: str | None
    season: int | None
    timezone: str | None
    assumptions: tuple[str, ...]


def propose(
    history: Path,
    *,
    item_id: Sequence[str] = (),
    timestamp: str | None = None,
    target: str | None = None,
    known: Sequence[str] = (),
) -> Proposal:
    """Read the schema and, of ids, timestamp and target, the values; what is given is taken as it is. Raises DataError
    for what is no Parquet, and ConfigError for roles that cannot be told, with the candidates."""
    with reading(str(history), code="history"):
        return _read(_open(history), item_id, timestamp, target, known)


def _read(
    dataset: ds.Dataset, item_id: Sequence[str], timestamp: str | None, target: str | None, known: Sequence[str]
) -> Proposal:
    schema = dataset.schema
    _check_given(schema, [*item_id, *([timestamp] if timestamp else []), *([target] if target else [])])
    when = timestamp or _timestamp(schema)
    numbers = [each.name for each in schema if _is_number(each.type) and each.name != when]
    what = target or _target(schema, numbers, item_id)
    ids = tuple(item_id) or _ids(dataset, when, what)
    said = [f"an item is named by {', '.join(ids)}", f"{when} is the timestamp", f"{what} is what is forecast"]
    others = [name for name in schema.names if name not in {*ids, when, what}]
    values = [each.name for each in schema if _is_number(each.type) or pa.types.is_boolean(each.type)]
    covariates = [name for name in others if name in values]
    _check_given(schema, known)
    known = tuple(known) or _known_later(dataset, what, covariates)
    past = tuple(name for name in covariates if name not in known)
    if known:
        said.append(f"{', '.join(known)} are known for the future: they are named so, or go on after the last {what}")
    if past:
        said.append(f"{', '.join(past)} end with {what}, so they are taken as not known in advance")
    if texts := [name for name in others if name not in covariates]:
        said.append(f"{', '.join(texts)} are left out: text needs a coding that only the model knows")
    zone = getattr(schema.field(when).type, "tz", None)
    said += [f"instants are read in {zone}, the zone they were written in"] if zone else []
    frequency, steps = _grid(dataset, when)
    said.append(f"rows are {frequency.alias} apart" if frequency else "no frequency fits the rows: declare it")
    season = None
    if frequency and frequency.season > 1 and steps < 2 * frequency.season:
        season = 1
        said.append(f"{steps} steps are less than two seasons of {frequency.season}, so the naive is the last value")
    return Proposal(
        item_id=ids,
        timestamp=when,
        target=what,
        known=known,
        past=past,
        frequency=frequency.alias if frequency else None,
        season=season,
        timezone=zone,
        assumptions=tuple(said),
    )


def _grid(dataset: ds.Dataset, timestamp: str) -> tuple[Frequency | None, int]:
    """The grid, and how many of its steps there are."""
    from batchcast.steps.contract.frequency import infer_frequency

    moments = dataset.head(_ROWS_READ, columns=[timestamp])[timestamp].drop_null()
    if getattr(moments.type, "tz", None):
        moments = pc.local_timestamp(moments)
    counted = pc.value_counts(pc.cast(moments, pa.timestamp("s"), safe=False))
    seconds = counted.field("values").cast(pa.int64()).to_numpy()
    if len(seconds) < 2:
        return None, len(seconds)
    order = seconds.argsort()
    try:
        return infer_frequency(seconds[order], counted.field("counts").to_numpy()[order]), len(seconds)
    except ValueError:
        return None, len(seconds)


def _open(history: Path) -> ds.Dataset:
    try:
        dataset = ds.dataset(history, format="parquet", partitioning="hive")
        # The row numbers that pandas keeps as a column name no series and explain no value.
        rows = [
            one for one in dataset.schema if one.name.startswith("__index_level_") and pa.types.is_integer(one.type)
        ]
        return dataset.replace_schema(pa.schema([one for one in dataset.schema if one not in rows]))
    except (OSError, pa.ArrowInvalid) as error:
        remedy = "Give a folder of Parquet files, or one file."
        raise DataError(Problem("history", f"cannot be read as Parquet: {error}.", str(history), remedy)) from error


def _check_given(schema: pa.Schema, names: Sequence[str]) -> None:
    missing = [name for name in names if name not in schema.names]
    if missing:
        remedy = f"The columns are {', '.join(schema.names)}."
        raise ConfigError(Problem("column", f"there is no column {', '.join(missing)}.", "history", remedy))


def _timestamp(schema: pa.Schema) -> str:
    """The only column of dates or times, or of several the one with the likeliest name."""
    found = [each.name for each in schema if pa.types.is_date(each.type) or pa.types.is_timestamp(each.type)]
    if likely := found[0] if len(found) == 1 else _likeliest(_TIMESTAMPS, found):
        return likely
    kinds = ", ".join(found) or f"none of {', '.join(schema.names)}"
    what = f"which column is the timestamp? It could be {kinds}."
    remedy = (
        'Write dates: frame[COLUMN] = pandas.to_datetime(frame[COLUMN].astype(str), format="%Y%m%d"), or as they are.'
    )
    raise ConfigError(Problem("init", what, "--timestamp", "Give --timestamp." if found else remedy))


def _likeliest(words: Sequence[str], names: Sequence[str]) -> str | None:
    """The name that is the first of the words, however it is spelled."""
    spelled = {name.lower(): name for name in names}
    return next((spelled[word] for word in words if word in spelled), None)


def _target(schema: pa.Schema, numbers: Sequence[str], item_id: Sequence[str]) -> str:
    candidates = [name for name in numbers if name not in item_id]
    if likely := _likeliest(_TARGETS, candidates):
        return likely
    floats = [name for name in candidates if not pa.types.is_integer(schema.field(name).type)]
    if len(floats) == 1:
        return floats[0]
    if len(floats) > 1 and not any(_is_text(schema.field(name).type) for name in schema.names):
        what = f"the history looks wide, a column a series ({', '.join(floats[:4])}, …), "
        what += "and one row a series and period is needed."
        remedy = "Make it long: frame.melt(id_vars='date', var_name='item_id', value_name='sales').to_parquet(FILE)."
        raise ConfigError(Problem("init", what, "history", remedy))
    what = f"which column is forecast? It could be {', '.join(floats or candidates) or 'none: no column is a number'}."
    raise ConfigError(Problem("init", what, "--target", "Give --target."))


def _ids(dataset: ds.Dataset, when: str, target: str) -> tuple[str, ...]:
    """The fewest columns that, with the timestamp, name every row once."""
    schema = dataset.schema
    fits = [each.name for each in schema if _is_text(each.type) or pa.types.is_integer(each.type)]
    able = [name for name in fits if name not in (when, target)]
    able = sorted(able, key=lambda name: _IDS.index(name.lower()) if name.lower() in _IDS else len(_IDS))
    rows = dataset.head(_ROWS_READ, columns=[*able, when])
    for count in range(1, _MOST_IDS + 1):
        for names in itertools.combinations(able, count):
            groups = rows.group_by([*names, when]).aggregate([([], "count_all")])
            if groups.num_rows == rows.num_rows:
                return tuple(sorted(names, key=schema.names.index))
    what = f"no {_MOST_IDS} of the columns {', '.join(able)} name each row once together with {when}."
    remedy = "Give --item-id; rows that are there twice, or several a period, need aggregate in [series]."
    if not able:
        what = "no column of text or whole numbers is left to name an item."
        remedy = "Write one, of a single series too: frame['item_id'] = 'total'."
    raise ConfigError(Problem("init", what, "--item-id", remedy))


def _known_later(dataset: ds.Dataset, target: str, covariates: Sequence[str]) -> tuple[str, ...]:
    """Covariates that have values in rows without a target."""
    if not covariates:
        return ()
    rows = dataset.scanner(columns=list(covariates), filter=ds.field(target).is_null()).head(100_000)
    return tuple(name for name in covariates if rows.num_rows and pc.count(rows[name]).as_py() == rows.num_rows)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
