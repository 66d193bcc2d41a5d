"""Expressions: a part of a SELECT as a Narwhals expression, with the meaning that the expression has in the verbs."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any

import narwhals as nw
import polars as pl
from sqlglot import exp

from streamnb.expressions import native, outcome
from streamnb.sqlplan.literals import constant, is_constant, is_span, span
from streamnb.sqlplan.parse import refusal
from streamnb.sqlplan.special import SPECIAL

_ARITHMETIC: Mapping[type[exp.Expr], Callable[[Any, Any], Any]] = {
    exp.Add: operator.add,
    exp.Sub: operator.sub,
    exp.Mul: operator.mul,
    exp.Div: operator.truediv,
    exp.Mod: operator.mod,
    exp.And: operator.and_,
    exp.Or: operator.or_,
}
_COMPARISON: Mapping[type[exp.Expr], Callable[[Any, Any], Any]] = {
    exp.EQ: operator.eq,
    exp.NEQ: operator.ne,
    exp.GT: operator.gt,
    exp.GTE: operator.ge,
    exp.LT: operator.lt,
    exp.LTE: operator.le,
}
_OF_ONE: Mapping[type[exp.Expr], Callable[[nw.Expr], nw.Expr]] = {
    exp.Paren: lambda e: e,
    exp.Not: operator.invert,
    exp.Neg: lambda e: nw.lit(0) - e,
    exp.Abs: lambda e: e.abs(),
    exp.Ceil: lambda e: e.ceil(),
    exp.Floor: lambda e: e.floor(),
    exp.Sqrt: lambda e: e.sqrt(),
    exp.Lower: lambda e: e.str.to_lowercase(),
    exp.Upper: lambda e: e.str.to_uppercase(),
    exp.Length: lambda e: e.str.len_chars(),
    exp.Trim: lambda e: e.str.strip_chars(),
    exp.TsOrDsToDate: lambda e: e,
    exp.Year: lambda e: e.dt.year(),
    exp.Month: lambda e: e.dt.month(),
    exp.Day: lambda e: e.dt.day(),
    exp.DayOfMonth: lambda e: e.dt.day(),
    exp.Hour: lambda e: e.dt.hour(),
    exp.Minute: lambda e: e.dt.minute(),
    exp.Second: lambda e: e.dt.second(),
}


class Translator:
    """Turns nodes into expressions over the columns of ``schema``; ``column`` finds the one that a name means."""

    def __init__(self, schema: Mapping[str, pl.DataType], column: Callable[[exp.Column], nw.Expr]) -> None:
        self._schema, self._column = schema, column

    def __call__(self, node: exp.Expr) -> nw.Expr:
        """Return the expression; SQL_UNSUPPORTED names the part that is none."""
        kind = type(node)
        if kind in _ARITHMETIC and not is_span(node):
            return self._folded(_ARITHMETIC[kind], node)
        if kind in _COMPARISON:
            return self._compared(_COMPARISON[kind], node.this, node.expression)
        if kind in _OF_ONE and not is_span(node):
            self._one_argument(node)
            return _OF_ONE[kind](self(node.this))
        if is_span(node):
            return nw.lit(span(node, "sql"))
        if isinstance(node, exp.Column):
            return self._column(node)
        if kind in SPECIAL:
            return SPECIAL[kind](self, node)
        raise refusal(node)

    def _folded(self, function: Callable[[Any, Any], Any], node: exp.Expr) -> nw.Expr:
        """Fold a chain of one operator from the left; a long one must not be a call a link."""
        links, kind = [node.expression], type(node)
        while type(node.this) is kind:
            node = node.this
            links.append(node.expression)
        first: nw.Expr = self(node.this)
        return functools.reduce(function, map(self._operand, reversed(links)), first)

    def _one_argument(self, node: exp.Expr) -> None:
        if any(isinstance(value, exp.Expr) for name, value in node.args.items() if name != "this"):
            raise refusal(node)

    def _compared(self, function: Callable[[Any, Any], Any], left: exp.Expr, right: exp.Expr) -> nw.Expr:
        """Compare; text beside a time is a time, as in Spark."""
        like = self.time_type(left) or self.time_type(right)
        if not is_constant(left):
            answer: nw.Expr = function(self(left), self._operand(right, like))
        else:
            answer = function(nw.lit(constant(left, like)), self._operand(right, like))
        return answer

    def _operand(self, node: exp.Expr, like: pl.DataType | None = None) -> Any:
        """Return the right side of an operator: a constant as it is, as one writes it beside a column."""
        if is_constant(node):
            return constant(node, like)
        return span(node, "sql") if is_span(node) else self(node)

    def time_type(self, node: exp.Expr) -> pl.Datetime | None:
        """Return the type of an expression that is a time."""
        if is_constant(node):
            return None
        dtype = self.dtype(node)
        return dtype if isinstance(dtype, pl.Datetime) else None

    def dtype(self, node: exp.Expr) -> pl.DataType:
        """Return the type of an expression."""
        return outcome("sql", [native(self(node)).alias("it")], self._schema)["it"]
