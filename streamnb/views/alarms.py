"""Alarms: at which event of a run an alarm rings, what it costs in minutes, and how often it cries wolf."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from streamnb.errors import PlanError, column_not_found
from streamnb.time import MILLISECOND, Duration, duration, instant, spell
from streamnb.views.chart import Frame, across, of_time, upward
from streamnb.views.plane_axis import spell_clock, time_axis
from streamnb.views.shapes import Figure, Shape, Sheet, Slider, area, line, rect, table, text

MOST = 40
"""The largest threshold to choose."""
_LEFT, _WIDE, _LANE, _TOP, _PANEL, _HIGH = 70.0, 660.0, 46.0, 12.0, 300.0, 130.0
_MINUTE = 60_000.0

Span = tuple[float, float]


@dataclass(frozen=True)
class Lane:
    """The events of one key and when there truly was something, in milliseconds."""

    key: str
    events: tuple[float, ...]
    truth: tuple[Span, ...]


@dataclass(frozen=True)
class Cost:
    """What a threshold brings: alarms by key, how many of them are false, the minutes late of each true one."""

    alarms: tuple[tuple[str, float], ...]
    wolf: int
    late: tuple[float, ...]
    missed: int

    @property
    def mean_late(self) -> float | None:
        return sum(self.late) / len(self.late) if self.late else None


def rung(events: Sequence[float], threshold: int, pause: float) -> list[float]:
    """Return when an alarm rings: at the event that makes a run long enough; a longer pause than ``pause`` ends one."""
    found, n, last = [], 0, float("-inf")
    for at in sorted(events):
        n = n + 1 if at - last <= pause else 1
        last = at
        if n == threshold:
            found.append(at)
    return found


def cost(lanes: Sequence[Lane], threshold: int, pause: float) -> Cost:
    """Return what a threshold costs over all lanes."""
    alarms, wolf, late, missed = [], 0, [], 0
    for lane in lanes:
        times = rung(lane.events, threshold, pause)
        alarms += [(lane.key, at) for at in times]
        wolf += sum(not any(start <= at <= end for start, end in lane.truth) for at in times)
        for start, end in lane.truth:
            first = next((at for at in times if start <= at <= end), None)
            missed += first is None
            late += [] if first is None else [(first - start) / _MINUTE]
    return Cost(tuple(alarms), wolf, tuple(late), missed)


class Alarms:
    """Events by key and what was true, under a threshold that the reader changes."""

    def __init__(self, lanes: Sequence[Lane], threshold: int, pause: float) -> None:
        self.lanes, self.threshold, self.pause = lanes, threshold, pause
        self.costs = [cost(lanes, n, pause) for n in range(1, MOST + 1)]

    def hear(self, name: str, value: Any) -> None:
        """Take a threshold from the slider, or from the line that is pulled."""
        if name == "threshold":
            self.threshold = min(max(int(value), 1), MOST)
        elif name == "drag":
            which = int(value[0])
            self.hear("threshold", round(self._panel(which).x_of(float(value[1]))))

    @staticmethod
    def _panel(which: int, most: float = 1.0) -> Frame:
        return Frame(_LEFT + which * (_PANEL + 60), 26, _PANEL, _HIGH, 1, MOST, 0, most)

    def sheet(self) -> Sheet:
        """Lay out the lanes, and what every threshold costs."""
        now = self.costs[self.threshold - 1]
        late = "never" if now.mean_late is None else f"{now.mean_late:,.0f} minutes late"
        wolf = f"{now.wolf} false alarm{'' if now.wolf == 1 else 's'}"
        missed = f", {now.missed} missed" if now.missed else ""
        title = f"Ring at the {_nth(self.threshold)}: {wolf}, {late}{missed}."
        lead = (
            f"A stroke is an event; a run ends after {spell(int(self.pause) * MILLISECOND)} without one. "
            "The tinted band is what there truly was. Pull the line below: early and quiet pull against each other."
        )
        slider = Slider("threshold", "ring at event", 1, MOST, 1, self.threshold, _nth(self.threshold))
        return Sheet(title, (slider, self._timeline(now), self._price()), title, lead)

    def _timeline(self, now: Cost) -> Figure:
        every = [at for lane in self.lanes for at in lane.events]
        every += [edge for lane in self.lanes for span in lane.truth for edge in span]
        axis = time_axis("processing time", min(every), max(every) + 1, None, int(_WIDE))
        frame = of_time(axis, _LEFT, _TOP, _WIDE, _LANE * len(self.lanes))
        shapes: list[Shape] = []
        for n, lane in enumerate(self.lanes):
            shapes += _lane(lane, frame, _TOP + _LANE * n, [at for key, at in now.alarms if key == lane.key])
        shapes += across(frame, axis.ticks, axis.label)
        rows = [(key, spell_clock(at, None, axis.span)) for key, at in now.alarms[:200]]
        behind = table("Alarms", ("key", "rings at"), rows)
        return Figure(f"{len(now.alarms)} alarms", int(frame.bottom + 52), tuple(shapes), behind)

    def _price(self) -> Figure:
        late = [0.0 if c.mean_late is None else c.mean_late for c in self.costs]
        wolf = [float(c.wolf) for c in self.costs]
        shapes: list[Shape] = []
        for which, (values, name, role) in enumerate(
            ((wolf, "false alarms", "dropped"), (late, "minutes late", "late"))
        ):
            frame = self._panel(which, max(*values, 1) * 1.08)
            x = frame.x(self.threshold)
            ticks = [(float(n), str(n)) for n in (1, 10, 20, 30, 40)]
            shapes += [text(frame.left, 14, name, "ink", 13, bold=True), *upward(frame, 3), *across(frame, ticks)]
            shapes.append(line([frame.at((n + 1, v)) for n, v in enumerate(values)], role, 2.4))
            shapes.append(line([(x, 20), (x, frame.bottom)], "ink", 1.6, "4 3"))
            shapes.append(rect(x - 5, frame.bottom - 5, 10, 10, "ink", r=3, drag=str(which), tip="pull me"))
            value = values[self.threshold - 1]
            side, anchor = (8, None) if self.threshold < MOST * 0.7 else (-8, "end")
            shapes.append(text(x + side, 32, f"{value:,.0f}", f"{role}_text", 14, bold=True, anchor=anchor, halo=True))
        shapes.append(text(_LEFT + _PANEL + 30, 26 + _HIGH + 40, "ring at the n-th event of a run", anchor="middle"))
        rows = [(n, c.wolf, c.missed, None if c.mean_late is None else round(c.mean_late, 1))
                for n, c in enumerate(self.costs, start=1)]  # fmt: skip
        behind = table("What a threshold costs", ("ring at", "false alarms", "missed", "minutes late"), rows)
        return Figure("False alarms and minutes late by threshold", int(26 + _HIGH + 48), tuple(shapes), behind)


def _lane(lane: Lane, frame: Frame, top: float, alarms: Sequence[float]) -> Iterator[Shape]:
    foot = top + _LANE - 8
    yield text(frame.left - 10, foot - 8, lane.key, "ink", 13, anchor="end", bold=True)
    for start, end in lane.truth:
        left, right = frame.x(start), frame.x(end)
        yield rect(left, top + 2, right - left, _LANE - 8, "watermark", alpha=0.16)
    for at in lane.events:
        yield line([(frame.x(at), foot), (frame.x(at), foot - 12)], "muted", 1)
    yield line([(frame.left, foot), (frame.right, foot)], "faint", 1)
    for at in alarms:
        x = frame.x(at)
        true = any(start <= at <= end for start, end in lane.truth)
        cloth = [(x, foot - 34), (x + 15, foot - 28), (x, foot - 22)]
        yield line([(x, foot), (x, foot - 34)], "ink", 1.6)
        yield area(cloth, "watermark" if true else "dropped", tip=f"{lane.key}: {'true' if true else 'false'} alarm")


def _nth(n: int) -> str:
    return f"{n}{'th' if 10 <= n % 100 <= 20 else {1: 'st', 2: 'nd', 3: 'rd'}.get(n % 10, 'th')}"


def alarms_of(
    events: pd.DataFrame, by: str, at: str, *, truth: pd.DataFrame, threshold: int, pause: Duration
) -> Alarms:
    """Return what a user asked to see; ``truth`` has the columns ``by``, ``begins`` and ``ends``."""
    for rows, names in ((events, (by, at)), (truth, (by, "begins", "ends"))):
        for name in names:
            if name not in rows.columns:
                raise column_not_found("alarms", name, list(rows.columns))
    if not len(events):
        raise PlanError("alarms: there is no event; give a table of some.", code="OPTION_INVALID")
    if not 1 <= threshold <= MOST:
        raise PlanError(f"alarms: threshold={threshold!r} is out of range; give 1 to {MOST}.", code="OPTION_INVALID")
    lanes = []
    for key, rows in events.groupby(by):
        own = truth[truth[by] == key]
        spans = tuple((_ms(begins), _ms(ends)) for begins, ends in zip(own["begins"], own["ends"], strict=True))
        lanes.append(Lane(str(key), tuple(sorted(map(_ms, rows[at]))), spans))
    return Alarms(lanes, threshold, duration(pause, "alarms") / MILLISECOND)


def _ms(time: pd.Timestamp) -> float:
    return instant(time.to_pydatetime()) / MILLISECOND
