"""Waiting: why nothing comes out yet, and the first thing that must happen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import pandas as pd
import polars as pl

from streamnb.answers.ahead import Ahead, Standing, first_end
from streamnb.answers.cards import NOTE, TODO, Card, Line, clock, named, plural
from streamnb.answers.flow import Flow, flow
from streamnb.answers.lineage import Recording
from streamnb.errors import DataError
from streamnb.expressions import spelled
from streamnb.graph import Graph, StepStream
from streamnb.inputs import troubles
from streamnb.ops.dedup_step import Deduplication
from streamnb.ops.filter import Filter
from streamnb.ops.group_by import GroupBy
from streamnb.ops.join import Join
from streamnb.ops.limit import Limit
from streamnb.ops.read import Read
from streamnb.ops.session import SessionGroupBy, SessionKey
from streamnb.ops.with_watermark import WithWatermark
from streamnb.plan import Node, instant_of
from streamnb.time import MILLISECOND, instant

Reason = Literal[
    "away", "failed", "stopped", "no input", "input waits", "watermark", "idle input", "join", "filtered", "late",
    "duplicates", "limit", "nothing kept", "never", "opaque",
]  # fmt: skip


@dataclass(frozen=True, eq=False)
class Need:
    """One thing that must happen.

    ``what`` is ``"run"`` (``q.run()``: what is there is enough), ``"row"`` (a row in input ``source``, counted from 1
    as in ``q.progress[-1].sources``, whose ``event_time`` is at or after ``at_least`` and, if given, not after
    ``at_most``) or ``"mend"`` (the query itself, or what it reads). A ``row`` has these ``values`` in the columns that
    an operator sees. After the last need ``q.run()`` gives rows, unless the answer says to ask again.
    """

    what: Literal["run", "row", "mend"]
    text: str
    source: int | None = None
    event_time: str | None = None
    at_least: pd.Timestamp | None = None
    at_most: pd.Timestamp | None = None
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class NoOutput(Card):
    """Why nothing comes out, or what comes out next: ``reason``, the sentence, and ``needs``, in order.

    ``watermark`` is the query's now, ``waits_for`` the one at which rows come out, ``operator`` whose state ends then.
    ``came`` is how many rows have come out, the last in batch ``last_batch``.
    """

    reason: Reason
    finding: str
    needs: tuple[Need, ...] = ()
    notes: tuple[str, ...] = ()
    watermark: pd.Timestamp | None = None
    waits_for: pd.Timestamp | None = None
    operator: str | None = None
    came: int = 0
    last_batch: int | None = None

    __repr__ = Card.__repr__

    @property
    def title(self) -> str:
        if not self.came:
            return self.finding
        return (
            f"{plural(self.came, 'row')} came out, the last in batch {self.last_batch}. What comes next: {self.finding}"
        )

    @property
    def lines(self) -> tuple[Line, ...]:
        return (*(Line(TODO, need.text) for need in self.needs), *(Line(NOTE, note) for note in self.notes))


@dataclass(frozen=True, eq=False)
class Situation:
    """All that the answer is found from."""

    recording: Recording
    standing: Standing
    status: str
    exception: BaseException | None
    once: bool


def why_no_output(situation: Situation) -> NoOutput:
    """Answer with the first thing that must happen; it is tried on a copy of the query before it is said."""
    try:
        found = _not_running(situation) or _from_input(situation) or _from_state(situation)
    except DataError as error:
        found = _unread(situation, error)
    recording = situation.recording
    batches = [t.batch_id for t, rows in zip(recording.traces, recording.emitted, strict=True) if len(rows)]
    return replace(found, came=sum(map(len, recording.emitted)), last_batch=batches[-1] if batches else None)


def away(lines: Sequence[str], *, again: str) -> NoOutput:
    """Answer that other systems are waited for, a line each; ``again`` says who tries again."""
    need = Need("mend", f"start the server, mend its address or what it refuses; {again}")
    return NoOutput("away", f"{lines[0]}.", (need,), tuple(lines[1:]))


def _unread(situation: Situation, error: DataError) -> NoOutput:
    """Tell why the next rows cannot be read: their server, or what they are."""
    if lines := troubles(situation.standing.inputs.sources):
        return away(lines, again="q.step() or q.play() tries again")
    need = Need("mend", "mend what it names; then q.step() tries again")
    return NoOutput("failed", f"The next rows cannot be read: {error}", (need,))


def _not_running(situation: Situation) -> NoOutput | None:
    if situation.exception is not None:
        error = situation.exception
        if isinstance(error, DataError) and troubles(situation.standing.inputs.sources):
            return _unread(situation, error)
        need = Need("mend", "mend what failed, then q.step() tries that batch again")
        return NoOutput("failed", f"The last batch failed: {type(error).__name__} {error}", (need,))
    if situation.status == "stopped" or (situation.once and situation.recording.traces):
        why = "trigger='once' has run its one batch" if situation.once else "the query is stopped"
        return NoOutput("stopped", f"Nothing more comes: {why}.", (Need("mend", "open a new one with frame.query()"),))
    return None


# -- from the input that waits


def _from_input(situation: Situation) -> NoOutput | None:
    standing = situation.standing
    waits = standing.inputs.plan() is not None
    ahead = Ahead(standing)
    if not waits and not (standing.no_data and situation.recording.traces and ahead.graph.due(standing.time)):
        if lines := troubles(standing.inputs.sources):
            return away(lines, again="then q.run() reads what has come")
        return None if situation.recording.traces else _no_input(situation)
    if _opaque(standing.plan):
        return NoOutput("input waits", "Input waits that is not read yet.", (Need("run", "q.run() reads it"),))
    came = ahead.read_on()
    if not came:
        return _from_state(situation, ahead)
    what = "Input waits that is not read yet" if waits else "A batch without input is due"
    after = f"rows come out after {plural(ahead.batches, 'batch')} more" if ahead.batches > 1 else "rows come out of it"
    return NoOutput("input waits", f"{what}: {after}.", (Need("run", "q.run(), or q.step() batch by batch"),))


def _no_input(situation: Situation) -> NoOutput:
    names = ", ".join(repr(source) for source in situation.recording.sources)
    need = Need("row", "give the source rows", source=1)
    return NoOutput("no input", f"No row has come yet: {names}.", (need,))


def _opaque(plan: Node) -> Node | None:
    """Return an operator that calls a function of the user's own, which is not called to try things out."""
    return next((node for node in plan.walk() if node.opaque and not isinstance(node, Read)), None)


