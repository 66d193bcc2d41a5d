"""Rewrites of a whole plan: one function a rule."""

from __future__ import annotations

from dataclasses import replace
from itertools import compress

import narwhals as nw

from streamnb.expressions import all_of, conjuncts, native, plain_column
from streamnb.ops.columns import Drop, Rename
from streamnb.ops.filter import Filter
from streamnb.ops.group_by import GroupBy
from streamnb.ops.join import Join
from streamnb.ops.select import Select, WithColumns
from streamnb.ops.union import Union
from streamnb.ops.with_watermark import WithWatermark
from streamnb.plan import Node


def optimize(plan: Node) -> Node:
    """Return the plan that runs: the same rows, less work."""
    inputs = tuple(map(optimize, plan.inputs))
    if any(new is not old for new, old in zip(inputs, plan.inputs, strict=True)):
        plan = replace(plan, inputs=inputs)
    plan = null_never_matches(plan)
    return filter_down(plan) or plan


def null_never_matches(plan: Node) -> Node:
    """Leave out rows that a join of two streams cannot match and would not give out unmatched, as Spark does.

    Their keys, their times within the range, or what a condition compares, are null. Below ``with_watermark`` (see
    ``filter_down``) such rows do not move the watermark either.
    """
    if not isinstance(plan, Join) or plan.how == "full":
        return plan
    inputs = []
    for number, node in enumerate(plan.inputs):
        preserved = (plan.how in {"left", "anti"}, plan.how == "right")[number]
        columns = [] if preserved else plan.needed(number)
        conditions = [~nw.col(name).is_null() for name in columns]
        inputs.append(optimize(Filter((node,), all_of(conditions))) if conditions else node)
    return replace(plan, inputs=tuple(inputs))


def filter_down(plan: Node) -> Node | None:
    """Move a filter below a verb that it does not depend on, as Spark does.

    This is seen: below ``with_watermark`` the removed rows do not move the watermark.
    """
    if not isinstance(plan, Filter):
        return None
    (below,) = plan.inputs
    handed_on = _handed_on(below)
    parts = conjuncts(plan.condition)
    goes = [set(native(part).meta.root_names()) <= handed_on for part in parts]
    go, stay = list(compress(parts, goes)), [part for part, yes in zip(parts, goes, strict=True) if not yes]
    if not go:
        return None
    lower = replace(below, inputs=tuple(optimize(Filter((node,), all_of(go))) for node in below.inputs))
    return Filter((lower,), all_of(stay)) if stay else lower


def _handed_on(node: Node) -> set[str]:
    """Return the columns that a filter may read and still go below a node."""
    columns = set(node.schema)
    if isinstance(node, WithWatermark):
        return columns - {node.event_time}
    if isinstance(node, WithColumns):
        return columns - set(node.new)
    if isinstance(node, Select):
        return {name for name, origin in node.origins.items() if name == origin}
    if isinstance(node, Rename):
        return columns - set(node.names.values())
    if isinstance(node, GroupBy):
        return {name for name, expression in node.keys.items() if plain_column(expression) == name}
    return columns if isinstance(node, Drop | Union) else set()
