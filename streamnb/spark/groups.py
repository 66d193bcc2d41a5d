"""group_by: windows, sessions and aggregates in Spark's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import polars as pl

from streamnb.aggregates import Custom
from streamnb.expressions import native, outcome, plain_column
from streamnb.folds import Count, CountDistinct, First, Fold, Quantile
from streamnb.ops.group_by import GroupBy
from streamnb.ops.session import SessionGroupBy, SessionKey
from streamnb.spark.flow import Edge, Flow, Move, to_spark, unsupported
from streamnb.spark.kinds import interval, name_in
from streamnb.spark.rows import window_of
from streamnb.windows import END, START, TimeKey, WindowKey


@to_spark.register
def _group_by(node: GroupBy, move: Move, below: Flow) -> Flow:
    windows = {name: below.windows[c] for name, c in _plain_keys(node).items() if c in below.windows}
    keys: dict[str, Any] = {}
    for name, key in _given(node).items():
        if isinstance(key, TimeKey):
            hidden = move.new_name()
            keys[hidden] = _time(key, node, move, below).alias(hidden)
            windows |= {START: Edge(hidden, "start"), END: Edge(hidden, "end")}
        elif name in windows:
            keys[windows[name].column] = windows[name].column
        else:
            keys[name] = _key(name, key, move, node)
    values = [_aggregate(fold, move, node, name).alias(name) for name, fold in node.aggregates.items()]
    rows = below.rows.groupBy(*keys.values()).agg(*values)
    if node is move.top:
        return Flow(rows.select(*_shown(node, move, windows)) if windows else rows)
    flow = Flow(rows, windows)
    return replace(flow, rows=rows.select(*_shown(node, move, windows), *flow.hidden)) if windows else flow


def _shown(node: GroupBy, move: Move, windows: Mapping[str, Edge]) -> list[Any]:
    """Return the columns that come out, of a window its two edges."""
    edges = {n: move.sql.field(e.column, e.field).alias(n) for n, e in windows.items()}
    return [edges.get(name, name_in(name)) for name in node.schema]


def _key(name: str, expression: Any, move: Move, node: GroupBy) -> Any:
    """Return a key; a column by its name alone."""
    if _plain_keys(node)[name] == name:
        return name_in(name)
    return move.column(expression, node.inputs[0].schema, node.verb).alias(name)


def _given(node: GroupBy) -> dict[str, Any]:
    """Return the keys as they were given, by the name they get."""
    return {START if isinstance(key, TimeKey) else native(key).meta.output_name(): key for key in node.by}


def _plain_keys(node: GroupBy) -> dict[str, str]:
    return {name: plain_column(expression) or "" for name, expression in node.keys.items()}


def _time(key: TimeKey, node: GroupBy, move: Move, below: Flow) -> Any:
    """Return the window or session that rows are grouped by."""
    if isinstance(key, SessionKey):
        return move.sql.session_window(_time_of(key, node, move, below), _gap(key, node, move, below))
    assert isinstance(key, WindowKey)  # noqa: S101  the two there are
    return window_of(move, _time_of(key, node, move, below), key.window)


def _time_of(key: TimeKey, node: GroupBy, move: Move, below: Flow) -> Any:
    if below.is_window_time(key.time):
        hidden = move.sql.col(below.windows[END].column)
        return hidden if isinstance(key, WindowKey) else move.sql.window_time(hidden)
    if node.mark is not None and node.time_name in below.windows:
        raise unsupported(
            f"a window over {node.time_name!r}",
            "on Spark the edge of a window is no event time",
            "use sn.window_time()",
        )
    return move.operand(key.time, node.inputs[0].schema, "window")


def _gap(key: SessionKey, node: GroupBy, move: Move, below: Flow) -> Any:
    """Return the gap: one for all, or a column of such texts; Spark knows no column of durations there."""
    if isinstance(key.gap, int):
        return interval(key.gap)
    assert isinstance(node, SessionGroupBy)  # noqa: S101  what a session key makes
    sql, gap = move.sql, move.column(key.gap, node.inputs[0].schema, "session_window")
    (dtype,) = outcome("session_window", [node.gap], node.inputs[0].schema).dtypes()
    if dtype == pl.String():
        return gap
    microseconds = sql.unix_micros(sql.timestamp_seconds(sql.lit(0)) + gap)
    return sql.concat(microseconds.cast("string"), sql.lit(" microseconds"))


def _aggregate(fold: Fold, move: Move, node: GroupBy, name: str) -> Any:
    """Return Spark's aggregate."""
    check_aggregate(fold, name)
    given = [e for e in (fold.value, getattr(fold, "by", None)) if e is not None]
    values = [move.operand(e, node.inputs[0].schema, "agg") for e in given]
    function = getattr(move.sql, fold.spark)
    if isinstance(fold, Count):
        return function(*(values or ["*"]))
    if isinstance(fold, First):
        return function(*values, ignorenulls=fold.ignore_nulls)
    return function(*values, fold.q) if isinstance(fold, Quantile) else function(*values)


def check_aggregate(fold: Fold, name: str) -> None:
    """Raise for an aggregate that Spark has not, or not on streams."""
    if isinstance(fold, CountDistinct):
        raise unsupported(
            f"{name}=sn.count_distinct()", "Spark refuses exact distinct counts on streams",
            "use sn.approx_count_distinct, or drop_duplicates before the aggregation",
        )  # fmt: skip
    if isinstance(fold, Custom):
        raise unsupported(
            f"{name}={fold.name}()", "an aggregate of your own is Python, and Spark takes none on streams",
            "use transform_with_state",
        )  # fmt: skip