# -- from what is kept


def _from_state(situation: Situation, ahead: Ahead | None = None) -> NoOutput:
    standing = situation.standing if ahead is None else ahead.standing_now()
    read_first = (Need("run", "q.run() reads what waits; nothing comes of it alone"),) if ahead is not None else ()
    opaque = _opaque(standing.plan)
    if opaque is not None:
        return _by_a_function(standing, opaque)
    end = first_end(standing)
    if end is not None:
        return _by_the_watermark(standing, *end, read_first)
    return _by_a_match(standing, read_first) or _by_new_rows(situation, standing, read_first)


def _by_a_function(standing: Standing, node: Node) -> NoOutput:
    finding = f"{node.verb} gives out what its function gives out, and it has given nothing so far."
    ends = [w for w, s in Ahead(standing).ends() if s.node.verb == node.verb]
    notes = (f"its next timer is due when the watermark reaches {_shown(standing, ends[0])}",) if ends else ()
    return NoOutput("opaque", finding, (Need("row", "a row that its function answers"),), notes, _now(standing))


def _marks(standing: Standing) -> list[tuple[WithWatermark, int, int]]:
    """Return every declaration of event time with its own watermark and the number of its source."""
    marks = [node for node in standing.plan.walk() if isinstance(node, WithWatermark)]
    candidates = standing.snapshot[len(standing.snapshot) - len(marks) :]
    return [(node, value, _source(standing, node)) for node, value in zip(marks, candidates, strict=True)]


def _source(standing: Standing, node: Node) -> int:
    below = next(n for n in node.walk() if isinstance(n, Read))
    return next(n for n, s in enumerate(standing.inputs.sources, start=1) if s is below.source)


