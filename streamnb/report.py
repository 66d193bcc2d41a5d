"""From what the steps did to what people read: progress, trace, late rows, state."""

from __future__ import annotations

import datetime as dt
from collections.abc import Container, Mapping, Sequence
from copy import copy
from dataclasses import replace
from operator import add
from typing import Any

import pandas as pd
import polars as pl

from streamnb.graph import Graph
from streamnb.ops.group_by import GroupBy
from streamnb.ops.read import Read
from streamnb.ops.with_watermark import WatermarkStep
from streamnb.plan import Batch, Node, instant_of, late_column
from streamnb.progress import Mark, OperatorProgress, Progress, SoFar, SourceProgress, StepTrace, Trace, Work
from streamnb.state import EXPIRES
from streamnb.time import moment
from streamnb.windows import END, GIVEN, START, as_given


def progress_of(
    batch: Batch,
    rows: Mapping[int, pl.DataFrame],
    graph: Graph,
    *,
    name: str,
    sources: Sequence[SourceProgress],
    seconds: Mapping[str, float],
    num_output_rows: int,
    num_dead_letters: int,
) -> Progress:
    """Return the numbers of a batch before it is ``delivered``.

    A source read in two branches counts its rows twice, as in Spark.
    """
    return Progress(
        name=name,
        batch_id=batch.id,
        timestamp=pd.Timestamp(moment(batch.time)),
        num_input_rows=sum(len(rows[id(source)]) for source, _ in graph.leaves),
        input_rows_per_second=0.0,
        processed_rows_per_second=0.0,
        duration_ms={name: spent * 1e3 for name, spent in seconds.items()},
        event_time=_event_time(graph),
        state_operators=[_operator(s.out.trace, graph) for s in graph.downstream_first if s.out and s.out.trace],
        sources=sources,
        sink={"num_output_rows": num_output_rows},
        num_dead_letters=num_dead_letters,
    )


def delivered(progress: Progress, seconds: float, num_retries: int) -> Progress:
    """Return the numbers of a batch that the sink has, ``seconds`` after it was computed."""
    spent = {**progress.duration_ms, "sink": seconds * 1e3}
    total = sum(spent.values())
    rate = progress.num_input_rows / total * 1e3 if total else 0.0
    return replace(
        progress,
        input_rows_per_second=rate,
        processed_rows_per_second=rate,
        duration_ms={**spent, "trigger_execution": total},
        sink={**progress.sink, "num_retries": num_retries},
    )


_STATISTICS = {"max": "max", "min": "min", "avg": "mean"}


def _event_time(graph: Graph) -> dict[str, Any]:
    steps = graph.watermark_steps
    if not steps:
        return {}
    dtype = _time_type(graph)
    found: dict[str, Any] = {"watermark": timestamp(graph.watermark.current, dtype)}
    ordered = [s.step for s in graph.downstream_first if isinstance(s.step, WatermarkStep)]
    times = [times for step in ordered if (times := step.rows[step.node.event_time]).null_count() < len(times)]
    if times:
        first = times[0]  # Spark tells of the first input that has rows
        found |= {name: pd.Timestamp(getattr(first, how)()) for name, how in _STATISTICS.items()}
    return found


def _time_type(graph: Graph) -> pl.DataType | None:
    steps = graph.watermark_steps
    return steps[0].node.schema[steps[0].node.event_time] if steps else None


def timestamp(microseconds: int | None, like: pl.DataType | None) -> pd.Timestamp | None:
    """Return a watermark as pandas shows it."""
    at = instant_of(microseconds, like)
    return None if at is None else pd.Timestamp(at)


