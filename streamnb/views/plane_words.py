"""The words of the plane: its finding, its key, and what it says to those who do not see it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import numpy as np

from streamnb.progress import Outline
from streamnb.time import MILLISECOND, spell
from streamnb.views.plane_axis import Axis, spell_clock
from streamnb.views.plane_place import CODE
from streamnb.views.plane_rows import ASIDE, COUNTED, DROPPED, LATE, UPCOMING, Reading, Scene, Totals, last_start

FATES = {
    COUNTED: "counted",
    LATE: "late, still counted",
    DROPPED: "dropped",
    ASIDE: "filtered out",
    UPCOMING: "not arrived yet",
}
"""What each mark means."""

_MICROSECOND = dt.timedelta(microseconds=1)


def title(scene: Scene) -> str:
    """Return what the picture shows so far; before the first row, only what it is about."""
    totals, outline = scene.totals, scene.outline
    if not totals.rows:
        return "Each row happens at one time and arrives at another." if outline.event_time else "No row is read yet."
    so_far = "" if scene.done else " so far"
    if outline.event_time is None or outline.delay is None:
        return f"{_number(totals.rows, 'row')} read in {_batches(scene)}{so_far}."
    dropped = f"{totals.dropped:,}" if totals.dropped else "none"
    return f"{_a_watermark(outline.delay // _MICROSECOND)} drops {dropped} of {_number(totals.rows, 'row')}{so_far}."


def _batches(scene: Scene) -> str:
    return f"{scene.number:,} batch{'' if scene.number == 1 else 'es'}"


def _number(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _a_watermark(delay: int) -> str:
    words = spell(delay)
    count, unit, *more = words.split()
    if more:
        return f"A watermark of {words}"
    article = "An" if count.startswith("8") or count in ("11", "18") else "A"
    return f"{article} {count}-{unit.removesuffix('s')} watermark"


def key(scene: Scene) -> tuple[tuple[str, str], ...]:
    """Return the marks that this query can show, each with its meaning."""
    counted = "counted" if scene.outline.values else "read"
    marks = [(COUNTED, counted)]
    if scene.outline.delay is not None:
        marks.append((LATE, f"late, still {counted}"))
    if scene.closes:
        marks.append((DROPPED, FATES[DROPPED]))
    if scene.every and scene.every[-1].totals.aside:
        marks.append((ASIDE, FATES[ASIDE]))
    return (*marks, (UPCOMING, FATES[UPCOMING]))


def sampled(drawn: int, rows: int, every: Mapping[str, int], unseen: int = 0) -> str:
    """Return how many rows are drawn, and that of how many late and dropped ones one is.

    Of ``unseen`` ones it is not known which came late and were counted all the same.
    """
    late = "every dropped one kept" if unseen else "every late one kept"
    if every[LATE] > 1:
        late = f"1 late one in {every[LATE]:,}, every dropped one kept"
    if every[DROPPED] > 1:
        late = f"1 dropped one in {every[DROPPED]:,}"
    return f"{drawn:,} of {rows:,} rows shown; {late}."


def caption(scene: Scene, sample: str) -> str:
    """Return how to read the picture; ``sample`` says which rows are drawn where that is not all."""
    outline = scene.outline
    if outline.event_time is None:
        return "Each stem is one batch, as high as its rows. No column is declared as event time."
    parts = ["Each mark is one row.", *([sample] if sample else []), *_of_windows(outline)]
    if outline.delay is not None:
        closed = "; the hatched side is closed" if scene.closes else " and closes nothing here"
        parts.append(f"The watermark moves when a batch ends{closed}.")
    return " ".join(parts)


def _of_windows(outline: Outline) -> list[str]:
    window = outline.window
    if window is None:
        return []
    whole = window.slide == window.size
    strip = f"one window of {spell(window.size)}" if whole else spell(window.slide)
    under = "" if whole else f" (under the last {spell(window.slide)} of its window)"
    return [f"A strip is {strip}.", f"A bar with a bold number is a final result, where it was written{under};",
            "a number with dots may still change."]  # fmt: skip


def spoken(scene: Scene, x: Axis, y: Axis) -> str:
    """Return the state after the last batch in sentences, with a reason for every row it dropped, up to three."""
    waiting = sum(len(placed.x) for placed, arrived in scene.placed() if not arrived)
    to_come = [f"{_number(waiting, 'row')} not arrived yet."] if waiting else []
    last, totals = scene.last, scene.totals
    if last is None:
        return " ".join(["No batch has run.", *to_come])
    parts = [f"Batch {last.batch_id}, {spell_clock(last.time, scene.y_zone, y.span)}."]
    if last.after is not None:
        parts.append(f"Watermark {spell_clock(last.after, scene.x_zone, x.span)}.")
    parts.append(_counts(totals, scene.outline))
    if totals.missing:
        parts.append(f"{_number(totals.missing, 'row')} without event time, not drawn.")
    return " ".join([*parts, *to_come, *_drops(scene, last, x, y)])


def _counts(totals: Totals, outline: Outline) -> str:
    read = f"{_number(totals.rows, 'row')} read"
    if outline.delay is None:
        return f"{read}."
    least = "at least " if totals.unseen else ""
    late = f"{least}{totals.late:,} of them behind the watermark" if totals.late else ""
    if not outline.values:
        return f"{read}{late and ', '}{late}, {totals.dropped:,} dropped."
    return f"{read}: {totals.counted:,} counted{late and f' ({late})'}, {totals.dropped:,} dropped."


def _drops(scene: Scene, last: Reading, x: Axis, y: Axis) -> list[str]:
    which = np.flatnonzero((last.placed.codes == CODE[DROPPED]) & np.isfinite(last.placed.x))
    more = [f"{len(which) - 3:,} more dropped in this batch."] if len(which) > 3 else []
    return [f"{_name(last, i)} dropped: {_why(scene, last, i, x, y)}." for i in which[:3].tolist()] + more


def _name(reading: Reading, i: int) -> str:
    values = reading.placed.rows.row(i)
    words = [str(v) for v in values if isinstance(v, str | int) and not isinstance(v, bool)]
    name, more = [*words, "", ""][:2]
    return (name if more in name else f"{name} {more}") or "A row"


def _why(scene: Scene, reading: Reading, i: int, x: Axis, y: Axis) -> str:
    at, window = reading.placed.x[i], scene.outline.window
    if window is None:
        return f"{spell_clock(at, scene.x_zone, x.span)} is behind the watermark"
    start = float(last_start(at, window))
    end = start + window.size / MILLISECOND
    interval = "-".join(spell_clock(edge, scene.x_zone, x.span) for edge in (start, end))
    closed = next((r.time for r in scene.every if r.before is not None and r.before >= end), None)
    when = f" at {spell_clock(closed, scene.y_zone, y.span)}" if closed is not None else ""
    return f"its window {interval} closed{when}"
