"""Delay: what another delay of the watermark would have dropped, as a ghost beside the one that ran."""

from __future__ import annotations

import datetime as dt
import math
import time
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from streamnb.answers.cards import plural
from streamnb.answers.lineage import with_delay
from streamnb.answers.trial import Unit, begun, recorded, running
from streamnb.ops.with_watermark import WithWatermark
from streamnb.params import Param
from streamnb.time import MILLISECOND, spell
from streamnb.views.cursor import Picked
from streamnb.views.plane import MOST_WHILE_PLAYING, Mark, PlaneLayout, plane_of
from streamnb.views.plane_axis import spell_clock
from streamnb.views.plane_place import Flags
from streamnb.views.plane_rows import instants, story_of
from streamnb.views.plane_shapes import frame_of, plane_sheet, stair_in
from streamnb.views.shapes import (
    Figure,
    Part,
    Shape,
    Sheet,
    Slider,
    Words,
    cross,
    dot,
    line,
    nothing,
    rect,
    table,
    text,
)
from streamnb.views.view import View

if TYPE_CHECKING:
    from streamnb.answers.lineage import Recording
    from streamnb.progress import Outline, Playable
    from streamnb.views.chart import Frame

MOST_ROWS = 20_000
"""Rows up to which a query is run again whenever the slider moves; of more ``sn.what_if`` tells."""
MOST_AT_ONCE, SECONDS = 100, 0.4
"""Batches that are read for one picture, and the processor time it may take for running them again; more follow."""
_STEPS = (1, 10, 100, 1_000, 5_000, 15_000, 60_000, 300_000, 900_000, 1_800_000, 3_600_000, 21_600_000, 86_400_000)


@dataclass(frozen=True, eq=False)
class Ghost:
    """Another delay (milliseconds): how many of ``rows`` it drops, where the query's own drops ``own``.

    ``changed`` rows fare otherwise; ``lost`` says whether they would be dropped, of those that the picture can find.
    """

    delay: float
    dropped: int
    own: int
    rows: int
    changed: int
    lost: Mapping[Picked, bool]


def delay_sheet(layout: PlaneLayout, ghost: Ghost | None, slider: Slider | None, delay: float, own: float) -> Sheet:
    """Lay out the plane with the watermark that another delay would have made."""
    base = plane_sheet(layout)
    figure = next(part for part in base.parts if isinstance(part, Figure))
    frame = frame_of(layout)
    changed = _changed(layout, ghost)
    shapes = [
        *figure.shapes,
        *_line(layout, frame, own - delay),
        *(_ring(row, frame, lost=lost) for row, lost in changed),
    ]
    heads = ("row", "as it is", "with this delay")
    rows = [(_one_line(row), row.fate, "dropped" if lost else "counted") for row, lost in changed]
    behind = table("Rows that would fare otherwise", heads, rows) if rows else figure.table
    title = _title(ghost, delay, own)
    parts: list[Part] = [*([slider] if slider else []), replace(figure, shapes=tuple(shapes), table=behind)]
    if ghost is not None and len(ghost.lost) < ghost.changed:
        found = f"{len(ghost.lost):,} of {ghost.changed:,} rows that would fare otherwise can be shown"
        parts.append(Words(f"{found}: a filter or a function before the watermark hides where the others lie."))
    lead = "Slide, or pull the dashed line, which is where the watermark would have stood."
    key = (
        *base.key, (line([(2, 8), (22, 8)], "watermark", 2, "5 4"), "with this delay"),
        (dot(12, 8, 6, None, "ink", stroke=1.6), "would be counted"),
        (cross(12, 8, 5, "ink", width=1.8), "would be dropped"),
    )  # fmt: skip
    return Sheet(title, tuple(parts), title, lead, key)


def _title(ghost: Ghost | None, delay: float, own: float) -> str:
    name, is_own = _spelled(delay), delay == own
    if ghost is None:
        return f"A delay of {name}{' is the one that runs' if is_own else ''}."
    lost = (
        f"{ghost.dropped:,} of {plural(ghost.rows, 'row')}" if ghost.dropped else f"none of {plural(ghost.rows, 'row')}"
    )
    if is_own:
        return f"A delay of {name} drops {lost}."
    return f"A delay of {name} would drop {lost}, where {_spelled(own)} drops {ghost.own:,}."


def _spelled(milliseconds: float) -> str:
    return spell(int(milliseconds) * MILLISECOND)


def _one_line(row: Mark) -> str:
    return "; ".join(row.tip.split("\n")[1:4])


