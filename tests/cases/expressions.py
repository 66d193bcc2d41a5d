"""Expressions of the cases as Narwhals expressions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import reduce
from operator import add, and_, eq, floordiv, ge, gt, le, lt, mod, mul, ne, or_, sub, truediv
from typing import Any, cast

import narwhals as nw
import pandas as pd

import streamnb as sn
from tests.cases.table import Table, UnsayableError

_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": add, "-": sub, "*": mul, "/": truediv, "%": mod, "div": floordiv,
    "==": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge,
}  # fmt: skip
_TYPES = {"long": nw.Int64(), "int": nw.Int64(), "double": nw.Float64(), "string": nw.String(), "boolean": nw.Boolean()}


def interval(text: str) -> dt.timedelta:
    return pd.Timedelta(text).to_pytimedelta()


def expression(x: Any, table: Table) -> nw.Expr:
    """Return what an expression of a case means on a table."""
    if x is None or isinstance(x, bool | int | float):
        return nw.lit(x)
    if isinstance(x, str):
        return nw.col(table.one(x))
    op, *arguments = x
    if op in _BINARY:
        left, right = (expression(a, table) for a in arguments)
        return cast("nw.Expr", _BINARY[op](left, right))
    if op not in _FORMS:
        raise UnsayableError(f"{op} is not an expression of the API")
    return _FORMS[op](table, *arguments)


def gap(x: Any, table: Table) -> Any:
    """Return the gap of a session: a duration, or an expression of durations."""
    return x if isinstance(x, str) else expression(_with_durations(x), table)


def _with_durations(x: Any) -> Any:
    """Read the results of an ``if`` as durations, its conditions as they stand."""
    if x[0] == "lit":
        return ["interval", x[1]]
    if x[0] == "if":
        return ["if", x[1], *map(_with_durations, x[2:])]
    return x


def _each(combine: Callable[[nw.Expr, nw.Expr], nw.Expr]) -> Callable[..., nw.Expr]:
    return lambda table, *xs: reduce(combine, (expression(x, table) for x in xs))


def _of(method: Callable[..., nw.Expr]) -> Callable[..., nw.Expr]:
    """Return a form of one expression and plain arguments."""
    return lambda table, x, *rest: method(expression(x, table), *rest)


def _field(table: Table, window: Any, part: str) -> nw.Expr:
    column = table.find(window)
    assert column is not None
    assert column.is_window
    return nw.col(column.here[part == "end"])


def _window_time(table: Table, window: str) -> nw.Expr:
    column = table.find(window)
    assert column is not None
    if column.here == ("window_start", "window_end"):
        return sn.window_time()
    return nw.col(column.here[1]) - nw.lit(dt.timedelta(microseconds=1))


def _cast(table: Table, x: Any, to: str) -> nw.Expr:
    e, dtype = expression(x, table), type_of(x, table)
    if to == "timestamp":
        return e.str.to_datetime() if isinstance(dtype, nw.String) else _timestamp_seconds(table, x)
    if isinstance(dtype, nw.Datetime) and to in {"int", "long"}:
        return e.dt.timestamp("us") // 1_000_000
    return e.cast(_TYPES[to])


def _timestamp_seconds(table: Table, x: Any) -> nw.Expr:
    return (expression(x, table).cast(nw.Int64()) * 1_000_000).cast(nw.Datetime("us", table.zone))


def _lit_ts(table: Table, text: str) -> nw.Expr:
    at = dt.datetime.fromisoformat(text)
    return nw.lit(at if table.zone else at.replace(tzinfo=None))


def _if(table: Table, condition: Any, then: Any, otherwise: Any) -> nw.Expr:
    return nw.when(expression(condition, table)).then(expression(then, table)).otherwise(expression(otherwise, table))


def _between(table: Table, x: Any, low: Any, high: Any) -> nw.Expr:
    e = expression(x, table)
    return (e >= expression(low, table)) & (e <= expression(high, table))


def _null_safe_eq(table: Table, a: Any, b: Any) -> nw.Expr:
    left, right = expression(a, table), expression(b, table)
    return (left == right).fill_null(value=False) | (left.is_null() & right.is_null())


def type_of(x: Any, table: Table) -> nw.dtypes.DType:
    return cast("nw.dtypes.DType", table.frame.select(x=expression(x, table)).schema["x"])


_FORMS: dict[str, Callable[..., nw.Expr]] = {
    "lit": lambda _, value: nw.lit(value),
    "lit_ts": _lit_ts,
    "interval": lambda _, text: nw.lit(interval(text)),
    "and": _each(and_),
    "or": _each(or_),
    "not": _of(lambda e: ~e),
    "is_null": _of(lambda e: e.is_null()),
    "is_not_null": _of(lambda e: ~e.is_null()),
    "null_safe_eq": _null_safe_eq,
    "between": _between,
    "if": _if,
    "coalesce": lambda table, *xs: nw.coalesce(*(expression(x, table) for x in xs)),
    "cast": _cast,
    "field": _field,
    "window_time": _window_time,
    "timestamp_seconds": _timestamp_seconds,
    "unix_micros": _of(lambda e: e.dt.timestamp("us")),
    "unix_millis": _of(lambda e: e.dt.timestamp("ms")),
    "concat": lambda table, *xs: nw.concat_str(*(expression(x, table) for x in xs)),
    "upper": _of(lambda e: e.str.to_uppercase()),
    "split": _of(lambda e, by: e.str.split(by)),
    "size": _of(lambda e: e.list.len()),
}
