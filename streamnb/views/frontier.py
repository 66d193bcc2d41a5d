"""Frontier: settings side by side, completeness against latency, with state as size and the worst-hit group named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from streamnb.answers.cards import plural
from streamnb.views.chart import Frame, across, round_ticks, shares, unit_of
from streamnb.views.controls import short_duration
from streamnb.views.labels import Box, Page, along, boxes_of
from streamnb.views.shapes import Choice, Figure, Grid, Shape, Sheet, Words, dot, line, table, text

if TYPE_CHECKING:
    import datetime as dt

    from streamnb.what_if import Result, WhatIf

_LEFT, _TOP, _WIDE, _HIGH = 62.0, 30.0, 660.0, 300.0
_SMALL, _LARGE = 4.0, 17.0
MOST_NAMED = 24
"""Settings that are named in the figure; of more, the frontier's only."""


def frontier_sheet(told: WhatIf, chosen: int) -> Sheet:
    """Lay out all settings, and what one of them costs whom."""
    result = told.results[chosen]
    title = _finding(told, result)
    shapes, key = _shapes(told, chosen)
    parts = (
        Choice("setting", "setting", tuple((str(n), told.name(r)) for n, r in enumerate(told.results)), str(chosen)),
        Figure(_said(told), int(_TOP + _HIGH + 52), tuple(shapes), _table(told)),
        Words(_cost(result, is_own=chosen == told.own), "ink"),
    )
    lead = (
        "Each mark is a setting, run over the same rows: the higher, the more rows are counted; the further left, "
        "the sooner they are in a result; the larger, the more state is kept. "
        "Along the line more rows take longer."
    )
    return Sheet(title, parts, f"{title} {_cost(result, is_own=chosen == told.own)}", lead, key)


def _finding(told: WhatIf, result: Result) -> str:
    name = told.name(result)
    lost = f"{result.dropped:,}" if result.dropped else "none"
    whom = ""
    if result.dropped and result.slow is not None:
        whom = f": all {result.slow.name}" if result.dropped > 1 else f": it {result.slow.name.replace('they', 'it')}"
    elif result.dropped and result.worst is not None:
        whom = f", most of all {result.worst.name}"
    what = f"A delay of {name}" if told.varied == ("delay",) else f"{name[0].upper()}{name[1:]}"
    return f"{what} drops {lost} of {plural(result.rows, 'row')}{whom}."


def _cost(result: Result, *, is_own: bool) -> str:
    told = [f"{result.completeness:.1%} of the rows counted"]
    if result.worst is not None:
        told.append(f"worst hit: {result.worst.name}, {result.worst.dropped:,} of {result.worst.rows:,}")
    kept, written = plural(result.state_rows, "row"), plural(result.written, "row")
    cost = f"{'; '.join(told)}. At most {kept} in state, {written} written."
    wait = "" if result.wait is None else f" A window waits {short_duration(result.wait)} for its first result."
    return f"{'The query as it is: ' if is_own else ''}{cost}{wait}"


def _said(told: WhatIf) -> str:
    return "; ".join(_short(told, result) for result in told.results)


def _short(told: WhatIf, result: Result) -> str:
    kept = plural(result.state_rows, "row")
    return f"{told.name(result)}: {result.completeness:.1%}, {_time(result.latency)}, {kept} in state"


def _time(latency: dt.timedelta | None) -> str:
    return "in no result" if latency is None else f"after {short_duration(latency)}"


def _table(told: WhatIf) -> Grid:
    heads = ("setting", "counted", "dropped", "latency", "wait", "most state", "written", "worst hit", "on the line")
    rows = [
        (
            told.name(r), f"{r.completeness:.1%}", r.dropped, _time(r.latency),
            "" if r.wait is None else short_duration(r.wait), r.state_rows, r.written,
            "" if r.worst is None else f"{r.worst.name}: {r.worst.dropped:,} of {r.worst.rows:,}",
            "yes" if r.best else "",
        )
        for r in told.results
    ]  # fmt: skip
    return table("Settings side by side", heads, rows)


