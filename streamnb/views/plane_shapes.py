"""The plane as shapes of a sheet, for a page that has neither kernel nor Bokeh."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from streamnb.views.chart import Frame
from streamnb.views.plane import FRAME, Bar, Mark, PlaneLayout
from streamnb.views.plane_axis import spell_clock
from streamnb.views.plane_rows import ASIDE, COUNTED, DROPPED, LATE, UPCOMING
from streamnb.views.plane_words import FATES
from streamnb.views.shapes import (
    Column,
    Figure,
    Grid,
    Point,
    Row,
    Shape,
    Sheet,
    area,
    cross,
    dot,
    line,
    rect,
    table,
    text,
)

_LEFT, _TOP, _WIDE, _HIGH = FRAME
_UP = 60
"""Pixels that the title takes in the other painters; here it stands outside."""
_FATES_LISTED = 200
_NARROW = 9
"""Letters of a tick up to which the name of the upward axis has room beside them."""


def plane_sheet(layout: PlaneLayout) -> Sheet:
    """Return a layout of the plane as a sheet."""
    frame = frame_of(layout)
    shapes = [*_ground(layout, frame), *_results(layout, frame), *_rows(layout, frame), *_notes(layout, frame)]
    figure = Figure(layout.spoken, _TOP - _UP + _HIGH + 60, tuple(shapes), plane_table(layout))
    key = tuple((mark(fate, 12, 8), words) for fate, words in layout.key)
    return Sheet(layout.title, (figure,), layout.spoken, layout.caption, key)


def plane_table(layout: PlaneLayout) -> Grid:
    """Return the newest marks of a layout as a table; a line that is picked is a mark that is clicked."""
    if layout.stems:
        return table(
            "Batches", ("batch", "rows"), [stem.tip.replace("rows: ", "").split("\n") for stem in layout.stems]
        )
    arrived = [mark for mark in layout.rows if mark.fate != UPCOMING]
    rows = tuple(_listed(mark, layout) for mark in arrived[-_FATES_LISTED:])
    cut = f"The newest {_FATES_LISTED} of {len(arrived):,} marks." if len(arrived) > _FATES_LISTED else ""
    heads = tuple(map(Column, ("fate", layout.x.label, layout.y.label, "batch", "row")))
    return Grid("Rows that have arrived, the newest last", heads, rows, cut)


def _listed(mark: Mark, layout: PlaneLayout) -> Row:
    at, came = (spell_clock(at, axis.zone, axis.span) for at, axis in ((mark.x, layout.x), (mark.y, layout.y)))
    batch, place = ("", "") if mark.row is None else (f"{mark.row[0]}", f"{mark.row[0]}.{mark.row[1]}")
    return Row((FATES[mark.fate], at, came, batch, "; ".join(mark.tip.split("\n")[1:4])), "", place)


def frame_of(layout: PlaneLayout) -> Frame:
    """Return the ground of a layout inside its figure."""
    return Frame(_LEFT, _TOP - _UP, _WIDE, _HIGH, layout.x.start, layout.x.end, layout.y.start, layout.y.end)


def mark(fate: str, x: float, y: float, tip: str | None = None) -> Shape:
    """Return the mark of a fate."""
    if fate == DROPPED:
        return cross(x, y, 3.6, tip=tip)
    looks = {
        COUNTED: (4.2, "ontime", "ground", 1.0),
        LATE: (4.9, "ontime", "late", 2.4),
        ASIDE: (2.0, "muted", None, 0.0),
        UPCOMING: (3.2, None, "muted", 1.1),
    }
    r, fill, edge, stroke = looks[fate]
    return dot(x, y, r, fill, edge, stroke=stroke, tip=tip)


def _ground(layout: PlaneLayout, frame: Frame) -> Iterator[Shape]:
    for start, end in layout.strips:
        left, right = (min(max(frame.x(edge), frame.left), frame.right) for edge in (start, end))
        yield rect(left, frame.top, right - left, frame.height, "strip")
    if layout.closed:
        corners = [_inside(frame, point) for point in layout.closed]
        yield area(corners, "closed", 0.05)
        yield area(corners, "closed", 1.0, hatch=True)
    yield line([(frame.left, frame.top), (frame.left, frame.bottom), (frame.right, frame.bottom)], "faint", 1)
    for at, words in layout.x.ticks:
        yield text(frame.x(at), frame.bottom + 20, words, anchor="middle")
    for at, words in layout.y.ticks:
        yield text(frame.left - 9, frame.y(at) + 4, words, anchor="end")
    yield text(frame.left + frame.width / 2, frame.bottom + 44, layout.x.label, size=13, anchor="middle")
    if max((len(words) for _, words in layout.y.ticks), default=0) <= _NARROW:
        yield text(15, frame.top + frame.height / 2, layout.y.label, size=13, anchor="middle", turn=-90)
    else:
        yield text(2, frame.top - 4, layout.y.label, size=13)
    if layout.diagonal:
        yield line(map(frame.at, layout.diagonal), "muted", 1, "5 4")


def _inside(frame: Frame, point: tuple[float, float]) -> tuple[float, float]:
    x, y = frame.at(point)
    return min(max(x, frame.left), frame.right), min(max(y, frame.top), frame.bottom)


def _results(layout: PlaneLayout, frame: Frame) -> Iterator[Shape]:
    if layout.watermark and layout.now:
        x, y = _inside(frame, (layout.watermark.x, layout.now.y))
        yield line([(x, frame.bottom), (x, y)], "watermark", 1.8, "2 3")
    for bar in layout.bars:
        yield _bar(bar, frame)
    for stem in layout.stems:
        yield line([frame.at((stem.left, 0)), frame.at((stem.left, stem.y))], "ontime", 5, tip=stem.tip)
    if layout.now:
        y = frame.y(layout.now.y)
        yield line([(frame.left, y), (frame.right, y)], "now", 1.6)
    if layout.stair:
        yield line(stair_in(frame, layout.stair), "watermark", 3)


def stair_in(frame: Frame, stair: Sequence[Point]) -> list[Point]:
    """Return the watermark's steps in pixels; what lies left of the frame is not drawn along its edge."""
    seen = [frame.at(point) for point in stair]
    hidden = sum(1 for x, _ in seen[1:] if x < frame.left)
    return [(min(max(x, frame.left), frame.right), y) for x, y in seen[hidden:]]


