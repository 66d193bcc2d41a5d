"""Narwhals expressions as Spark columns: Narwhals' own Spark backend, and what it lacks or says otherwise.

Beside ``streamnb/expressions.py`` the one place that uses private names of Narwhals; the tests on Spark guard them.
"""
# ruff: noqa: SLF001

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

import narwhals as nw
import polars as pl
from narwhals._expression_parsing import ExprKind, ExprNode
from narwhals._spark_like.expr import SparkLikeExpr
from narwhals._spark_like.expr_dt import SparkLikeExprDateTimeNamespace
from narwhals._spark_like.expr_str import SparkLikeExprStringNamespace
from narwhals._spark_like.namespace import SparkLikeNamespace
from narwhals._utils import Implementation, Version

from streamnb.expressions import native, outcome
from streamnb.schema import polars_type
from streamnb.spark.kinds import interval, name_in, spark_type

_DIVISIONS = {"__mod__": "modulo", "__floordiv__": "floored", "__truediv__": "divided"}
_TOTALS = {"total_seconds": 1_000_000, "total_minutes": 60_000_000, "total_milliseconds": 1_000}


class Sql:
    """Spark's functions, or something that answers to their names; any name of a column will do for ``col``."""

    def __init__(self, functions: Any) -> None:
        self.functions = functions

    def __getattr__(self, name: str) -> Any:
        return getattr(self.functions, name)

    def col(self, name: str) -> Any:
        """Return a column; a name with dots in it too."""
        return self.functions.col(name_in(name))

    def field(self, column: str, name: str) -> Any:
        """Return a field of a column that is a window."""
        return self.functions.col(f"{column}.{name}")


class Words:
    """Turns expressions over columns of a schema into Spark columns."""

    def __init__(self, sql: Sql) -> None:
        self.sql = sql
        self._namespace = _namespace(sql)

    def columns(self, expression: nw.Expr, schema: Mapping[str, pl.DataType]) -> list[Any]:
        """Return the Spark columns of an expression; most are one."""
        told = _told(expression, pl.Schema(schema))
        compiled: Any = told._to_compliant_expr(self._namespace)
        return list(compiled(_Columns(self.sql, list(schema))))


class _Columns:
    """What Narwhals' Spark backend asks of a frame while it compiles an expression."""

    def __init__(self, sql: Sql, columns: list[str]) -> None:
        self._F, self.columns = sql, columns

    def _evaluate_single_output_expr(self, expression: Any) -> Any:
        (column,) = expression(self)
        return column


# -- before compiling: nodes whose meaning depends on types or values


def _told(expression: nw.Expr, schema: pl.Schema) -> nw.Expr:
    """Return an expression with casts that know what they cast, and divisions that know by what."""
    nodes: list[ExprNode] = []
    for n, node in enumerate(expression._nodes):
        exprs = [_told(part, schema) if isinstance(part, nw.Expr) else part for part in node.exprs]
        nodes.append(_node(node, exprs, nw.Expr(*expression._nodes[:n]), schema))
    return nw.Expr(*nodes)


def _node(node: ExprNode, exprs: list[Any], before: nw.Expr, schema: pl.Schema) -> ExprNode:
    if node.name == "cast":
        (was,) = outcome("cast", [native(before)], schema).dtypes()
        return ExprNode(ExprKind.ELEMENTWISE, "cast_from", was=was, dtype=polars_type("cast", node.kwargs["dtype"]))
    if node.name in _DIVISIONS and isinstance(exprs[0], int | float) and exprs[0] > 0:
        return ExprNode(ExprKind.ELEMENTWISE, _DIVISIONS[node.name], by=exprs[0])
    return ExprNode(
        node.kind, node.name, exprs=exprs, str_as_lit=node.str_as_lit,
        allow_multi_output=node.allow_multi_output, **node.kwargs,
    )  # fmt: skip


# -- what is said otherwise


def _namespace(sql: Sql) -> Any:
    """Return Narwhals' Spark backend over a set of functions."""

    class Expression(_Expression):
        _F = sql

        def __narwhals_namespace__(self) -> Any:
            return namespace

    class Namespace(_Namespace):
        _F = sql
        _expr = Expression

    namespace = Namespace(version=Version.MAIN, implementation=Implementation.PYSPARK)
    return namespace


