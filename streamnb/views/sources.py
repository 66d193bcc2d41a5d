"""Sources: how far each is read, what waits and since when it is silent; and which input holds the watermark back."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Sequence
from typing import Any

from streamnb.answers.cards import clock, plural
from streamnb.answers.holders import holder_of
from streamnb.answers.silence import Silence, silent
from streamnb.progress import Mark, Progress, SourceProgress, Trace
from streamnb.views.chart import Frame, across, batch_ticks, big, upward
from streamnb.views.controls import short_duration
from streamnb.views.labels import Page
from streamnb.views.metrics import MOST_BATCHES, holders
from streamnb.views.plane_axis import time_axis
from streamnb.views.plane_rows import standing
from streamnb.views.shapes import (
    Column,
    Figure,
    Grid,
    Part,
    Row,
    Shape,
    Sheet,
    Words,
    diamond,
    dot,
    line,
    nothing,
    table,
    text,
)
from streamnb.views.state import spell_time
from streamnb.views.view import View

_LEFT, _WIDE, _HIGH = 78.0, 520.0, 150.0
_ROLES = (("ontime", None), ("second", "7 4"), ("late", "2 4"), ("muted", "10 3 2 3"))


def sources_sheet(progress: Sequence[Progress], traces: Sequence[Trace], policy: str) -> Sheet:
    """Lay out the sources after the last of some batches."""
    last, trace = progress[-1], traces[-1]
    quiet = [silent(progress, n) for n in range(len(last.sources))]
    parts: list[Part] = [sources_grid(last.sources, quiet)]
    if any(s.num_rows_waiting for p in progress for s in p.sources):
        parts.append(waiting_figure(progress))
    if trace.marks:
        parts += [marks_figure(traces), holders(trace.marks, trace.watermark_after, policy)]
    parts += [Words(_sink(progress))]
    title = _title(last, trace, quiet, policy)
    key = ((line([(2, 8), (22, 8)], "watermark", 4), "the query's watermark"),) if len(trace.marks) > 1 else ()
    return Sheet(title, tuple(parts), f"{title} {_sink(progress)}", "Sources as they stood after this batch.", key)


def _title(last: Progress, trace: Trace, quiet: Sequence[Silence], policy: str) -> str:
    behind = _behind(trace.marks, policy) if len(trace.marks) > 1 else ""
    if behind:
        return behind
    stopped = [source for source, found in zip(last.sources, quiet, strict=True) if found.batches > 1]
    if stopped:
        return f"{stopped[0].description} is silent."
    known = [s.num_rows_waiting for s in last.sources if s.num_rows_waiting is not None]
    left = f", {plural(sum(known), 'row')} waiting" if known else ""
    return f"{plural(last.num_input_rows, 'row')} read in this batch{left}."


def _behind(marks: Sequence[Mark], policy: str) -> str:
    mine = next(mark for mark in marks if mark.input == holder_of(marks, policy))
    others = [at for mark in marks if (at := standing(mark.value)) is not None]
    own = standing(mine.value)
    if policy != "min" or mine.idle or not others:
        return ""
    name = f"Input {mine.input}, {mine.source},"
    if own is None:
        return f"{name} has brought no row and holds the watermark back."
    ahead = max(others) - own
    return f"{name} holds the watermark back by {short_duration(dt.timedelta(milliseconds=ahead))}." if ahead else ""


def _sink(progress: Sequence[Progress]) -> str:
    tries = sum(int(told.sink.get("num_retries", 0)) for told in progress)
    dead = sum(told.num_dead_letters for told in progress)
    written = int(progress[-1].sink.get("num_output_rows", 0))
    aside = f" {plural(dead, 'record')} set aside." if dead else ""
    again = f" It was tried again {plural(tries, 'time')}." if tries else ""
    return f"The sink was given {plural(written, 'row')} in this batch.{again}{aside}"


def sources_grid(sources: Sequence[SourceProgress], quiet: Sequence[Silence]) -> Grid:
    """Return a row a source: how far it is read, what came, what waits, and since when it is silent."""
    heads = (Column("source"), Column("rows", "in this batch", numeric=True), Column("read up to"),
             Column("waiting", numeric=True), Column("silent since"))  # fmt: skip
    rows = tuple(
        Row(
            (
                source.description,
                f"{source.num_input_rows:,}",
                _offset(source.end_offset),
                _known(source),
                _since(found),
            )
        )
        for source, found in zip(sources, quiet, strict=True)
    )
    return Grid("Sources", heads, rows)


def _offset(offset: Any) -> str:
    words = (
        "the beginning" if offset is None else offset if isinstance(offset, str) else json.dumps(offset, default=str)
    )
    return words if len(words) <= 60 else f"{words[:59]}…"


def _known(source: SourceProgress) -> str:
    return "not known" if source.num_rows_waiting is None else f"{source.num_rows_waiting:,}"


def _since(found: Silence) -> str:
    if not found.batches:
        return ""
    since = "the beginning" if found.since is None else clock(found.since)
    return f"{since}, {plural(found.batches, 'batch')}"


def waiting_figure(progress: Sequence[Progress]) -> Figure:
    """Draw how many rows of each source waited after each batch."""
    lines = [
        [(float(told.batch_id), float(told.sources[n].num_rows_waiting or 0)) for told in progress]
        for n in range(len(progress[-1].sources))
    ]
    most = max(value for points in lines for _, value in points)
    frame = _frame(progress[0].batch_id, progress[-1].batch_id, 0.0, 1.1 * most)
    shapes = [text(2, 14, "rows waiting", "muted", 12.5), *upward(frame, 3), *_batches(frame)]
    names = [
        f"{big(points[-1][1])} · {_short(s.description)}" for points, s in zip(lines, progress[-1].sources, strict=True)
    ]
    shapes += _lines(frame, lines, names)
    heads = ("batch", *(source.description for source in progress[-1].sources))
    rows = [(told.batch_id, *(source.num_rows_waiting for source in told.sources)) for told in progress[-60:]]
    return Figure("Rows waiting, by batch", 236, tuple(shapes), table("Rows waiting", heads, rows))


def marks_figure(traces: Sequence[Trace]) -> Figure:
    """Draw what each input asks for after each batch, and the query's own watermark as the thick line."""
    told = [trace for trace in traces if trace.marks]
    inputs = range(len(told[-1].marks))
    lines = [[(float(t.batch_id), at) for t in told if (at := standing(t.marks[n].value)) is not None] for n in inputs]
    own = [(float(t.batch_id), at) for t in told if (at := standing(t.watermark_after)) is not None]
    places = [at for points in [*lines, own] for _, at in points] or [0.0]
    low, high = min(places), max(places)
    pad = 0.08 * (high - low) or 60_000
    frame = _frame(told[0].batch_id, told[-1].batch_id, low - pad, high + pad)
    zone = getattr(told[-1].watermark_after and told[-1].watermark_after.tzinfo, "key", None)
    axis = time_axis("own watermark of each input", frame.low_y, frame.high_y, zone, int(_HIGH), upward=True)
    shapes = [text(2, 14, axis.label, "muted", 12.5), *_ticks(frame, axis.ticks), *_batches(frame)]
    if own and len(lines) > 1:
        shapes.append(line([frame.at(point) for point in own], "watermark", 4))
    names = [f"input {m.input}{', idle' if m.idle else ''} · {_short(m.source)}" for m in told[-1].marks]
    shapes += _lines(frame, lines, names)
    heads = ("batch", *(f"input {mark.input}" for mark in told[-1].marks), "query")
    rows = [(t.batch_id, *(_time(m.value) for m in t.marks), _time(t.watermark_after)) for t in told[-60:]]
    return Figure("What each input asks for, by batch", 236, tuple(shapes), table("Watermarks", heads, rows))