def _operator(trace: StepTrace, graph: Graph) -> OperatorProgress:
    dtype = _time_type(graph)
    return OperatorProgress(
        operator=trace.operator,
        late_watermark=timestamp(trace.late_watermark, dtype),
        eviction_watermark=timestamp(trace.eviction_watermark, dtype),
        num_rows_total=trace.num_rows_total,
        num_rows_updated=trace.num_rows_updated,
        num_rows_removed=trace.num_rows_removed,
        num_rows_dropped_by_watermark=0 if trace.late is None else len(trace.late),
        memory_used_bytes=trace.memory_used_bytes,
        custom_metrics=trace.custom_metrics,
    )


def trace_of(
    batch: Batch,
    graph: Graph,
    rows: Mapping[int, pl.DataFrame],
    emitted: pl.DataFrame,
    dead_letters: pl.DataFrame,
    *,
    has_data: bool,
    given: Mapping[str, Any],
) -> Trace:
    """Return the story of a batch. Holds the frames themselves, no copies."""
    steps, dtype = graph.watermark_steps, _time_type(graph)
    mark = graph.watermark
    setters = (step.set_by for step in steps if mark.candidate(step.number) == mark.next() > mark.current)
    source = graph.leaves[0][0]
    return Trace(
        batch_id=batch.id,
        time=moment(batch.time),
        no_data=not has_data,
        watermark=instant_of(mark.current, dtype) if steps else None,
        watermark_after=instant_of(mark.next(), dtype) if steps else None,
        watermark_row=next(setters, None),
        rows=steps[0].told if steps else rows[id(source)],
        steps=graph.traces,
        emitted=emitted,
        dead_letters=dead_letters,
        marks=_marks(graph),
        work=graph.work,
        given=given,
    )


def _marks(graph: Graph) -> tuple[Mark, ...]:
    """Return what every input asks for after a batch."""
    found = [(s.node, s.step) for s in graph.streams if isinstance(s.step, WatermarkStep)]
    return tuple(_mark(node, step, graph) for node, step in found)


def _mark(node: Node, step: WatermarkStep, graph: Graph) -> Mark:
    asked = graph.watermark.candidate(step.number)
    return Mark(
        input=step.number + 1,
        event_time=step.node.event_time,
        source=", ".join(repr(below.source) for below in node.walk() if isinstance(below, Read)),
        delay=dt.timedelta(microseconds=step.delay),
        value=None if step.set_by is None else instant_of(asked, step.node.schema[step.node.event_time]),
        row=step.set_by,
        idle=graph.watermark.is_idle(step.number),
    )


def summed(trace: Trace, rows: int, before: Trace | None) -> Trace:
    """Return the story of a batch that read so many ``rows`` with the sums up to it, given the batch before."""
    so_far = SoFar() if before is None else before.so_far
    late = tuple(step.num_late for step in trace.steps)
    told = copy(trace)
    told.__dict__["so_far"] = SoFar(  # known only now, and nobody has seen the trace
        rows=so_far.rows + rows,
        late=so_far.late + sum(late),
        removed=so_far.removed + sum(step.num_rows_removed for step in trace.steps),
        work=_added_work(so_far.work, trace.work),
        late_by=tuple(map(add, so_far.late_by, late)) if _is_alike(so_far.work, trace.work) else late,
    )
    return told


def _added_work(before: Sequence[Work], now: Sequence[Work]) -> tuple[Work, ...]:
    if not _is_alike(before, now):
        return tuple(now)
    return tuple(
        Work(new.number, new.verb, old.rows_in + new.rows_in, old.rows_out + new.rows_out, old.ms + new.ms)
        for old, new in zip(before, now, strict=True)
    )


def _is_alike(before: Sequence[Work], now: Sequence[Work]) -> bool:
    """Tell whether two batches were run by the same operators."""
    return [work.verb for work in before] == [work.verb for work in now]


def late_in(trace: Trace) -> int:
    """Return how many rows a batch dropped, told of or let go of."""
    return sum(step.num_late for step in trace.steps)


