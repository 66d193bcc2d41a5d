"""The plane as a Bokeh figure: a step sends what changed in it, and no more."""

from __future__ import annotations

import math
import textwrap
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from bokeh.core.properties import value
from bokeh.model import Model
from bokeh.models import (
    ColumnDataSource,
    FixedTicker,
    HoverTool,
    HSpan,
    Line,
    Patch,
    Range1d,
    Scatter,
    Segment,
    TapTool,
    Text,
    VStrip,
)
from bokeh.models.annotations import Label, Legend, LegendItem, Title
from bokeh.models.glyph import Glyph
from bokeh.models.renderers import GlyphRenderer
from bokeh.plotting import figure

from streamnb.progress import Playable
from streamnb.views.cursor import Picked
from streamnb.views.paint import paint
from streamnb.views.plane import (
    FRAME,
    HEIGHT,
    MOST_AT_ONCE,
    MOST_ROWS,
    MOST_WHILE_PLAYING,
    WIDTH,
    Mark,
    Note,
    PlaneLayout,
    plane_of,
)
from streamnb.views.plane_axis import Axis
from streamnb.views.plane_rows import ASIDE, COUNTED, DROPPED, LATE, UPCOMING, Reading
from streamnb.views.theme import FONT

WORDS_PAUSE = 0.4
"""Seconds between two titles while the query plays: words in a margin make Bokeh lay out the whole figure anew."""

Columns = dict[str, Any]
"""Words as a list, numbers as an array, by name."""

_TIP = "<div style='white-space: pre-line; max-width: 320px; overflow-wrap: anywhere'>@tip</div>"
_LEFT, _TOP, _WIDE, _HIGH = FRAME
_MARGIN = 12
_WRAP = 112
_RIMMED = 300
"""Marks that get a rim: where they lie on one another it is not seen, and half of the strokes are saved."""
_WORDY = ("text", "tip")
_FATES = (UPCOMING, ASIDE, COUNTED, LATE, DROPPED)


class Plane:
    """Event time against processing time for one query, in the ``figure``.

    A step changes column data and a few words; ranges and ticks only when the rows outgrow them. Call from one thread.
    """

    def __init__(self, query: Playable) -> None:
        self._query = query
        self.figure = _ground()
        self._sources, self._renderers = _glyphs(self.figure)
        self._labels = {name: _label(self.figure, name) for name in _LABELS}
        self._key = _legend(self.figure)
        self._title = _heading(self.figure, "above", "ink", text_font_size="20px", standoff=6)
        self._caption = _heading(self.figure, "below", "muted", text_font_size="12.5px", text_font_style="normal",
                                 text_line_height=1.35, standoff=12)  # fmt: skip
        self._marks: tuple[tuple[str, str], ...] = ()
        self._written_at = 0.0
        self._rows: list[Picked | None] = []
        self.refresh(len(query.trace) - 1)

    def refresh(self, cursor: int, *, playing: bool = False) -> str:
        """Show the state after batch ``cursor`` of the trace, -1 is before the first; return it in sentences.

        While it is ``playing`` fewer rows are drawn one by one, so that the picture keeps up.
        """
        how_much = (MOST_WHILE_PLAYING, MOST_AT_ONCE) if playing else (MOST_ROWS, None)
        layout = plane_of(self._query, cursor, *how_much)
        _set(self._renderers[COUNTED].glyph, line_width=1 if len(layout.rows) <= _RIMMED else 0)
        self._rows = [mark.row for mark in layout.rows]
        _frame(self.figure, layout.x, layout.y)
        for name, columns in _columns(layout).items():
            push(self._sources[name], columns)
        self._write(layout, playing=playing)
        return layout.spoken

    def pick(self, row: Picked | None, readings: Sequence[Reading]) -> None:
        """Put a ring around a row, wherever it lies; around none where it has not arrived."""
        found = next((r.placed for r in readings if row is not None and r.batch_id == row[0]), None)
        there = row is not None and found is not None and row[1] < len(found.x) and np.isfinite(found.x[row[1]])
        place = [(float(found.x[row[1]]), float(found.y[row[1]]))] if there and found is not None and row else []
        push(self._sources["picked"], _table(place, "x y"))

    def on_click(self, ask: Callable[[Picked], None]) -> None:
        """Call ``ask`` with the row of a mark that is clicked."""
        source = self._sources[COUNTED]

        def clicked(_attribute: str, _old: Any, new: list[int]) -> None:
            rows = [self._rows[i] for i in new if i < len(self._rows)]
            if new:
                source.selected.indices = []
            if rows and (last := rows[-1]) is not None:
                ask(last)

        source.selected.on_change("indices", clicked)

    def describe(self, cursor: int) -> str:
        """Return the state after batch ``cursor`` in sentences, for those who do not see the picture."""
        return plane_of(self._query, cursor).spoken

    def _write(self, layout: PlaneLayout, *, playing: bool) -> None:
        _say(self._labels["watermark"], _inside(layout.watermark, layout.x))
        _say(self._labels["no_delay"], layout.no_delay)
        _say(self._labels["now"], _along(layout))
        if playing and time.monotonic() - self._written_at < WORDS_PAUSE:
            return
        self._written_at = time.monotonic()
        _set(self._title, text=layout.title)
        _set(self._caption, text="\n".join(textwrap.wrap(layout.caption, _WRAP)))
        self._explain(layout.key)

    def _explain(self, key: tuple[tuple[str, str], ...]) -> None:
        if key != self._marks:
            self._marks = key
            self._key.items = [LegendItem(label=value(text), renderers=[self._renderers[mark]]) for mark, text in key]


