"""Columns and types: what a user may write for a schema, and rows made to fit one."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
from polars.exceptions import PolarsError

from streamnb.errors import DataError, PlanError

_TYPES: dict[str, pl.DataType] = {
    "datetime": pl.Datetime("us"), "timestamp": pl.Datetime("us"), "date": pl.Date(), "duration": pl.Duration("us"),
    "string": pl.String(), "str": pl.String(), "bool": pl.Boolean(), "boolean": pl.Boolean(), "binary": pl.Binary(),
    "int8": pl.Int8(), "int16": pl.Int16(), "int32": pl.Int32(), "int64": pl.Int64(),
    "int": pl.Int64(), "long": pl.Int64(),
    "uint8": pl.UInt8(), "uint16": pl.UInt16(), "uint32": pl.UInt32(), "uint64": pl.UInt64(),
    "float32": pl.Float32(), "float64": pl.Float64(), "float": pl.Float64(), "double": pl.Float64(),
}  # fmt: skip

Schema = Mapping[str, Any]


def polars_type(verb: str, name: Any) -> pl.DataType:
    """Return the Polars type of ``"int64"``, ``"list[string]"``, ``"datetime[UTC]"``, a Polars or a Narwhals type."""
    if isinstance(name, type) and issubclass(name, pl.DataType | nw.dtypes.DType):
        name = name()
    if isinstance(name, pl.Datetime):
        return pl.Datetime("us", name.time_zone)
    if isinstance(name, pl.DataType):
        return name
    if isinstance(name, nw.dtypes.DType):
        return polars_type(verb, _from_narwhals(name))
    if isinstance(name, str):
        return _named(verb, name)
    raise _unknown(verb, name)


def _from_narwhals(dtype: nw.dtypes.DType) -> pl.DataType:
    column = nw.new_series("x", [], dtype, backend="polars").to_native()
    found: pl.DataType = column.dtype
    return found


def _named(verb: str, name: str) -> pl.DataType:
    inner = re.fullmatch(r"\s*(list|datetime)\s*\[(.+)\]\s*", name, flags=re.IGNORECASE)
    if inner is None:
        if name.strip().lower() not in _TYPES:
            raise _unknown(verb, name)
        return _TYPES[name.strip().lower()]
    if inner[1].lower() == "list":
        return pl.List(_named(verb, inner[2]))
    zone = inner[2].split(",")[-1].strip()
    return pl.Datetime("us", None if zone in {"us", "ms", "ns"} else _zone(verb, zone))


def _zone(verb: str, name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError):
        raise _unknown(verb, f"datetime[{name}]") from None


def _unknown(verb: str, name: object) -> PlanError:
    return PlanError(
        f"{verb}: the type {name!r} is not known; use 'datetime', 'string', 'int64', 'float64', 'bool' or 'list[…]'.",
        code="SCHEMA_INVALID",
    )


def polars_schema(verb: str, schema: Schema) -> pl.Schema:
    """Return a schema in Polars types."""
    if not isinstance(schema, Mapping):
        raise PlanError(
            f"{verb}: schema={schema!r} names no types; write {{'column': 'int64'}}.", code="SCHEMA_INVALID"
        )
    return pl.Schema({name: polars_type(verb, dtype) for name, dtype in schema.items()})


def as_rows(verb: str, data: Any, schema: pl.Schema | None = None) -> pl.DataFrame:
    """Return rows as a Polars frame, made to fit ``schema``.

    Takes dicts, a dict of columns, pandas, Polars or Arrow. Missing values are null; ISO strings become datetimes.
    A column that the schema lacks, or a value that does not fit, is a DataError.
    """
    frame = _as_frame(verb, data, schema)
    return frame if schema is None else fit(verb, frame, schema)


def _as_frame(verb: str, data: Any, schema: pl.Schema | None) -> pl.DataFrame:
    if isinstance(data, pl.DataFrame):
        return data
    if isinstance(data, Mapping):
        return _from_columns(verb, data, schema)
    if isinstance(data, Sequence) and not isinstance(data, str):
        return _from_records(verb, data, schema)
    try:
        # pandas shares its memory with Polars: what the user changes later must not change here.
        data = data.copy() if isinstance(data, pd.DataFrame) else data
        frame: pl.DataFrame = nw.from_native(data, eager_only=True).to_polars()
    except TypeError:
        raise DataError(f"{verb}: cannot take rows from {type(data).__name__}; give dicts or a DataFrame.") from None
    except ValueError as error:
        raise DataError(f"{verb}: cannot read the {type(data).__name__}: {error}; mend its columns.") from error
    return frame


def _from_records(verb: str, records: Sequence[Any], schema: pl.Schema | None) -> pl.DataFrame:
    wrong = next((r for r in records if not isinstance(r, Mapping)), None)
    if wrong is not None:
        raise DataError(f"{verb}: a row is a dict of column to value, not {wrong!r}; write {{'column': value}}.")
    names = list(dict.fromkeys(name for record in records for name in record)) or list(schema or ())
    columns = {name: [record.get(name) for record in records] for name in names}
    return _from_columns(verb, columns, schema)


def _from_columns(verb: str, columns: Mapping[str, Any], schema: pl.Schema | None) -> pl.DataFrame:
    try:
        return pl.DataFrame([_column(verb, name, values, schema) for name, values in columns.items()])
    except (PolarsError, TypeError, OverflowError, UnicodeError) as error:
        way_out = "make a column's values alike" if schema is None else f"check the values against the schema {schema}"
        raise DataError(f"{verb}: the rows do not fit: {str(error).partition(chr(10))[0]}; {way_out}.") from error


def _column(verb: str, name: str, values: Any, schema: pl.Schema | None) -> pl.Series:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise DataError(f"{verb}: column {name!r} is {values!r}, not a list of values; give one row as [{{…}}].")
    wanted = None if schema is None else schema.get(name)
    if isinstance(values, np.ndarray):
        values = pl.Series(name, values)
    values = values if isinstance(values, pl.Series) else list(values)
    if isinstance(wanted, pl.Datetime) and any(isinstance(v, str) for v in values):
        return pl.Series(name, [_parsed(verb, name, v, wanted) for v in values], wanted)
    if wanted is not None and _holds_whole_numbers(wanted):  # Polars would cut fractions off within lists
        broken = next((v for v in values if _has_fraction(v)), None)
        if broken is not None:
            raise TypeError(f"{broken} is no {wanted}")
    elif wanted is not None and not wanted.is_temporal():
        return _strict(name, values, wanted)
    return pl.Series(name, values, strict=True)


def _has_fraction(value: Any) -> bool:
    if isinstance(value, float):
        return not value.is_integer()
    return isinstance(value, list | pl.Series) and any(_has_fraction(one) for one in value)


def _strict(name: str, values: Any, wanted: pl.DataType) -> pl.Series:
    try:
        return pl.Series(name, values, wanted, strict=True)
    except TypeError:
        return _cast(pl.Series(name, values), wanted)


def _cast(column: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Return a column in another type; a TypeError where a number would lose its fraction or a time its hour."""
    if (column.dtype.is_temporal() and dtype.is_numeric()) or (column.dtype.is_numeric() and dtype.is_temporal()):
        raise TypeError(f"{column.dtype} is no {dtype}")
    if column.dtype == pl.String() and dtype == pl.Date():
        return column.str.to_date("%Y-%m-%d")
    if isinstance(column.dtype, pl.Struct) and not isinstance(dtype, pl.Struct):  # Polars would leave its names out
        raise TypeError(f"{column.dtype} is no {dtype}")
    cast = column.cast(dtype, strict=True)
    lost = column.head(0) if _is_exact(column.dtype, dtype) else column.filter(cast.cast(column.dtype) != column)
    if len(lost):
        raise TypeError(f"{lost.to_list()[0]} is no {dtype}")
    return cast


