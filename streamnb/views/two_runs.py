"""Two runs: what a query and its fork gave out, batch by batch from where they parted, and every row that differs."""

from __future__ import annotations

from typing import Any

from streamnb.answers.cards import named
from streamnb.evolving.differing import Difference, Differences
from streamnb.views.chart import Frame, across, batch_ticks, upward
from streamnb.views.shapes import Figure, Grid, Shape, Sheet, cross, diamond, dot, line, table, text

_LEFT, _WIDE, _TOP, _HIGH = 62.0, 678.0, 40.0, 190.0
MOST_BATCHES, MOST_ROWS = 120, 20


class TwoRuns:
    """The picture of a comparison."""

    def __init__(self, found: Differences) -> None:
        self.found = found

    def sheet(self) -> Sheet:
        """Lay it out."""
        found = self.found
        parts: list[Any] = [_figure(found)] if found.given_out else []
        if found.differences:
            parts += [_causes(found), _rows(found)]
        lead = "Both ran the same batches from where the second parted: the same rows of the input, at the same times."
        return Sheet(found.title, tuple(parts), found.title, lead)

    def hear(self, name: str, value: Any) -> None:
        """There is nothing to choose."""


def _figure(found: Differences) -> Figure:
    """Draw the rows that each run gave out: the first as dots, the second as diamonds; a cross where they differ."""
    batches = sorted(found.given_out)[-MOST_BATCHES:]
    most = max(max(found.given_out[n]) for n in batches)
    last = max(batches[-1], batches[0] + 7)
    frame = Frame(_LEFT, _TOP, _WIDE, _HIGH, batches[0] - 0.6, last + 0.6, 0, 1.12 * most or 1)
    ticks = batch_ticks(batches[0], int(frame.high_x))
    shapes = [*_legend(found.names), *upward(frame, 4), *across(frame, ticks, "batch")]
    for side, (role, dash) in enumerate((("ontime", None), ("second", "5 4"))):
        points = [frame.at((n, found.given_out[n][side])) for n in batches]
        shapes.append(line(points, role, 1.5, dash))
    unlike = {n for d in found.differences for n in d.batches if n is not None}
    for n in batches:
        shapes += _marks(frame, n, found.given_out[n], differs=n in unlike)
    heads = ("batch", "rows of a", "rows of b", "differs")
    listed = [(n, *found.given_out[n], "yes" if n in unlike else "") for n in batches]
    return Figure(found.title, int(_TOP + _HIGH + 48), tuple(shapes), table("Rows given out", heads, listed))


def _marks(frame: Frame, batch: int, counts: tuple[int, int], *, differs: bool) -> list[Shape]:
    a, b = (frame.at((batch, count)) for count in counts)
    tip = f"batch {batch}: {counts[0]:,} rows of a, {counts[1]:,} of b"
    marks = [dot(*a, 5, "ontime", tip=tip), diamond(*b, 4, "second", tip=tip)]
    return [*marks, cross(frame.x(batch), _TOP - 6, 4, tip=f"batch {batch}: rows differ")] if differs else marks


def _legend(names: tuple[str, str]) -> list[Shape]:
    a, b = (name if len(name) <= 24 else f"{name[:23]}…" for name in names)
    return [
        text(2, 14, "rows out", "ink", 13, bold=True),
        dot(_LEFT + 150, 10, 5, "ontime"),
        text(_LEFT + 162, 14, f"a: {a}", "ink"),
        diamond(_LEFT + 370, 10, 4, "second"),
        text(_LEFT + 382, 14, f"b: {b}", "ink"),
        cross(_LEFT + 590, 10, 4),
        text(_LEFT + 602, 14, "rows differ", "ink"),
    ]


def _causes(found: Differences) -> Grid:
    return table("Why they differ", ("rows", "cause"), [(count, cause) for cause, count in found.causes.items()])


def _rows(found: Differences) -> Grid:
    listed = [_told(difference) for difference in found.differences[:MOST_ROWS]]
    left = len(found.differences) - len(listed)
    note = f"{left:,} more" if left > 0 else ""
    return table("Rows that differ", ("batch", "row", "a", "b", "cause"), listed, note, longest=60)


def _told(difference: Difference) -> tuple[Any, ...]:
    batch = next(n for n in difference.batches if n is not None)
    a, b = difference.a, difference.b
    if a is None or b is None:
        given = ("given out", "not given out") if b is None else ("not given out", "given out")
        return batch, named(dict(a or b or {})), *given, difference.cause
    unlike = [name for name in a if name not in b or not _alike(a[name], b[name])]
    sides = (", ".join(f"{name}={side.get(name)}" for name in unlike) for side in (a, b))
    return batch, named({name: value for name, value in a.items() if name not in unlike}), *sides, difference.cause


def _alike(one: Any, other: Any) -> bool:
    return bool(one == other) or (f"{one}" == f"{other}" and type(one) is type(other))  # two NaN are alike
