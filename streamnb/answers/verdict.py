"""Verdict: from a row's journey to what became of it, in words and facts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from streamnb.answers.cards import clock, named, plural
from streamnb.answers.facts import Check, Emission, Rescue, Setter, WindowFate
from streamnb.answers.fates import windows_of
from streamnb.answers.journey import Stop, first_of_key, journey
from streamnb.answers.lineage import Recording
from streamnb.answers.rescue import rescues
from streamnb.expressions import spelled
from streamnb.ops.dedup_step import Deduplication
from streamnb.ops.explode import Explode
from streamnb.ops.filter import Filter
from streamnb.ops.group_by import GroupBy
from streamnb.ops.join import Join
from streamnb.ops.join_static import JoinStatic
from streamnb.ops.limit import Limit
from streamnb.ops.read import Read
from streamnb.ops.with_watermark import WithWatermark
from streamnb.plan import Node, instant_of, late_column
from streamnb.progress import Mark, Trace
from streamnb.time import instant, spell

Removed = Literal["late", "filtered", "duplicate", "unmatched", "left out", "opaque"]
_MICROSECOND = pd.Timedelta(1, "us")


@dataclass(frozen=True, eq=False)
class Verdict:
    """What became of a row that was read; the fields are those of ``Why``."""

    fate: Literal["emitted", "held"] | Removed
    finding: str
    row: Mapping[str, Any]
    batch_id: int
    time: pd.Timestamp
    event_time: pd.Timestamp | None
    watermark: pd.Timestamp | None
    setter: Setter | None
    windows: tuple[WindowFate, ...]
    checks: tuple[Check, ...]
    rescues: tuple[Rescue, ...]
    emitted: tuple[Emission, ...]
    note: str = ""


def verdict(recording: Recording, row: int) -> Verdict:
    """Follow a numbered row and tell what became of it."""
    way = _Way(recording, row)
    removed = way.removed()
    fate, finding = way.finding(removed)
    trace = way.trace
    return Verdict(
        fate=fate,
        finding=finding,
        row=way.row,
        batch_id=trace.batch_id,
        time=pd.Timestamp(trace.time),
        event_time=way.event_time,
        watermark=way.watermark,
        setter=setter_of(recording.traces, trace, way.judged_by),
        windows=way.windows,
        checks=tuple(way.checks(removed)),
        rescues=rescues(recording, row, way.stops) if fate == "late" or way.partly_late else (),
        emitted=way.emitted,
        note=way.note,
    )


class _Way:
    """A row's way, looked at from one place after another."""

    def __init__(self, recording: Recording, row: int) -> None:
        self.recording, self.number = recording, row
        self.batch = recording.place(row)[0]
        self.trace = recording.traces[self.batch]
        self.row = recording.row(row)
        self.stops = journey(recording, row)
        self.entered = [stop for stop in self.stops if stop.entered]
        self.windows = tuple(w for stop in self.entered for w in windows_of(recording, stop))
        self.name = named(self.row)

    @property
    def _mark(self) -> Stop | None:
        """The first declaration of event time that the row came to."""
        return next((stop for stop in self.entered if isinstance(stop.node, WithWatermark)), None)

    @property
    def event_time(self) -> pd.Timestamp | None:
        if self._mark is None or not self._mark.left:
            return None
        node = self._mark.node
        assert isinstance(node, WithWatermark)  # noqa: S101  what _mark looks for
        value = self._mark.left[self.batch][node.event_time][0]
        return None if value is None else pd.Timestamp(value)

    @property
    def judged_by(self) -> int | None:
        """The watermark that rows of its batch were late by (microseconds)."""
        return None if self._mark is None else self._mark.late_marks[self.batch]

    @property
    def watermark(self) -> pd.Timestamp | None:
        if self._mark is None:
            return None
        node = self._mark.node
        assert isinstance(node, WithWatermark)  # noqa: S101  what _mark looks for
        at = instant_of(self.judged_by, node.schema[node.event_time])
        return None if at is None else pd.Timestamp(at)

    @property
    def emitted(self) -> tuple[Emission, ...]:
        traces = self.recording.traces
        return tuple(Emission(traces[n].batch_id, pd.Timestamp(traces[n].time)) for n in sorted(self.stops[-1].left))

    @property
    def partly_late(self) -> bool:
        return any(stop.late for stop in self.entered)

    @property
    def note(self) -> str:
        opaque = next((stop for stop in self.entered if stop.node.opaque and stop.node.inputs), None)
        if opaque is None:
            return ""
        return f"What the function in {opaque.node.verb} made of it cannot be told row by row."

    # -- what became of it

    def removed(self) -> tuple[Stop, Removed] | None:
        """Return the operator that the row went no further than, and how; None if it went on everywhere."""
        for stop in self.entered:
            if stop.last_seen and stop is not self.stops[-1] and not _went_on(stop, self.stops):
                return stop, _how(stop)
        last = self.stops[-1]
        return (last, _how(last)) if last.last_seen else None

    def finding(self, removed: tuple[Stop, Removed] | None) -> tuple[Any, str]:
        emitted = self.emitted
        if emitted:
            of = "" if len(emitted) == 1 else f", and {plural(len(emitted) - 1, 'more batch')} after it"
            part = f" {self._counted_part()}" if self.partly_late else ""
            where = f"given out in batch {emitted[0].batch_id}, {clock(emitted[0].time)}{of}"
            return "emitted", f"{self.name}: counted{part}, {where}."
        holder = next((stop for stop in reversed(self.entered) if stop.held is not None), None)
        if holder is not None:
            part = f" {self._counted_part()}" if self.partly_late else ""
            return "held", f"{self.name}: kept{part} by {holder.node.verb}, not in any result yet{self._until()}."
        if removed is None:
            return "left out", f"{self.name}: read in batch {self.trace.batch_id}."
        stop, how = removed
        return how, f"{self.name}: {self._gone(stop, how)}"

    def _counted_part(self) -> str:
        late = sum(w.fate == "late" for w in self.windows)
        return f"in {len(self.windows) - late} of its {len(self.windows)} windows" if self.windows else ""

    def _until(self) -> str:
        window = next((w for w in self.windows if w.fate == "open"), None)
        if window is None or window.closes_after is None:
            return ""
        end = clock(window.end, self.event_time)
        after = clock(window.closes_after, self.event_time)
        return (
            f"; its window closes when the watermark reaches {end}: after a row of {after} or later, and one more batch"
        )

    def _gone(self, stop: Stop, how: Removed) -> str:
        if how == "late":
            return f"dropped by {stop.node.verb}, {self._late_words(stop)}."
        if how == "filtered":
            return f"removed by {_words(stop.node)}."
        if how == "duplicate":
            return f"removed by {stop.node.verb} as a duplicate{self._of_which(stop)}."
        if how == "unmatched":
            return f"removed by {_the_join(stop)}: {self._unmatched(stop)}."
        if how == "opaque":
            return f"handed to the function in {stop.node.verb} in batch {self.trace.batch_id}."
        return f"left out by {stop.node.verb}: {_left_out(stop)}."

    def _late_words(self, stop: Stop) -> str:
        late = next(iter(stop.late.values()))
        by = spell(int(late[late_column(late.columns)].dt.total_microseconds().max()))  # type: ignore[arg-type]
        watermark = clock(self.watermark, self.event_time)
        if "window_end" not in late.columns:
            return f"too late by {by}: its time is at or behind the watermark, {watermark}"
        start, end = (clock(late[f"window_{edge}"][0], self.event_time) for edge in ("start", "end"))
        return f"too late by {by}: its window {start} to {end} had closed, the watermark was {watermark}"

    def _of_which(self, stop: Stop) -> str:
        node = stop.node
        assert isinstance(node, Deduplication)  # noqa: S101  how a duplicate is told
        first = first_of_key(self.recording, stop, self.number, node.columns)
        if first is None:
            return ""
        batch = self.recording.traces[self.recording.place(first)[0]].batch_id
        return f" of {named(self.recording.row(first))} in batch {batch}"

    def _unmatched(self, stop: Stop) -> str:
        ended = min(stop.removed, default=None)
        if isinstance(stop.node, JoinStatic):
            return "no row of the table matches"
        if ended is None:
            return "it meets no condition of the join"
        trace = self.recording.traces[ended]
        return f"nothing had matched it when batch {trace.batch_id} ({clock(trace.time)}) forgot it"

    # -- what was asked of it

    def checks(self, removed: tuple[Stop, Removed] | None) -> Iterator[Check]:
        yield Check("read", f"Read in batch {self.trace.batch_id}, {clock(self.trace.time)}", True)
        for stop in self.entered:
            failed = removed[1] if removed is not None and removed[0] is stop else None
            yield from self._asked(stop, failed)
        for emission in self.emitted[:1]:
            text = f"In the result since batch {emission.batch_id}, {clock(emission.time)}"
            more = f"and in {plural(len(self.emitted) - 1, 'later batch')}" if len(self.emitted) > 1 else ""
            yield Check("result", text, True, more)

    def _asked(self, stop: Stop, failed: Removed | None) -> Iterator[Check]:
        node = stop.node
        if isinstance(node, WithWatermark):
            yield from self._of_time(node)
        elif isinstance(node, Filter):
            yield Check("filter", _words(node).capitalize(), failed is None)
        elif isinstance(node, GroupBy) and (stop.late or any(w.operator == node.verb for w in self.windows)):
            yield from (self._of_window(w) for w in windows_of(self.recording, stop))
        elif node.remembers or failed is not None:
            yield Check(node.verb, self._kept(stop, failed), failed is None, self._late_note(stop))

    def _of_time(self, node: WithWatermark) -> Iterator[Check]:
        if self.event_time is None:
            yield Check(node.verb, f"{node.event_time} is null: never late, and it moves no watermark", None)
            return
        yield Check(node.verb, f"Event time is present: {clock(self.event_time)}", True)
        setter = setter_of(self.recording.traces, self.trace, self.judged_by)
        text = f"Batch {self.trace.batch_id} judged by the watermark {clock(self.watermark, self.event_time)}"
        yield Check(node.verb, text, None, _set_by(setter) if setter else "no row had moved it yet")

    def _of_window(self, window: WindowFate) -> Check:
        start, end = (clock(at, self.event_time) for at in (window.start, window.end))
        closed = f"closed in batch {window.closed_in}" if window.closed_in is not None else ""
        if window.fate == "late":
            by = spell(window.late_by // _MICROSECOND) if window.late_by is not None else "nothing"
            return Check(window.operator, f"Window {start} to {end} was closed, too late by {by}", False, closed)
        open_ = "still open" if window.fate == "open" else f"{closed}, {clock(window.closed_at)}"
        return Check(window.operator, f"Window {start} to {end} was open: counted", True, open_)

    def _kept(self, stop: Stop, failed: Removed | None) -> str:
        if failed is not None:
            return self._gone(stop, failed).rstrip(".").capitalize()
        if isinstance(stop.node, Join):
            return _in_a_join(stop, self.recording.traces)
        return f"{stop.node.verb} took it"

    def _late_note(self, stop: Stop) -> str:
        return self._late_words(stop) if stop.late else ""


def _set_by(setter: Setter) -> str:
    return (
        f"set by {named(setter.row)} of batch {setter.batch_id}: {clock(setter.event_time)} − {_spelled(setter.delay)}"
    )


def _spelled(duration: pd.Timedelta) -> str:
    return spell(duration // _MICROSECOND)


def _went_on(stop: Stop, stops: Sequence[Stop]) -> bool:
    """Tell whether the row came to the result, or is kept, by another way than through this operator."""
    above = [other for other in stops if other.number > stop.number]
    return any(other.left or other.held is not None for other in above)


def _how(stop: Stop) -> Removed:
    if stop.late:
        return "late"
    kinds: tuple[tuple[Any, Removed], ...] = (
        (Filter, "filtered"),
        (Deduplication, "duplicate"),
        (Join, "unmatched"),
        (JoinStatic, "unmatched"),
    )
    found = next((how for kind, how in kinds if isinstance(stop.node, kind)), None)
    return found or ("opaque" if stop.node.opaque and not isinstance(stop.node, Read) else "left out")


def _left_out(stop: Stop) -> str:
    if isinstance(stop.node, Limit):
        return f"{plural(stop.node.n, 'row')} had passed"
    if isinstance(stop.node, Explode):
        return f"{stop.node.column} holds nothing"
    if isinstance(stop.node, WithWatermark):
        return f"its {stop.node.event_time} lies further beyond the clock than guard_future allows"
    return "it has no time, or no gap, so it is in no window"


def _the_join(stop: Stop) -> str:
    return f"the {stop.node.describe()}"


def _in_a_join(stop: Stop, traces: Sequence[Trace]) -> str:
    matched = [traces[n].batch_id for n in sorted(stop.left)]
    if matched:
        return f"{_the_join(stop)} gave it out in batch {matched[0]}"
    return f"{_the_join(stop)} keeps it and waits for the other side"


def _words(node: Node) -> str:
    return f"filter: {spelled(node.condition)}" if isinstance(node, Filter) else node.describe()


# -- who set the watermark


def setter_of(traces: Sequence[Trace], judged: Trace, watermark: int | None) -> Setter | None:
    """Return the row that had set the watermark by which a batch judges; None if no row had."""
    at = None if watermark is None else next((t for t in traces if _micro(t.watermark_after) == watermark), None)
    if at is None or at.watermark_row is None or at.batch_id > judged.batch_id:
        return None
    mark = next((m for m in at.marks if m.row is at.watermark_row), None)
    if mark is None or mark.value is None:
        return None
    return setter(traces, mark)


def setter(traces: Sequence[Trace], mark: Mark) -> Setter | None:
    """Return the row behind an input's own watermark."""
    if mark.row is None or mark.value is None:
        return None
    since = next(t for t in traces if any(m.row is mark.row for m in t.marks))
    return Setter(
        row=mark.row,
        batch_id=since.batch_id,
        event_time=pd.Timestamp(mark.row[mark.event_time]),
        delay=pd.Timedelta(mark.delay),
        watermark=pd.Timestamp(mark.value),
        input=mark.input,
    )


def _micro(at: Any) -> int | None:
    return None if at is None else instant(at)
