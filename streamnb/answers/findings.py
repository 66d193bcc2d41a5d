"""Findings: what will surprise in a plan. One function a rule, none of which stops a query."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from streamnb.expressions import spelled
from streamnb.ops.apply_in_pandas_with_state import ApplyInPandasWithState
from streamnb.ops.dedup_step import Deduplication
from streamnb.ops.drop_duplicates import DropDuplicates
from streamnb.ops.filter import Filter
from streamnb.ops.group_by import GroupBy
from streamnb.ops.join import Join
from streamnb.ops.limit import Limit
from streamnb.ops.transform_with_state import TransformWithState
from streamnb.ops.union import Union
from streamnb.ops.with_watermark import WithWatermark
from streamnb.plan import EventTime, Node
from streamnb.time import DAY, spell

LESSONS = {
    "02": "Two clocks",
    "03": "How long to wait",
    "04": "What to send, and when",
    "05": "Memory that must end",
    "07": "Joining",
}
"""The lessons that teach what a finding is about, by number."""


@dataclass(frozen=True)
class Finding:
    """What was found: ``code`` is stable, ``what`` names the verb and the value, ``why`` the rule behind it,
    ``way_out`` what to write instead; ``lesson`` is the number of the lesson that teaches it.
    """

    code: str
    what: str
    why: str
    way_out: str
    lesson: str

    @property
    def title(self) -> str:
        """The lesson by number and name."""
        return f"{self.lesson} {LESSONS[self.lesson]}"

    def __str__(self) -> str:
        return f"{self.what}: {self.why}; {self.way_out}. (lesson {self.title})"


def in_plan(plan: Node, output_mode: str) -> Iterator[Finding]:
    """Yield what every rule finds in the plan that runs."""
    for rule in RULES:
        yield from rule(plan, output_mode)


# -- state without an end


def groups_without_an_end(plan: Node, output_mode: str) -> Iterator[Finding]:
    """A group that no watermark ends is kept for ever."""
    for node in plan.walk():
        if isinstance(node, GroupBy) and node.key_columns and not node.event_times and output_mode != "complete":
            yield Finding(
                "STATE_GROWS",
                node.describe(),
                "no key is event time under a watermark, so no group ever ends and state grows with every new key",
                "group by sn.window(…) of a time with with_watermark, or know that the keys are few",
                "05",
            )


def duplicates_without_an_end(plan: Node, output_mode: str) -> Iterator[Finding]:  # noqa: ARG001
    """A key without event time is remembered for ever."""
    for node in plan.walk():
        if isinstance(node, DropDuplicates) and (node.mark is None or node.mark[0] not in node.columns):
            yield Finding(
                "STATE_GROWS",
                node.describe(),
                "the keys leave out event time, so every key is remembered for ever",
                "use drop_duplicates_within_watermark, or add the event time to the columns",
                "05",
            )


def joins_without_an_end(plan: Node, output_mode: str) -> Iterator[Finding]:  # noqa: ARG001
    """A side without a bound keeps its rows for ever."""
    for node in plan.walk():
        bounds = node.bounds if isinstance(node, Join) else ()
        sides = [side for side, bound in zip(("left", "right"), bounds, strict=False) if bound is None]
        if sides:
            yield Finding(
                "STATE_GROWS",
                node.describe(),
                f"nothing bounds how far apart two rows may be, so the {' and '.join(sides)} side keeps all its rows",
                "declare with_watermark on both sides and give within=sn.between(…)",
                "07",
            )


def functions_without_an_end(plan: Node, output_mode: str) -> Iterator[Finding]:  # noqa: ARG001
    """State of one's own without a timeout ends only where the function removes it."""
    for node in plan.walk():
        if isinstance(node, ApplyInPandasWithState | TransformWithState) and _timeless(node):
            yield Finding(
                "STATE_GROWS",
                node.verb,
                "it has no timeouts and no timers, so a key ends only if a row of it comes and the function removes it",
                "use timers or timeouts, with time_mode= or timeout= 'event' or 'processing'",
                "05",
            )


def _timeless(node: ApplyInPandasWithState | TransformWithState) -> bool:
    return (node.timeout if isinstance(node, ApplyInPandasWithState) else node.time_mode) == "none"


# -- watermarks


def watermarks_for_nothing(plan: Node, output_mode: str) -> Iterator[Finding]:
    """A watermark does something only in an operator with state that goes by its column."""
    for mark in plan.walk():
        if isinstance(mark, WithWatermark) and not any(_goes_by(node, mark) for node in plan.walk()):
            aggregated = any(isinstance(node, GroupBy) for node in plan.walk())
            if not (aggregated and output_mode == "complete"):  # that has a finding of its own
                yield Finding(
                    "WATERMARK_UNUSED",
                    mark.describe(),
                    "no operator above it keeps state by this time, so it drops no row and ends no state",
                    f"group by sn.window({mark.event_time!r}, …) above it, or leave it out",
                    "03",
                )


def _goes_by(node: Node, mark: WithWatermark) -> bool:
    """Tell whether an operator keeps state by the time that a watermark is declared on."""
    return bool(_told(node, mark.origin) & {time.origin for time in _times_of(node)})


