"""The rules over a whole plan: what an output mode asks of it. One function a rule."""

from __future__ import annotations

from collections.abc import Callable

from streamnb.errors import PlanError, one_of
from streamnb.ops.group_by import GroupBy
from streamnb.ops.limit import Limit
from streamnb.ops.with_watermark import WithWatermark
from streamnb.plan import Node

OUTPUT_MODES = ("append", "update", "complete")


def check(plan: Node, output_mode: str) -> None:
    """Raise a PlanError, with the way out, for a plan that cannot run in this mode."""
    if output_mode not in OUTPUT_MODES:
        raise one_of("query", "output_mode", output_mode, OUTPUT_MODES)
    for rule in RULES:
        rule(plan, output_mode)


def append_needs_an_end(plan: Node, output_mode: str) -> None:
    """In append mode a group is given out once, when nothing can change it any more."""
    for node in plan.walk():
        if output_mode == "append" and isinstance(node, GroupBy) and not node.event_times:
            raise PlanError(
                f"query: append mode gives {node.describe()!r} out when it is final, and nothing ever makes it so; "
                "declare with_watermark on the time you group by, or use output_mode='update'.",
                code="APPEND_WITHOUT_WATERMARK",
            )


def complete_needs_a_table(plan: Node, output_mode: str) -> None:
    """In complete mode the whole result is given out, so it must be one that is kept: an aggregation."""
    if output_mode == "complete" and not any(isinstance(node, GroupBy) for node in plan.walk()):
        raise PlanError(
            "query: complete mode gives out the whole table, and without an aggregation nothing keeps one; "
            "use output_mode='append'.",
            code="COMPLETE_WITHOUT_AGGREGATION",
        )


def one_aggregation_unless_append(plan: Node, output_mode: str) -> None:
    """An aggregation over an aggregation needs final rows below, which only append mode gives."""
    for node in plan.walk():
        above = isinstance(node, GroupBy) and any(isinstance(n, GroupBy) for i in node.inputs for n in i.walk())
        if above and output_mode != "append":
            raise PlanError(
                f"query: an aggregation over an aggregation would count the changing rows of the lower one again and "
                f"again in {output_mode} mode; use output_mode='append'.",
                code="TWO_AGGREGATIONS",
            )


def no_limit_in_update(plan: Node, output_mode: str) -> None:
    """The first rows of a table that changes are not one set of rows."""
    if output_mode == "update" and any(isinstance(node, Limit) for node in plan.walk()):
        raise PlanError("query: limit has no meaning in update mode; use output_mode='append'.", code="LIMIT_IN_UPDATE")


def one_watermark(plan: Node, output_mode: str) -> None:  # noqa: ARG001
    """A stream has one idea of how late its rows may be."""
    for node in plan.walk():
        below = [n for i in node.inputs for n in i.walk() if isinstance(n, WithWatermark)]
        if isinstance(node, WithWatermark) and below:
            raise PlanError(
                f"query: with_watermark({node.event_time!r}) stands above with_watermark({below[0].event_time!r}); "
                "declare one watermark a stream, next to its source.",
                code="WATERMARK_REDEFINED",
            )


RULES: tuple[Callable[[Node, str], None], ...] = (
    one_watermark,
    append_needs_an_end,
    complete_needs_a_table,
    one_aggregation_unless_append,
    no_limit_in_update,
)
