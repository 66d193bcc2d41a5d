"""Symptoms: what shows only while a query runs: a clock ahead of time, an input that is idle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from streamnb.answers.cards import clock, named, plural
from streamnb.answers.findings import Finding
from streamnb.answers.holders import holdings
from streamnb.progress import Mark, Trace
from streamnb.time import spell

_IDLE_BATCHES = 3
_AHEAD = pd.Timedelta("1 minute")
_FEWEST = 5


def in_traces(traces: Sequence[Trace], policy: str) -> Iterator[Finding]:
    """Yield what the batches so far show."""
    yield from _ahead_of_time(traces)
    yield from _idle(traces, policy)


def _ahead_of_time(traces: Sequence[Trace]) -> Iterator[Finding]:
    """A time that has not been yet holds the watermark where all honest rows are late."""
    told: set[int] = set()
    before: dict[int, Any] = {}
    last = max((number for number, trace in enumerate(traces) if _moved(trace)), default=-1)
    for number, trace in enumerate(traces):
        for mark in trace.marks:
            new = mark.row is not None and mark.row is not before.get(mark.input)
            # where the watermark moves again, nothing is held
            if new and mark.input not in told and _beyond(mark, trace, traces[number + 1 :] if number >= last else ()):
                told.add(mark.input)
                yield _future(mark, trace)
            before[mark.input] = mark.row


def _beyond(mark: Mark, trace: Trace, after: Sequence[Trace]) -> bool:
    """Tell whether a row is later than the clock was, or the rows after it, if any, are late because of it."""
    assert mark.row is not None  # noqa: S101  asked of an input with rows
    at = _plain(pd.Timestamp(mark.row[mark.event_time]))
    if at > pd.Timestamp(trace.time) + _AHEAD:
        return True
    rows = sum(len(t.rows) for t in after if not t.no_data)
    late = sum(s.num_late for t in after for s in t.steps[:1] if not t.no_data)
    return rows >= _FEWEST and late > rows / 2


def _moved(trace: Trace) -> bool:
    return trace.watermark_after != trace.watermark


def _plain(at: pd.Timestamp) -> pd.Timestamp:
    return at if at.tzinfo is None else at.tz_convert("UTC").tz_localize(None)


def _future(mark: Mark, trace: Trace) -> Finding:
    assert mark.row is not None  # noqa: S101  asked of an input with rows
    at = pd.Timestamp(mark.row[mark.event_time])
    return Finding(
        "FUTURE_CLOCK",
        f"{named(mark.row)} in batch {trace.batch_id} has {mark.event_time} = {clock(at)}",
        f"the clock was {clock(trace.time)}: one time ahead of all others holds the watermark, honest rows are late",
        "query(guard_future='5 minutes') sets such rows aside, with_watermark(…, per='producer') keeps the clocks of a "
        "column's values apart; times that are local and not UTC look the same",
        "03",
    )


def _idle(traces: Sequence[Trace], policy: str) -> Iterator[Finding]:
    """An input without new rows holds the watermark of all others back."""
    held = list(holdings(traces, policy))
    if not held or len(held[-1].marks) < 2 or policy != "min":
        return
    now, then = held[-1], held[max(0, len(held) - 1 - _IDLE_BATCHES)]
    mine, before = (next(m for m in h.marks if m.input == now.holder) for h in (now, then))
    others = [m for m in now.marks if m.input != now.holder and _went_on(m, then.marks)]
    if len(held) > _IDLE_BATCHES and mine.value == before.value and others:
        yield Finding(
            "IDLE_INPUT",
            f"input {mine.input} ({mine.source}, {mine.event_time})",
            f"it has moved no watermark for {plural(_IDLE_BATCHES, 'batch')} and holds the others back"
            f"{'' if mine.value is None else f' at {clock(mine.value)}'}",
            "with_watermark(…, idle_after='1 minute') waits for no silent input, watermark_policy='max' for none",
            "07",
        )


def _went_on(mark: Mark, before: Sequence[Mark]) -> bool:
    old = next(m for m in before if m.input == mark.input)
    return mark.value is not None and (old.value is None or mark.value > old.value)


def in_rows(event_time: str, arrival: str, times: pd.Series, arrivals: pd.Series) -> Iterator[Finding]:
    """Yield what a table that tells when its rows arrived shows before it is run."""
    if times.dt.tz != arrivals.dt.tz:
        return
    ahead = (times > arrivals + _AHEAD).fillna(value=False)
    if ahead.any():
        most = (times - arrivals)[ahead].max()
        yield Finding(
            "FUTURE_CLOCK",
            f"{plural(int(ahead.sum()), 'row')} with {event_time} after {arrival}",
            f"they happen up to {spell(int(most // pd.Timedelta(1, 'us')))} after they arrive, and hold the watermark",
            "query(guard_future='5 minutes') sets such rows aside",
            "03",
        )
