"""Narwhals expressions in the kernel: compiled to Polars once per query, and asked which columns they read.

The one place that uses private names of Narwhals (``_to_compliant_expr``, ``_nodes``); ``tests/test_expressions.py``
guards them.
"""

from __future__ import annotations

import datetime as dt
import functools
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
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


def listed(columns: Sequence[Any]) -> tuple[Any, ...]:
    """Return the columns that a verb was given; one list of them stands for its items, as in Spark."""
    return tuple(columns[0]) if len(columns) == 1 and isinstance(columns[0], list | tuple) else tuple(columns)


def window_time() -> nw.Expr:
    """Return the time of a windowed row: the last microsecond of its window. It is an event time again.

    Spark: ``window_time(window)``.

    >>> daily = flights.with_watermark("dep", "3 hours").group_by(sn.window("dep", "1 hour")).agg(n=sn.count())
    >>> daily.select(at=sn.window_time()).collect()["at"].iloc[0]
    Timestamp('2013-02-08 05:59:59.999999')
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


def row_by_row(verb: str, expressions: Iterable[nw.Expr]) -> None:
    """Raise a PlanError for an expression that looks at more than one row: a stream has no first, last or total."""
    for expression in expressions:
        wide = _wide_node(expression)
        if wide is not None:
            raise PlanError(
                f"{verb}: {wide.name}() looks at more than one row, and a stream has no end; "
                f"use group_by(…).agg(…=sn.sum(…)) or the like.",
                code="EXPRESSION_INVALID",
            )


def _wide_node(expression: nw.Expr) -> Any:
    """Return the first part of an expression that is not computed row by row."""
    for node in expression._nodes:  # noqa: SLF001
        if any(word in node.kind.name for word in ("AGGREGATION", "WINDOW", "OVER", "FILTRATION")):
            return node
        inner = (_wide_node(part) for part in node.exprs if isinstance(part, nw.Expr))
        found = next((part for part in inner if part is not None), None)
        if found is not None:
            return found
    return None


def calls_python(expression: nw.Expr) -> bool:
    """Tell whether an expression hands its column to a function of the user's."""
    inner = (part for node in expression._nodes for part in node.exprs if isinstance(part, nw.Expr))  # noqa: SLF001
    return any(node.name.startswith("map_") for node in expression._nodes) or any(map(calls_python, inner))  # noqa: SLF001


def conjuncts(condition: nw.Expr) -> list[nw.Expr]:
    """Return the conditions that a condition joins by ``&``, each by itself."""
    *before, last = condition._nodes  # noqa: SLF001
    if last.name != "__and__" or not before:
        return [condition]
    sides = [nw.Expr(*before), *(side for side in last.exprs if isinstance(side, nw.Expr))]
    return [part for side in sides for part in conjuncts(side)]


_COMPARED = ("eq", "ne", "lt", "le", "gt", "ge")
_COMPUTED = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow")
_COMPARES = {f"__{name}__" for name in _COMPARED}
_STRICT = {f"__{name}__" for name in (*_COMPARED, *_COMPUTED, *(f"r{name}" for name in _COMPUTED))}
"""What is null as soon as one of its sides is."""


def needed(condition: nw.Expr) -> set[str]:
    """Return columns that cannot be null where a condition is true; none if that is not plain to see."""
    found: set[str] = set()
    for node in condition._nodes:  # noqa: SLF001
        if node.name == "col":
            found |= set(node.kwargs["names"])
        elif node.name not in _STRICT | {"lit"}:
            return set()
        for part in node.exprs:
            inner = needed(part) if isinstance(part, nw.Expr) else set()
            if isinstance(part, nw.Expr) and not inner and native(part).meta.root_names():
                return set()
            found |= inner
    return found


def all_of(conditions: Sequence[nw.Expr]) -> nw.Expr:
    """Return conditions joined by ``&``."""
    return functools.reduce(operator.and_, conditions)


def plain_column(expression: pl.Expr) -> str | None:
    """Return the name of the column that an expression hands on untouched (renamed or not), else None."""
    bare = expression.meta.undo_aliases()
    return bare.meta.output_name() if bare.meta.is_column() else None


