"""The formats of the files that a folder holds: written from Polars, and read again in the same types."""

from __future__ import annotations

import enum
from pathlib import Path

import polars as pl

from streamnb.errors import QueryError
from streamnb.sinks.plain import is_simple, leaves, plain

_AT = "%Y-%m-%d %H:%M:%S%.f"


class Format(enum.Enum):
    """A format by name; the value is the suffix of its files."""

    parquet = "parquet"
    csv = "csv"
    json = "jsonl"

    def write(self, rows: pl.DataFrame, path: Path) -> None:
        """Write rows to a file."""
        if self is Format.parquet:
            rows.write_parquet(path)
            return
        self._refuse(rows)
        flat = plain("Files", rows)
        if self is Format.csv:
            flat.write_csv(path)
        else:
            nested = [column for column in rows if column.dtype.is_nested()]
            flat.with_columns(nested).write_ndjson(path)

    def read(self, path: Path, schema: pl.Schema) -> pl.DataFrame:
        """Return the rows of a file in the types that they had."""
        if self is Format.parquet:
            return pl.read_parquet(path)
        texts = pl.Schema({name: _written(dtype) for name, dtype in schema.items()})
        rows = pl.read_csv(path, schema=texts) if self is Format.csv else pl.read_ndjson(path, schema=texts)
        return rows.with_columns([_restored(rows[name], dtype) for name, dtype in schema.items()])

    def _refuse(self, rows: pl.DataFrame) -> None:
        for name, dtype in rows.schema.items():
            if dtype.is_nested() and self is Format.json and all(map(is_simple, leaves(dtype))):
                continue
            if dtype.is_nested() or dtype in (pl.Binary, pl.Duration, pl.Object, pl.Int128):
                raise QueryError(
                    f"Files: format={self.name!r} has no way to write column {name!r} of {dtype}; use format='parquet'."
                )


def format_of(name: str) -> Format:
    """Return the format of a file by its suffix."""
    return Format(name.rpartition(".")[2])


def _written(dtype: pl.DataType) -> pl.DataType:
    if dtype.is_integer():
        return pl.UInt64() if dtype.is_unsigned_integer() else pl.Int64()
    return dtype if dtype.is_nested() or dtype.is_float() or dtype == pl.Boolean else pl.String()


def _restored(column: pl.Series, dtype: pl.DataType) -> pl.Series:
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is None:
        return column.str.to_datetime(_AT, time_unit=dtype.time_unit)
    if isinstance(dtype, pl.Datetime):
        in_utc = column.str.to_datetime(f"{_AT}%:z", time_unit=dtype.time_unit, time_zone="UTC")
        return in_utc.dt.convert_time_zone(dtype.time_zone or "UTC")
    if dtype == pl.Date:
        return column.str.to_date("%Y-%m-%d")
    return column.str.to_time("%H:%M:%S%.f") if dtype == pl.Time else column.cast(dtype)
