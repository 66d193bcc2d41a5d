"""Narwhals expressions in the kernel: compiled to Polars once per query, and asked which columns they read.

The one place that uses a private name of Narwhals (``_to_compliant_expr``); ``tests/test_expressions.py`` guards it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

import narwhals as nw
import polars as pl
from polars.exceptions import ColumnNotFoundError as PolarsColumnNotFoundError
from polars.exceptions import PolarsError

from streamnb.errors import PlanError, column_not_found

Expression = nw.Expr | str
"""What a verb takes where it wants a value per row: an expression, or the name of a column."""

_NAMESPACE = nw.from_native(pl.LazyFrame())._compliant_frame.__narwhals_namespace__()  # noqa: SLF001


def as_expr(value: Expression) -> nw.Expr:
    """Return an expression; a name stands for its column."""
    if isinstance(value, str):
        return nw.col(value)
    if not isinstance(value, nw.Expr):
        raise PlanError(
            f"expression: {value!r} is not one; write sn.col('name') or sn.lit(value).", code="EXPRESSION_INVALID"
        )
    return value


def window_time() -> nw.Expr:
    """Return the time of a windowed row: the last microsecond of its window. It is an event time again.

    Spark: ``window_time(window)``.
    """
    return nw.col("window_end") - nw.lit(dt.timedelta(microseconds=1))


def native(expression: Expression) -> pl.Expr:
    """Return the Polars expression that a Narwhals expression stands for."""
    compliant: Any = as_expr(expression)._to_compliant_expr(_NAMESPACE)  # noqa: SLF001
    compiled: pl.Expr = compliant.native
    return compiled


def outcome(verb: str, expressions: Iterable[pl.Expr], schema: Mapping[str, pl.DataType]) -> pl.Schema:
    """Return the columns and types that expressions give; a PlanError where they make no sense."""
    empty, expressions = pl.DataFrame(schema=schema), tuple(expressions)
    try:
        return empty.select(*expressions).schema
    except PolarsColumnNotFoundError as error:
        missing = _missing(expressions, schema)
        raise column_not_found(verb, missing or str(error), schema) from None
    except PolarsError as error:
        raise PlanError(
            f"{verb}: the expression fails on columns {dict(schema)}: {error}; check its types.",
            code="EXPRESSION_INVALID",
        ) from error


def _missing(expressions: Iterable[pl.Expr], schema: Mapping[str, pl.DataType]) -> str | None:
    names = (name for e in expressions for name in e.meta.root_names())
    return next((name for name in names if name not in schema), None)


def reads(expression: pl.Expr, column: str, schema: Mapping[str, pl.DataType]) -> bool:
    """Tell whether an expression needs a column to be there."""
    if expression.meta.has_multiple_outputs():
        return True
    return column in expression.meta.root_names() or column not in schema


def plain_column(expression: pl.Expr) -> str | None:
    """Return the name of the column that an expression hands on untouched (renamed or not), else None."""
    bare = expression.meta.undo_aliases()
    return bare.meta.output_name() if bare.meta.is_column() else None