def _holds_whole_numbers(dtype: pl.DataType) -> bool:
    return isinstance(dtype, pl.List) and (_inner(dtype).is_integer() or _holds_whole_numbers(_inner(dtype)))


def _is_exact(old: pl.DataType, new: pl.DataType) -> bool:
    if isinstance(old, pl.List) and isinstance(new, pl.List):
        return _is_exact(_inner(old), _inner(new))
    if isinstance(old, pl.Datetime):
        return new != pl.Date()
    return not (old.is_float() and new.is_integer()) and not (old.is_numeric() and new == pl.Boolean())


def _inner(dtype: pl.List) -> pl.DataType:
    found: pl.DataType = dtype.inner  # type: ignore[assignment]  # a type, never its class, once it is a column's
    return found


def _parsed(verb: str, name: str, value: Any, wanted: pl.Datetime) -> Any:
    if not isinstance(value, str):
        return value
    try:
        at = dt.datetime.fromisoformat(value)
    except ValueError:
        raise DataError(
            f"{verb}: column {name!r} holds {value!r}, which is not a time; write it like '2013-02-08 17:28:00'."
        ) from None
    if wanted.time_zone is None and at.tzinfo is not None:
        if at.utcoffset():
            raise DataError(
                f"{verb}: column {name!r} holds {value!r} with an offset, and has no time zone; "
                "declare it 'datetime[UTC]'."
            )
        return at.replace(tzinfo=None)
    if wanted.time_zone is not None and at.tzinfo is None:
        return at.replace(tzinfo=dt.UTC)
    return at