class _Namespace(SparkLikeNamespace):
    def lit(self, value: Any, dtype: Any) -> SparkLikeExpr:
        """Times are written out, since PySpark takes naive ones for the machine's own zone."""
        if isinstance(value, dt.datetime) or (value is not None and dtype is not None):
            kind = None if dtype is None else spark_type("lit", polars_type("lit", dtype))
            return self._literal(lambda: _moment(self._F, value, kind))
        if isinstance(value, dt.timedelta):
            return self._literal(lambda: self._F.expr(f"INTERVAL {interval(value // dt.timedelta(microseconds=1))}"))
        return super().lit(value, dtype)

    def _literal(self, make: Callable[[], Any]) -> SparkLikeExpr:
        return self._expr(
            lambda _: [make()],
            lambda _, __: [make()],
            evaluate_output_names=lambda _: ["literal"],
            alias_output_names=None,
            version=self._version,
            implementation=self._implementation,
        )

    def concat_str(self, *exprs: SparkLikeExpr, separator: str, ignore_nulls: bool) -> SparkLikeExpr:
        if separator or ignore_nulls:
            return super().concat_str(*exprs, separator=separator, ignore_nulls=ignore_nulls)
        return self._expr._from_elementwise_horizontal_op(lambda columns: self._F.concat(*columns), *exprs)


def _moment(sql: Any, value: Any, kind: str | None) -> Any:
    if isinstance(value, dt.datetime):
        return sql.lit(str(value)).cast("timestamp")
    return sql.lit(value).cast(kind)


class _Expression(SparkLikeExpr):
    """The methods that an expression's nodes name; those that Narwhals lacks are refused by it, by name."""

    @property
    def dt(self) -> Any:
        return _Times(self)

    @property
    def str(self) -> Any:
        return _Strings(self)

    def broadcast(self) -> Any:
        """A value for all rows is a value in each: there are no aggregates among what goes row by row."""
        return self

    def modulo(self, *, by: float) -> Any:
        return self._with_elementwise(lambda x: self._F.pmod(x, self._F.lit(by)))

    def floored(self, *, by: float) -> Any:
        return self._with_elementwise(lambda x: self._F.floor(x / by))

    def divided(self, *, by: float) -> Any:
        return self._with_elementwise(lambda x: x / by)

    def cast_from(self, *, was: pl.DataType, dtype: pl.DataType) -> Any:
        """Cast as Polars does: a time is its microseconds since 1970."""
        return self._with_elementwise(lambda x: _cast(self._F, x, was, dtype))


def _cast(sql: Any, x: Any, was: pl.DataType, dtype: pl.DataType) -> Any:
    if isinstance(dtype, pl.Datetime) and was.is_integer():
        return sql.timestamp_micros(x)
    if isinstance(was, pl.Datetime) and dtype.is_integer():
        return sql.unix_micros(x)
    if isinstance(was, pl.Datetime) and isinstance(dtype, pl.String):
        return sql.date_format(x, "yyyy-MM-dd HH:mm:ss.SSSSSS")
    return x.cast(spark_type("cast", dtype))


class _Times(SparkLikeExprDateTimeNamespace):
    def timestamp(self, time_unit: str) -> Any:
        name = {"us": "unix_micros", "ms": "unix_millis"}.get(time_unit)
        if name is None:
            raise NotImplementedError(f"dt.timestamp({time_unit!r})")
        return self.compliant._with_elementwise(getattr(self.compliant._F, name))

    def replace_time_zone(self, time_zone: str | None) -> Any:
        if time_zone is not None:
            raise NotImplementedError(f"dt.replace_time_zone({time_zone!r})")
        return self.compliant._with_elementwise(lambda x: x)

    def _total(self, unit: int) -> Any:
        def whole(x: Any) -> Any:
            sql = self.compliant._F
            microseconds = sql.unix_micros(sql.timestamp_seconds(sql.lit(0)) + x)
            return (microseconds / unit).cast("bigint")

        return self.compliant._with_elementwise(whole)

    def total_seconds(self) -> Any:
        return self._total(_TOTALS["total_seconds"])

    def total_minutes(self) -> Any:
        return self._total(_TOTALS["total_minutes"])

    def total_milliseconds(self) -> Any:
        return self._total(_TOTALS["total_milliseconds"])


class _Strings(SparkLikeExprStringNamespace):
    def to_datetime(self, format: str | None) -> Any:
        """A naive time is a timestamp told in UTC; Narwhals would make it one without a zone."""
        return super().to_datetime(format)._with_elementwise(lambda x: x.cast("timestamp"))
