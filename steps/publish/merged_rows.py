"""The forecasts of a run with rows of an earlier publication in their midst, put together part by part."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batchcast.steps.answers.item_arrays import Positions, kept_array, kept_rows
from batchcast.steps.answers.item_names import ItemPlaces, one_array
from batchcast.steps.publish.forecast_table import (
    CARRIED_FORWARD,
    MODEL,
    SOURCE_RUN,
    ForecastRows,
    forecast_table,
    moment_array,
)

_PLACE = "place"


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedRows:
    """As Rows: the forecasts, and the rows of `items` other items in the places `at` among all rows.

    `words` are the values that a column of texts may have; `named` are the items among the others that were asked for.
    """

    forecasts: ForecastRows
    others: pa.Table
    at: Positions
    words: Mapping[str, pa.Array]
    items: int
    named: frozenset[str]

    @property
    def num_rows(self) -> int:
        return self.forecasts.num_rows + len(self.at)

    def slice(self, offset: int = 0, length: int | None = None) -> pa.Table:
        stop = self.num_rows if length is None else min(offset + length, self.num_rows)
        first, last = np.searchsorted(self.at, [offset, stop]).tolist()
        mine, others = self.forecasts.slice(offset - first, stop - offset - last + first), self.others
        other = np.zeros(stop - offset, bool)
        other[self.at[first:last] - offset] = True
        order = np.where(other, other.cumsum() + len(mine), (~other).cumsum()) - 1
        both = pa.concat_tables([mine.cast(others.schema), others.slice(first, last - first)])
        both = both.combine_chunks().take(pa.array(order))
        columns = dict(zip(both.column_names, map(one_array, both.columns), strict=True))
        for name, known in self.words.items():
            codes = pc.index_in(columns[name], value_set=known)
            columns[name] = pa.DictionaryArray.from_arrays(codes, known)
        return pa.table(columns, schema=mine.schema)


def fill_up(forecasts: ForecastRows, older: pa.Table) -> MergedRows:
    """The forecasts with the rows of `last_run.forecasts_of` for other items."""
    moments, targets = moment_array(forecasts.dates), forecasts.targets
    at = pc.index_in(older["forecast_date"].cast(moments.type), value_set=moments).to_numpy()
    columns = {target: older[target].to_numpy() for target in targets}
    moved = at.astype(np.int32) + 1, columns, moments, CARRIED_FORWARD
    return _merged(forecasts, [forecast_table(older["item_id"], *moved, older[SOURCE_RUN])], [MODEL])


def replace_items(published: Iterable[pa.Table], forecasts: ForecastRows, asked: Sequence[str]) -> MergedRows:
    """The published rows, which come in order, with those of `forecasts` in the place of its items'."""
    return _merged(forecasts, published, [], asked)


def _merged(
    forecasts: ForecastRows, parts: Iterable[pa.Table], sources: Sequence[str], asked: Sequence[str] = ()
) -> MergedRows:
    places, steps = ItemPlaces(forecasts.item_ids), len(forecasts.dates)
    words = {"source": dict.fromkeys(sources), SOURCE_RUN: dict[str, None]()}
    schema = pa.schema(
        [field.with_type(pa.string()) if field.name in words else field for field in forecasts.slice(0, 0).schema]
    )
    wanted, named, items, rows, last = pa.array(asked, pa.string()), set[str](), 0, 0, None

    def others() -> Iterator[pa.Table]:
        nonlocal items, rows, last
        for part in parts:
            ids = part["item_id"].combine_chunks().dictionary_encode()
            place, known = places.before(ids.dictionary)
            before = np.searchsorted(forecasts.places, place)
            new = ~known | (np.searchsorted(forecasts.places, place, "right") == before)
            names = ids.dictionary.filter(pa.array(new))
            if not len(names):
                continue
            row = ids.indices.to_numpy()
            kept = part.filter(pa.array(new[row]))
            for name, found in words.items():
                found |= dict.fromkeys(_words(kept[name]))
            at = pa.array((before * steps)[row[new[row]]] + np.arange(rows, rows + len(kept)))
            named.update(names.filter(pc.is_in(names, value_set=wanted)).to_pylist())
            items, rows, last = items + len(names) - (names[0].as_py() == last), rows + len(kept), names[-1].as_py()
            yield kept.select(schema.names).cast(schema).append_column(_PLACE, at)

    table = kept_rows(others(), schema.append(pa.field(_PLACE, pa.int64())))
    at, done = kept_array((len(table),), np.int64), 0
    for chunk in table[_PLACE].chunks:
        at[done : done + len(chunk)] = chunk.to_numpy()
        done += len(chunk)
    words["source"] |= {MODEL: None}
    return MergedRows(
        forecasts=forecasts,
        others=table.drop_columns([_PLACE]),
        at=at,
        words={name: pa.array([*found], pa.string()) for name, found in words.items()},
        items=items,
        named=frozenset(named),
    )


def _words(column: pa.ChunkedArray) -> list[str]:
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    return [word for chunk in encoded.chunks for word in chunk.dictionary.to_pylist()]
