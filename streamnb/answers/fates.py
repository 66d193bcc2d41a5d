"""Fates: the windows of a row, what each held batch by batch, and when it closed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
import polars as pl

from streamnb.answers.facts import Moment, WindowFate
from streamnb.answers.journey import Stop
from streamnb.answers.lineage import ROWS, Recording
from streamnb.ops.group_by import GroupBy
from streamnb.ops.with_watermark import WithWatermark
from streamnb.plan import late_column
from streamnb.progress import StepTrace
from streamnb.time import instant
from streamnb.windows import END, START


def windows_of(recording: Recording, stop: Stop) -> Iterator[WindowFate]:
    """Yield the windows that an operator put a row in, or found closed, earliest first."""
    node = stop.node
    if not isinstance(node, GroupBy) or node.time_key is None:
        return
    found: dict[tuple[Any, Any], tuple[bool, dict[str, Any]]] = {}
    for late, frames in ((True, stop.late), (False, stop.removed), (False, stop.left)):
        for rows in frames.values():
            _add(found, rows, late=late)
    if stop.held is not None:
        _add(found, stop.held, late=False)
    if node.window is None:
        found = _last_extent(found)
    for (_, _), (late, row) in sorted(found.items()):
        yield _fate(recording, stop, node, row, late=late)


def _add(found: dict[tuple[Any, Any], tuple[bool, dict[str, Any]]], rows: pl.DataFrame, *, late: bool) -> None:
    for row in rows.drop(ROWS, strict=False).iter_rows(named=True):
        found.setdefault((row[START], row[END]), (late, row))


def _last_extent(
    found: dict[tuple[Any, Any], tuple[bool, dict[str, Any]]],
) -> dict[tuple[Any, Any], tuple[bool, dict[str, Any]]]:
    """A session grows: of those that a row was in, the longest is the one it is in now."""
    longest = max(found, key=lambda edges: edges[1] - edges[0], default=None)
    return {} if longest is None else {longest: found[longest]}


def _fate(recording: Recording, stop: Stop, node: GroupBy, row: Mapping[str, Any], *, late: bool) -> WindowFate:
    end = instant(row[END])
    ends = node.mark is not None and recording.output_mode != "complete"
    number = stop.closed_in(end) if ends else None
    trace = None if number is None else recording.traces[number]
    delay = _delay(node)
    return WindowFate(
        operator=node.verb,
        start=pd.Timestamp(row[START]),
        end=pd.Timestamp(row[END]),
        fate="late" if late else "open" if number is None else "closed",
        late_by=pd.Timedelta(row[late_column(row)]) if late else None,
        closed_in=None if trace is None else trace.batch_id,
        closed_at=None if trace is None else pd.Timestamp(trace.time),
        closes_after=pd.Timestamp(row[END]) + delay if ends and number is None and delay is not None else None,
        life=tuple(_life(recording, stop, node, row)),
    )


def _delay(node: GroupBy) -> pd.Timedelta | None:
    """Return how long the watermark of a group waits."""
    marks = (below for below in node.walk() if isinstance(below, WithWatermark))
    own = next((mark for mark in marks if node.mark is not None and mark.origin == node.mark.origin), None)
    return None if own is None else pd.Timedelta(own.delay, "us")


def _life(recording: Recording, stop: Stop, node: GroupBy, row: Mapping[str, Any]) -> Iterator[Moment]:
    """Yield what a window held after every batch that touched it, up to its end in state."""
    if stop.told is None or node.window is None:
        return
    key = {name: row[name] for name in node.key_columns if name != END}
    values: dict[str, Any] = {}
    for trace in recording.traces:
        step = trace.steps[stop.told]
        now = _of_key(step.changed(), key)
        values = {name: now[name][0] for name in node.aggregates} if len(now) else values
        added, late = _added(node, step, key), 0 if step.late is None else len(_of_key(step.late, key))
        added -= late
        if values or late:
            yield Moment(trace.batch_id, pd.Timestamp(trace.time), values, added, late)
        if step.num_rows_removed and len(_of_key(step.removed(), key)):
            values = {}


def _of_key(rows: pl.DataFrame, key: Mapping[str, Any]) -> pl.DataFrame:
    if not set(key) <= set(rows.columns):
        return rows.clear()
    return rows.filter(*(pl.col(name).eq_missing(pl.lit(value, rows.schema[name])) for name, value in key.items()))


def _added(node: GroupBy, step: StepTrace, key: Mapping[str, Any]) -> int:
    """Return how many of a batch's rows fall into a window, late ones included."""
    assert node.window is not None  # noqa: S101  asked for windows only
    start = instant(key[START])
    time = node.time.to_physical()
    same = [e.eq_missing(pl.lit(key[n], node.key_schema[n])) for n, e in node.keys.items()]
    return len(step.rows.filter((time >= start) & (time < start + node.window.size), *same))
