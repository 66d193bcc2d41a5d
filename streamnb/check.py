"""The rules over a whole plan: what an output mode asks of it. One function a rule."""

from __future__ import annotations

from collections.abc import Callable

from streamnb.errors import PlanError, one_of
from streamnb.ops.apply_in_pandas_with_state import ApplyInPandasWithState
from streamnb.ops.dedup_step import Deduplication
from streamnb.ops.drop_duplicates_within_watermark import DropDuplicatesWithinWatermark
from streamnb.ops.group_by import GroupBy
from streamnb.ops.join import Join
from streamnb.ops.limit import Limit
from streamnb.ops.sort import Sort
from streamnb.ops.transform_with_state import TransformWithState
from streamnb.ops.with_watermark import WithWatermark
from streamnb.params import Param, params_in
from streamnb.plan import Node, RowWise

OUTPUT_MODES = ("append", "update", "complete")


def check(plan: Node, output_mode: str, *, multiple_stateful: bool = True) -> None:
    """Raise a PlanError, with the way out, for a plan that cannot run in this mode.

    Without ``multiple_stateful`` one watermark serves all operators, and a stream may have two event times.
    """
    if output_mode not in OUTPUT_MODES:
        raise one_of("query", "output_mode", output_mode, OUTPUT_MODES)
    for rule in RULES if multiple_stateful else [rule for rule in RULES if rule not in OF_TIME]:
        rule(plan, output_mode)


def params_row_by_row(plan: Node, output_mode: str) -> None:  # noqa: ARG001
    """A param may change from batch to batch; what is remembered may not."""
    for node in plan.walk():
        names = set() if isinstance(node, RowWise | WithWatermark) else params_in(node)
        if names:
            raise PlanError(
                f"{node.verb}: the param {min(names)!r} may change from batch to batch, and what {node.verb} remembers "
                "may not; put it into a column first: with_columns(x=…).",
                code="PARAM_PLACE",
            )


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


def joins_of_streams(plan: Node, output_mode: str) -> None:
    """A pair that has come out cannot be taken back, and a row is unmatched only once nothing can match it."""
    for node in plan.walk():
        if not isinstance(node, Join):
            continue
        if output_mode == "complete":
            raise PlanError(
                "query: a join of two streams adds rows and keeps no table, so it has no complete mode; "
                "use output_mode='append'.",
                code="JOIN_OUTPUT_MODE",
            )
        if node.how != "inner" and output_mode != "append":
            raise PlanError(
                f"query: a {node.how} join cannot take back an unmatched row, so it runs in append mode only; "
                "use output_mode='append'.",
                code="JOIN_OUTPUT_MODE",
            )
        if node.how != "inner" and not node.accepts_outer():
            raise PlanError(
                f"query: a {node.how} join must know when a row can no longer match; declare with_watermark on the "
                "other side and give within=sn.between(…), or join on event time.",
                code="OUTER_JOIN_WITHOUT_BOUND",
            )


def sort_needs_a_table(plan: Node, output_mode: str) -> None:
    """A stream has no end, so only a table that is given out whole can be put in order."""
    for node in plan.walk():
        if isinstance(node, Sort) and (output_mode != "complete" or not _aggregated(node)):
            raise PlanError(
                f"query: {node.describe()!r} in {output_mode} mode needs rows that have not come yet; sort above an "
                "aggregation with output_mode='complete', or sort the result.",
                code="SORT_WITHOUT_COMPLETE",
            )


def within_watermark_needs_one(plan: Node, output_mode: str) -> None:  # noqa: ARG001
    """How long a key is remembered is the delay of a watermark."""
    for node in plan.walk():
        if isinstance(node, DropDuplicatesWithinWatermark) and not node.event_times:
            raise PlanError(
                f"query: {node.describe()!r} remembers a key for the delay of a watermark, and its rows have no column "
                "with one; declare with_watermark before it and keep that column, or use drop_duplicates.",
                code="DEDUP_WITHOUT_WATERMARK",
            )


def within_one_delay(plan: Node, output_mode: str) -> None:  # noqa: ARG001
    """How long a key is remembered is settled when its first row comes."""
    for node in plan.walk():
        below = node.walk() if isinstance(node, DropDuplicatesWithinWatermark) else ()
        param = next((n.wait for n in below if isinstance(n, WithWatermark) and isinstance(n.wait, Param)), None)
        if param is not None:
            raise PlanError(
                f"query: {node.describe()!r} remembers a key for the delay of the watermark, and the param "
                f"{param.param!r} may change that while keys are kept; give with_watermark a fixed delay, or use "
                "drop_duplicates with the event time among its columns.",
                code="OPTION_INVALID",
            )