def _shapes(told: WhatIf, chosen: int) -> tuple[list[Shape], tuple[tuple[Shape, str], ...]]:
    unit, name, frame = _frame(told.results)
    places = [_place(result, frame, unit) for result in told.results]
    shapes = [*_axes(frame, name), *_line(told, places)]
    most = max(1, *(result.state_rows for result in told.results))
    radii = [_SMALL + (_LARGE - _SMALL) * (result.state_rows / most) ** 0.5 for result in told.results]
    for n in sorted(range(len(places)), key=lambda n: -radii[n]):
        shapes += _mark(told, n, places[n], radii[n], is_chosen=n == chosen)
    lines = [point for shape in _line(told, places) for point in shape["points"]]
    taken = [*boxes_of(shapes), *map(_square, places, radii), *along(lines)]
    shapes += _names(told, places, radii, chosen, taken)
    key = (
        (dot(12, 8, 5.5, "ontime"), "beaten by no other"),
        (dot(12, 8, 5.5, "ground", "muted", stroke=1.6), "beaten by another"),
        (dot(12, 8, 6.5, None, "ink", stroke=1.6), "the one told of below"),
    )
    return shapes, key


def _square(place: tuple[float, float], r: float) -> Box:
    return place[0] - r, place[1] - r, place[0] + r, place[1] + r


def _frame(results: Sequence[Result]) -> tuple[float, str, Frame]:
    seconds = [r.latency.total_seconds() for r in results if r.latency is not None]
    longest = max(seconds, default=0.0)
    unit, name = unit_of(longest)
    high = (longest / unit) or 1.0
    least = min(result.completeness for result in results)
    low = max(0.0, (least - 0.15 * (1 - least or 0.1)))
    return unit, name, Frame(_LEFT, _TOP, _WIDE, _HIGH, -0.06 * high, 1.16 * high, low, 1.0 + 0.06 * (1 - low))


def _place(result: Result, frame: Frame, unit: float) -> tuple[float, float]:
    if result.latency is None:
        return frame.right - 14, frame.y(result.completeness)
    return frame.at((result.latency.total_seconds() / unit, result.completeness))


def _axes(frame: Frame, name: str) -> list[Shape]:
    ticks = [(v, f"{v:g}") for v in round_ticks(0, frame.high_x, 8)]
    label = f"latency, {name}: from a row being read to the first result with it"
    return [
        *across(frame, ticks, label),
        *shares(frame),
        text(2, 14, "completeness: rows never dropped as late", "muted", 12.5),
    ]


def _line(told: WhatIf, places: Sequence[tuple[float, float]]) -> list[Shape]:
    best: list[tuple[float, float]] = []
    pairs = zip(places, told.results, strict=True)
    for x, y in sorted(place for place, result in pairs if result.latency is not None):  # upward is less
        if not best or y < best[-1][1]:
            best = [*best[: -1 if best and best[-1][0] == x else None], (x, y)]
    return [line(best, "ontime", 1.5, "5 4")] if len(best) > 1 else []


def _mark(told: WhatIf, n: int, place: tuple[float, float], r: float, *, is_chosen: bool) -> list[Shape]:
    result = told.results[n]
    tip = _short(told, result)
    fill, edge = ("ontime", "ground") if result.best else ("ground", "muted")
    mark = dot(*place, r, fill, edge, stroke=1.6, tip=tip, pick=str(n), id=f"mark {n}")
    return [mark, dot(*place, r + 3.5, None, "ink", stroke=1.6, id="chosen")] if is_chosen else [mark]


def _names(
    told: WhatIf,
    places: Sequence[tuple[float, float]],
    radii: Sequence[float],
    chosen: int,
    taken: list[Box],
) -> list[Shape]:
    page = Page(_LEFT, 4, _LEFT + _WIDE + 30, _TOP + _HIGH, taken)
    order = sorted(range(len(places)), key=lambda n: (n != chosen, not told.results[n].best))
    few = len(places) <= MOST_NAMED
    shapes: list[Shape] = []
    for n in order:
        if few or n == chosen or told.results[n].best:
            role, name = "ink" if n == chosen else "muted", told.name(told.results[n])
            name += ": in no result yet" if told.results[n].latency is None else ""
            looks: dict[str, Any] = {"bold": n == chosen, "halo": True, "pick": str(n)}
            shapes += page.put(places[n], radii[n] + 7, name, role, 12.5, must=n == chosen, **looks)
    return shapes


class Frontier:
    """What-if as a figure: which setting the reader asks about."""

    def __init__(self, told: WhatIf) -> None:
        self.told = told
        best = [n for n, result in enumerate(told.results) if result.best]
        most = max(best, key=lambda n: told.results[n].completeness, default=0)
        self.chosen = most if told.own is None else told.own

    def sheet(self) -> Sheet:
        """Lay out the settings."""
        return frontier_sheet(self.told, self.chosen)

    def hear(self, name: str, value: Any) -> None:
        """Ask about a setting."""
        if name in {"pick", "setting"} and 0 <= int(value) < len(self.told.results):
            self.chosen = int(value)