def push(source: ColumnDataSource, new: Columns) -> None:
    """Bring a source to ``new`` data with the least to send: patches, rows at the end, or all of it."""
    old: Columns = source.data  # type: ignore[assignment]
    have, want = _length(old), _length(new)
    if old and have == want == 0:
        return
    patches = {name: _changed(old[name], column) for name, column in new.items()} if 0 < have <= want else {}
    changed = sum(map(len, patches.values()))
    if have > want or not have or changed > have * len(new) / 3:
        source.data = new
        return
    if changed:
        source.patch({name: pairs for name, pairs in patches.items() if pairs})
    if want > have:
        source.stream({name: column[have:] for name, column in new.items()})


def _length(columns: Columns) -> int:
    return len(next(iter(columns.values()), ()))


def _changed(old: Any, new: Any) -> list[tuple[int, Any]]:
    if isinstance(new, list):
        return [(i, b) for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b]
    a, b = np.asarray(old), new[: len(old)]
    return [(int(i), float(b[i])) for i in np.flatnonzero((a != b) & ~(np.isnan(a) & np.isnan(b)))]


# What a layout puts into the sources


def _columns(layout: PlaneLayout) -> dict[str, Columns]:
    drop = [(note.x, layout.y.start, note.x, layout.now.y)] if (note := layout.watermark) and layout.now else []
    return {
        "strips": _table(layout.strips, "x0 x1"),
        "closed": _table(layout.closed, "x y"),
        "diagonal": _table([sum(layout.diagonal, ())] if layout.diagonal else [], "x0 y0 x1 y1"),
        "drop": _table(drop, "x0 y0 x1 y1"),
        "stair": _table(layout.stair, "x y"),
        "stems": _table([(b.left, 0.0, b.left, b.y, b.tip) for b in layout.stems], "x0 y0 x1 y1 tip"),
        "now": _table([(layout.now.y,)] if layout.now else [], "y"),
        "bars": _table([(b.left, b.y, b.right, b.y, b.tip) for b in layout.bars], "x0 y0 x1 y1 tip"),
        "numbers": _table([((b.left + b.right) / 2, b.y, b.text) for b in layout.bars if b.text], "x y text"),
        "provisional": _table([(n.x, n.y, n.text) for n in layout.provisional], "x y text"),
        COUNTED: _table([_row(mark) for mark in layout.rows], " ".join(["x", *_FATES, "tip"])),
    }


def _table(rows: Iterable[Sequence[Any]], names: str) -> Columns:
    rows = list(rows)
    return {name: _column([row[i] for row in rows], name) for i, name in enumerate(names.split())}


def _column(values: list[Any], name: str) -> Any:
    return values if name in _WORDY else np.array(values, dtype=float)


def _row(mark: Mark) -> tuple[Any, ...]:
    """Return a row with its height under its fate only, so that a change of fate is two patches."""
    return (mark.x, *(mark.y if mark.fate == fate else math.nan for fate in _FATES), mark.tip)


