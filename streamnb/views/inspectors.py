"""Inspectors: sn.plane, sn.state and the others; each a view of its own, and a tab of the dashboard."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from streamnb.answers.asked import Question
    from streamnb.answers.why import Why
    from streamnb.crashing.strategies import Write
    from streamnb.frame import StreamFrame
    from streamnb.progress import Playable
    from streamnb.query import Query
    from streamnb.time import Duration
    from streamnb.views.poster import Subject


class Inspector:
    """Views of one query; the value of a cell shows them. It holds no widget until then."""

    def __init__(self, query: Playable, *names: str) -> None:
        self.query, self.names = query, names

    def _ipython_display_(self) -> None:
        from streamnb.views.display import show

        show(self.query, self.names)

    def __repr__(self) -> str:
        return f"{' and '.join(self.names)} of {self.query!r}"


class Exhibit:
    """A sheet that follows no query; the value of a cell shows it. It holds no widget until then."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject

    def _ipython_display_(self) -> None:
        from streamnb.views.display import show_poster

        show_poster(self.subject)

    def __repr__(self) -> str:
        return self.subject.sheet().title


def plane(query: Playable) -> Inspector:
    """Show event time against processing time: rows, windows, results and the watermark, batch by batch.

    >>> sn.plane(query)
    plane of Query 'hourly': done, 32 batches, watermark 2013-02-08 14:28:00
    """
    return Inspector(query, "plane")


def state(query: Playable) -> Inspector:
    """Show what a query remembers after a batch: what is new, changed or about to be evicted, when and why.

    Found, sorted and paged in the kernel: a million keys are a million keys here and thirty in the browser.

    >>> sn.state(query)
    state of Query 'hourly': done, 32 batches, watermark 2013-02-08 14:28:00
    """
    return Inspector(query, "state")


def late(query: Playable) -> Inspector:
    """Show every dropped row, and for the one looked at why it was dropped and what would have saved it.

    A click on a mark of the plane, in any view of the query, asks about its row; so does a click on a line here.

    >>> sn.late(query)
    late of Query 'hourly': done, 32 batches, watermark 2013-02-08 14:28:00
    """
    return Inspector(query, "late")


def delay(query: Playable) -> Inspector:
    """Show the plane with a delay to try: where the watermark would have stood, and which rows it would have dropped.

    For a query with one watermark, of up to 20,000 rows, which is run again for every delay; it is not touched itself.
    ``sn.what_if`` compares several delays, and what they cost.

    >>> sn.delay(query)
    delay of Query 'hourly': done, 32 batches, watermark 2013-02-08 14:28:00
    """
    return Inspector(query, "delay")


def metrics(query: Playable) -> Inspector:
    """Show rows, speed, time, lag and state by batch.

    >>> sn.metrics(query)
    metrics of Query 'hourly': done, 32 batches, watermark 2013-02-08 14:28:00
    """
    return Inspector(query, "metrics")


def sources(query: Playable) -> Inspector:
    """Show how far each source is read, what waits, since when it is silent, and who holds the watermark back.

    >>> sn.sources(query)
    sources of Query 'hourly': done, 32 batches, watermark 2013-02-08 14:28:00
    """
    return Inspector(query, "sources")


def set_motion(on: bool) -> None:  # noqa: FBT001  as one says it
    """Say whether figures may move from one state to the next; ``False`` cuts to the end state.

    A reader whose system asks for reduced motion sees none in any case.

    >>> sn.set_motion(False)
    >>> sn.set_motion(True)
    """
    from streamnb.views.theme import set_motion

    set_motion(on)


def plan(query_or_frame: Playable | StreamFrame) -> Inspector | Exhibit:
    """Show the plan as written and as it runs, side by side, with the rule that made each difference.

    Of a query every operator tells its rows in and out, late rows, keys in state and milliseconds, batch by batch.

    >>> sn.plan(query)
    plan of Query 'hourly': done, 32 batches, watermark 2013-02-08 14:28:00
    """
    node = getattr(query_or_frame, "node", None)
    if node is None:
        return Inspector(query_or_frame, "plan")  # type: ignore[arg-type]
    from streamnb.views.plan import WrittenPlan

    return Exhibit(WrittenPlan(node))


def why(query: Query, row: Question) -> Why:
    """Tell what became of a row, dropped or kept, and why; see ``q.why``. ``sn.late(q)`` draws it for dropped rows.

    >>> [rescue.text for rescue in sn.why(query, "US 450").rescues][0]
    'a delay longer than 3 hours 21 minutes'
    """
    return query.why(row)


def modes(frame: StreamFrame) -> Inspector:
    """Show one frame under append, update and complete, stepped together: what each writes to the sink, and when.

    It opens a query for each mode that the frame may have, over the same input, and says why where one is refused.

    >>> sn.modes(hourly)
    modes of append, update, complete side by side
    """
    from streamnb.views.together import Together

    return Inspector(Together(frame), "modes")


def windows(
    size: Duration = "10 minutes",
    slide: Duration | None = None,
    gap: Duration | None = None,
    *,
    times: Any = None,
    column: str | None = None,
    start: Duration = "0s",
) -> Exhibit:
    """Show which tumbling, sliding and session windows some times fall into; marks and lengths can be pulled.

    Parameters
    ----------
    size, slide, gap
        The length of windows, how often a sliding one starts (half the size, if not given), and the pause that ends a
        session (a third of the size).
    times
        Datetimes, or a table with a ``column`` of them; of more than 200 the first. Without it a few made-up ones.

    >>> sn.windows("10 minutes", times=["2013-02-08 12:07"])
    1 row: 1 tumbling, 2 sliding, 1 session windows.
    """  # fmt: skip
    from streamnb.views.window_shapes import WindowShapes, shapes_of

    return Exhibit(WindowShapes(shapes_of(size, slide, gap, start, times=times, column=column)))