def _frame(first: int, last: int, low: float, high: float) -> Frame:
    return Frame(_LEFT, 26, _WIDE, _HIGH, first - 0.4, max(last, first + 11) + 0.4, low, high or 1.0)


def _batches(frame: Frame) -> list[Shape]:
    return across(frame, batch_ticks(math.ceil(frame.low_x), int(frame.high_x)), "batch")


def _ticks(frame: Frame, ticks: Sequence[tuple[float, str]]) -> list[Shape]:
    shapes: list[Shape] = []
    for at, words in ticks:
        shapes += [line([(frame.left, frame.y(at)), (frame.right, frame.y(at))], "faint", 1),
                   text(frame.left - 8, frame.y(at) + 4, words, anchor="end")]  # fmt: skip
    return shapes


def _lines(frame: Frame, lines: Sequence[Sequence[tuple[float, float]]], names: Sequence[str]) -> list[Shape]:
    """Draw a line each, told apart by its dashes and its end, with its name beside that."""
    shapes: list[Shape] = []
    page = Page(0, 0, frame.right + 160, frame.bottom + 8)
    for n, (points, name) in enumerate(zip(lines, names, strict=True)):
        role, dash = _ROLES[n % len(_ROLES)]
        if points:
            x, y = frame.at(points[-1])
            end = diamond(x, y, 5, role) if n % 2 else dot(x, y, 4, role)
            shapes += [line([frame.at(point) for point in points], role, 1.8, dash), end]
            words = "muted" if role == "muted" else f"{role}_text"
            shapes += page.put((x, y), 9, name, words, 12, must=True, halo=True)
    return shapes


def _time(time: dt.datetime | None) -> str:
    return "none yet" if standing(time) is None or time is None else spell_time(time)


def _short(name: str) -> str:
    name = name.partition("(")[0] or name
    return name if len(name) <= 18 else f"{name[:17]}…"


class Sources(View):
    """The sources of a query after the batch looked at."""

    name = "sources"

    def sheet(self, at: int) -> Sheet:
        """Lay out the sources after a batch, with the batches before it."""
        if at < 0:
            return nothing("No batch has run, so no source was read.")
        first = max(0, at + 1 - MOST_BATCHES)
        progress, traces = self.query.progress[first : at + 1], self.query.trace[first : at + 1]
        policy = getattr(self.query, "watermark_policy", "min")
        return sources_sheet(progress, traces[: len(progress)], policy)