def _along(layout: PlaneLayout) -> Note | None:
    """Return the word for now on its line: over the closed side, where that is wide; numbers ride on the other one."""
    if layout.now is None:
        return None
    now = replace(layout.now, text=" ".join(layout.now.text.split()), align="right")
    closed = 0 if layout.watermark is None else layout.watermark.x - layout.x.start
    return replace(now, x=layout.x.start, align="left") if closed > 0.3 * (layout.x.end - layout.x.start) else now


def _inside(note: Note | None, x: Axis) -> Note | None:
    return note and Note(max(note.x, x.start), note.y, note.text, note.align)


# Drawing


def _ground() -> figure:
    ground = figure(
        width=WIDTH, height=HEIGHT, tools="", toolbar_location=None, title=None,
        x_range=Range1d(start=0, end=1), y_range=Range1d(start=0, end=1), outline_line_color=None,
        min_border_left=_LEFT, min_border_right=WIDTH - _LEFT - _WIDE,
        min_border_top=_TOP, min_border_bottom=HEIGHT - _TOP - _HIGH,
    )  # fmt: skip
    paint(ground, background_fill_color="ground", border_fill_color="ground")
    ground.grid.visible = False
    for axis in (ground.xaxis[0], ground.yaxis[0]):
        axis.update(
            ticker=FixedTicker(ticks=[]), major_tick_in=0, minor_tick_line_color=None, axis_label_standoff=8,
            major_label_text_font=FONT, axis_label_text_font=FONT, axis_label_text_font_style="normal",
            major_label_text_font_size="12px", axis_label_text_font_size="13px",
        )  # fmt: skip
        paint(axis, axis_line_color="faint", major_tick_line_color="faint", major_label_text_color="muted",
              axis_label_text_color="muted")  # fmt: skip
    return ground


def _frame(ground: figure, x: Axis, y: Axis) -> None:
    for axis, range_, lines in ((x, ground.x_range, ground.xaxis[0]), (y, ground.y_range, ground.yaxis[0])):
        _set(range_, start=axis.start, end=axis.end)
        _set(lines, axis_label=axis.label, major_label_overrides=dict(axis.ticks))
        _set(lines.ticker, ticks=[at for at, _ in axis.ticks])  # type: ignore[arg-type]


def _set(model: Model, **values: Any) -> None:
    """Set the properties that differ, so that nothing else is sent."""
    model.update(**{name: new for name, new in values.items() if getattr(model, name) != new})


def _glyphs(ground: figure) -> tuple[dict[str, ColumnDataSource], dict[str, GlyphRenderer[Any]]]:
    draw = _Pen(ground)
    draw("strips", VStrip(x0="x0", x1="x1", line_color=None), "image", fill_color="strip")
    closed = Patch(x="x", y="y", fill_alpha=0.05, line_color=None, hatch_pattern="/", hatch_scale=8,
                   hatch_weight=0.6, hatch_alpha=0.25)  # fmt: skip
    draw("closed", closed, "underlay", fill_color="closed", hatch_color="closed")
    draw("diagonal", _segment(line_dash=[5, 4]), "underlay", line_color="muted")
    draw("drop", _segment(line_dash=[2, 3], line_width=1.8), "underlay", line_color="watermark")
    draw("stems", _segment(line_width=5), tip=True, line_color="ontime")
    draw("bars", _segment(line_width=4.5), tip=True, line_color="ink")
    draw("now", HSpan(y="y", line_width=1.6), line_color="now")
    draw("stair", Line(x="x", y="y", line_width=3), line_color="watermark")
    _draw_rows(draw)
    numbers = _text(15, text_font_style=value("bold"), background_fill_alpha=0.5, padding=1, border_radius=3)
    draw("numbers", numbers, text_color="ink", background_fill_color="ground")
    provisional = _text(14, background_fill_alpha=0.7, padding=1, border_radius=3)
    draw("provisional", provisional, text_color="muted", background_fill_color="ground")
    return draw.sources, draw.renderers