def _changed(layout: PlaneLayout, ghost: Ghost | None) -> list[tuple[Mark, bool]]:
    """Return the rows in sight that would fare otherwise, and whether they would be dropped."""
    lost = {} if ghost is None else ghost.lost
    return [(row, lost[row.row]) for row in layout.rows if row.row is not None and row.row in lost]


def _ring(row: Mark, frame: Frame, *, lost: bool) -> Shape:
    x, y = frame.at((row.x, row.y))
    if not lost:
        return dot(x, y, 7, None, "ink", stroke=1.6, tip=f"would be counted\n{row.tip}")
    return cross(x, y, 5.5, "ink", width=1.8, tip=f"would be dropped\n{row.tip}")


def _line(layout: PlaneLayout, frame: Frame, by: float) -> list[Shape]:
    """Draw the watermark's steps moved by a time, with a grip to pull them."""
    inside = stair_in(frame, [(x + by, y) for x, y in layout.stair])
    if not inside:
        return []
    x, y = inside[-1]
    at = spell_clock(layout.stair[-1][0] + by, None, layout.x.span) if layout.watermark else ""
    return [
        line(inside, "watermark", 2, "5 4"),
        line([(x, frame.bottom), (x, y)], "watermark", 1.4, "5 4"),
        rect(x - 5, frame.bottom - 64, 10, 26, "ground", line="watermark", stroke=1.6, r=5, drag="delay", id="grip",
             tip=f"pull: the watermark would stand at {at}"),
        text(x, frame.bottom - 47, "↔", "watermark_text", 12, anchor="middle", drag="delay"),
    ]  # fmt: skip


class Delay(View):
    """The plane with a delay to try; the query itself is not touched."""

    name = "delay"

    def __init__(self, query: Playable) -> None:
        super().__init__(query)
        self.own = milliseconds(query.outline)
        self.delay = self.own
        self._frame: tuple[Frame, float] | None = None
        self._trial: Trial | None = None

    @classmethod
    def fits(cls, query: Playable) -> bool:
        """Return whether one watermark judges the rows, so that another delay is another place of the same line."""
        plans = getattr(query, "plans", None)
        marks = [node for node in plans[1].walk() if isinstance(node, WithWatermark)] if plans else []
        kept = plans is not None and any(node.remembers for node in plans[1].walk())
        fixed = [mark for mark in marks if not mark.per and not isinstance(mark.wait, Param)]
        return len(marks) == len(fixed) == 1 and kept and query.outline.output_mode != "complete"

    def sheet(self, at: int) -> Sheet:
        """Lay out the plane after a batch with the delay that is tried."""
        if not self.fits(self.query):
            return nothing("There is not one watermark here whose delay could be tried.")
        if at < 0:
            return nothing("No batch has run, so there is no watermark yet.")
        if milliseconds(self.query.outline) != self.own:  # the query was changed while it ran
            self.own = self.delay = milliseconds(self.query.outline)
            self._trial = None
        layout = plane_of(self.query, at, MOST_WHILE_PLAYING, MOST_AT_ONCE if self.live else None)
        newest = layout.stair[-1][0] + self.own if layout.stair else None
        self._frame = None if newest is None else (frame_of(layout), newest)
        slider = self._slider(layout) if self.live else None
        is_behind = self.live and story_of(self.query).behind > 0
        ghost = None if is_behind else self._ghost(at)
        sheet = delay_sheet(layout, ghost, slider, self.delay, self.own)
        if is_behind or (ghost is None and self._trial is not None):
            self.cursor.again()
            words = "The batches are read." if self._trial is None else self._trial.standing
            return replace(sheet, parts=(*sheet.parts, Words(words)))
        return sheet

    def _slider(self, layout: PlaneLayout) -> Slider:
        return slider_of("delay", "delay", self.delay, max(4 * self.own, 0.5 * layout.x.span, 1_000.0))

    def hear(self, name: str, value: Any) -> None:
        """Try a delay: from the slider, or from where the line was pulled to."""
        if name == "delay":
            self.delay = max(0.0, float(round(value)))
        elif name == "drag" and self._frame is not None:
            frame, newest = self._frame
            unit = next((step for step in _STEPS if (frame.high_x - frame.low_x) / step <= 240), _STEPS[-1])
            self.delay = max(0.0, round((newest - frame.x_of(value[1])) / unit) * unit)

    def _ghost(self, at: int) -> Ghost | None:
        """Run the batches again; not while the query plays, and not for very many rows.

        Of many batches some are run for each picture, so that it follows the reader meanwhile.
        """
        if self.query.playing:
            self._trial = None
            return None
        newest = len(self.query.trace) - 1
        for upto in (newest, at):  # what is known of all tells of those up to one, too
            serial = self.query.trace[upto].serial
            if self._trial is not None and self._trial.serial == serial:
                break
            recording = until(self.query, upto)
            if sum(told.num_input_rows for told in recording.progress) <= MOST_ROWS:
                self._trial = Trial(serial, recording, self.query.outline)
                break
        else:
            return None
        count = self._trial.rows_until(self.query.trace[at].serial)
        return self._trial.ghost(self.delay, count, SECONDS if self.live else math.inf)


