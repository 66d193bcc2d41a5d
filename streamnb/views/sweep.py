"""Sweep: what several runs of one query dropped, over what they were run with; a click opens the plane of one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from streamnb.answers.cards import plural
from streamnb.errors import PlanError
from streamnb.query import Query
from streamnb.views.chart import Frame, across, upward
from streamnb.views.labels import box_of, boxes_of, meet
from streamnb.views.plane import plane_of
from streamnb.views.plane_shapes import plane_sheet
from streamnb.views.shapes import Choice, Figure, Shape, Sheet, Words, dot, line, table, text

_LEFT, _TOP, _WIDE, _HIGH = 70.0, 26.0, 640.0, 200.0


class Sweep:
    """Runs by a number, and the one that the reader opened."""

    def __init__(self, runs: Mapping[float, Query], over: str) -> None:
        if not runs or not all(key > 0 for key in runs):
            raise PlanError(
                f"sweep: runs={list(runs)} are not keyed by numbers above 0; "
                "give the finished queries by what was varied, such as {30: q, 60: r}.",
                code="OPTION_INVALID",
            )
        self.runs = dict(sorted(runs.items()))
        self.over = over
        self.dropped = {key: len(query.late) for key, query in self.runs.items()}
        self.chosen = next(iter(self.runs))

    def hear(self, name: str, value: Any) -> None:
        """Open the plane of a run."""
        found = next((key for key in self.runs if _key(key) == str(value)), None)
        if name in {"pick", "run"} and found is not None:
            self.chosen = found

    def sheet(self) -> Sheet:
        """Lay out the drops of all runs, and the plane of the one that was opened."""
        query = self.runs[self.chosen]
        plane = plane_sheet(plane_of(query, len(query.trace) - 1))
        number = plural(self.dropped[self.chosen], "row")
        title = f"{self._told(self.chosen)}: {number} dropped."
        lead = "One mark a run, over the same rows. Click one: beneath is its plane, with a cross for each dropped row."
        options = tuple((_key(key), _key(key)) for key in self.runs)
        choice = Choice("run", self.over, options, _key(self.chosen))
        parts = (choice, self._figure(), Words(plane.title, "ink"), *plane.parts)
        return Sheet(title, parts, f"{title} {plane.spoken}", lead, plane.key)

    def _told(self, key: float) -> str:
        """Return a number with what it is: ``1 minute between batches``."""
        what, _, more = self.over.partition(" ")
        return f"{_key(key)} {what.removesuffix('s') if key == 1 else what} {more}".rstrip()

    def _figure(self) -> Figure:
        keys = list(self.runs)
        low, high = math.log10(keys[0]), math.log10(keys[-1])
        pad = 0.06 * (high - low) or 0.5
        most = max(*self.dropped.values(), 1)
        frame = Frame(_LEFT, _TOP, _WIDE, _HIGH, low - pad, high + pad, 0, most * 1.12)
        ticks = [(math.log10(key), _key(key)) for key in keys]
        shapes: list[Shape] = [*upward(frame), *across(frame, ticks, f"{self.over} (logarithmic)")]
        shapes.append(text(2, 12, "rows dropped as late", "muted", 12.5))
        shapes.append(line([(frame.left, frame.bottom), (frame.right, frame.bottom)], "second", 1.6, "5 4"))
        places = {key: frame.at((math.log10(key), n)) for key, n in self.dropped.items()}
        shapes.append(line(places.values(), "ontime", 1.4))
        for key, place in places.items():
            shapes += self._mark(key, place)
        shapes.append(_reference(frame, shapes))
        behind = table("Rows dropped", (self.over, "dropped"), [(_key(key), n) for key, n in self.dropped.items()])
        said = "; ".join(f"{_key(key)}: {n}" for key, n in self.dropped.items())
        return Figure(said, int(frame.bottom + 52), tuple(shapes), behind)

    def _mark(self, key: float, place: tuple[float, float]) -> Iterator[Shape]:
        tip = f"{self._told(key)}: {plural(self.dropped[key], 'row')} dropped"
        yield dot(*place, 7, "ontime", "ground", stroke=1.6, tip=tip, pick=_key(key), id=f"run {_key(key)}")
        if key == self.chosen:
            yield dot(*place, 11, None, "ink", stroke=1.6, id="chosen")
        said: dict[str, Any] = {
            "size": 12.5,
            "anchor": "middle",
            "bold": key == self.chosen,
            "halo": True,
            "pick": _key(key),
        }
        yield text(place[0], place[1] - 15, str(self.dropped[key]), "ink" if key == self.chosen else "muted", **said)


def _reference(frame: Frame, shapes: Sequence[Shape]) -> Shape:
    """Name the line at nought where nothing stands on it, else above the figure."""
    words = "one batch of everything: 0"
    middle, y = (frame.left + frame.right) / 2, frame.bottom - 6
    ways = [
        text(x, y, words, "second_text", 12, anchor=anchor)
        for x, anchor in ((frame.left + 6, "start"), (middle, "middle"), (frame.right, "end"))
    ]
    dots = [(s["x"] - 7, s["y"] - 7, s["x"] + 7, s["y"] + 7) for s in shapes if s["kind"] == "dot"]
    taken = [*boxes_of(shapes), *dots]
    free = (way for way in ways if not any(meet(box_of(way), box) for box in taken))
    return next(free, text(frame.right, frame.top - 14, words, "second_text", 12, anchor="end"))


def _key(key: float) -> str:
    return f"{key:g}"
