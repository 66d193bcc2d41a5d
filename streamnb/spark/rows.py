"""What goes row by row, or hands rows on: the same Narwhals expressions, over a Spark frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import narwhals as nw

from streamnb.expressions import native, outcome, plain_column
from streamnb.ops.columns import Drop, Rename
from streamnb.ops.dedup_step import Deduplication
from streamnb.ops.drop_duplicates_within_watermark import DropDuplicatesWithinWatermark
from streamnb.ops.explode import Explode
from streamnb.ops.filter import Filter
from streamnb.ops.limit import Limit
from streamnb.ops.select import Select, WithColumns
from streamnb.ops.sort import Sort
from streamnb.ops.union import Union
from streamnb.ops.with_watermark import WithWatermark
from streamnb.ops.with_window import WithWindow
from streamnb.plan import Node
from streamnb.spark.flow import Flow, Move, flattened, to_spark, unsupported
from streamnb.spark.kinds import interval, name_in
from streamnb.time import Window


@to_spark.register
def _filter(node: Filter, move: Move, below: Flow) -> Flow:
    return replace(below, rows=below.rows.filter(move.column(node.condition, node.schema, node.verb)))


@to_spark.register
def _explode(node: Explode, move: Move, below: Flow) -> Flow:
    return replace(below, rows=below.rows.withColumn(node.column, move.sql.explode(move.sql.col(node.column))))


@to_spark.register
def _drop(node: Drop, move: Move, below: Flow) -> Flow:
    kept = {name: edge for name, edge in below.windows.items() if name not in node.columns}
    return below.forgetting(kept, below.rows.drop(*node.columns))


@to_spark.register
def _rename(node: Rename, move: Move, below: Flow) -> Flow:
    rows = below.rows.withColumnsRenamed(dict(node.names))
    return Flow(rows, {node.names.get(name, name): edge for name, edge in below.windows.items()})


@to_spark.register
def _select(node: Select, move: Move, below: Flow) -> Flow:
    windows = {name: below.windows[origin] for name, origin in node.origins.items() if origin in below.windows}
    hidden = dict.fromkeys(edge.column for edge in windows.values())
    columns = [_called(move, name, column) for name, column in _columns(node, node.expressions, move, below)]
    return Flow(below.rows.select(*columns, *hidden), windows)


@to_spark.register
def _with_columns(node: WithColumns, move: Move, below: Flow) -> Flow:
    columns = dict(_columns(node, node.expressions, move, below))
    simple = [e for e in map(native, node.expressions) if not e.meta.has_multiple_outputs()]
    copies = {e.meta.output_name(): plain_column(e) for e in simple}
    copied = {name: below.windows[c] for name, c in copies.items() if c is not None and c in below.windows}
    kept = {name: edge for name, edge in below.windows.items() if name not in node.new}
    new = {
        name: move.sql.col(c) if isinstance(c, str) else c
        for name, c in columns.items()
        if not isinstance(c, str) or c != name
    }
    return below.forgetting({**kept, **copied}, _with(below.rows, new))


def _with(rows: Any, columns: Mapping[str, Any]) -> Any:
    """Add columns, one or several."""
    if len(columns) == 1:
        return rows.withColumn(*next(iter(columns.items())))
    return rows.withColumns(dict(columns)) if columns else rows


def _columns(node: Node, expressions: Sequence[nw.Expr], move: Move, below: Flow) -> list[tuple[str, Any]]:
    """Return what expressions compute, by name: columns, or the name of a column that is handed on."""
    found: list[tuple[str, Any]] = []
    schema = node.inputs[0].schema
    for expression in expressions:
        polars = native(expression)
        if polars.meta.has_multiple_outputs():
            names = outcome(node.verb, [polars], schema).names()
            found += zip(names, move.columns(expression, schema, node.verb), strict=True)
        elif below.is_window_time(expression):
            end = move.sql.col(below.windows["window_end"].column)
            found.append((polars.meta.output_name(), move.sql.window_time(end)))
        else:
            computed = plain_column(polars) or move.column(expression, schema, node.verb)
            found.append((polars.meta.output_name(), computed))
    return found


def _called(move: Move, name: str, column: Any) -> Any:
    """Return a column under its name; one that is handed on by its name alone."""
    if isinstance(column, str):
        return name_in(column) if column == name else move.sql.col(column).alias(name)
    return column.alias(name)


@to_spark.register
def _with_watermark(node: WithWatermark, move: Move, below: Flow) -> Flow:
    if node.per is not None or node.idle_after is not None:
        raise unsupported("with_watermark(per=, idle_after=)", "it waits for the largest time of all", "leave them out")
    return replace(below, rows=below.rows.withWatermark(node.event_time, interval(node.delay)))


@to_spark.register
def _with_window(node: WithWindow, move: Move, below: Flow) -> Flow:
    hidden = move.new_name()
    windows = {name: edge for name, edge in below.windows.items() if name not in node.names}
    if below.is_window_time(node.window.time):
        time = move.sql.col(below.windows["window_end"].column)
    else:
        time = move.operand(node.window.time, node.inputs[0].schema, node.verb)
    rows = below.rows.withColumn(hidden, window_of(move, time, node.window.window))
    return flattened(below.forgetting(windows, rows), move, hidden, node.names)


def window_of(move: Move, time: Any, window: Window) -> Any:
    """Return Spark's window of a column of times, with as few arguments as say it."""
    slide = [interval(window.slide)] if window.slide != window.size or window.start else []
    start = [interval(window.start)] if window.start else []
    return move.sql.window(time, interval(window.size), *slide, *start)


@to_spark.register
def _union(node: Union, move: Move, left: Flow, right: Flow) -> Flow:
    """Windows stay windows where both sides have them."""
    pairs = {n: (left.windows[n], right.windows[n]) for n in left.windows if n in right.windows}
    same = {ours.column: theirs.column for ours, theirs in pairs.values() if ours.field == theirs.field}
    windows = {n: ours for n, (ours, _) in pairs.items() if ours.column in same}
    if left.windows or right.windows:
        theirs = right.rows.withColumnsRenamed({there: here for here, there in same.items()})
        names = list(map(name_in, (*node.schema, *same)))
        return Flow(left.rows.select(*names).unionByName(theirs.select(*names)), windows)
    return Flow(left.rows.unionByName(right.rows))


@to_spark.register
def _limit(node: Limit, move: Move, below: Flow) -> Flow:
    return replace(below, rows=below.rows.limit(node.n))


@to_spark.register
def _sort(node: Sort, move: Move, below: Flow) -> Flow:
    columns = [move.column(key, node.schema, node.verb) for key in node.by]
    ways = zip(columns, node.descending, strict=True)
    return replace(below, rows=below.rows.orderBy(*(c.desc() if down else c.asc() for c, down in ways)))


@to_spark.register
def _drop_duplicates(node: Deduplication, move: Move, below: Flow) -> Flow:
    if any(name in node.event_times and name not in below.windows for name in node.columns):
        below = below.forgetting({}, below.rows)  # Spark goes by one event time: the column's, not the window's
    keys = below.keys(node.columns)
    if isinstance(node, DropDuplicatesWithinWatermark):
        return replace(below, rows=below.rows.dropDuplicatesWithinWatermark(keys))
    return replace(below, rows=below.rows.dropDuplicates(keys))


def visible(flow: Flow, names: Sequence[str]) -> Any:
    """Return the rows with just the columns that a query shows."""
    return flow.rows.select(*map(name_in, names)) if flow.hidden else flow.rows