def slider_of(name: str, label: str, delay: float, high: float) -> Slider:
    """Return a slider of delays (milliseconds) in round steps, up to about ``high``."""
    step = next((step for step in _STEPS if high / step <= 60), _STEPS[-1])
    return Slider(name, label, 0, -(-high // step) * step, step, delay, _spelled(delay))


def milliseconds(outline: Outline) -> float:
    """Return the delay of a query's watermark."""
    return outline.delay / dt.timedelta(milliseconds=1) if outline.delay is not None else 0.0


def until(query: Any, at: int) -> Recording:
    """Return what a query had read and done after a batch."""
    recording: Recording = query.recording()
    count = bisect_right(recording.traces, query.trace[at].serial, key=lambda trace: trace.serial)
    return replace(
        recording,
        traces=recording.traces[:count],
        progress=recording.progress[:count],
        emitted=recording.emitted[:count],
    )


class Trial:
    """The batches up to the one of a trace, to be run again with other delays, a bit at a time."""

    def __init__(self, serial: int, recording: Recording, outline: Outline) -> None:
        self.serial, self._recording, self._outline = serial, recording, outline
        self._own_delay = milliseconds(outline)
        self._units = recorded(recording)
        self._runs: dict[float, Rerun] = {}
        self._ghosts: dict[tuple[float, int], Ghost] = {}

    def rows_until(self, serial: int) -> int:
        """Return how many rows were read up to the batch of a trace."""
        told = self._recording
        batches = bisect_right(told.traces, serial, key=lambda trace: trace.serial)
        return int(told.starts[batches * len(told.sources)])

    def ghost(self, delay: float, count: int, seconds: float) -> Ghost | None:
        """Tell which of the first ``count`` rows another delay (milliseconds) drops; None: there is more to run."""
        ends = time.thread_time() + seconds
        if (delay, count) not in self._ghosts:
            self._runs = {known: run for known, run in self._runs.items() if known in {delay, self._own_delay}}
            runs = [self._runs.setdefault(known, self._begun(known)) for known in (self._own_delay, delay)]
            if not all(run.go_on(ends) for run in runs):
                return None
            self._ghosts[delay, count] = self._told(delay, *(run.outcome.dropped[:count] for run in runs))
        return self._ghosts[delay, count]

    @property
    def standing(self) -> str:
        """How far the batches have been run again, as words."""
        done = sum(run.done for run in self._runs.values())
        return f"The batches are run again: {done:,} of {len(self._runs) * len(self._units):,} are done."

    def _begun(self, delay: float) -> Rerun:
        return Rerun(self._recording, self._units, delay)

    def _told(self, delay: float, own: Flags, then: Flags) -> Ghost:
        changed = np.flatnonzero(then != own)
        lost = {place: bool(then[row]) for place, row in self._places(changed)}
        return Ghost(delay, int(then.sum()), int(own.sum()), len(then), len(changed), lost)

    def _places(self, rows: np.ndarray[Any, Any]) -> Iterator[tuple[Picked, int]]:
        """Yield rows with their batch and place in the order of arrival, where they are not changed on their way."""
        told = self._recording
        for number, trace in enumerate(told.traces):
            first, last = (int(told.starts[n * len(told.sources)]) for n in (number, number + 1))
            here = rows[(rows >= first) & (rows < last)] - first
            if len(here) and len(told.sources) == 1 and trace.rows.height == last - first:
                order = np.argsort(instants(trace.rows, self._outline.arrival, 0.0), kind="stable")
                places = np.argsort(order)
                yield from (((trace.batch_id, int(places[row])), first + int(row)) for row in here)


class Rerun:
    """Units that are run again with another delay (milliseconds)."""

    def __init__(self, told: Recording, units: Sequence[Unit], delay: float) -> None:
        plan = with_delay(told.plan, {1: int(delay) * MILLISECOND})
        self.outcome = begun(int(told.starts[-1]))
        self._rest = running(plan, told.output_mode, told.watermark, units, self.outcome)
        self.done, self._all = 0, len(units)

    def go_on(self, ends: float) -> bool:
        """Run until so much time of this thread is used; tell whether all is run."""
        for done in self._rest:
            self.done = done
            if time.thread_time() >= ends:
                break
        return self.done == self._all
