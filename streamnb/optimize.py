"""Rewrites of a whole plan: one function a rule."""

from __future__ import annotations

from dataclasses import replace

from streamnb.expressions import native, plain_column
from streamnb.ops.columns import Drop, Rename
from streamnb.ops.filter import Filter
from streamnb.ops.group_by import GroupBy
from streamnb.ops.select import Select, WithColumns
from streamnb.ops.union import Union
from streamnb.ops.with_watermark import WithWatermark
from streamnb.plan import Node


def optimize(plan: Node) -> Node:
    """Return the plan that runs: the same rows, less work."""
    inputs = tuple(map(optimize, plan.inputs))
    if any(new is not old for new, old in zip(inputs, plan.inputs, strict=True)):
        plan = replace(plan, inputs=inputs)
    return filter_down(plan) or plan


def filter_down(plan: Node) -> Node | None:
    """Move a filter below a verb that it does not depend on, as Spark does.

    This is seen: below ``with_watermark`` the removed rows do not move the watermark.
    """
    if not isinstance(plan, Filter):
        return None
    (below,) = plan.inputs
    if not set(native(plan.condition).meta.root_names()) <= _handed_on(below):
        return None
    return replace(below, inputs=tuple(optimize(Filter((node,), plan.condition)) for node in below.inputs))


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
