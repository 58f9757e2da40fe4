"""Which Parquet types a column may have, and when two files hold the same type.

Types are the same when equal values have the same JSON text: int8 and int64 are, int64 and double are not
(3 against 3.0), and a column that is null throughout a file fits any type.
"""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from batchcast.steps.errors import Problem

EMPTY_TYPE = pa.int8()
"""Stands for a column that is null in every file."""
_UNITS = ("s", "ms", "us", "ns")


def value_type(stored: pa.DataType) -> pa.DataType | None:
    """The type that a stored type is read as; None where JSON has no exact form of it."""
    if pa.types.is_dictionary(stored):
        return value_type(stored.value_type)
    if _is_text(stored):
        return pa.string()
    if pa.types.is_date(stored):
        return pa.date32()
    plain = (
        pa.types.is_null(stored)
        or pa.types.is_boolean(stored)
        or pa.types.is_integer(stored)
        or pa.types.is_float32(stored)
        or pa.types.is_float64(stored)
        or pa.types.is_decimal(stored)
        or (pa.types.is_timestamp(stored) and stored.tz is None)
    )
    return stored if plain else None


def common_type(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """The type that holds the values of both without changing a JSON text; None where there is none."""
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    if pa.types.is_integer(one) and pa.types.is_integer(other) and pa.uint64() not in (one, other):
        return pa.int64()
    if pa.types.is_timestamp(one) and pa.types.is_timestamp(other):
        return pa.timestamp(max(one.unit, other.unit, key=_UNITS.index))
    if pa.types.is_decimal(one) and pa.types.is_decimal(other) and one.scale == other.scale:
        return max(one, other, key=lambda decimal: decimal.precision)
    return None


def role_problem(role: str, column: str, stored: pa.DataType, where: str) -> Problem | None:
    """What keeps a column of that stored type from being an id, the date, a target or a value; None if nothing."""
    problem = _problem(role, stored, f"frame[{column!r}]")
    if problem is None:
        return None
    what, remedy = problem
    return Problem("column_type", f"column {column!r} is {stored}; {what}", where, remedy)


def _problem(role: str, stored: pa.DataType, frame: str) -> tuple[str, str] | None:
    if pa.types.is_timestamp(stored) and stored.tz is not None:
        what = "with a time zone the day of a row depends on the reader."
        return what, 'Declare timezone in [series], as "Europe/Berlin", or write local times without a zone.'
    plain = value_type(stored)
    if plain is None:
        return "it has no exact JSON form.", "Write text, whole numbers, floats, decimals, booleans or dates."
    if pa.types.is_null(plain):
        return None
    if role == "id" and not (_is_text(plain) or pa.types.is_integer(plain)):
        whole = "Int64" if pa.types.is_floating(plain) else "str"
        return "an id must be text or a whole number.", f'Write {frame}.astype("{whole}").'
    if role == "date" and not (pa.types.is_date(plain) or pa.types.is_timestamp(plain)):
        text = _is_text(plain)
        form = "%Y-%m-%d" if text else "%Y%m%d"
        other = "with the format that it has" if text else 'or with unit="s", "ms" where it counts from 1970'
        frame = frame if text else f"{frame}.astype(str)"
        return (
            "the date must be a date or a timestamp.",
            f'Write pandas.to_datetime({frame}, format="{form}"), {other}.',
        )
    if role == "target" and not (
        pa.types.is_integer(plain) or pa.types.is_floating(plain) or pa.types.is_decimal(plain)
    ):
        remedy = f"Write pandas.to_numeric({frame})" + ", after a decimal comma is a point." * _is_text(plain)
        return "a target must be a number.", f"Write {frame}.astype(int)." if pa.types.is_boolean(plain) else remedy
    return None


def join_ids(columns: Sequence[pa.Array]) -> pa.Array:
    """The item ids of items, by the texts of their id columns."""
    return pc.binary_join_element_wise(*columns, "/") if len(columns) > 1 else columns[0]


def item_keys(columns: Sequence[pa.Array]) -> pa.Array:
    """What differs between two items, by the texts of their id columns, even where they have one id; null without."""
    if len(columns) == 1:
        return columns[0]
    lengths = [pc.binary_length(column).cast(pa.string()) for column in columns[:-1]]
    return pc.binary_join_element_wise(*lengths, *columns, "/")


def _is_text(stored: pa.DataType) -> bool:
    return bool(pa.types.is_string(stored) or pa.types.is_large_string(stored) or pa.types.is_string_view(stored))
