"""Holders: which input holds the watermark back, and since when."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from streamnb.answers.cards import named
from streamnb.answers.verdict import setter
from streamnb.progress import Mark, Trace

_COLUMNS = ["input", "source", "event_time", "delay", "watermark", "holds", "since_batch", "since", "set_by", "set_in"]


@dataclass(frozen=True, eq=False)
class Holding:
    """The inputs' own watermarks after one batch, and the input, from 1, that the query's watermark comes of.

    With ``watermark_policy="min"`` that is the one furthest behind: it holds the others back. An input without rows
    counts as 1970, an idle one not at all. ``since`` is the batch since which the same input has held it. ``watermark``
    is the query's.
    """

    batch_id: int
    time: dt.datetime
    watermark: dt.datetime | None
    marks: tuple[Mark, ...]
    holder: int
    since: int


def holdings(traces: Sequence[Trace], policy: str = "min") -> Iterator[Holding]:
    """Yield who held the watermark after every batch; nothing for a query without one."""
    last: Holding | None = None
    for trace in traces:
        if not trace.marks:
            continue
        holder = holder_of(trace.marks, policy)
        since = last.since if last is not None and last.holder == holder else trace.batch_id
        last = Holding(trace.batch_id, trace.time, trace.watermark_after, trace.marks, holder, since)
        yield last


def holder_of(marks: Sequence[Mark], policy: str) -> int:
    """Return the input that the query's watermark comes of."""
    awake = [mark for mark in marks if not mark.idle]
    pick = min if awake and policy == "min" else max
    return pick(awake or marks, key=lambda mark: (mark.value is not None, mark.value and mark.value.timestamp())).input


def watermarks(traces: Sequence[Trace], policy: str) -> pd.DataFrame:
    """Return the inputs with their own watermarks after the last batch, one row each."""
    told = list(holdings(traces, policy))
    if not told:
        return pd.DataFrame(columns=_COLUMNS)
    times = {trace.batch_id: trace.time for trace in traces}
    return pd.DataFrame([_row(mark, told[-1], traces, times[told[-1].since]) for mark in told[-1].marks])


def _row(mark: Mark, now: Holding, traces: Sequence[Trace], since: dt.datetime) -> dict[str, object]:
    holds, by = mark.input == now.holder, setter(traces, mark)
    values = (
        mark.input,
        mark.source,
        mark.event_time,
        pd.Timedelta(mark.delay),
        pd.NaT if mark.value is None else pd.Timestamp(mark.value),
        holds,
        now.since if holds else pd.NA,
        pd.Timestamp(since) if holds else pd.NaT,
        None if by is None else named(by.row),
        pd.NA if by is None else by.batch_id,
    )
    return dict(zip(_COLUMNS, values, strict=True))
