"""Work: the rows that a stream has read so far, beside those of a job that starts over for every report."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from streamnb.progress import Playable
from streamnb.time import MILLISECOND, instant, spell
from streamnb.views.chart import Frame, across, big, of_time, upward
from streamnb.views.plane_axis import spell_clock, time_axis
from streamnb.views.shapes import Figure, Shape, Sheet, dot, line, nothing, table, text
from streamnb.views.view import View

_LEFT, _TOP, _WIDE, _HIGH = 70.0, 14.0, 560.0, 300.0
_LISTED = 200


@dataclass(frozen=True)
class Read:
    """The rows read up to a report: by the stream, and by a job that reads its whole window again each time."""

    time: float
    stream: int
    batch: int


def reads(times: Sequence[float], rows: Sequence[int], size: float | None) -> list[Read]:
    """Return what both have read at every report; times and size in milliseconds, no size: all that came so far.

    Reports are made at the pace of the batches, also where nothing new came: the job reads then too.
    """
    if not times:
        return []
    at, came = np.array(times), np.array(rows)
    pace = float(np.diff(at).min()) if len(at) > 1 else 1.0
    ticks = np.arange(at[0], at[-1] + pace / 2, pace) if (at[-1] - at[0]) / pace < 100_000 else at
    sums = np.concatenate([[0], came.cumsum()])
    upto = sums[np.searchsorted(at, ticks, side="right")]
    before = 0 if size is None else sums[np.searchsorted(at, ticks - size, side="right")]
    again = (upto - before).cumsum()
    return [Read(*each) for each in zip(ticks.tolist(), upto.tolist(), again.tolist(), strict=True)]


def work_sheet(found: Sequence[Read], end: float, size: dt.timedelta | None) -> Sheet:
    """Lay out both lines over processing time up to ``end``, which the axis reaches in any case."""
    last = found[-1]
    plural = "" if last.stream == 1 else "s"
    title = f"The stream has read {last.stream:,} row{plural}; a job that starts over each time, {last.batch:,}."
    axis = time_axis("processing time", found[0].time, max(end, found[0].time + 1), None, int(_WIDE))
    base = of_time(axis, _LEFT, _TOP, _WIDE, _HIGH)
    frame = Frame(base.left, base.top, base.width, base.height, base.low_x, base.high_x, 0, max(last.batch, 10) * 1.06)
    shapes: list[Shape] = [*upward(frame, 6), *across(frame, axis.ticks, axis.label)]
    shapes.append(text(_LEFT, _TOP - 2, "rows read so far", "muted", 12))
    shapes += _line(frame, [(r.time, r.batch) for r in found], "dropped", "job")
    shapes += _line(frame, [(r.time, r.stream) for r in found], "ontime", "stream")
    rows = [(spell_clock(r.time, None, axis.span), r.stream, r.batch) for r in found[-_LISTED:]]
    behind = table("Rows read", ("report", "stream", "again each time"), rows)
    window = "all" if size is None else f"{spell(size // dt.timedelta(microseconds=1))} of rows"
    lead = f"For each report the job reads {window} again; a stream keeps what it needs, and reads only what is new."
    return Sheet(title, (Figure(title, int(_TOP + _HIGH + 54), tuple(shapes), behind),), title, lead)


def _line(frame: Frame, points: Sequence[tuple[float, float]], role: str, name: str) -> list[Shape]:
    placed = [frame.at(point) for point in points]
    x, y = placed[-1]
    shapes = [line(placed, role, 2.4)]
    if len(placed) <= 160:
        shapes += [dot(*place, 2.2, role, tip=f"{name}: {value:,}")
                   for place, (_, value) in zip(placed, points, strict=True)]  # fmt: skip
    shapes.append(text(x + 8, y + 4, f"{name}: {big(points[-1][1])}", f"{role}_text", 13, bold=True, halo=True))
    return shapes


class Work(View):
    """What was read up to the batch looked at."""

    name = "work"

    @classmethod
    def fits(cls, query: Playable) -> bool:  # noqa: ARG003
        """Return False: it is shown where a lesson asks for it, by ``sn.work``."""
        return False

    def sheet(self, at: int) -> Sheet:
        """Lay out the rows read up to a batch."""
        if at < 0:
            return nothing("No batch has run, so nothing is read yet.")
        window = self.query.outline.window
        progress = list(self.query.progress)
        times = [instant(p.timestamp.to_pydatetime()) / MILLISECOND for p in progress]
        size = None if window is None else window.size / MILLISECOND
        found = reads(times[: at + 1], [p.num_input_rows for p in progress[: at + 1]], size)
        length = None if window is None else dt.timedelta(microseconds=window.size)
        sheet = work_sheet(found, times[-1], length)
        older = f" Both are counted from batch {progress[0].batch_id} on." if self.query.let_go else ""
        return replace(sheet, lead=sheet.lead + older)