def joins(query: Playable) -> Inspector:
    """Show what both sides of a join of streams hold, until when, and which rows have met.

    >>> sn.joins(query)
    joins of Query 'hourly': done, 32 batches, watermark 2013-02-08 14:28:00
    """
    return Inspector(query, "joins")


def crash_lab(
    query: Query | StreamFrame, *, batch: int | None = None, sinks: Write | Mapping[str, Write] | None = None
) -> Exhibit:
    """Show one batch with four moments at which its process may die, and what five ways of writing hold then.

    A cell is empty until it is tried, and every trial is a real one; see :func:`~streamnb.crash` for ``batch`` and
    ``sinks``. Beneath stands what the logs and the sink held at the crash, and what the restart added.

    >>> sn.crash_lab(query, batch=8)
    One batch, four moments to die: what does the table hold in the end?
    """
    from streamnb.views.crash_lab import CrashLab

    return Exhibit(CrashLab(query, batch, sinks))


def work(query: Playable) -> Inspector:
    """Show the rows a query has read so far, beside those of a job that starts over for each report.

    >>> sn.work(query)
    work of Query 'hourly': done, 32 batches, watermark 2013-02-08 14:28:00
    """
    return Inspector(query, "work")


def alarms(
    events: pd.DataFrame, by: str, at: str, *, truth: pd.DataFrame, threshold: int = 15, pause: Duration = "1 hour"
) -> Exhibit:
    """Show when an alarm rings that waits for the n-th event of a run, and what that n costs.

    Parameters
    ----------
    events
        A table with a key in ``by`` and a time in ``at``, such as the overdue flights of airports.
    truth
        When there truly was something: columns ``by``, ``begins`` and ``ends``. An alarm outside is a false one, the
        first one inside is late by the minutes since it began.
    threshold, pause
        At which event of a run the alarm rings, from 1 to 40, and the silence that ends a run.

    >>> heard = pd.DataFrame({"at": pd.date_range("2013-02-08 14:00", periods=30, freq="5min"), "key": "JFK"})
    >>> storm = pd.DataFrame({"key": ["JFK"], "begins": [heard["at"][5]], "ends": [heard["at"][29]]})
    >>> sn.alarms(heard, "key", "at", truth=storm, threshold=10)
    Ring at the 10th: 0 false alarms, 20 minutes late.
    """
    from streamnb.views.alarms import alarms_of

    return Exhibit(alarms_of(events, by, at, truth=truth, threshold=threshold, pause=pause))


def clocks(rows: Any, event: str, processing: str, size: Duration = "1 hour") -> Exhibit:
    """Show rows between two clocks, in windows by the one or by the other: a choice above the figure.

    Parameters
    ----------
    rows
        A table of which every row has two times; of more than 2,000 rows the first.
    event, processing
        The columns with the time at which it happened and the time at which it was heard of.
    size
        The length of a window.

    >>> sn.clocks(flights.collect(), "dep", "arr")
    By dep, 145 rows lie in 13 windows of 1 hour.
    """
    from streamnb.views.clocks import Clocks, between

    return Exhibit(Clocks(between(rows, event, processing, size)))


def sweep(runs: Mapping[float, Query], over: str) -> Exhibit:
    """Show what several runs of a query dropped as late, over a number they differ in; a click opens a run's plane.

    Parameters
    ----------
    runs
        Queries that have run, by that number, such as the minutes between their batches.
    over
        What the number is, in words.

    >>> sn.sweep({30: query}, "minutes between batches")
    30 minutes between batches: 23 rows dropped.
    """
    from streamnb.views.sweep import Sweep

    return Exhibit(Sweep(runs, over))


def playground(preset: str = "") -> Exhibit:
    """Play with a watermark: rows to pull about, lengths and mode to change, and three challenges that are judged.

    Parameters
    ----------
    preset
        The line that stands under a playground, to have it again or to give it to somebody; or the name of one of
        ours, such as ``"a phone in flight mode"``.

    >>> sn.playground()
    A 5-minute watermark drops none of 12 rows.
    """
    from streamnb.views.playground import Playground

    return Exhibit(Playground(preset))


def save_html(shown: Any, path: str | os.PathLike[str], *, delays: Sequence[Duration] = ()) -> Path:
    """Save a query, or one of its views, as one HTML file that plays back what was recorded; return where.

    The page needs neither Python nor network: it steps, plays, goes back, and follows the reader's light or dark. Of a
    figure that follows no query, such as ``sn.clocks(…)``, up to 320 settings of its controls are kept.

    Parameters
    ----------
    shown
        A query (its plane, late rows and state), or what ``sn.plane(q)``, ``sn.late(q)``, ``sn.plan(frame)``,
        ``sn.windows(…)`` and the others return.
    delays
        Other delays to run the query with, over the same input, for a slider: ``["1 hour", "6 hours"]``. Its own is
        among them in any case.

    Keeps the newest 200 batches. Errors: PlanError for delays where the plan has no watermark, or more than one.

    >>> sn.save_html(query, f"{folder}/query.html").suffix
    '.html'
    """
    from streamnb.views.save import save

    return save(shown, path, delays)
