"""The plane as SVG text, for a saved notebook: light ground, no scripts, nothing fetched, every word escaped."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from html import escape
from zlib import crc32

from streamnb.progress import Playable
from streamnb.views.plane import FRAME, HEIGHT, WIDTH, Bar, Mark, Note, PlaneLayout, Point, plane_of
from streamnb.views.plane_rows import ASIDE, COUNTED, DROPPED, LATE, UPCOMING
from streamnb.views.theme import FONT, PALETTE

_LIGHT = PALETTE["light"]
_LEFT, _TOP, _WIDE, _HIGH = FRAME
_RIGHT, _BOTTOM = _LEFT + _WIDE, _TOP + _HIGH
_MARGIN, _WRAP, _LETTER = 12, 112, 6.6
_MOST_TOLD = 400
"""Rows whose columns are kept as tooltips; of more, the words would outweigh the picture."""
_HALO = f'stroke="{_LIGHT["ground"]}" stroke-width="3" stroke-opacity="0.8" paint-order="stroke"'
_HIDDEN = "".join(map(chr, (*range(9), 11, 12, *range(14, 32), 0x7F, 0xFFFE, 0xFFFF)))
_PRINTABLE = str.maketrans(dict.fromkeys(_HIDDEN, "\N{REPLACEMENT CHARACTER}"))
"""XML knows no control characters."""


def svg(query: Playable, cursor: int) -> str:
    """Return the plane of ``query`` after batch ``cursor`` of its trace as one ``<svg>`` element; -1 is before it."""
    return paint_svg(plane_of(query, cursor))


def paint_svg(layout: PlaneLayout) -> str:
    """Return a layout as one ``<svg>`` element, which says itself to a screen reader."""
    brush = _Brush(layout)
    body = "\n".join([*_words(layout), *brush.axes(), brush.framed(), *brush.notes()])
    # Two pictures on one page must not share an id: a pattern of a hidden one does not paint.
    name = f"sn-{crc32(body.encode()):08x}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img"'
        f' aria-label="{safe(layout.spoken)}" font-family="{safe(FONT)}" style="max-width: 100%; height: auto">\n'
        f'{_definitions(name)}\n<rect width="{WIDTH}" height="{HEIGHT}" fill="{_LIGHT["ground"]}"/>\n'
        f"{body.replace(_FRAME, f'{name}-frame').replace(_HATCH, f'{name}-hatch')}\n</svg>"
    )


_FRAME, _HATCH = "\x00frame", "\x00hatch"


def _definitions(name: str) -> str:
    return (
        f'<defs><clipPath id="{name}-frame"><rect x="{_LEFT}" y="{_TOP}" width="{_WIDE}" height="{_HIGH}"/></clipPath>'
        f'<pattern id="{name}-hatch" width="5.5" height="5.5" patternUnits="userSpaceOnUse"'
        f' patternTransform="rotate(30)"><path d="M0 0V5.5" stroke="{_LIGHT["closed"]}" stroke-width="0.9"'
        f' stroke-opacity="0.35"/></pattern></defs>'
    )


def safe(words: str) -> str:
    """Return words that XML can hold and that mean nothing in it."""
    return escape(words.translate(_PRINTABLE))


def _text(at: Point, words: str, role: str, size: float, more: str = "") -> str:
    x, y = at
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{_LIGHT[role]}" font-size="{size}" {more}>{safe(words)}</text>'


def _line(points: Iterable[Point], role: str, width: float, more: str = "") -> str:
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return f'<path d="{path}" fill="none" stroke="{_LIGHT[role]}" stroke-width="{width}" {more}/>'


def _mark(fate: str, x: float, y: float, tip: str = "") -> str:
    """Return the mark of a fate, with its row as a tooltip."""
    cross = f"M{x - 3.5:.1f} {y - 3.5:.1f}l7 7m0 -7l-7 7"
    circle = f'<circle cx="{x:.1f}" cy="{y:.1f}"'
    blue = f'fill="{_LIGHT["ontime"]}"'
    shape = {
        COUNTED: f'{circle} r="4.2" {blue} stroke="{_LIGHT["ground"]}"',
        LATE: f'{circle} r="4.9" {blue} stroke="{_LIGHT["late"]}" stroke-width="2.4"',
        UPCOMING: f'{circle} r="3.2" fill="{_LIGHT["ground"]}" fill-opacity="0.01" stroke="{_LIGHT["muted"]}"',
        ASIDE: f'{circle} r="2" fill="{_LIGHT["muted"]}"',
        DROPPED: f'<path d="{cross}" stroke="{_LIGHT["dropped"]}" stroke-width="2.8"',
    }[fate]
    return f"{shape}><title>{safe(tip)}</title></{shape[1 : shape.index(' ')]}>" if tip else f"{shape}/>"


def _words(layout: PlaneLayout) -> Iterator[str]:
    yield _text((_MARGIN, 36), layout.title, "ink", 20, 'font-weight="700"')
    x = float(_MARGIN + 5)
    for fate, words in layout.key:
        yield _mark(fate, x, 56)
        yield _text((x + 11, 60.5), words, "muted", 13)
        x += 34 + _LETTER * len(words)
    for i, line in enumerate(textwrap.wrap(layout.caption, _WRAP)):
        yield _text((_MARGIN, _BOTTOM + 70 + 18 * i), line, "muted", 12.5)


class _Brush:
    """Turns the places of a layout into pixels, and the marks at them into elements."""

    def __init__(self, layout: PlaneLayout) -> None:
        self.layout = layout

    def at(self, point: Point) -> Point:
        """Return the pixels of a place."""
        x, y = point
        return _LEFT + self.layout.x.share(x) * _WIDE, _BOTTOM - self.layout.y.share(y) * _HIGH

    def axes(self) -> Iterator[str]:
        layout = self.layout
        yield _line([(_LEFT, _TOP), (_LEFT, _BOTTOM), (_RIGHT, _BOTTOM)], "faint", 1)
        for at, words in layout.x.ticks:
            x, _ = self.at((at, layout.y.start))
            yield _line([(x, _BOTTOM), (x, _BOTTOM + 6)], "faint", 1)
            yield _text((x, _BOTTOM + 22), words, "muted", 12, 'text-anchor="middle"')
        for at, words in layout.y.ticks:
            _, y = self.at((layout.x.start, at))
            yield _line([(_LEFT - 6, y), (_LEFT, y)], "faint", 1)
            yield _text((_LEFT - 11, y + 4), words, "muted", 12, 'text-anchor="end"')
        yield _text((_LEFT + _WIDE / 2, _BOTTOM + 46), layout.x.label, "muted", 13, 'text-anchor="middle"')
        middle = _TOP + _HIGH / 2
        turned = f'text-anchor="middle" transform="rotate(-90 15 {middle})"'
        yield _text((15, middle), layout.y.label, "muted", 13, turned)

    def framed(self) -> str:
        inside = "\n".join([*self._ground(), *self._results(), *self._rows()])
        return f'<g clip-path="url(#{_FRAME})">\n{inside}\n</g>'

    def _ground(self) -> Iterator[str]:
        layout = self.layout
        for start, end in layout.strips:
            (left, _), (right, _) = self.at((start, 0)), self.at((end, 0))
            place = f'x="{left:.1f}" y="{_TOP}" width="{right - left:.1f}" height="{_HIGH}"'
            yield f'<rect {place} fill="{_LIGHT["strip"]}"/>'
        if layout.closed:
            corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(self.at, layout.closed))
            yield f'<polygon points="{corners}" fill="{_LIGHT["closed"]}" fill-opacity="0.05"/>'
            yield f'<polygon points="{corners}" fill="url(#{_HATCH})"/>'
        if layout.diagonal:
            yield _line(map(self.at, layout.diagonal), "muted", 1, 'stroke-dasharray="5 4"')
        if layout.watermark and layout.now:
            x, y = self.at((layout.watermark.x, layout.now.y))
            yield _line([(x, _BOTTOM), (x, y)], "watermark", 1.8, 'stroke-dasharray="2 3"')

    def _results(self) -> Iterator[str]:
        layout = self.layout
        yield from (self._bar(bar) for bar in layout.bars)
        for stem in layout.stems:
            yield _line([self.at((stem.left, 0)), self.at((stem.left, stem.y))], "ontime", 5)
        if layout.now:
            y = self.at((layout.x.start, layout.now.y))[1]
            yield _line([(_LEFT, y), (_RIGHT, y)], "now", 1.6)
        if layout.stair:
            yield _line(map(self.at, layout.stair), "watermark", 3)

    def _bar(self, bar: Bar) -> str:
        line = _line([self.at((bar.left, bar.y)), self.at((bar.right, bar.y))], "ink", 4.5)
        return f"<g><title>{safe(bar.tip)}</title>{line}</g>"

    def _number(self, note: Note, role: str, more: str) -> str:
        x, y = self.at((note.x, note.y))
        return _text((x, y - 7), note.text, role, 15, f'text-anchor="middle" {_HALO} {more}')

    def _rows(self) -> Iterator[str]:
        yield from (self._row(mark) for mark in self.layout.rows if mark.fate != DROPPED)
        yield from (self._row(mark) for mark in self.layout.rows if mark.fate == DROPPED)
        results = (Note((bar.left + bar.right) / 2, bar.y, bar.text) for bar in self.layout.bars)
        yield from (self._number(note, "ink", 'font-weight="700"') for note in results if note.text)
        yield from (self._number(note, "muted", "") for note in self.layout.provisional)

    def _row(self, mark: Mark) -> str:
        return _mark(mark.fate, *self.at((mark.x, mark.y)), mark.tip if len(self.layout.rows) <= _MOST_TOLD else "")

    def notes(self) -> Iterator[str]:
        layout = self.layout
        if layout.watermark:
            x = max(self.at((layout.watermark.x, 0))[0], _LEFT)
            side, anchor = (-6, "end") if layout.watermark.align == "right" else (6, "start")
            words, looks = layout.watermark.text, f'text-anchor="{anchor}" font-weight="700"'
            y = self.at((0, layout.watermark.y))[1]
            yield _text((x + side, y - 8), words, "watermark_text", 13, looks)
        if layout.now:
            yield from self._now(layout.now)
        if layout.no_delay:
            yield self._along(layout.no_delay)

    def _now(self, now: Note) -> Iterator[str]:
        lines = now.text.split("\n")
        top = self.at((0, now.y))[1] - 8 * (len(lines) - 1) + 4
        for i, line in enumerate(lines):
            yield _text((_RIGHT + 8, top + 16 * i), line, "now", 13, 'font-weight="700"')

    def _along(self, note: Note) -> str:
        x, y = self.at((note.x, note.y))
        turned = f'text-anchor="middle" font-style="italic" transform="rotate({-note.angle:.1f} {x:.1f} {y:.1f})"'
        return _text((x, y + 16), note.text, "muted", 12.5, turned)