def duplicates_of_final_rows(plan: Node, output_mode: str) -> None:
    """Rows of an aggregation that is not done yet would count as late above it."""
    for node in plan.walk():
        by_time = isinstance(node, DropDuplicatesWithinWatermark) or (
            isinstance(node, Deduplication) and bool(set(node.columns) & set(node.event_times))
        )
        if by_time and _aggregated(node) and output_mode != "append":
            raise PlanError(
                f"query: {node.describe()!r} goes by event time, and in {output_mode} mode the aggregation below gives "
                "out rows that are behind the watermark; use output_mode='append'.",
                code="TWO_AGGREGATIONS",
            )


def _aggregated(node: Node) -> bool:
    return any(isinstance(below, GroupBy) for below in node.walk())


def one_event_time(plan: Node, output_mode: str) -> None:  # noqa: ARG001
    """An operator that keeps state forgets by one event time."""
    for node in plan.walk():
        for below in node.inputs if node.remembers and not isinstance(node, GroupBy | Limit) else ():
            times = {mark.origin: name for name, mark in below.event_times.items()}
            if len(times) > 1:
                raise PlanError(
                    f"query: two event times, {sorted(times.values())}, reach {node.verb!r}, which can only go by one; "
                    "drop one of them, or cast it to a number, before it.",
                    code="MULTIPLE_EVENT_TIMES",
                )


OF_TIME = (one_watermark, one_event_time)


def state_in_the_mode_of_the_query(plan: Node, output_mode: str) -> None:
    """apply_in_pandas_with_state gives out in one mode; that is the query's, or append below an aggregation."""
    aggregates = [node for node in plan.walk() if isinstance(node, GroupBy)]
    for node in plan.walk():
        if not isinstance(node, ApplyInPandasWithState):
            continue
        if aggregates:
            _appends_to_an_aggregation(node)
        elif node.output_mode != output_mode:
            raise _state_mode(
                f"{node.verb} gives out in {node.output_mode} mode and the query in {output_mode} mode; "
                "name the same mode in both."
            )


def _appends_to_an_aggregation(node: ApplyInPandasWithState) -> None:
    if node.output_mode != "append":
        raise _state_mode(
            f"{node.verb} in update mode beside an aggregation, which would count every new version of a row; "
            "use output_mode='append' in both."
        )
    if any(isinstance(below, GroupBy) for below in node.walk()):
        raise _state_mode(f"{node.verb} above an aggregation; use transform_with_state, which may stand there.")


def one_function_with_state(plan: Node, output_mode: str) -> None:  # noqa: ARG001
    """Spark runs one applyInPandasWithState a query."""
    if sum(isinstance(node, ApplyInPandasWithState) for node in plan.walk()) > 1:
        raise PlanError(
            "query: two apply_in_pandas_with_state in one query; use transform_with_state, which may be chained.",
            code="TWO_STATES",
        )


def no_state_above_lost_time(plan: Node, output_mode: str) -> None:
    """What comes late or changes must not be taken for new rows by an operator with state above it."""
    for node in plan.walk():
        if not node.remembers or node.verb in {"limit", "drop_duplicates"}:
            continue
        below = [n for i in node.inputs for n in i.walk()]
        if any(isinstance(n, ApplyInPandasWithState) and n.timeout == "event" for n in below):
            raise PlanError(
                f"query: {node.verb} stands above apply_in_pandas_with_state, which gives out rows when the watermark "
                "has passed them, too late for it; use transform_with_state with event_time_column.",
                code="TWO_STATES",
            )
        if (
            isinstance(node, TransformWithState)
            and output_mode != "append"
            and any(isinstance(n, GroupBy) for n in below)
        ):
            raise PlanError(
                f"query: {node.verb} above an aggregation would take every new version of a group for a new row in "
                f"{output_mode} mode; use output_mode='append'.",
                code="TWO_AGGREGATIONS",
            )


def _state_mode(wrong: str) -> PlanError:
    return PlanError(f"query: {wrong}", code="STATE_OUTPUT_MODE")


RULES: tuple[Callable[[Node, str], None], ...] = (
    *OF_TIME,
    append_needs_an_end,
    complete_needs_a_table,
    one_aggregation_unless_append,
    no_limit_in_update,
    params_row_by_row,
    sort_needs_a_table,
    within_watermark_needs_one,
    within_one_delay,
    duplicates_of_final_rows,
    joins_of_streams,
    one_function_with_state,
    state_in_the_mode_of_the_query,
    no_state_above_lost_time,
)