def late_rows(traces: Sequence[Trace], graph: Graph) -> pl.DataFrame:
    """Return every dropped row with why; a column of ours whose name a user's column has gets a ``_`` behind it."""
    found = [(trace, step, step.late) for trace in traces for step in trace.steps]
    taken = {name for _, _, late in found if late is not None and len(late) for name in _users(late)}
    frames = [_why(trace, step, late, traces, taken) for trace, step, late in found if late is not None and len(late)]
    return pl.concat(frames, how="diagonal_relaxed") if frames else pl.DataFrame(schema=_late_schema(graph))


def _users(late: pl.DataFrame) -> Sequence[str]:
    """Return the names of all columns but the one that says how late a row is."""
    return as_given(late).drop(late_column(late.columns)).columns


def _late_schema(graph: Graph) -> dict[str, pl.DataType]:
    """Return the columns that late rows would have, where no row is late."""
    judging = [stream.node for stream in graph.streams if stream.node.remembers]
    given = {name: dtype for node in judging for below in node.inputs for name, dtype in below.schema.items()}
    keys = [node.key_schema for node in judging if isinstance(node, GroupBy) and node.time_key is not None]
    bounds = {name: schema[name] for schema in keys for name in (START, END)}
    names = {name: pl.String() for name in ("operator", "reason", "set_by")}
    ours = {"late_by": pl.Duration("us"), "batch_id": pl.Int32(), "watermark": _time_type(graph) or pl.Datetime("us")}
    return {**given, **{free_name(name, given): dtype for name, dtype in {**bounds, **ours, **names}.items()}}


def free_name(name: str, taken: Container[str]) -> str:
    """Return a name for a column of ours that no column of the user's has."""
    while name in taken:
        name += "_"
    return name


def _why(
    trace: Trace, step: StepTrace, late: pl.DataFrame, traces: Sequence[Trace], taken: Container[str]
) -> pl.DataFrame:
    like = pl.Datetime("us", getattr(trace.watermark and trace.watermark.tzinfo, "key", None))
    watermark = instant_of(step.late_watermark or 0, like)
    what = "window" if step.operator == "group_by" and "window_end" in late.columns else "time"
    reason = f"its {what} ended at or before the watermark" if what == "window" else "it is at or before the watermark"
    ours = {
        "batch_id": pl.lit(trace.batch_id),
        "operator": pl.lit(step.operator),
        "watermark": pl.lit(watermark, like),
        "reason": pl.lit(reason),
        "set_by": pl.lit(_setter(watermark, traces), pl.String),
    }
    own = {name: free_name(name, taken) for name, held in GIVEN.items() if held in late.columns}
    late = late.rename({late_column(late.columns): free_name("late_by", taken), **own})
    late = late.rename({GIVEN[name]: name for name in own})
    return late.with_columns(**{free_name(name, taken): value for name, value in ours.items()})


def _setter(watermark: Any, traces: Sequence[Trace]) -> str | None:
    """Return the row that set a watermark, as text."""
    setter = next(
        (t.watermark_row for t in traces if t.watermark_row is not None and t.watermark_after == watermark), None
    )
    return None if setter is None else ", ".join(f"{name}={value}" for name, value in setter.items())


def state_rows(graph: Graph) -> pl.DataFrame:
    """Return what every step remembers; a column of ours whose name a user's column has gets a ``_`` behind it."""
    dtype = _time_type(graph) or pl.Datetime("us")
    states = [(stream.node.verb, state) for stream in graph.streams if (state := stream.step.state()) is not None]
    taken = {name for _, state in states for name in state.columns}
    operator, expires = (free_name(name, taken) for name in ("operator", "expires_at"))
    frames = [
        state.select(pl.lit(verb).alias(operator), pl.exclude(EXPIRES), pl.col(EXPIRES).cast(dtype).alias(expires))
        for verb, state in states
    ]
    return pl.concat(frames, how="diagonal") if frames else pl.DataFrame(schema={operator: pl.String, expires: dtype})
