"""Joins: what both sides of a join of streams hold, until when, and which rows have met."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from streamnb.ops.join import Join
from streamnb.ops.join_step import JoinStep
from streamnb.plan import Opening
from streamnb.progress import Playable, Trace
from streamnb.views.chart import Frame, across, of_time
from streamnb.views.late_rows import name_of
from streamnb.views.plane_axis import spell_clock, time_axis
from streamnb.views.plane_rows import instants, standing, zone_of
from streamnb.views.shapes import Figure, Part, Shape, Sheet, Words, diamond, dot, line, nothing, rect, table, text
from streamnb.views.view import View

MOST, MOST_BATCHES = 24, 120
MOST_MATCHED = 400
"""Rows of each side among which pairs are looked for."""
AFTER = 180
"""Milliseconds after which the watermark moves: after the rows, as in the engine."""
_LEFT, _WIDE, _ROW = 60.0, 680.0, 15.0


@dataclass(frozen=True)
class Buffered:
    """A row of one side: its time, until when it may be needed (None: for ever), and what became of it.

    ``fate`` is ``kept``, ``forgotten``, or ``null`` where it left unmatched with nulls for the other side.
    """

    side: str
    name: str
    time: float
    until: float | None
    fate: str
    key: tuple[Any, ...]


@dataclass(frozen=True)
class Match:
    """A pair that came out: the times of both rows and their key."""

    left: float
    right: float
    key: tuple[Any, ...]


@dataclass(frozen=True)
class Buffers:
    """All that both sides held in the batches looked at, and what met."""

    rows: tuple[Buffered, ...]
    matches: tuple[Match, ...]
    watermark: float | None
    held: Mapping[str, int]
    how: str


def joins_sheet(buffers: Buffers, zone: str | None) -> Sheet:
    """Lay out both lanes over event time."""
    held = ", ".join(f"{number:,} on the {side}" for side, number in buffers.held.items())
    title = f"The join keeps {held}; {len(buffers.matches):,} pair{'' if len(buffers.matches) == 1 else 's'} in sight."
    outer = buffers.how not in {"inner", "semi"}
    gone = "leaves with nulls for the other side" if outer else "is forgotten"
    lead = (
        "A bar runs from a row's time to the time it may be needed; once the watermark has passed that, "
        f"the row {gone}. A line joins rows that met."
    )
    cut = len(buffers.rows) - len(_shown(buffers))
    parts: list[Part] = [figure(buffers, zone)]
    if cut > 0:
        parts.append(
            Words(f"{len(_shown(buffers)):,} of {len(buffers.rows):,} rows shown: the newest, and the newest pairs.")
        )
    key = (
        (dot(12, 8, 4.5, "ontime"), "row of the left"), (diamond(12, 8, 6, "second"), "row of the right"),
        (rect(2, 3, 20, 10, "ontime", alpha=0.25), "kept until"),
        (rect(2, 3, 20, 10, None, line="muted", hatch="muted"), "let go"),
        (line([(2, 12), (22, 4)], "ink", 1.4), "met"),
    )  # fmt: skip
    return Sheet(title, tuple(parts), title, lead, key)


def _shown(buffers: Buffers) -> list[Buffered]:
    met = {("left", match.left, match.key) for match in buffers.matches[-MOST // 2 :]}
    met |= {("right", match.right, match.key) for match in buffers.matches[-MOST // 2 :]}
    return [row for side in ("left", "right") for row in _some([r for r in buffers.rows if r.side == side], met)]


def _some(rows: Sequence[Buffered], met: set[tuple[str, float, tuple[Any, ...]]]) -> list[Buffered]:
    """Return the rows of a side that fit: those of pairs first, then the newest, in their order."""
    order = sorted(range(len(rows)), key=lambda n: ((rows[n].side, rows[n].time, rows[n].key) not in met, -n))
    return [rows[n] for n in sorted(order[:MOST])]


def figure(buffers: Buffers, zone: str | None) -> Figure:
    """Draw the left above, the right below, and a line between rows that met."""
    shown = _shown(buffers)
    left, right = ([row for row in shown if row.side == side] for side in ("left", "right"))
    middle = 40 + _ROW * max(len(left), 1)
    bottom = middle + 46 + _ROW * max(len(right), 1)
    frame, ticks = _frame(shown, buffers.watermark, zone, bottom)
    shapes: list[Shape] = across(frame, ticks, "event time")
    if buffers.watermark is not None:
        shapes += _mark(buffers.watermark, frame, zone)
    shapes += [text(2, 20, "left", "ink", 13, bold=True), text(2, middle + 32, "right", "ink", 13, bold=True)]
    places = {}
    for n, row in enumerate(left):
        places["left", row.time, row.key] = _point(row, frame, 40 + _ROW * n)
    for n, row in enumerate(right):
        places["right", row.time, row.key] = _point(row, frame, middle + 46 + _ROW * n)
    shapes += _arcs(buffers.matches, places)
    for n, row in enumerate(shown):
        shapes += _bar(row, frame, _spot(n, len(left), row, frame, middle), zone)
    heads = ("side", "row", "time", "needed until", "fate")
    rows = [_told(row, zone) for row in shown]
    label = f"{len(left)} rows of the left, {len(right)} of the right, {len(buffers.matches)} pairs"
    return Figure(label, int(bottom + 46), tuple(shapes), table("Rows of both sides", heads, rows))


def _told(row: Buffered, zone: str | None) -> tuple[str, ...]:
    until = "for ever" if row.until is None else spell_clock(row.until, zone, 60_000)
    return row.side, row.name, spell_clock(row.time, zone, 60_000), until, row.fate


def _point(row: Buffered, frame: Frame, y: float) -> tuple[float, float]:
    return frame.x(row.time), y


def _spot(n: int, left: int, row: Buffered, frame: Frame, middle: float) -> tuple[float, float]:
    return _point(row, frame, 40 + _ROW * n if n < left else middle + 46 + _ROW * (n - left))


def _frame(
    shown: Sequence[Buffered], watermark: float | None, zone: str | None, bottom: float
) -> tuple[Frame, tuple[tuple[float, str], ...]]:
    edges = [edge for row in shown for edge in (row.time, row.until) if edge is not None]
    edges += [watermark] if watermark is not None else []
    low, high = (min(edges), max(edges)) if edges else (0.0, 60_000.0)
    pad = 0.04 * (high - low) or 60_000
    axis = time_axis("event time", low - pad, high + 3 * pad, zone, int(_WIDE))
    return of_time(axis, _LEFT, 24, _WIDE, bottom - 24), axis.ticks


def _mark(watermark: float, frame: Frame, zone: str | None) -> list[Shape]:
    x = frame.x(watermark)
    words = f"watermark {spell_clock(watermark, zone, 60_000)}"
    return [
        rect(frame.left, frame.top, max(0.0, x - frame.left), frame.height, "strip"),
        line([(x, 14), (x, frame.bottom)], "watermark", 3, id="watermark", wait=AFTER),
        text(x + 7, 20, words, "watermark_text", 12.5, bold=True) if x < frame.left + 480
        else text(x - 7, 20, words, "watermark_text", 12.5, bold=True, anchor="end"),
    ]  # fmt: skip


def _bar(row: Buffered, frame: Frame, place: tuple[float, float], zone: str | None) -> list[Shape]:
    x, y = place
    role = "ontime" if row.side == "left" else "second"
    end = frame.right if row.until is None else frame.x(row.until)
    tip = ": ".join((row.name, "; ".join(_told(row, zone)[2:])))
    looks: dict[str, Any] = (
        {"fill": role, "alpha": 0.25} if row.fate == "kept" else {"line": "muted", "stroke": 0.8, "hatch": "muted"}
    )
    own = f"{row.side} {row.time:.0f} {' '.join(map(str, row.key))}"
    shapes = [rect(x, y - 4, max(end - x, 2), 8, tip=tip, r=2, id=f"bar {own}", **looks)]
    mark = {"tip": tip, "id": own, "drop": 24}
    shapes.append(dot(x, y, 4.5, role, "ground", **mark) if row.side == "left" else diamond(x, y, 6, role, **mark))
    if row.fate == "null":
        shapes += [
            rect(end + 4, y - 7, 30, 14, None, line="dropped", stroke=1.2, r=7),
            text(end + 19, y + 4, "null", "dropped_text", 11, anchor="middle"),
        ]
    return shapes


def _arcs(
    matches: Sequence[Match], places: Mapping[tuple[str, float, tuple[Any, ...]], tuple[float, float]]
) -> list[Shape]:
    shapes = []
    for match in matches:
        one, other = places.get(("left", match.left, match.key)), places.get(("right", match.right, match.key))
        if one and other:
            shapes.append(line([one, other], "ink", 1.2, tip=f"met: {' '.join(map(str, match.key))}"))
    return shapes


class Joins(View):
    """The buffers of the first join of two streams in a query."""

    name = "joins"

    def __init__(self, query: Playable) -> None:
        super().__init__(query)
        self.node = _join_of(query)

    @classmethod
    def fits(cls, query: Playable) -> bool:
        """Return whether two streams are joined."""
        return _join_of(query) is not None

    def sheet(self, at: int) -> Sheet:
        """Lay out what both sides hold after a batch, and what they let go in the batches before."""
        if self.node is None:
            return nothing("No two streams are joined in this query.")
        if at < 0:
            return nothing("No batch has run, so neither side holds a row.")
        traces = list(self.query.trace)[max(0, at + 1 - MOST_BATCHES) : at + 1]
        held = pl.from_pandas(self.query.state_at(traces[-1].batch_id))
        buffers = buffers_of(self.node, traces, held)
        name = next(iter(self.node.inputs[0].event_times), None)
        return joins_sheet(buffers, zone_of(name, [t.rows for t in traces[:1]]))


def _join_of(query: Playable) -> Join | None:
    plans = getattr(query, "plans", None)
    return next((node for node in plans[1].walk() if isinstance(node, Join)), None) if plans else None


def buffers_of(node: Join, traces: Sequence[Trace], held: pl.DataFrame) -> Buffers:
    """Return what a join held in some batches; ``held`` is its state after the last of them."""
    held = held.filter(pl.col("operator") == "join") if "operator" in held.columns else held.clear()
    sides = [_side(node, n) for n in (0, 1)]
    frames = [_rows_of(node, traces, side, held) for side in sides]
    pairs = _pairs(node, frames[0], frames[1])
    times = [instants(frame, side.time) for frame, side in zip(frames, sides, strict=True)]
    keys = frames[0].select(sides[0].keys).rows() if set(sides[0].keys) <= set(frames[0].columns) else []
    rows: list[Buffered] = []
    for side, frame, met in zip(sides, frames, pairs.get_columns(), strict=True):
        outer = node.how in ({"left", "full", "anti"}, {"right", "full"})[side.number]
        gone = frame.with_row_index(_AT).filter(~pl.col(_KEPT)).tail(MOST // 2)
        alone = ~gone[_AT].is_in(met.implode()) if outer else pl.Series([False]).new_from_index(0, gone.height)
        told = zip(_read(gone, side, "forgotten"), alone.to_list(), strict=True)
        rows += [replace(row, fate="null") if is_alone else row for row, is_alone in told]
        rows += _read(_in_sight(frame, met), side, "kept")
    matches = tuple(Match(float(times[0][a]), float(times[1][b]), keys[a]) for a, b in pairs.tail(4 * MOST).iter_rows())
    counts = {side.name: _held(held, side).height for side in sides}
    return Buffers(tuple(rows), matches, standing(traces[-1].watermark_after), counts, node.how)


_KEPT, _AT = "__kept", "__at"


def _in_sight(frame: pl.DataFrame, met: pl.Series) -> pl.DataFrame:
    """Return the newest rows that are held, and those of the newest pairs, which may be older."""
    places = frame.with_row_index(_AT).filter(pl.col(_KEPT))
    newest = pl.col(_AT) >= frame.height - 4 * MOST
    return places.filter(newest | pl.col(_AT).is_in(met.tail(MOST // 2).implode()))


def _held(held: pl.DataFrame, side: Side) -> pl.DataFrame:
    return held.filter(pl.col("side") == side.name) if "side" in held.columns else held.clear()


def _rows_of(node: Join, traces: Sequence[Trace], side: Side, held: pl.DataFrame) -> pl.DataFrame:
    """Return the newest rows that a side has let go, and those that it holds, in order of time."""
    types = {name: node.pair_schema[name] for name in side.names.values()}
    columns = [pl.col(name).cast(dtype, strict=False) for name, dtype in types.items()]
    until = pl.col("expires_at").cast(pl.Datetime("us")).dt.replace_time_zone(None)
    empty = pl.DataFrame(schema={**types, "expires_at": pl.Datetime("us"), _KEPT: pl.Boolean()})
    here = _held(held, side)
    if not side.time:
        return empty
    kept = empty
    if set(types) <= set(here.columns):
        kept = here.select(*columns, until, pl.lit(True).alias(_KEPT)).sort(side.time).tail(MOST_MATCHED)
    found = pl.concat([empty, *_gone(node, traces, side, columns), kept])
    return found.filter(pl.col(side.time).is_not_null())


def _gone(node: Join, traces: Sequence[Trace], side: Side, columns: Sequence[pl.Expr]) -> list[pl.DataFrame]:
    """Return the rows that a side let go, batch by batch."""
    bound = node.bounds[side.number]
    if bound is None:
        return []
    steps = (step for trace in traces for step in trace.steps if step.operator == "join" and step.num_rows_removed)
    frames = [step.removed() for step in steps]
    until = (pl.col(side.names[bound[0]]).to_physical() + bound[1]).cast(pl.Datetime("us")).alias("expires_at")
    own = [
        rows.filter(pl.col(side.time).is_not_null()).select(*columns, until, pl.lit(False).alias(_KEPT))
        for rows in frames
        if set(side.names.values()) <= set(rows.columns)
    ]
    return [pl.concat(own).tail(MOST_MATCHED)] if own else []


def _pairs(node: Join, left: pl.DataFrame, right: pl.DataFrame) -> pl.DataFrame:
    """Return which rows of two sides match, by their places: what the join itself asks of a pair."""
    matches = JoinStep(node, Opening()).matches
    asked = {name for condition in matches for name in condition.meta.root_names()}
    sides = [
        frame.select(name for name in frame.columns if name in asked).with_row_index(at)
        for frame, at in ((left, "__left"), (right, "__right"))
    ]
    return sides[0].join(sides[1], how="cross").filter(*matches).select("__left", "__right")


@dataclass(frozen=True)
class Side:
    """One side of a join: its number and name, and its columns, keys and time as they are called in a pair."""

    number: int
    name: str
    names: Mapping[str, str]
    keys: tuple[str, ...]
    time: str


def _side(node: Join, n: int) -> Side:
    names: Mapping[str, str] = node.right_names if n else {name: name for name in node.inputs[0].schema}
    return Side(n, ("left", "right")[n], names, tuple(names[pair[n]] for pair in node.keys), _time(node, n, names))


def _time(node: Join, side: int, names: Mapping[str, str]) -> str:
    """Return the column that places a row of a side: its event time, or the first datetime."""
    schema = node.inputs[side].schema
    marked = next(iter(node.inputs[side].event_times), None)
    plain = next((name for name, dtype in schema.items() if isinstance(dtype, pl.Datetime)), "")
    return names.get(marked or plain, "")


def _read(rows: pl.DataFrame, side: Side, fate: str) -> list[Buffered]:
    at, until = instants(rows, side.time), instants(rows, "expires_at")
    told = rows.select(side.names.values()).rows(named=True)
    return [
        Buffered(side.name, name_of(row), float(t), float(u) if np.isfinite(u) else None, fate, k)
        for row, t, u, k in zip(told, at, until, rows.select(side.keys).rows(), strict=True)
    ]
