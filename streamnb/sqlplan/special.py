"""Parts of an expression that are more than an operator: CASE, CAST, IN, LIKE and the like."""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import narwhals as nw
import polars as pl
from sqlglot import exp

from streamnb.expressions import all_of
from streamnb.sqlplan.literals import (
    constant,
    count_literal,
    date_literal,
    is_constant,
    is_text,
    is_time,
    time_literal,
    written,
)
from streamnb.sqlplan.parse import refusal, text, unsupported

if TYPE_CHECKING:
    from streamnb.sqlplan.expressions import Translator

_TYPES: Mapping[str, Any] = {
    "BOOLEAN": nw.Boolean, "TINYINT": nw.Int8, "SMALLINT": nw.Int16, "INT": nw.Int32, "BIGINT": nw.Int64,
    "FLOAT": nw.Float32, "DOUBLE": nw.Float64, "TEXT": nw.String, "VARCHAR": nw.String, "DATE": nw.Date,
    "TIMESTAMP": nw.Datetime("us"), "TIMESTAMPNTZ": nw.Datetime("us"), "TIMESTAMPTZ": nw.Datetime("us"),
}  # fmt: skip


def _literal(_: Translator, node: exp.Literal) -> nw.Expr:
    return nw.lit(constant(node))


def _cast(to: Translator, node: exp.Cast) -> nw.Expr:
    kind = node.to.this.name
    if node.args.get("safe") or node.args.get("format"):
        raise unsupported(text(node), "write CAST, and filter out before what cannot be cast")
    if is_time(node):
        return nw.lit(time_literal(written(node)))
    if is_text(node.this) and kind == "DATE":
        return nw.lit(date_literal(written(node)))
    if kind not in _TYPES or node.to.expressions:
        raise unsupported(f"the type {text(node.to)}", f"cast to one of {', '.join(sorted(_TYPES))}")
    if kind.startswith(("TIMESTAMP", "DATE")) and to.dtype(node.this) == pl.String:
        raise unsupported(f"text as a time, {text(node)}", "call with_columns(at=sn.col(…).str.to_datetime(…)) first")
    return to(node.this).cast(_TYPES[kind])


def _case(to: Translator, node: exp.Case) -> nw.Expr:
    default = node.args.get("default")
    result: Any = None if default is None else to(default)
    for branch in reversed(node.args["ifs"]):
        test = branch.this if node.this is None else exp.EQ(this=node.this, expression=branch.this)
        result = _when(to, test, to(branch.args["true"]), result)
    return nw.lit(None) if result is None else result


def _if(to: Translator, node: exp.If) -> nw.Expr:
    other = node.args.get("false")
    return _when(to, node.this, to(node.args["true"]), None if other is None else to(other))


def _when(to: Translator, test: exp.Expr, then: nw.Expr, otherwise: nw.Expr | None) -> nw.Expr:
    chosen = nw.when(to(test)).then(then)
    return chosen if otherwise is None else chosen.otherwise(otherwise)


def _in(to: Translator, node: exp.In) -> nw.Expr:
    if not node.expressions:
        raise unsupported(f"a query in {text(node)}", "join with how='semi', or write LEFT SEMI JOIN")
    if all(map(is_constant, node.expressions)):
        like = to.time_type(node.this)
        return to(node.this).is_in([constant(e, like) for e in node.expressions])
    equal = [to(exp.EQ(this=node.this, expression=e)) for e in node.expressions]
    return functools.reduce(operator.or_, equal)


def _between(to: Translator, node: exp.Between) -> nw.Expr:
    ends = (exp.GTE, node.args["low"]), (exp.LTE, node.args["high"])
    return all_of([to(compare(this=node.this, expression=end)) for compare, end in ends])


def _is(to: Translator, node: exp.Is) -> nw.Expr:
    if not isinstance(node.expression, exp.Null):
        raise refusal(node)
    return to(node.this).is_null()


def _coalesce(to: Translator, node: exp.Coalesce) -> nw.Expr:
    return nw.coalesce(to(node.this), *map(to, node.expressions))


def _concat(to: Translator, node: exp.Concat | exp.DPipe) -> nw.Expr:
    parts = node.expressions if isinstance(node, exp.Concat) else [node.this, node.expression]
    return nw.concat_str(*map(to, parts))


def _nullif(to: Translator, node: exp.Nullif) -> nw.Expr:
    same = exp.EQ(this=node.this, expression=node.expression)
    return _when(to, same, nw.lit(None), to(node.this))


def _round(to: Translator, node: exp.Round) -> nw.Expr:
    decimals = node.args.get("decimals")
    return to(node.this).round(0 if decimals is None else count_literal(decimals, "ROUND to"))


def _substring(to: Translator, node: exp.Substring) -> nw.Expr:
    start, length = count_literal(node.args["start"], "SUBSTRING from"), node.args.get("length")
    return to(node.this).str.slice(max(start - 1, 0), None if length is None else count_literal(length, "SUBSTRING of"))


def _like(to: Translator, node: exp.Like) -> nw.Expr:
    if not is_text(node.expression):
        raise refusal(node)
    wild = {"%": ".*", "_": "."}
    pattern = "".join(wild.get(c, re.escape(c)) for c in written(node.expression))
    return to(node.this).str.contains(f"(?s)^{pattern}$")


def _starts_with(to: Translator, node: exp.StartsWith) -> nw.Expr:
    if not is_text(node.expression):
        raise refusal(node)
    return to(node.this).str.starts_with(written(node.expression))


def _function(to: Translator, node: exp.Anonymous) -> nw.Expr:
    if node.name.upper() != "WINDOW_TIME":
        raise refusal(node)
    return to(exp.column("window_time"))


SPECIAL: Mapping[type[exp.Expr], Callable[[Translator, Any], nw.Expr]] = {
    exp.Literal: _literal,
    exp.Anonymous: _function,
    exp.Boolean: lambda _, node: nw.lit(node.this),
    exp.Null: lambda *_: nw.lit(None),
    exp.Cast: _cast,
    exp.TryCast: _cast,
    exp.Case: _case,
    exp.If: _if,
    exp.In: _in,
    exp.Between: _between,
    exp.Is: _is,
    exp.Coalesce: _coalesce,
    exp.Concat: _concat,
    exp.DPipe: _concat,
    exp.Nullif: _nullif,
    exp.Round: _round,
    exp.Substring: _substring,
    exp.Like: _like,
    exp.StartsWith: _starts_with,
}
