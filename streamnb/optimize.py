"""Rewrites of a whole plan: one function a rule."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import compress
from typing import Any, cast

import narwhals as nw
import polars as pl

from streamnb.expressions import all_of, conjuncts, native, needed, plain_column
from streamnb.ops.columns import Drop, Rename
from streamnb.ops.drop_duplicates import DropDuplicates
from streamnb.ops.explode import Explode
from streamnb.ops.filter import Filter
from streamnb.ops.group_by import GroupBy
from streamnb.ops.join import Join
from streamnb.ops.join_static import JoinStatic
from streamnb.ops.limit import Limit
from streamnb.ops.select import Select, WithColumns
from streamnb.ops.sort import Sort
from streamnb.ops.union import Union
from streamnb.ops.unmark import Unmark
from streamnb.ops.with_watermark import WithWatermark
from streamnb.ops.with_window import WithWindow
from streamnb.params import params_in
from streamnb.plan import Node
from streamnb.rewrites import rule


def optimize(plan: Node) -> Node:
    """Return the plan that runs: the same rows, less work."""
    return unread_times_mark_nothing(_filters_placed(plan), set(plan.schema))


# -- filters


def _filters_placed(plan: Node) -> Node:
    inputs = tuple(map(_filters_placed, plan.inputs))
    if any(new is not old for new, old in zip(inputs, plan.inputs, strict=True)):
        plan = replace(plan, inputs=inputs)
    if isinstance(plan, Filter):
        return filter_down(plan)
    return no_time_no_window(plan) if isinstance(plan, GroupBy) else no_match_no_row(plan)


@rule("a filter goes below what it does not depend on")
def filter_down(plan: Filter) -> Node:
    """Move a filter below a verb that it does not depend on, as Spark does.

    This is seen: below ``with_watermark`` the removed rows do not move the watermark.
    """
    below, parts = outer_to_inner(plan), conjuncts(plan.condition)
    if isinstance(below, Filter):
        return _past(below, plan)
    sides = _handed_on(below)
    goes = [[len(reads) > 0 and reads <= side for reads in map(_roots, parts)] for side in sides]
    stay = [part for n, part in enumerate(parts) if not any(go[n] for go in goes)]
    inner = isinstance(below, Join | JoinStatic) and below.how == "inner"
    if len(stay) == len(parts) and not inner:
        return plan if below is plan.inputs[0] else replace(plan, inputs=(below,))
    inputs = zip(below.inputs, goes, strict=True)
    lower = replace(below, inputs=tuple(_filtered(node, compress(parts, go)) for node, go in inputs))
    if stay and inner and all(_may_match(part, lower) for part in stay):
        return _part_of_the_match(lower, stay)
    return Filter((lower,), all_of(stay)) if stay else lower


def _may_match(part: nw.Expr, join: Node) -> bool:
    """Tell whether a condition may be part of a match: it reads nothing but the pair, and does not change."""
    columns = join.pair_schema if isinstance(join, JoinStatic) else join.schema
    return _roots(part) <= set(columns) and not params_in(part)


def _past(below: Filter, plan: Filter) -> Node:
    """Move a filter below another one, if it goes further down from there."""
    lower = filter_down(replace(plan, inputs=below.inputs))
    stays = isinstance(lower, Filter) and lower.inputs == below.inputs
    return plan if stays else replace(below, inputs=(lower,))


def _filtered(node: Node, conditions: Iterable[nw.Expr]) -> Node:
    conditions = list(conditions)
    return filter_down(Filter((node,), all_of(conditions))) if conditions else node


def _handed_on(node: Node) -> list[set[str]]:
    """Return, for every input of a node, the columns that a filter may read and still go below the node to it."""
    if isinstance(node, Join | JoinStatic):
        return _handed_on_by_a_join(node)
    columns = set(node.schema)
    if isinstance(node, WithWatermark):
        columns -= {node.event_time}
    elif isinstance(node, WithColumns):
        columns -= set(node.new)
    elif isinstance(node, WithWindow):
        columns -= set(node.names)
    elif isinstance(node, Explode):
        columns -= {node.column}
    elif isinstance(node, Rename):
        columns -= set(node.names.values())
    elif isinstance(node, Select):
        columns = {name for name, origin in node.origins.items() if name == origin}
    elif isinstance(node, GroupBy):
        columns = {name for name, expression in node.keys.items() if plain_column(expression) == name}
    elif not isinstance(node, Drop | Sort | Union):
        columns = set()
    return [columns] * len(node.inputs)


def _handed_on_by_a_join(node: Join | JoinStatic) -> list[set[str]]:
    """A side takes what reads it alone, unless that would leave rows of the other side unmatched that must come out."""
    if isinstance(node, JoinStatic):
        return [set(node.inputs[0].schema)]
    left, right = set(node.inputs[0].schema), _unrenamed(node)
    keys = {a for a, b in node.keys if node.merged and a == b}
    if node.how == "full":
        return [set(), set()]
    return [left if node.how != "right" else keys, right | keys if node.how in {"inner", "right"} else keys]


def _unrenamed(node: Join) -> set[str]:
    return {name for name, beside in node.right_names.items() if name == beside}


@rule("a row without a time ends in no window, so it goes first")
def no_time_no_window(plan: GroupBy) -> Node:
    """Leave out rows without a time before they come to a join below a window, as Spark does: they end in no window."""
    name = None if plan.time_key is None else plain_column(plan.time)
    if name is None:
        return plan
    (below,) = plan.inputs
    lower = _filtered(below, [~nw.col(name).is_null()])
    return plan if isinstance(lower, Filter) and lower.inputs == (below,) else replace(plan, inputs=(lower,))


# -- joins


@rule("a row that can match nothing goes before the join")
def no_match_no_row(plan: Node) -> Node:
    """Leave out the rows that a join cannot match and would not give out unmatched, as Spark does.

    Their keys, their times within the range, or what a condition compares, are null; or a condition on their side alone
    is not met. Below ``with_watermark`` such rows do not move the watermark either.
    """
    if not isinstance(plan, Join | JoinStatic):
        return plan
    keeps = plan.how in {"left", "anti", "full"}, plan.how in {"right", "full"}
    inputs = [node if keeps[n] else _filtered(node, _conditions_on(plan, n)) for n, node in enumerate(plan.inputs)]
    return replace(plan, inputs=tuple(inputs))


def _part_of_the_match(plan: Any, conditions: list[nw.Expr]) -> Node:
    """Make a filter on both sides of an inner join part of its match; a row with a null in it then is no match."""
    where = [] if plan.where is None else [plan.where]
    present = set[str]().union(*map(needed, conditions))
    names = [set(plan.inputs[0].schema), _unrenamed(plan) if isinstance(plan, Join) else set()]
    inputs = (
        _filtered(node, (~nw.col(name).is_null() for name in sorted(present & own)))
        for node, own in zip(plan.inputs, names, strict=False)
    )
    return cast("Node", replace(plan, inputs=tuple(inputs), where=all_of([*where, *conditions])))


def _conditions_on(plan: Join | JoinStatic, side: int) -> list[nw.Expr]:
    """Return what a row of one side must meet to match anything."""
    names = _unrenamed(plan) if side and isinstance(plan, Join) else set(plan.inputs[0].schema)
    parts = conjuncts(plan.where) if plan.where is not None else []
    own = [part for part in parts if _roots(part) and _roots(part) <= names]
    return [*(~nw.col(name).is_null() for name in plan.needed(side)), *own]


def outer_to_inner(plan: Filter) -> Node:
    """Return what is below a filter; for an outer join whose unmatched rows it removes the inner one, as Spark does."""
    (below,) = plan.inputs
    if not isinstance(below, Join | JoinStatic) or below.how not in {"left", "right", "full"}:
        return below
    present = set[str]().union(*map(needed, conjuncts(plan.condition)))
    left = set(below.inputs[0].schema)
    right, own = set(below.schema) - left, left - {a for a, b in below.keys if a == b}
    kept = below.how != "right" and not present & right, below.how != "left" and not present & own
    how = {(True, True): "full", (True, False): "left", (False, True): "right"}.get(kept, "inner")
    return below if how == below.how else no_match_no_row(replace(below, how=how))


# -- event time


@rule("an event time that nothing reads marks nothing")
def unread_times_mark_nothing(plan: Node, read: set[str]) -> Node:
    """Forget that a column is event time, below an operator, where nothing above reads it, as Spark drops it there.

    This is seen: ``drop_duplicates`` and joins drop late rows by the event time that their rows carry. ``read`` are the
    columns that are read of ``plan``.
    """
    inputs = []
    for number, node in enumerate(plan.inputs):
        used = _reads(plan, number, read)
        unread = [name for name in node.event_times if name not in used]
        drops_late = isinstance(plan, DropDuplicates | Join)
        inputs.append(
            unread_times_mark_nothing(Unmark((node,), tuple(unread)) if unread and drops_late else node, used)
        )
    changed = any(new is not old for new, old in zip(inputs, plan.inputs, strict=True))
    return replace(plan, inputs=tuple(inputs)) if changed else plan


def columns_read(plan: Node) -> list[set[str]]:
    """Return the columns that a plan needs of each of its sources, from the left to the right."""
    return list(_read_of_sources(plan, set(plan.schema)))


def _read_of_sources(plan: Node, read: set[str]) -> Iterator[set[str]]:
    if not plan.inputs:
        yield read
    for number, node in enumerate(plan.inputs):
        yield from _read_of_sources(node, _reads(plan, number, read))


def _reads(node: Node, number: int, read: set[str]) -> set[str]:
    """Return the columns that a node reads of an input, so that the columns ``read`` of it come out."""
    below = set(node.inputs[number].schema)
    if isinstance(node, Select | WithColumns):
        return _read_by(map(native, node.expressions), read, below) | (below & read - _made_by(node))
    if isinstance(node, GroupBy):
        return _read_by_groups(node, read) if type(node) is GroupBy else below
    if isinstance(node, Join | JoinStatic):
        return _read_by_a_join(node, number, read)
    if isinstance(node, Rename):
        return {old for old in below if node.names.get(old, old) in read}
    own = _OWN_READS.get(type(node))
    return below if own is None else below & (read | own(node))


_OWN_READS: dict[type[Node], Callable[[Any], set[str]]] = {
    Drop: lambda _: set(),
    DropDuplicates: lambda node: set(node.columns),
    Explode: lambda node: {node.column},
    Filter: lambda node: _roots(node.condition),
    Limit: lambda _: set(),
    Sort: lambda node: set[str]().union(*map(_roots, node.by)),
    Union: lambda _: set(),
    Unmark: lambda _: set(),
    WithWatermark: lambda node: {node.event_time} | ({node.per} - {None}),
    WithWindow: lambda node: set(node.time.meta.root_names()),
}
"""What a verb that hands its columns on reads itself. A verb that is not here reads all."""


def _made_by(node: Select | WithColumns) -> set[str]:
    return set(node.schema) if isinstance(node, Select) else set(node.new)


def _read_by(expressions: Iterable[pl.Expr], read: set[str], below: set[str]) -> set[str]:
    """Return the columns that those expressions read which make a column in ``read``."""
    found: set[str] = set()
    for expression in expressions:
        if expression.meta.has_multiple_outputs():
            return set(below)
        if expression.meta.output_name() in read:
            found |= set(expression.meta.root_names())
    return found


def _read_by_groups(node: GroupBy, read: set[str]) -> set[str]:
    below = node.inputs[0].schema
    times = [node.time] if node.time_key is not None else []
    values = [v for name, fold in node.aggregates.items() if name in read for v in fold.columns(node.verb, below)]
    return {name for e in (*node.keys.values(), *times, *values) for name in e.meta.root_names()}


def _read_by_a_join(node: Join | JoinStatic, number: int, read: set[str]) -> set[str]:
    asked = read | (_roots(node.where) if node.where is not None else set())
    beside = node.right_names if number and isinstance(node, Join) else {n: n for n in node.inputs[0].schema}
    within = {(node.within.of, node.within.time)[number]} if isinstance(node, Join) and node.within else set()
    return {name for name, new in beside.items() if new in asked} | {pair[number] for pair in node.keys} | within


def _roots(expression: nw.Expr) -> set[str]:
    return set(native(expression).meta.root_names())
