"""Modes: the same frame under append, update and complete, batch by batch, side by side."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from streamnb.answers.cards import plural
from streamnb.progress import Outline, Playable
from streamnb.views.plane_rows import short
from streamnb.views.shapes import Figure, Part, Shape, Sheet, Words, line, nothing, rect, table, text
from streamnb.views.together import MODES, Round, Together
from streamnb.views.view import View

MOST_COLUMNS, MOST_ROUNDS, MOST_READ = 7, 16, 240
FIRST, CHANGED, SAME, FINAL = "first", "changed", "same", "final"
_SAYS = {
    "append": "each result once, when it is final",
    "update": "only the rows that changed",
    "complete": "the whole table, every time",
}
_LEFT, _PANEL, _ROW, _TOP = 70, 230, 27, 76

Group = tuple[Any, ...]


@dataclass(frozen=True)
class Cell:
    """One row written to the sink: its group, its value as words, and how it relates to what was written before."""

    group: Group
    words: str
    kind: str


@dataclass(frozen=True)
class Column:
    """What one mode wrote: the cells of every round that is read, how many, and how many late rows were lost in all.

    ``before`` are the rounds that are not read any more.
    """

    mode: str
    cells: tuple[tuple[Cell, ...], ...]
    written: int
    late: int
    held: Mapping[Group, str]
    before: int = 0


def columns_of(rounds: Sequence[Round], outline: Outline, before: int = 0) -> list[Column]:
    """Return what every mode wrote in every round, ``before`` of which came earlier."""
    modes = [mode for mode in MODES if any(mode in r.did for r in rounds)]
    return [_column(mode, rounds, outline, before) for mode in modes]


def _column(mode: str, rounds: Sequence[Round], outline: Outline, before: int) -> Column:
    held: dict[Group, str] = {}
    cells: list[tuple[Cell, ...]] = []
    late = 0
    for r in rounds:
        trace = r.trace(mode) if mode in r.did else None
        rows = _rows(r.emitted(mode), outline) if trace is not None else []
        cells.append(tuple(Cell(group, words, _kind(mode, held.get(group), words)) for group, words in rows))
        held |= dict(rows)
        late = late if trace is None else trace.so_far.late
    return Column(mode, tuple(cells), sum(map(len, cells)), late, held, before)


def _kind(mode: str, before: str | None, now: str) -> str:
    if mode == "append":
        return FINAL
    return FIRST if before is None else SAME if before == now else CHANGED


def _rows(emitted: pl.DataFrame, outline: Outline) -> list[tuple[Group, str]]:
    """Return group and value of every row; where nothing is grouped, the rows of a batch as one."""
    keys = [name for name in ("window_start", *outline.keys) if name in emitted.columns]
    value = next((name for name in outline.values if name in emitted.columns), None)
    if not keys or value is None:
        return [(("rows",), f"{emitted.height:,}")] if emitted.height else []
    return [(tuple(row[:-1]), short(row[-1])) for row in emitted.select(*keys, value).iter_rows()]


def modes_sheet(rounds: Sequence[Round], outline: Outline, refused: Mapping[str, str]) -> Sheet:
    """Lay out the rounds so far; of very many the newest are read."""
    number, rounds = len(rounds), rounds[-MOST_READ:]
    told = columns_of(rounds, outline, number - len(rounds))
    groups = sorted({cell.group for column in told for cells in column.cells for cell in cells}, key=_order)
    shown = groups[-MOST_COLUMNS:]
    first = max(0, len(rounds) - MOST_ROUNDS)
    parts: list[Part] = [figure(told, rounds, shown, first)]
    parts += [Words(f"{mode}: {why}", "dropped_text") for mode, why in refused.items()]
    held = [(_label(group), *(column.held.get(group, "") for column in told)) for group in groups[-60:]]
    parts.append(table("What the sink holds now", ("group", *(column.mode for column in told)), held))
    counts = ", ".join(f"{column.mode} {column.written:,}" for column in told)
    cut = [f"the last {len(shown)} of {len(groups):,} groups"] if len(shown) < len(groups) else []
    cut += [f"the last {MOST_ROUNDS} of {number:,} batches"] if first else []
    lead = "Each column is a group, each line is a batch, a cell is a row written to the sink."
    lead += f" Shown: {' and '.join(cut)}." if cut else ""
    key = tuple((_mark(kind, 2, 2, 20, 12), words) for kind, words in _KEY if kind == FINAL or len(told) > 1)
    modes = {1: "one output mode", 2: "two output modes"}.get(len(told), "three output modes")
    title = f"The same query, the same batches, {modes}"
    since = "so far" if number == len(rounds) else f"in the last {len(rounds)} batches"
    return Sheet(title, tuple(parts), f"{title}. Rows written {since}: {counts}.", lead, key)


_KEY = (
    (FIRST, "first time it is written"),
    (CHANGED, "written again with a new value"),
    (SAME, "written again, unchanged"),
    (FINAL, "final, never written again"),
)


def _order(group: Group) -> tuple[Any, ...]:
    return tuple((value is not None, value if isinstance(value, int | float) else 0, str(value)) for value in group)


def _label(group: Group) -> str:
    return " ".join(f"{v:%H:%M}".removesuffix(":00") if isinstance(v, dt.datetime) else str(v) for v in group)


def figure(told: Sequence[Column], rounds: Sequence[Round], groups: Sequence[Group], first: int) -> Figure:
    """Draw a panel a mode: groups across, batches downward."""
    shapes: list[Shape] = []
    shown = rounds[first:]
    bottom = _TOP + _ROW * len(shown)
    for n, r in enumerate(shown):
        trace = r.trace(next(iter(r.did)))
        shapes.append(text(_LEFT - 8, _TOP + _ROW * n + 17, f"{trace.time:%H:%M:%S}".removesuffix(":00"), anchor="end"))
    for k, column in enumerate(told):
        shapes += _panel(column, _LEFT + k * (_PANEL + 2), groups, first, bottom)
    shapes.append(
        text(13, (_TOP + bottom) / 2, "batch ends at (processing time)", "muted", 12, anchor="middle", turn=-90)
    )
    written = [[_written(column.cells[n + first]) for column in told] for n in range(len(shown))]
    rows = [(n + first + told[0].before, *cells) for n, cells in enumerate(written)] if told else []
    behind = table("Rows written", ("round", *(column.mode for column in told)), rows)
    said = "; ".join(
        f"{column.mode}: {column.written:,} rows written, {column.late:,} late rows lost" for column in told
    )
    return Figure(said, bottom + 48, tuple(shapes), behind)


def _written(cells: Sequence[Cell]) -> str:
    return " ".join(f"{_label(cell.group)}={cell.words}" for cell in cells)


def _panel(column: Column, left: float, groups: Sequence[Group], first: int, bottom: float) -> list[Shape]:
    wide = min(46.0, (_PANEL - 12) / max(len(groups), 1))
    where = {group: n for n, group in enumerate(groups)}
    shapes = [
        text(left, 18, column.mode, "ink", 16, bold=True),
        text(left, 36, _SAYS[column.mode], "muted", 12.5),
        *(_head(group, left + wide * (n + 0.5), wide) for n, group in enumerate(groups)),
    ]
    for n, cells in enumerate(column.cells[first:]):
        y = _TOP + _ROW * n
        shapes.append(line([(left, y + _ROW - 1), (left + _PANEL - 12, y + _ROW - 1)], "faint", 1))
        for cell in (cell for cell in cells if cell.group in where):
            place = where[cell.group]
            shapes += _cell(cell, f"{column.mode} {n + first + column.before} {place}", left + wide * place, y, wide)
    told, role = _lost(column)
    since = f" in the last {len(column.cells)} batches" if column.before else ""
    shapes.append(text(left, bottom + 18, f"{plural(column.written, 'row')} written{since}", "ink", 13, bold=True))
    shapes.append(text(left, bottom + 36, told, role, 12.5))
    return shapes


def _cell(cell: Cell, name: str, x: float, y: float, wide: float) -> list[Shape]:
    label = _label(cell.group)
    tip = f"{label}: {cell.words}, {dict(_KEY)[cell.kind]}"
    role = "ground" if cell.kind in {FIRST, FINAL} else "muted" if cell.kind == SAME else "ink"
    words = _cut(cell.words, wide)
    return [
        {**_mark(cell.kind, x + 1.5, y + 2, wide - 3, _ROW - 6), "tip": tip, "group": label, "id": name},
        text(x + wide / 2, y + 17, words, role, 12, anchor="middle", bold=cell.kind in {FIRST, FINAL}),
    ]


def _lost(column: Column) -> tuple[str, str]:
    """Return what a mode lost, in words and their role."""
    if column.mode == "complete":
        return "none lost, state kept for ever", "watermark_text"
    return (f"{column.late:,} late rows lost", "dropped_text") if column.late else ("no row lost", "watermark_text")


def _head(group: Group, x: float, wide: float) -> Shape:
    label = _label(group)
    return text(x, 62, _cut(label, wide), "muted", 11.5, anchor="middle", tip=label)


def _mark(kind: str, x: float, y: float, width: float, height: float) -> Shape:
    looks: dict[str, dict[str, Any]] = {
        FIRST: {"fill": "ontime"},
        CHANGED: {"fill": "ontime", "alpha": 0.22, "line": "ontime"},
        SAME: {"line": "muted", "dash": "2 2"},
        FINAL: {"fill": "ink"},
    }
    return rect(x, y, width, height, r=3, stroke=1, **looks[kind])


def _cut(words: str, wide: float) -> str:
    room = max(1, int(wide / 6.8))
    return words if len(words) <= room else words[: room - 1] + "…"


class Modes(View):
    """What three queries of one frame wrote, round by round."""

    name = "modes"

    def __init__(self, query: Together) -> None:
        super().__init__(query)
        self.together = query

    @classmethod
    def fits(cls, query: Playable) -> bool:
        """Return whether there are several queries."""
        return isinstance(query, Together)

    def sheet(self, at: int) -> Sheet:
        """Lay out the rounds up to one."""
        if at < 0:
            return nothing("No batch has run, so nothing is written yet.")
        return modes_sheet(self.together.rounds[: at + 1], self.together.outline, self.together.refused)