def fit(verb: str, rows: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    """Return rows with exactly the columns and types of a schema; absent columns are null."""
    if rows.schema == schema:
        return rows
    extra = [name for name in rows.columns if name not in schema]
    if extra:
        raise DataError(f"{verb}: columns {extra} are not in the schema {schema.names()}; declare or drop them.")
    return rows.select(_fitted(verb, rows, name, dtype) for name, dtype in schema.items())


def _fitted(verb: str, rows: pl.DataFrame, name: str, dtype: pl.DataType) -> pl.Series:
    if name not in rows.columns:
        return pl.Series(name, [None], dtype).new_from_index(0, len(rows)) if len(rows) else pl.Series(name, [], dtype)
    column = rows[name]
    if column.dtype == dtype:
        return column
    if isinstance(dtype, pl.Datetime):
        return _times(verb, column, dtype)
    try:
        return _cast(column, dtype)
    except (PolarsError, TypeError) as error:
        raise DataError(
            f"{verb}: column {name!r} should be {dtype} and is {column.dtype}: {error}; convert it first."
        ) from None


def _times(verb: str, column: pl.Series, dtype: pl.Datetime) -> pl.Series:
    if column.dtype == pl.String:
        return pl.Series(column.name, [v if v is None else _parsed(verb, column.name, v, dtype) for v in column], dtype)
    if isinstance(column.dtype, pl.Datetime) and (column.dtype.time_zone is None) != (dtype.time_zone is None):
        raise DataError(
            f"{verb}: column {column.name!r} mixes times with and without a time zone "
            f"({column.dtype} into {dtype}); make them one with dt.tz_localize or dt.tz_convert."
        )
    if column.dtype in {pl.Date, pl.Null} or isinstance(column.dtype, pl.Datetime):
        return column.cast(dtype)
    raise DataError(f"{verb}: column {column.name!r} should be {dtype} and is {column.dtype}; convert it first.")


def microseconds(rows: pl.DataFrame) -> pl.DataFrame:
    """Return a frame with times in microseconds, the resolution of everything here."""
    odd = {
        n: pl.Datetime("us", t.time_zone)
        for n, t in rows.schema.items()
        if isinstance(t, pl.Datetime) and t.time_unit != "us"
    }
    return rows.cast(odd) if odd else rows  # type: ignore[arg-type]


_FRAME, _COLUMN = 150, 550


def bytes_of(rows: pl.DataFrame) -> int:
    """Return about how many bytes a frame takes: its values, and what Polars keeps of it and of every column.

    What ``no_rows`` returns costs nothing more.
    """
    if not len(rows) and rows is _no_rows.get(_name(rows)):
        return 0
    return int(rows.estimated_size()) + _FRAME + _COLUMN * rows.width


_no_rows: dict[tuple[tuple[str, pl.DataType], ...], pl.DataFrame] = {}


def no_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """Return these columns without a row: one frame for all who ask, as an empty one costs as much as a small one."""
    name = _name(rows)
    return _no_rows[name] if name in _no_rows else _no_rows.setdefault(name, rows.clear())


def lean(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows to be kept: where there are none, the one frame without any."""
    return rows if len(rows) else no_rows(rows)


def _name(rows: pl.DataFrame) -> tuple[tuple[str, pl.DataType], ...]:
    return tuple(rows.schema.items())
