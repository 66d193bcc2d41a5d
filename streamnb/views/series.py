"""Series: rows as points of a picture, by the values of a column, on a scale of times, numbers or names."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

from streamnb.errors import PlanError
from streamnb.views.chart import Frame, across, big, round_ticks, upward
from streamnb.views.live_sink import FINAL, LiveSink
from streamnb.views.plane_axis import time_axis
from streamnb.views.shapes import Figure, Grid, Shape, Sheet, rect, spell_cell, table, text

ROLES = ("ontime", "late", "watermark", "second", "muted", "ink")
"""Colours in the order in which they are given out."""
MOST_LINES, MOST_BEHIND = len(ROLES), 200
_LEFT, _TOP, _WIDE, _HIGH = 58, 38, 684, 236
HEIGHT = _TOP + _HIGH + 52


@dataclass(frozen=True)
class Dot:
    """One value: its place (milliseconds of a time, a number, or the number of a name), and what stands there."""

    x: float
    y: float
    series: int
    label: str
    final: bool | None


@dataclass(frozen=True)
class Series:
    """The values to draw, the names of the series, and what the scale across counts; ``left_out`` is said in words."""

    dots: tuple[Dot, ...]
    names: tuple[str, ...]
    labels: tuple[tuple[float, str], ...]
    is_time: bool
    zone: str | None
    left_out: str = ""

    @property
    def are_told_apart(self) -> bool:
        """Whether some values are final and others are not, or may be."""
        return any(dot.final is not None for dot in self.dots)


class Chart(LiveSink):
    """A picture of one number by the values of another column, told apart by a third."""

    joins: ClassVar[str]
    apart: ClassVar[str]
    """The words of a title before the places across, and before what tells the rows apart."""
    mark: ClassVar[str]
    """What a row is drawn as, in words."""
    most: ClassVar[int]
    """So many places are drawn: the newest."""
    takes_names: ClassVar[bool]
    """Whether the places across may be names."""

    def __init__(self, x: str, y: str, by: str | None, title: str | None) -> None:
        super().__init__(title)
        self.x, self.y, self.by = x, y, by

    def columns(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((self.x, self.by or self.x, self.y)))

    def fits(self, schema: pl.Schema) -> None:
        super().fits(schema)
        if not schema[self.y].is_numeric():
            raise PlanError(
                f"{self.verb}: y={self.y!r} is {schema[self.y]}, and a height is a number; count it.",
                code="OPTION_INVALID",
            )
        if not self.takes_names and not (schema[self.x].is_numeric() or schema[self.x].is_temporal()):
            raise PlanError(
                f"{self.verb}: x={self.x!r} is {schema[self.x]}, and a line goes along times or numbers; "
                "sn.bars takes names.",
                code="OPTION_INVALID",
            )

    def draw(self, rows: pl.DataFrame) -> Sheet:
        series = series_of(rows, self.x, self.y, self.by, self.most, as_names=self.takes_names)
        said = f"{self.named()}: {counted(rows, self.mark)}"
        shapes = tuple(self.shapes(series)) if series.dots else ()
        return Sheet(said, (Figure(said, HEIGHT, shapes, behind(rows, self.columns())),), "", series.left_out)

    @abstractmethod
    def shapes(self, series: Series) -> list[Shape]:
        """Lay out values, of which there are some."""

    def named(self) -> str:
        """Return the title given, or what is shown by what."""
        return self.title or f"{self.y} {self.joins} {self.x}{'' if self.by is None else self.apart + self.by}"


def series_of(rows: pl.DataFrame, x: str, y: str, by: str | None, most: int, *, as_names: bool) -> Series:
    """Return the values at the newest ``most`` places; ``as_names`` tells numbers across apart instead of measuring."""
    rows = rows.drop_nulls([x, y]).filter(pl.col(y).cast(pl.Float64).is_finite())
    dtype = rows.schema[x]
    is_time = isinstance(dtype, pl.Datetime | pl.Date)
    places = rows[x].unique(maintain_order=True) if dtype == pl.String else rows[x].unique().sort()
    cut = "" if len(places) <= most else f"The last {most} of {len(places):,} places are drawn. "
    places = places.tail(most)
    lines = [] if by is None else rows[by].unique(maintain_order=True).to_list()
    if len(lines) > MOST_LINES:
        cut += f"{MOST_LINES} of {len(lines):,} values of {by} are drawn; all stand in the table."
    number = {value: n for n, value in enumerate(lines[:MOST_LINES])}
    ordinal = {value: n for n, value in enumerate(places.to_list())}
    measured = is_time or (dtype.is_numeric() and not as_names)
    zone = getattr(dtype, "time_zone", None)
    dots = [
        Dot(
            _place(value, ordinal, measured=measured, is_time=is_time),
            float(height),
            number.get(name, 0),
            _said((x, value), (y, height), (by, name) if by else None),
            final,
        )
        for value, height, name, final in rows.select(
            x, y, pl.lit(None).alias("\0by") if by is None else pl.col(by).alias("\0by"), FINAL
        ).iter_rows()
        if value in ordinal and (by is None or name in number)
    ]
    labels = () if measured else tuple((float(n), spell_cell(value)) for value, n in ordinal.items())
    return Series(tuple(dots), tuple(map(spell_cell, number)), labels, is_time, zone, cut.strip())


def _place(value: Any, ordinal: dict[Any, int], *, measured: bool, is_time: bool) -> float:
    if is_time:
        return float(pl.Series([value]).dt.epoch("us")[0]) / 1e3
    return float(value) if measured else float(ordinal[value])


def _said(place: tuple[str, Any], height: tuple[str, Any], by: tuple[str, Any] | None) -> str:
    parts = [place, *([by] if by else [])]
    return f"{', '.join(f'{name} {spell_cell(value)}' for name, value in parts)}: {height[0]} {spell_cell(height[1])}"


# -- what pictures of series share


def ground(series: Series, low: float, high: float, label: str, *, pad: float = 0.0) -> tuple[Frame, list[Shape]]:
    """Return a frame over a range across and all heights, with its axes."""
    heights = [dot.y for dot in series.dots]
    floor, top = min(0.0, *heights), max(0.0, *heights)
    top = top if top > floor else floor + 1
    room = 0.06 * (top - floor)
    frame = Frame(_LEFT, _TOP, _WIDE, _HIGH, low - pad, high + pad, floor - (room if floor else 0), top + room)
    if series.is_time:
        axis = time_axis(label, frame.low_x, frame.high_x, series.zone, _WIDE)
        return frame, [*legend(series), *upward(frame), *across(frame, axis.ticks, axis.label)]
    ticks = series.labels or [(at, big(at)) for at in round_ticks(low, high, 8)]
    every = math.ceil(len(ticks) * 60 / _WIDE)
    width = int(_WIDE / max(len(ticks), 1) * every / 7)
    short = [(at, words if len(words) <= width else words[: max(width - 1, 1)] + "…") for at, words in ticks[::every]]
    return frame, [*legend(series), *upward(frame), *across(frame, short, label)]


def legend(series: Series) -> list[Shape]:
    """Return the names of the series by colour, and what is final by its fill: in the picture, so in a still too."""
    marks: list[tuple[dict[str, Any], str]] = [({"fill": ROLES[n]}, name) for n, name in enumerate(series.names)]
    marks = marks if len(marks) > 1 else []
    if series.are_told_apart and not all(dot.final for dot in series.dots):
        marks += [({"fill": "ink"}, "final"), ({"line": "ink", "stroke": 1.5}, "provisional, may still change")]
    shapes, x = [], float(_LEFT)
    for looks, name in marks:
        words = name if len(name) <= 30 else name[:29] + "…"
        shapes += [rect(x, 4, 14, 11, r=2, **looks), text(x + 20, 14, words, "ink", 12.5)]
        x += 42 + 7 * len(words)
    return shapes


def behind(rows: pl.DataFrame, columns: Sequence[str]) -> Grid:
    """Return the table behind a picture: its newest rows."""
    told = {None: "", True: "final", False: "provisional"}
    shown = rows.tail(MOST_BEHIND)
    cells = [(*row[:-1], told[row[-1]]) for row in shown.select(*columns, FINAL).iter_rows()]
    note = "" if len(shown) == len(rows) else f"The last {len(shown)} of {len(rows):,} rows."
    return table("", (*columns, ""), cells, note)


def counted(rows: pl.DataFrame, what: str) -> str:
    """Return how many rows there are and how many of them are final, as a title says it."""
    number = f"{len(rows):,} {what}{'' if len(rows) == 1 else 's'}"
    final = rows[FINAL].drop_nulls()
    if not len(final) or final.all():
        return number
    return f"{number}, {final.sum():,} of them final"