class Columns:
    """Expressions that are asked of every batch; columns that are there cost nothing."""

    def __init__(self, expressions: Sequence[pl.Expr]) -> None:
        self._expressions = list(expressions)
        self._names = [plain_column(expression) for expression in expressions]
        self._called = [expression.meta.output_name() for expression in expressions]
        self._plain = None not in self._names

    def of(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return what the expressions give for rows."""
        if not self._plain:
            return rows.select(self._expressions)
        pairs = zip(self._names, self._called, strict=True)
        return pl.DataFrame([_called(rows[name], called) for name, called in pairs if name is not None])


def _called(column: pl.Series, name: str) -> pl.Series:
    return column if column.name == name else column.alias(name)


class Column:
    """An expression that is asked of every batch; a column that is there costs nothing."""

    def __init__(self, expression: pl.Expr) -> None:
        self._expression, self._name = expression, plain_column(expression)

    def of(self, rows: pl.DataFrame) -> pl.Series:
        """Return what the expression gives for rows."""
        return rows.select(self._expression).to_series() if self._name is None else rows[self._name]


Mask = Callable[[pl.DataFrame], pl.Series]
_ALIKE: Mapping[type[pl.DataType], tuple[type, ...]] = {pl.Float64: (int, float), pl.Int64: (int,), pl.String: (str,)}
"""What a column may be compared with where both ways of comparing surely agree."""


def mask(condition: nw.Expr, schema: Mapping[str, pl.DataType]) -> Mask | None:
    """Return what tells which rows a condition holds for, if it compares columns with values, None otherwise.

    Polars compares columns directly in a fraction of the time that a query over a small table takes.
    """
    parts = [_comparison(part, schema) for part in conjuncts(condition)]
    found = [part for part in parts if part is not None]
    if len(found) < len(parts):
        return None
    return lambda rows: functools.reduce(operator.and_, (compare(rows[name], value) for name, compare, value in found))


def kept(rows: pl.DataFrame, mask: pl.Series) -> pl.DataFrame:
    """Return the rows for which a mask is true, column by column: by no query of Polars'."""
    return pl.DataFrame([column.filter(mask) for column in rows.get_columns()])


def _comparison(condition: nw.Expr, schema: Mapping[str, pl.DataType]) -> tuple[str, Callable[..., Any], Any] | None:
    column, *rest = condition._nodes  # noqa: SLF001
    names = column.kwargs.get("names", ())
    if column.name != "col" or len(names) != 1 or len(rest) != 1 or rest[0].name not in _COMPARES:
        return None
    (value,), alike = rest[0].exprs, _ALIKE.get(type(schema[names[0]]), ())
    fits = type(value) in alike and (not isinstance(value, int) or abs(value) < 2**53)
    return (names[0], getattr(operator, rest[0].name), value) if fits else None


_SIGNS = {
    "__eq__": "==", "__ne__": "!=", "__lt__": "<", "__le__": "<=", "__gt__": ">", "__ge__": ">=", "__and__": "&",
    "__or__": "|", "__add__": "+", "__sub__": "-", "__mul__": "*", "__truediv__": "/", "__floordiv__": "//",
    "__mod__": "%", "__pow__": "**",
}  # fmt: skip


def spelled(expression: Any) -> str:
    """Return an expression as people write it: ``(v > 1) & ~(k == 'a')``."""
    if not isinstance(expression, nw.Expr):
        return str(expression) if isinstance(expression, dt.date | dt.timedelta) else repr(expression)
    text = ""
    for node in expression._nodes:  # noqa: SLF001
        text = _spelled_on(text, node)
    return text


def _spelled_on(text: str, node: Any) -> str:
    """Return what stands so far with one more operation on it."""
    if node.name == "col":
        return ", ".join(node.kwargs["names"])
    if node.name == "lit":
        return repr(node) if hasattr(node, "param") else spelled(node.kwargs["value"])
    if node.name in _SIGNS and text:
        return f"{_held_together(text)} {_SIGNS[node.name]} {_held_together(spelled(node.exprs[0]))}"
    if node.name == "alias":
        return text
    if node.name == "__invert__":
        return f"~{_held_together(text)}"
    values = ", ".join(map(spelled, node.exprs))
    return f"{_held_together(text)}.{node.name}({values})" if text else f"{node.name}({values})"


def _held_together(text: str) -> str:
    wide = any(f" {sign} " in text for sign in _SIGNS.values()) and not text.startswith("~")
    return f"({text})" if wide else text
