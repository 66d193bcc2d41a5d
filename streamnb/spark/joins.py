"""Joins: two streams, or a stream and a table, as one condition over columns of different names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from streamnb.ops.join import Between, Join
from streamnb.ops.join_asof import JoinAsof
from streamnb.ops.join_static import JoinStatic
from streamnb.spark.flow import Edge, Flow, Move, to_spark, unsupported
from streamnb.spark.kinds import interval, name_in

_HOW = {"semi": "left_semi", "anti": "left_anti"}


@to_spark.register
def _join(node: Join, move: Move, left: Flow, right: Flow) -> Flow:
    right = _renamed(right, move, node.right_names)
    conditions = [a == b for a, b in _equal(node, move, left, right)]
    if node.within is not None:
        conditions += _range(node.within, node.right_names, move, left, right)
    if node.where is not None:
        conditions.append(move.column(node.where, node.pair_schema, node.verb))
    joined = left.rows.join(right.rows, conditions, _HOW.get(node.how, node.how))
    if node.how in {"semi", "anti"}:
        return replace(left, rows=joined)
    return _keys_once(node, Flow(joined, {**left.windows, **right.windows}), move)


def _renamed(flow: Flow, move: Move, names: Mapping[str, str]) -> Flow:
    """Give the right side the names that its columns get beside the left's, its hidden windows new ones."""
    hidden = {name: move.new_name() for name in flow.hidden}
    new = {**{n: called for n, called in names.items() if n != called}, **hidden}
    rows = flow.rows.withColumnsRenamed(new) if new else flow.rows
    edges = {names[n]: Edge(hidden[e.column], e.field) for n, e in flow.windows.items()}
    return Flow(rows, edges)


def _equal(node: Join, move: Move, left: Flow, right: Flow) -> list[tuple[Any, Any]]:
    """Return the pairs of columns to be equal; windows whole, once for their two edges."""
    pairs = {}
    for a, b in node.keys:
        ours, theirs = left.windows.get(a), right.windows.get(node.right_names[b])
        whole = ours is not None and theirs is not None and ours.field == theirs.field
        pair = (ours.column, theirs.column) if whole else (a, node.right_names[b])  # type: ignore[union-attr]
        pairs[pair] = tuple(move.sql.col(name) for name in pair)
    return list(pairs.values())


def _range(within: Between, names: Mapping[str, str], move: Move, left: Flow, right: Flow) -> list[Any]:
    """Return what ``within`` says as comparisons of a time with a shifted one, by which Spark ends state."""
    ours, theirs = move.edge(left, within.of), move.edge(right, names[within.time])
    found = []
    if within.after is not None:
        low = _shifted(ours, within.after, move)
        found.append(theirs >= low if within.closed in {"both", "left"} else theirs > low)
    if within.before is not None:
        high = _shifted(ours, within.before, move)
        found.append(theirs <= high if within.closed in {"both", "right"} else theirs < high)
    return found


def _shifted(time: Any, microseconds: int, move: Move) -> Any:
    if microseconds == 0:
        return time
    span = move.sql.expr(f"INTERVAL {interval(abs(microseconds))}")
    return time + span if microseconds > 0 else time - span


def _keys_once(node: Join, joined: Flow, move: Move) -> Flow:
    """Keep keys named by ``on`` once: the left side's, in a right join the right side's, in a full one whichever is."""
    once = {a: node.right_names[b] for a, b in node.keys if node.merged and a == b}
    columns = {a: _merged(node.how, a, b, move) for a, b in once.items() if node.how in {"right", "full"}}
    windows = {a: e for a, e in joined.windows.items() if a not in once.values()}
    if node.how == "right":
        windows |= {a: joined.windows[b] for a, b in once.items() if b in joined.windows}
    if node.how == "full":
        windows = {a: e for a, e in windows.items() if a not in once}
    shown = [columns[name].alias(name) if name in columns else name_in(name) for name in node.schema]
    hidden = list(dict.fromkeys(edge.column for edge in windows.values()))
    return Flow(joined.rows.select(*shown, *hidden), windows)


def _merged(how: str, left: str, right: str, move: Move) -> Any:
    return move.sql.col(right) if how == "right" else move.sql.coalesce(move.sql.col(left), move.sql.col(right))


# -- tables


@to_spark.register
def _join_static(node: JoinStatic, move: Move, below: Flow) -> Flow:
    if not node.table.fixed:
        raise unsupported(
            "join with a table that is read anew for every batch",
            "a function of this kernel cannot be called there",
            "join with the table itself",
        )
    keys = {right: move.new_name("__key") for left, right in node.keys if right not in node.names}
    new = {name: called for name, called in {**node.names, **keys}.items() if name != called}
    table = move.table(node.table.sample)
    table = table.withColumnsRenamed(new) if new else table
    beside = {**node.names, **keys}
    pairs = [(move.sql.col(a), move.sql.col(beside[b])) for a, b in node.keys]
    conditions = [a == b for a, b in pairs]
    if node.where is not None:
        conditions.append(move.column(node.where, node.pair_schema, node.verb))
    joined = below.rows.join(table, conditions, _HOW.get(node.how, node.how))
    return replace(below, rows=joined.drop(*keys.values()))


# -- what cannot go


def check_join(node: Join | JoinAsof) -> None:
    """Raise for a join that Spark has not on streams."""
    if isinstance(node, JoinAsof):
        raise unsupported(
            "join_asof", "Spark has no join to the nearest row on streams", "join on equal keys with where="
        )
    if node.how == "anti":
        raise unsupported(
            "an anti join of two streams", "Spark refuses it", "use how='left' and keep the rows without a match"
        )
