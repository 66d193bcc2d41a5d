"""Plain columns: numbers, truth values, text and bytes, for systems that know nothing else."""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
from typing import Any

import polars as pl

from streamnb.errors import QueryError

_AT = "%Y-%m-%d %H:%M:%S%.f"
_PLAIN: set[pl.DataType] = {pl.Int64(), pl.Float64(), pl.String(), pl.Boolean(), pl.Int32(), pl.Binary()}
"""The most frequent of the types that are plain already."""


def plain(sink: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows in plain columns.

    Times are ISO text (with a zone: in UTC, so that text sorts as time), durations are seconds, decimals are exact
    text, lists and structs are JSON. A column of Python objects is a QueryError.
    """
    odd = [_plainly(sink, rows[name]) for name, dtype in rows.schema.items() if dtype not in _PLAIN]
    return rows.with_columns(odd) if odd else rows


def _plainly(sink: str, column: pl.Series) -> pl.Expr | pl.Series:
    """Return a column that is not plain as one that is, by an expression where one will do."""
    dtype, found = column.dtype, pl.col(column.name)
    if dtype.is_nested():
        values = [None if value is None else as_json(value) for value in column.to_list()]
        return pl.Series(column.name, values, pl.String)
    if isinstance(dtype, pl.Datetime):
        in_utc = found if dtype.time_zone is None else found.dt.convert_time_zone("UTC")
        return in_utc.dt.to_string(_AT if dtype.time_zone is None else f"{_AT}%:z")
    if dtype == pl.Time:
        return found.dt.to_string("%H:%M:%S%.f")
    if dtype == pl.Duration:
        return found.dt.total_microseconds() / 1e6
    if dtype == pl.Object:
        raise QueryError(f"{sink}: column {column.name!r} holds Python objects; make numbers, times or text of them.")
    return found.cast(pl.String) if _is_worded(dtype) else found


def _is_worded(dtype: pl.DataType) -> bool:
    return dtype in (pl.Date, pl.Null, pl.Categorical, pl.Enum) or dtype.is_decimal()


def json_rows(sink: str, rows: pl.DataFrame) -> list[str]:
    """Return every row as a JSON object of its plain values; bytes are in base64, NaN and infinity are null."""
    flat = plain(sink, rows).with_columns(pl.col(pl.Binary).bin.encode("base64"))
    nested = [column for column in rows if column.dtype.is_nested()]
    if all(is_simple(leaf) for column in nested for leaf in leaves(column.dtype)):
        names = flat.columns
        return flat.with_columns(nested).select(pl.struct(names).struct.json_encode()).to_series().to_list()
    kept = {column.name: column.to_list() for column in nested}
    each = [{**row, **{name: values[n] for name, values in kept.items()}} for n, row in enumerate(flat.to_dicts())]
    return [as_json(row) for row in each]


def leaves(dtype: Any) -> list[pl.DataType]:
    """Return the types at the bottom of lists and structs."""
    if isinstance(dtype, pl.Struct):
        return [leaf for part in dtype.fields for leaf in leaves(part.dtype)]
    inner = getattr(dtype, "inner", None)
    return [dtype] if inner is None else leaves(inner)


def is_simple(dtype: pl.DataType) -> bool:
    """Tell whether JSON says a type as it is."""
    return (dtype.is_numeric() and not dtype.is_decimal()) or dtype in (pl.String, pl.Boolean)


def as_json(value: Any) -> str:
    """Return a value as JSON: times as ISO text, bytes in base64, decimals as text, NaN and infinity as null."""
    return json.dumps(_jsonable(value), ensure_ascii=False, separators=(",", ":"))


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _jsonable(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else _text(value)


def _text(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.isoformat(" ")
    if isinstance(value, dt.timedelta):
        return value / dt.timedelta(seconds=1)
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)