def _by_the_watermark(standing: Standing, end: int, step: StepStream, first: tuple[Need, ...]) -> NoOutput:
    marks = _marks(standing)
    inputs = Ahead(standing).graph
    awake = inputs.watermark.awake_at(standing.time)
    behind = [mark for mark, is_awake in zip(marks, awake, strict=True) if mark[1] < end and is_awake]
    if standing.watermark.policy == "max":
        behind = [max(marks, key=lambda mark: mark[1] - mark[0].delay)]
    needs = [
        replace(need, text=f"{need.text}, with {name}={value!r}", values={name: value}) if name else need
        for mark in behind
        for need in [_row_at(standing, mark, end, several=len(marks) > 1)]
        for name, value in _parts(inputs, mark[0], need, standing.time)
    ]
    if not standing.no_data:
        needs.append(Need("row", "then any row: batches without input are off", source=behind[0][2]))
    idle = len(behind) < len(marks) and standing.watermark.policy == "min"
    ends = _shown(standing, end)
    finding = f"the watermark is {_shown(standing, _watermark(standing))}; {_what_ends(step.node)} at {ends}"
    if idle:
        held = " and ".join(f"input {mark[2]} ({mark[0].event_time})" for mark in behind)
        finding += f", and {held} {'hold' if len(behind) > 1 else 'holds'} the watermark back"
    return NoOutput(
        "idle input" if idle else "watermark",
        f"{finding[0].upper()}{finding[1:]}.",
        (*first, *needs),
        _holders(standing, marks) if len(marks) > 1 else (),
        _now(standing),
        _stamp(standing, end),
        step.node.verb,
    )


def _parts(graph: Graph, node: WithWatermark, need: Need, time: int) -> list[tuple[str | None, Any]]:
    """Return the values that must each have such a row, where every value has a time of its own."""
    marks = next(step.marks for step in graph.watermark_steps if step.node is node)
    if marks is None or node.per is None or need.at_least is None:
        return [(None, None)]
    return [(node.per, value) for value in marks.behind(instant(need.at_least), time)] or [(None, None)]


def _what_ends(node: Node) -> str:
    if isinstance(node, GroupBy):
        kind = "session" if isinstance(node, SessionGroupBy) else "open window" if node.window else "group"
        return f"the earliest {kind} that gives rows ends"
    if isinstance(node, Join):
        return "the first kept row that comes out unmatched ends"
    return f"the first state of {node.verb} ends"