def _bar(bar: Bar, frame: Frame) -> Shape:
    return line([frame.at((bar.left, bar.y)), frame.at((bar.right, bar.y))], "ink", 4.5, tip=bar.tip)


def _rows(layout: PlaneLayout, frame: Frame) -> Iterator[Shape]:
    for row in sorted(layout.rows, key=lambda row: row.fate == DROPPED):
        yield mark(row.fate, *frame.at((row.x, row.y)), row.tip)
    for bar in layout.bars:
        if bar.text:
            middle = frame.x((bar.left + bar.right) / 2)
            yield text(middle, frame.y(bar.y) - 7, bar.text, "ink", 15, anchor="middle", bold=True, halo=True)
    for note in layout.provisional:
        yield text(frame.x(note.x), frame.y(note.y) - 7, note.text, "muted", 14, anchor="middle", halo=True)


def _notes(layout: PlaneLayout, frame: Frame) -> Iterator[Shape]:
    if layout.watermark:
        side, anchor = (-6, "end") if layout.watermark.align == "right" else (6, "start")
        x = max(frame.x(layout.watermark.x), frame.left)
        y = frame.y(layout.watermark.y) - 8
        yield text(x + side, y, layout.watermark.text, "watermark_text", 13, anchor=anchor, bold=True)
    if layout.now:
        for n, words in enumerate(layout.now.text.split("\n")):
            yield text(frame.right + 8, frame.y(layout.now.y) - 4 + 16 * n, words, "now", 13, bold=True)
    if layout.no_delay:
        x, y = frame.at((layout.no_delay.x, layout.no_delay.y))
        turn = -round(layout.no_delay.angle, 1)
        yield text(x, y + 16, layout.no_delay.text, "muted", 12.5, anchor="middle", italic=True, turn=turn)
