"""Share: how many rows a delay keeps, delay by delay, with the one proposed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from streamnb.answers.cards import plural
from streamnb.views.chart import Frame, across, round_ticks, shares, unit_of
from streamnb.views.controls import short_duration
from streamnb.views.labels import Page, along, boxes_of
from streamnb.views.shapes import Figure, Grid, Part, Shape, Sheet, Words, dot, line, table, text

if TYPE_CHECKING:
    from streamnb.suggest import Suggestion

_LEFT, _TOP, _WIDE, _HIGH = 62.0, 36.0, 660.0, 280.0
_LONGEST = 4.0
"""Times the proposed delay that the figure shows; what needs longer is told in words."""


def share_sheet(told: Suggestion) -> Sheet:
    """Lay out the share of rows kept by delay."""
    figure = Figure(_said(told), int(_TOP + _HIGH + 52), tuple(_shapes(told)), _table(told))
    notes = [Words(f"{found.text}{f' ({found.note})' if found.note else ''}.") for found in told.lines[1:]]
    parts: list[Part] = [figure, Words(told.lines[0].text, "ink"), *notes]
    lead = (
        f"The line is the share of {plural(told.rows, 'row')} that a delay keeps, each row judged by the newest one "
        "that arrived before it. Larger batches and windows keep more."
    )
    return Sheet(told.title, tuple(parts), _said(told), lead)


def _levels(told: Suggestion) -> list[tuple[float, float]]:
    """Return the shortest delay in seconds for some shares of the rows."""
    return [(row["delay"].total_seconds(), row["keep"]) for row in told.levels.to_dict("records")]


def _said(told: Suggestion) -> str:
    needs = (f"{_percent(row['keep'])} need {short_duration(row['delay'])}" for row in told.levels.to_dict("records"))
    return f"{told.title} {'; '.join(needs)}."


def _percent(share: float) -> str:
    return f"{100 * share:g} %"


def _table(told: Suggestion) -> Grid:
    rows = [(_percent(row["keep"]), short_duration(row["delay"])) for row in told.levels.to_dict("records")]
    return table("Shortest delay by share of rows kept", ("keeps", "delay"), rows)


def _shapes(told: Suggestion) -> list[Shape]:
    delay = told.delay.total_seconds()
    longest = max(seconds for seconds, _ in _levels(told))
    high = min(longest, _LONGEST * delay) * 1.08 or 1.0
    unit, name = unit_of(high)
    curve = [(row["delay"].total_seconds(), row["kept"]) for row in told.curve.to_dict("records")]
    least = min([kept for seconds, kept in curve if seconds <= high], default=0.0)
    frame = Frame(_LEFT, _TOP, _WIDE, _HIGH, 0.0, high, max(0.0, least - 0.1 * (1 - least)), 1.0 + 0.04 * (1 - least))
    ticks = [(value * unit, f"{value:g}") for value in round_ticks(0, high / unit, 8)]
    shapes = [*across(frame, ticks, f"delay of the watermark, {name}"), *shares(frame)]
    shapes.append(text(2, 14, "rows kept", "muted", 12.5))
    shapes.append(line(_stair(frame, curve), "ontime", 2.2))
    shapes += _proposed(frame, told, delay)
    return [*shapes, *_dots(frame, _levels(told), shapes)]


def _stair(frame: Frame, curve: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the line: a share holds from its delay on to the next."""
    points: list[tuple[float, float]] = []
    for seconds, kept in curve:
        if seconds > frame.high_x:
            break
        points += [(frame.x(seconds), points[-1][1])] if points else []
        points.append(frame.at((seconds, kept)))
    return [*points, (frame.right, points[-1][1])] if points else []


def _proposed(frame: Frame, told: Suggestion, delay: float) -> list[Shape]:
    x = frame.x(delay)
    words, on_the_left = f"proposed: {short_duration(told.delay)}", x > frame.left + 0.7 * frame.width
    return [
        line([(x, frame.top - 8), (x, frame.bottom)], "watermark", 3),
        text(x - 8 if on_the_left else x + 8, frame.bottom - 12, words, "watermark_text", 13, bold=True,
             anchor="end" if on_the_left else "start", halo=True),
        dot(*frame.at((delay, told.kept)), 6, "ground", "ink", stroke=2),
    ]  # fmt: skip


def _dots(frame: Frame, levels: Sequence[tuple[float, float]], shapes: Sequence[Shape]) -> list[Shape]:
    taken = [
        *boxes_of(shapes),
        *(box for shape in shapes if shape.get("role") == "watermark" for box in along(shape["points"])),
    ]
    page = Page(frame.left, 18, frame.right + 36, frame.bottom, taken)
    found: list[Shape] = []
    for seconds, keep in dict(levels).items():  # of several shares with one delay the largest
        if seconds <= frame.high_x:
            x, y = frame.at((seconds, keep))
            found += [dot(x, y, 3.5, "ink"), *page.put((x, y + 10), 12, _percent(keep), "muted", 12, halo=True)]
    return found


class Share:
    """A suggested delay as a figure."""

    def __init__(self, told: Suggestion) -> None:
        self.told = told

    def sheet(self) -> Sheet:
        """Lay it out."""
        return share_sheet(self.told)

    def hear(self, name: str, value: Any) -> None:
        """Nothing can be chosen here."""
