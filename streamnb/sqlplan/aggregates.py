"""Aggregates: SQL's functions over a group as those of ``agg``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import narwhals as nw
from sqlglot import exp

from streamnb import aggregates as by
from streamnb.folds import Fold
from streamnb.sqlplan.parse import text, unsupported

_OF_ONE: Mapping[type[exp.Expr], Callable[[Any], Fold]] = {
    exp.Sum: by.sum,
    exp.Avg: by.mean,
    exp.Min: by.min,
    exp.Max: by.max,
    exp.Variance: by.var,
    exp.Stddev: by.std,
    exp.StddevSamp: by.std,
    exp.First: by.first,
    exp.FirstValue: by.first,
    exp.Last: by.last,
    exp.LastValue: by.last,
    exp.ApproxDistinct: by.approx_count_distinct,
    exp.ArrayAgg: by.collect_list,
    exp.ArrayUniqueAgg: by.collect_set,
}
_OF_TWO: Mapping[type[exp.Expr], Callable[[Any, Any], Fold]] = {exp.ArgMin: by.min_by, exp.ArgMax: by.max_by}
_BY_NAME: Mapping[str, Callable[..., Fold]] = {
    "MEAN": by.mean, "VAR": by.var, "STD": by.std, "COUNT_DISTINCT": by.count_distinct,
    "APPROX_COUNT_DISTINCT": by.approx_count_distinct, "COLLECT_LIST": by.collect_list,
    "COLLECT_SET": by.collect_set, "MIN_BY": by.min_by, "MAX_BY": by.max_by,
}  # fmt: skip
_KNOWN = (
    "COUNT, SUM, AVG, MIN, MAX, VARIANCE, STDDEV, FIRST, LAST, COUNT(DISTINCT …), APPROX_COUNT_DISTINCT, COLLECT_LIST, "
    "COLLECT_SET, MIN_BY, MAX_BY, PERCENTILE, MEDIAN, COUNT_IF"
)

Translate = Callable[[exp.Expr], nw.Expr]


def is_aggregate(node: exp.Expr) -> bool:
    """Tell whether a node is an aggregate, one that is not supported too."""
    wrapped = isinstance(node, exp.IgnoreNulls | exp.RespectNulls | exp.Filter | exp.WithinGroup)
    return (
        wrapped or isinstance(node, exp.AggFunc) or (isinstance(node, exp.Anonymous) and node.name.upper() in _BY_NAME)
    )


def fold(node: exp.Expr, translate: Translate) -> Fold:
    """Return the aggregate of ``agg`` that a node stands for."""
    kind = type(node)
    if kind in _SPECIAL:
        return _SPECIAL[kind](node, translate)
    if isinstance(node, exp.Anonymous) and node.name.upper() in _BY_NAME:
        return _BY_NAME[node.name.upper()](*map(translate, node.expressions))
    if isinstance(node.this, exp.Distinct) or (kind not in _OF_ONE and kind not in _OF_TWO):
        raise _refusal(node)
    if kind in _OF_TWO:
        return _OF_TWO[kind](translate(node.this), translate(node.expression))
    return _OF_ONE[kind](translate(node.this))


def _count(node: exp.Count, translate: Translate) -> Fold:
    if node.this is None:
        raise unsupported("COUNT()", "write COUNT(*)")
    if node.expressions:
        raise unsupported(text(node), "count one column")
    if isinstance(node.this, exp.Star | exp.Literal):
        return by.count()
    if not isinstance(node.this, exp.Distinct):
        return by.count(translate(node.this))
    if len(node.this.expressions) != 1:
        raise unsupported(text(node), "count the distinct values of one column")
    return by.count_distinct(translate(node.this.expressions[0]))


def _count_if(node: exp.CountIf, translate: Translate) -> Fold:
    return by.count(nw.when(translate(node.this)).then(nw.lit(1)))


def _ignoring_nulls(node: exp.IgnoreNulls, translate: Translate) -> Fold:
    choose = {exp.First: by.first, exp.FirstValue: by.first, exp.Last: by.last, exp.LastValue: by.last}
    if type(node.this) not in choose:
        raise _refusal(node)
    return choose[type(node.this)](translate(node.this.this), ignore_nulls=True)


def _quantile(node: exp.Expr, translate: Translate) -> Fold:
    return by.quantile(translate(node.this), _fraction(node))


_SPECIAL: Mapping[type[exp.Expr], Callable[[Any, Translate], Fold]] = {
    exp.Count: _count,
    exp.CountIf: _count_if,
    exp.IgnoreNulls: _ignoring_nulls,
    exp.Quantile: _quantile,
    exp.Median: _quantile,
}


def _fraction(node: exp.Expr) -> float:
    given = node.args.get("quantile")
    if given is None:
        return 0.5
    if not (isinstance(given, exp.Literal) and not given.is_string):
        raise unsupported(f"{text(given)} in {text(node)}", "write a number from 0 to 1")
    return float(given.name)


def _refusal(node: exp.Expr) -> Exception:
    if isinstance(node, exp.Filter):
        return unsupported(text(node), "write the condition into the aggregate: SUM(CASE WHEN … THEN x END)")
    if isinstance(node.this, exp.Distinct):
        return unsupported(text(node), "only COUNT takes DISTINCT")
    return unsupported(text(node), f"use one of {_KNOWN}")
