"""flags: what a query gives out as flags along time, a lane for each value of a column, live."""

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar

import polars as pl

from streamnb.errors import PlanError
from streamnb.views.chart import Frame, across, of_time
from streamnb.views.live_sink import FINAL, LiveSink
from streamnb.views.plane_axis import time_axis
from streamnb.views.series import behind
from streamnb.views.shapes import Figure, Shape, Sheet, area, line, spell_cell, text

MOST_LANES, MOST_FLAGS = 20, 400
_LEFT, _WIDE, _LANE, _TOP = 118, 628, 44, 10


class Flags(LiveSink):
    """One flag a row, in the lane of its value."""

    verb: ClassVar[str] = "flags"

    def __init__(self, by: str, at: str | None, title: str | None) -> None:
        super().__init__(title)
        self.by, self.time = by, at

    def columns(self) -> tuple[str, ...]:
        return (self.by,) if self.time is None else (self.by, self.time)

    def fits(self, schema: pl.Schema) -> None:
        super().fits(schema)
        times = [name for name, dtype in schema.items() if dtype == pl.Datetime]
        self.time = self.time or next(iter(times), None)
        if self.time not in times:
            raise PlanError(
                f"flags: at={self.time!r} is no time of the rows; name one of {times}.", code="OPTION_INVALID"
            )

    def draw(self, rows: pl.DataFrame) -> Sheet:
        assert self.time is not None  # noqa: S101  fits has found one
        timed = rows.drop_nulls(self.time).sort(self.time).tail(MOST_FLAGS)
        lanes = {value: n for n, value in enumerate(timed[self.by].unique(maintain_order=True)[:MOST_LANES])}
        said = f"{self.title or f'Flags by {self.by}'}: {len(rows):,}"
        height = _TOP + _LANE * max(len(lanes), 1) + 52
        figure = Figure(said, height, tuple(self._flags(timed, lanes)), behind(rows, rows.drop(FINAL).columns))
        cut = "" if len(timed) == len(rows) else f"The last {len(timed):,} of {len(rows):,} are drawn."
        return Sheet(said, (figure,), "", cut)

    def _flags(self, rows: pl.DataFrame, lanes: dict[Any, int]) -> list[Shape]:
        if not lanes:
            return []
        times = (rows[str(self.time)].dt.epoch("us") / 1e3).to_list()
        pad = (times[-1] - times[0]) * 0.04 or 60_000.0
        zone = getattr(rows.schema[str(self.time)], "time_zone", None)
        axis = time_axis(str(self.time), times[0] - pad, times[-1] + pad, zone, _WIDE)
        frame = of_time(axis, _LEFT, _TOP, _WIDE, _LANE * len(lanes))
        shapes = across(frame, axis.ticks, axis.label)
        for value, n in lanes.items():
            y = _TOP + _LANE * (n + 1)
            shapes.append(line([(_LEFT, y), (_LEFT + _WIDE, y)], "faint", 1))
            shapes.append(text(_LEFT - 10, y - 14, _short(spell_cell(value)), "ink", 13, anchor="end"))
        for at, row in zip(times, rows.drop(FINAL).iter_rows(named=True), strict=True):
            if row[self.by] in lanes:
                shapes += _flag(frame, at, _TOP + _LANE * (lanes[row[self.by]] + 1), row)
        return shapes


def _flag(frame: Frame, at: float, foot: float, row: dict[str, Any]) -> list[Shape]:
    x, tip = frame.x(at), ", ".join(f"{name} {_cell(value)}" for name, value in row.items())
    cloth = [(x, foot - 32), (x + 15, foot - 26), (x, foot - 20)]
    return [line([(x, foot), (x, foot - 32)], "ink", 1.6), area(cloth, "dropped", tip=tip)]


def _cell(value: Any) -> str:
    return f"{value:%H:%M:%S}" if isinstance(value, dt.datetime) else spell_cell(value)


def _short(words: str) -> str:
    return words if len(words) <= 15 else words[:14] + "…"
