"""Columns and types in Spark's words."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from streamnb.errors import PlanError
from streamnb.time import spell

_WORDS: dict[type[pl.DataType], str] = {
    pl.Int8: "tinyint", pl.Int16: "smallint", pl.Int32: "int", pl.Int64: "bigint",
    pl.UInt8: "smallint", pl.UInt16: "int", pl.UInt32: "bigint",
    pl.Float32: "float", pl.Float64: "double", pl.Boolean: "boolean", pl.String: "string", pl.Binary: "binary",
    pl.Date: "date", pl.Datetime: "timestamp", pl.Duration: "interval day to second",
}  # fmt: skip
"""Spark has no unsigned integers: they go into the next wider type."""


def spark_type(name: str, dtype: pl.DataType) -> str:
    """Return the type of a column as Spark writes it; a PlanError if it has none."""
    if isinstance(dtype, pl.List):
        return f"array<{spark_type(name, dtype.inner)}>"  # type: ignore[arg-type]
    if isinstance(dtype, pl.Struct):
        inner = ", ".join(f"{quoted(f.name)}: {spark_type(name, f.dtype)}" for f in dtype.fields)  # type: ignore[arg-type]
        return f"struct<{inner}>"
    if isinstance(dtype, pl.Decimal):
        return f"decimal({dtype.precision or 38},{dtype.scale})"
    if type(dtype) not in _WORDS:
        raise PlanError(
            f"to_pyspark: column {name!r} is {dtype}, for which Spark has no type; cast it, such as to 'int64'.",
            code="SPARK_UNSUPPORTED",
        )
    return _WORDS[type(dtype)]


def ddl(schema: Mapping[str, pl.DataType]) -> str:
    """Return a schema as Spark reads it: ``"user string, n bigint"``."""
    return ", ".join(f"{quoted(name)} {spark_type(name, dtype)}" for name, dtype in schema.items())


def name_in(name: str) -> str:
    """Return a column's name as ``select`` and ``col`` take it: dots and all."""
    return quoted(name) if set(name) & set(".`*") else name


def quoted(name: str) -> str:
    """Return a column's name as SQL takes it."""
    return name if name.isidentifier() and name.isascii() else f"`{name.replace('`', '``')}`"


def interval(microseconds: int) -> str:
    """Return a duration as Spark reads it; a sign goes with every unit there."""
    return spell(microseconds) if microseconds >= 0 else f"{microseconds} microseconds"


def zones(schema: Mapping[str, pl.DataType]) -> set[str]:
    """Return the time zones that the times of a schema are told in; naive times are told in UTC."""
    return {dtype.time_zone or "UTC" for dtype in schema.values() if isinstance(dtype, pl.Datetime)}
