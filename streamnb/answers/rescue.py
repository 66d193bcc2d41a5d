"""Rescue: what would have counted a row that was dropped, tried by running the batches again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import pandas as pd

from streamnb.answers.cards import clock
from streamnb.answers.facts import Rescue
from streamnb.answers.journey import Stop, journey
from streamnb.answers.lineage import Recording, with_delay
from streamnb.ops.group_by import GroupBy
from streamnb.ops.session import SessionGroupBy
from streamnb.ops.with_watermark import WithWatermark
from streamnb.params import giving
from streamnb.plan import late_column
from streamnb.time import MILLISECOND, spell


def rescues(recording: Recording, row: int, stops: Sequence[Stop]) -> tuple[Rescue, ...]:
    """Return what would have saved a row that an operator dropped as late."""
    stop = next(stop for stop in stops if stop.late)
    return giving(
        recording.traces[next(iter(stop.late))].given,
        lambda: (*_delay(recording, row, stops, stop), *_earlier(recording, stop), *_mode(recording, stop)),
    )


def _delay(recording: Recording, row: int, stops: Sequence[Stop], stop: Stop) -> Iterator[Rescue]:
    """The shortest delay, of the row's own input or else of all of them."""
    marks = [s for s in stops if isinstance(s.node, WithWatermark)]
    own = [n for n, s in enumerate(marks, start=1) if s.entered]
    for which in (own, list(range(1, len(marks) + 1))):
        delays = {n: _needed(marks[n - 1], stop) for n in which}
        if delays and _saves(recording, row, stop, delays):
            longest = max(delays.values())
            of = "" if len(marks) == 1 else f" for {'its input' if which == own else 'every input'}"
            yield Rescue("delay", pd.Timedelta(longest, "us"), f"a delay longer than {spell(longest)}{of}", _now(marks))
            return


def _now(marks: Sequence[Stop]) -> str:
    delays = {cast("WithWatermark", s.node).delay for s in marks}
    return f"it is {spell(delays.pop())}" if len(delays) == 1 else ""


def _needed(mark: Stop, stop: Stop) -> int:
    """Return the delay that just does not do: with it the row would lie on the watermark."""
    batch, late = next(iter(stop.late.items()))
    by: int = late[late_column(late.columns)].dt.total_microseconds().max()  # type: ignore[assignment]
    delay = cast("WithWatermark", mark.node).delay
    ahead = (stop.late_marks[batch] or 0) - (mark.late_marks[batch] or 0)
    return max(delay, (delay + by - ahead) // MILLISECOND * MILLISECOND)


def _saves(recording: Recording, row: int, stop: Stop, delays: dict[int, int]) -> bool:
    longer = {n: delay + MILLISECOND for n, delay in delays.items()}
    batch = next(iter(stop.late))
    again = journey(recording, row, with_delay(recording.plan, longer), until=batch + 1)
    return not any(other.late for other in again)


def _earlier(recording: Recording, stop: Stop) -> Iterator[Rescue]:
    """The last batch in which it would not have been late yet."""
    batch, late = next(iter(stop.late.items()))
    by: int = late[late_column(late.columns)].dt.total_microseconds().max()  # type: ignore[assignment]
    end = (stop.late_marks[batch] or 0) - by
    in_time = [n for n in range(batch) if (stop.late_marks[n] or 0) < end]
    if in_time:
        trace = recording.traces[in_time[-1]]
        sooner = pd.Timestamp(recording.traces[batch].time) - pd.Timestamp(trace.time)
        note = f"{spell(sooner // pd.Timedelta(1, 'us'))} sooner" if sooner else ""
        yield Rescue(
            "earlier", trace.batch_id, f"coming in batch {trace.batch_id}, {clock(trace.time)}, or before", note
        )


def _mode(recording: Recording, stop: Stop) -> Iterator[Rescue]:
    """Complete mode drops nothing, where a plan may run in it."""
    nodes = list(recording.plan.walk())
    groups = [node for node in nodes if isinstance(node, GroupBy)]
    others = [node for node in nodes if node.remembers and node not in groups]
    if len(groups) == 1 and not others and not isinstance(groups[0], SessionGroupBy) and stop.node is groups[0]:
        text = "output_mode='complete', which drops nothing"
        yield Rescue("mode", "complete", text, "it keeps all state for ever")