def _row_at(standing: Standing, mark: tuple[WithWatermark, int, int], end: int, *, several: bool) -> Need:
    node, _, source = mark
    at = -(-(end + node.delay // MILLISECOND * MILLISECOND) // MILLISECOND) * MILLISECOND
    stamp = _stamp(standing, at, node)
    where = f"in input {source} " if several else ""
    text = f"a row {where}with {node.event_time} at or after {clock(stamp)} must be read, and one more batch run"
    return Need("row", text, source, node.event_time, stamp)


def _holders(standing: Standing, marks: list[tuple[WithWatermark, int, int]]) -> tuple[str, ...]:
    return tuple(
        f"input {source}: its own watermark is {_shown(standing, value) if value else 'none yet, no row has come'}"
        for _, value, source in marks
    )


def _watermark(standing: Standing) -> int:
    """Return the watermark that the next batch runs with."""
    marks = sum(isinstance(node, WithWatermark) for node in standing.plan.walk())
    current: int = standing.snapshot[-1 - marks]
    return current


def _now(standing: Standing) -> pd.Timestamp | None:
    return _stamp(standing, _watermark(standing)) if _marks(standing) else None


def _stamp(standing: Standing, at: int, node: WithWatermark | None = None) -> pd.Timestamp:
    node = node or next(n for n in standing.plan.walk() if isinstance(n, WithWatermark))
    found = instant_of(at, node.schema[node.event_time])
    assert found is not None  # noqa: S101  a watermark that is known
    return pd.Timestamp(found)


def _shown(standing: Standing, at: int) -> str:
    return clock(_stamp(standing, at))


# -- from the other side of a join


def _by_a_match(standing: Standing, first: tuple[Need, ...]) -> NoOutput | None:
    """A join that keeps rows waits for one of the other side; not if all it could match has gone."""
    ahead = Ahead(standing)
    for stream in ahead.graph.streams:
        state = stream.step.state() if isinstance(stream.node, Join) else None
        if isinstance(stream.node, Join) and state is not None and len(state):
            return _match(standing, stream.node, state, first)
    return None


def _match(standing: Standing, node: Join, state: pl.DataFrame, first: tuple[Need, ...]) -> NoOutput:
    row = state.sort("__expires", nulls_last=True, maintain_order=True).row(-1, named=True)
    waits, other = ("left", 1) if row["side"] == "left" else ("right", 0)
    here = {name: name for name in node.inputs[0].schema} if other else node.right_names
    values = {pair[other]: row[here[pair[1 - other]]] for pair in node.keys}
    low, high = _range(node, row, other)
    time = None if node.within is None else (node.within.of, node.within.time)[other]
    there = "right" if other else "left"
    said = ", ".join(f"{name}={value}" for name, value in values.items())
    when = f" and {time} from {clock(low) if low else '…'} to {clock(high) if high else '…'}" if time else ""
    again = "; then ask again" if sum(n.remembers for n in standing.plan.walk()) > 1 else ""
    text = f"a row on the {there} with {said}{when}{again}"
    need = Need("row", text, _source(standing, node.inputs[other]), time, low, high, values)
    kept = plural(len(state), "row")
    finding = f"The join keeps {kept} and waits for the other side: {waits} {named(values)} has met no match."
    return NoOutput("join", finding, (*first, need), (), _now(standing) if _marks(standing) else None, None, node.verb)


def _range(node: Join, row: Mapping[str, Any], other: int) -> tuple[Any, Any]:
    """Return between which times a match must lie."""
    if node.within is None:
        return None, None
    mine = row[node.within.of] if other else row[node.right_names[node.within.time]]
    after, before = node.within.after, node.within.before
    low, high = (after, before) if other else (before and -before, after and -after)
    return tuple(None if d is None else pd.Timestamp(mine) + pd.Timedelta(d, "us") for d in (low, high))  # type: ignore[return-value]


# -- from rows that have not come


def _by_new_rows(situation: Situation, standing: Standing, first: tuple[Need, ...]) -> NoOutput:
    """Nothing is kept that could come out: tell where the rows that were read have gone, and which would pass."""
    went = flow(situation.recording)
    reason, finding = _lost(went, append=standing.output_mode == "append")
    if first:
        reason, finding = "nothing kept", "What waits gives nothing by itself."
    if reason == "limit":
        return NoOutput("limit", finding, (Need("mend", "open a query with a larger limit"),))
    if reason == "never":
        return NoOutput("never", finding, (Need("mend", "fill that column, or use output_mode='update'"),))
    return NoOutput(reason, finding, (*first, *_opening(standing)), (), _now(standing))


def _lost(went: Flow, *, append: bool) -> tuple[Reason, str]:
    for node, came, left, late in went.steps:
        if came and isinstance(node, Limit) and went.emitted >= node.n:
            return "limit", f"limit has let its {plural(node.n, 'row')} pass; nothing more will come out."
        if came and late == came and not left:
            return "late", f"All {plural(came, 'row')} that came to {node.verb} were behind the watermark."
        if came and not left and isinstance(node, Filter):
            condition = spelled(node.condition)
            return "filtered", f"All {plural(came, 'row')} that came to it were removed by filter: {condition}."
        if came and not left and isinstance(node, Deduplication):
            return "duplicates", f"All {plural(came, 'row')} that came to {node.verb} were duplicates or late."
    if went.endless and append:
        return (
            "never",
            f"{plural(went.endless, 'group')} of {went.endless_in} have no event time, so nothing ends them.",
        )
    return "nothing kept", "Nothing is kept that is still to come out; new rows are needed."


def _opening(standing: Standing) -> list[Need]:
    """Return the rows that would open a window and close it again, or the one that passes by itself."""
    marks = _marks(standing)
    if not marks:
        return [Need("row", f"a row {_that_passes(standing.plan)}", source=1)]
    needs = [_fresh(standing, mark) for mark in marks]
    if not _watermark(standing):
        text = f"a row with {marks[0][0].event_time} {_that_passes(standing.plan)}; then ask again"
        return [replace(needs[0], text=text)]
    group = next((n for n in standing.plan.walk() if isinstance(n, GroupBy)), None)
    if standing.output_mode != "append" or group is None:
        return needs[:1]
    end = _end_of(group, instant(needs[0].at_least or pd.Timestamp(0)))
    return [needs[0], *(_row_at(standing, mark, end, several=len(marks) > 1) for mark in marks)]


def _that_passes(plan: Node) -> str:
    seen = any(isinstance(node, Deduplication) for node in plan.walk())
    return f"that passes every filter{', of a key that has not come before' if seen else ''}"


def _fresh(standing: Standing, mark: tuple[WithWatermark, int, int]) -> Need:
    node, _, source = mark
    stamp = _stamp(standing, _watermark(standing) + MILLISECOND, node)
    text = f"a row with {node.event_time} at or after {clock(stamp)} {_that_passes(standing.plan)}"
    return Need("row", text, source, node.event_time, stamp)


def _end_of(node: GroupBy, at: int) -> int:
    """Return where the last window of a time ends."""
    if node.window is not None:
        return at - (at - node.window.start) % node.window.slide + node.window.size
    gap = node.time_key.gap if isinstance(node.time_key, SessionKey) and isinstance(node.time_key.gap, int) else 0
    return at + gap