def _times_of(node: Node) -> list[EventTime]:
    """Return the event times that an operator keeps state by."""
    if isinstance(node, GroupBy):
        return list(node.event_times.values())
    if isinstance(node, Deduplication):
        return [] if node.mark is None else [node.mark[1]]
    timed = isinstance(node, ApplyInPandasWithState | TransformWithState) and not _timeless(node)
    inputs = node.inputs if timed or isinstance(node, Join) else ()
    return [time for below in inputs for time in below.event_times.values()]


def _told(node: Node, origin: int) -> set[int]:
    """Return the origins that a time has by the time it comes to a node: a union tells two times as one."""
    origins = {origin}
    for union in node.walk():
        if isinstance(union, Union):
            left, right = (below.event_times for below in union.inputs)
            origins |= {left[name].origin for name in left.keys() & right.keys() if right[name].origin in origins}
    return origins


def no_delay_at_all(plan: Node, output_mode: str) -> Iterator[Finding]:  # noqa: ARG001
    """With a delay of nothing a row as old as the newest one is late in the next batch."""
    for node in plan.walk():
        if isinstance(node, WithWatermark) and node.delay == 0 and any(_goes_by(above, node) for above in plan.walk()):
            yield Finding(
                "NO_DELAY",
                node.describe(),
                "a row at the watermark is late, so one as old as the newest is dropped if it comes a batch later",
                "wait a little, such as '1 second'",
                "03",
            )


def days_in_utc(plan: Node, output_mode: str) -> Iterator[Finding]:  # noqa: ARG001
    """A window of days begins at midnight UTC, whatever the column's time zone."""
    for node in plan.walk():
        window = node.window if isinstance(node, GroupBy) else None
        if isinstance(node, GroupBy) and window is not None and window.slide % DAY == 0 and not window.start:
            zone = getattr(node.key_schema["window_start"], "time_zone", None)
            if zone not in {None, "UTC", "Etc/UTC", "GMT"}:
                yield Finding(
                    "DAY_IN_UTC",
                    node.describe(),
                    f"windows of {spell(window.size)} begin at midnight UTC, which is no midnight in {zone}",
                    "give sn.window(…, start=…) the distance of your midnight from UTC's",
                    "02",
                )


# -- modes


def complete_keeps_all(plan: Node, output_mode: str) -> Iterator[Finding]:
    """Complete mode gives out the whole table, so it can end no group and drop no row."""
    marks = [node for node in plan.walk() if isinstance(node, WithWatermark)]
    if output_mode == "complete" and marks:
        yield Finding(
            "MODE_SURPRISES",
            f"output_mode='complete' with {marks[0].describe()}",
            "complete mode keeps every group for ever and drops no late row: the watermark moves and does nothing",
            "use 'append' for final results or 'update' for changes, if late rows and old groups should go",
            "04",
        )


def filters_of_changing_rows(plan: Node, output_mode: str) -> Iterator[Finding]:
    """What has come out in update mode is not taken back."""
    for node in plan.walk():
        if output_mode == "update" and isinstance(node, Filter) and any(isinstance(n, GroupBy) for n in node.walk()):
            yield Finding(
                "MODE_SURPRISES",
                f"filter: {spelled(node.condition)}",
                "in update mode a group that stops passing the filter stays in the result with its last value",
                "filter what reads the result, or use 'complete' or 'append'",
                "04",
            )


def changes_without_a_key(plan: Node, output_mode: str) -> Iterator[Finding]:
    """Without its key a changed row cannot take the place of the older one."""
    if output_mode == "update" and plan.key is None and any(isinstance(node, GroupBy) for node in plan.walk()):
        yield Finding(
            "MODE_SURPRISES",
            "output_mode='update'",
            "a key of the aggregation is dropped above it, so a new version of a row stands beside the old one",
            "keep the keys in select, or use 'append'",
            "04",
        )


def never_given_out(plan: Node, output_mode: str) -> Iterator[Finding]:
    """Rows that nothing ever makes final do not come out in append mode."""
    for node in plan.walk():
        if isinstance(node, Limit) and node.n == 0:
            yield Finding("NEVER_EMITS", node.describe(), "it lets no row pass", "give a larger number", "04")
        if isinstance(node, Join) and output_mode == "append" and _never_unmatched(node):
            yield Finding(
                "NEVER_EMITS",
                node.describe(),
                "the kept side has no bound of its own, so an unmatched row never ends and never comes out",
                "declare with_watermark on both sides, next to their sources",
                "07",
            )


def _never_unmatched(node: Join) -> bool:
    kept = {"left": (0,), "anti": (0,), "right": (1,), "full": (0, 1)}.get(node.how, ())
    return any(node.bounds[side] is None for side in kept)


RULES: tuple[Callable[[Node, str], Iterator[Finding]], ...] = (
    never_given_out,
    groups_without_an_end,
    duplicates_without_an_end,
    joins_without_an_end,
    functions_without_an_end,
    watermarks_for_nothing,
    no_delay_at_all,
    days_in_utc,
    complete_keeps_all,
    filters_of_changing_rows,
    changes_without_a_key,
)
