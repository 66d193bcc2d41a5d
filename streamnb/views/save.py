"""save_html: what a query did, as a page that plays it back."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamnb.answers.lineage import with_delay
from streamnb.errors import DataError, PlanError
from streamnb.ops.with_watermark import WithWatermark
from streamnb.query import Query
from streamnb.time import MILLISECOND, Duration, duration, instant, spell
from streamnb.views.display import PLANE, every_view
from streamnb.views.inspectors import Exhibit, Inspector
from streamnb.views.page import Run, page
from streamnb.views.plane import MOST_WHILE_PLAYING, plane_of
from streamnb.views.plane_shapes import plane_sheet
from streamnb.views.plane_svg import svg
from streamnb.views.poster import Subject
from streamnb.views.recorded import recorded
from streamnb.views.sheet_svg import sheet_svg
from streamnb.views.shown import subject_of

if TYPE_CHECKING:
    from streamnb.progress import Playable
    from streamnb.views.view import View

MOST_BATCHES = 200
"""Batches kept in a page: the newest."""
_PLAIN = ("plane", "late", "state")


def save(shown: Any, path: str | os.PathLike[str], delays: Sequence[Duration]) -> Path:
    """Do what ``sn.save_html`` says."""
    where = Path(path)
    subject = shown.subject if isinstance(shown, Exhibit) else subject_of(shown)
    if subject is not None:
        text = _poster(subject)
    else:
        query, names = (shown.query, shown.names) if isinstance(shown, Inspector) else (shown, _PLAIN)
        if not hasattr(query, "trace"):
            raise DataError(f"save_html: {type(shown).__name__} is no query and no figure; give one of them.")
        text = _recorded(query, names, delays)
    where.write_text(text, encoding="utf-8")
    return where


def _poster(subject: Subject) -> str:
    """Return the page of a figure that follows no query, under the settings that were recorded."""
    kept = recorded(subject)
    run = Run("", (), (), {"": kept.sheets}, {}, kept.settings, kept.stops)
    stands = kept.sheets[kept.start]
    return page(stands.title, [run], kept.start, sheet_svg(stands), _note(1, 1), left_out=kept.left_out)


def _recorded(query: Playable, names: Sequence[str], delays: Sequence[Duration]) -> str:
    queries = [(_delay_of(query), query), *_others(query, delays)]
    ordered = sorted(queries, key=lambda pair: pair[0])
    try:
        runs = [_run(spell(max(delay, 0)), q, names) for delay, q in ordered]
    finally:
        for _, other in queries[1:]:
            other.post("stop")
    start = next(n for n, (_, q) in enumerate(ordered) if q is query)
    picture = svg(query, len(query.trace) - 1) if PLANE in names else ""
    return page(
        query.name, runs, start, picture, _note(min(len(query.trace), MOST_BATCHES), query.let_go + len(query.trace))
    )


def _note(kept: int, batches: int) -> str:
    cut = f" The newest {kept:,} of {batches:,} batches are kept." if kept < batches else ""
    return f"Recorded on {dt.datetime.now(tz=dt.UTC):%Y-%m-%d}; nothing here asks a kernel or the network.{cut}"


def _run(label: str, query: Playable, names: Sequence[str]) -> Run:
    last = len(query.trace) - 1
    places = range(max(0, last + 1 - MOST_BATCHES), last + 1) if last >= 0 else range(-1, 0)
    traces = [query.trace[at] for at in places if at >= 0]
    times = [instant(t.time) / MILLISECOND for t in traces]
    made = {name: _view(query, name) for name in names if name != PLANE}
    views = {name: [view.sheet(at) for at in places] for name, view in made.items()}
    if PLANE in names:
        views = {PLANE: [plane_sheet(plane_of(query, at, MOST_WHILE_PLAYING)) for at in places], **views}
    choices = {name: view.choices(places) for name, view in made.items()}
    return Run(label, [t.batch_id for t in traces], times, views, choices)


def _view(query: Playable, name: str) -> View:
    view = next(kind for kind in every_view() if kind.name == name)(query)
    view.live = False
    return view


def _delay_of(query: Playable) -> int:
    delay = query.outline.delay
    return -1 if delay is None else delay // dt.timedelta(microseconds=1)


def _others(query: Playable, delays: Sequence[Duration]) -> Iterator[tuple[int, Query]]:
    """Run a query with other delays to the end of its input."""
    if not delays:
        return
    if not isinstance(query, Query):
        raise DataError("save_html: delays= runs one query again, and this is several at once; give one.")
    plan = query.plans[0]
    marks = [node for node in plan.walk() if isinstance(node, WithWatermark)]
    if len(marks) != 1:
        raise PlanError(
            f"save_html: delays= changes the one watermark of a plan, and here are {len(marks)}; leave it out.",
            code="OPTION_INVALID",
        )
    own = _delay_of(query)
    for delay in sorted({duration(given, "save_html", months=True) for given in delays} - {own}):
        changed = with_delay(plan, {1: delay})
        yield delay, Query(changed, output_mode=query.outline.output_mode, name=f"{query.name} {spell(delay)}").run()