class _Pen:
    """Puts glyphs on a ground and keeps their renderers by name."""

    def __init__(self, ground: figure) -> None:
        self.ground = ground
        self.sources: dict[str, ColumnDataSource] = {}
        self.renderers: dict[str, GlyphRenderer[Any]] = {}

    def __call__(
        self, name: str, glyph: Glyph, level: str = "glyph", *, source: ColumnDataSource | None = None,
        tip: bool = False, **roles: str,
    ) -> None:  # fmt: skip
        self.sources[name] = source or ColumnDataSource()
        drawn = self.ground.add_glyph(self.sources[name], paint(glyph, **roles) if roles else glyph, level=level)
        drawn.selection_glyph = drawn.nonselection_glyph = None  # a clicked mark looks like the others
        self.renderers[name] = drawn
        if tip:
            self.hover(drawn)

    def hover(self, *renderers: GlyphRenderer[Any]) -> None:
        self.ground.add_tools(HoverTool(renderers=list(renderers), tooltips=_TIP, visible=False))


def _segment(**looks: Any) -> Segment:
    return Segment(x0="x0", y0="y0", x1="x1", y1="y1", **looks)


def _text(size: int, **looks: Any) -> Text:
    return Text(
        x="x", y="y", text="text", text_align="center", text_baseline="bottom", y_offset=-4,
        text_font=value(FONT), text_font_size=value(f"{size}px"), **looks,
    )  # fmt: skip


def _draw_rows(draw: _Pen) -> None:
    source = ColumnDataSource()
    blue = {"fill_color": "ontime"}
    looks: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
        UPCOMING: ({"size": 6.5, "line_width": 1.1, "fill_color": None}, {"line_color": "muted"}),
        ASIDE: ({"size": 4, "line_color": None}, {"fill_color": "muted"}),
        COUNTED: ({"size": 8.5, "line_width": 1}, {**blue, "line_color": "ground"}),
        LATE: ({"size": 9.8, "line_width": 2.4}, {**blue, "line_color": "late"}),
        DROPPED: ({"size": 9, "line_width": 2.8, "marker": value("x")}, {"line_color": "dropped"}),
    }
    for fate, (look, roles) in looks.items():
        draw(fate, paint(Scatter(x="x", y=fate, **look), **roles), source=source)
    draw.hover(*(draw.renderers[fate] for fate in _FATES))
    draw.ground.add_tools(TapTool(renderers=[draw.renderers[fate] for fate in _FATES], visible=False))
    draw("picked", Scatter(x="x", y="y", size=19, line_width=2, fill_color=None), line_color="ink")


_LABELS: dict[str, tuple[str, dict[str, Any]]] = {
    "now": ("now", {"text_baseline": "bottom", "x_offset": 4, "y_offset": 3, "text_font_size": "13px",
                    "text_font_style": "bold"}),
    "watermark": ("watermark_text", {"text_baseline": "bottom", "x_offset": 6, "y_offset": 5,
                                     "text_font_size": "13px", "text_font_style": "bold"}),
    "no_delay": ("muted", {"text_baseline": "top", "text_align": "center", "text_font_size": "12.5px",
                           "text_font_style": "italic", "angle_units": "deg", "y_offset": -4}),
}  # fmt: skip


def _label(ground: figure, name: str) -> Label:
    role, looks = _LABELS[name]
    label = paint(Label(text="", text_font=FONT, x=0, y=0, **looks), text_color=role)
    ground.add_layout(label)
    return label


def _say(label: Label, note: Note | None) -> None:
    if note is None:
        _set(label, text="")
        return
    offset = abs(label.x_offset) * (-1 if note.align == "right" else 1)
    _set(label, text=note.text, x=note.x, y=note.y, angle=note.angle, text_align=note.align, x_offset=offset)


def _heading(ground: figure, place: str, role: str, **looks: Any) -> Title:
    looks = {"text": "", "text_font": FONT, "offset": _MARGIN - _LEFT, **looks}
    title = paint(Title(**looks), text_color=role)
    ground.add_layout(title, place)  # type: ignore[arg-type]
    return title


def _legend(ground: figure) -> Legend:
    looks: dict[str, Any] = {
        "items": [], "orientation": "horizontal", "location": (_MARGIN - _LEFT - 5, 4), "border_line_color": None,
        "background_fill_color": None, "label_text_font": FONT, "label_text_font_size": "13px", "glyph_width": 18,
        "glyph_height": 18, "label_standoff": 3, "spacing": 16, "padding": 5, "margin": 4,
    }  # fmt: skip
    legend = paint(Legend(**looks), label_text_color="muted")
    ground.add_layout(legend, "above")
    return legend
