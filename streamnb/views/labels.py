"""Labels: where words fit beside their marks, so that no two of them lie over each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from streamnb.views.shapes import Shape, text

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, in pixels."""
_LETTER, _BOLD = 0.54, 0.6
"""The width of a letter as a share of its height: what the font's letters have on average."""


def box_of(shape: Shape) -> Box:
    """Return the room that a text takes, as well as can be told without a browser."""
    wide = len(shape["text"]) * shape["size"] * (_BOLD if shape.get("bold") else _LETTER)
    left = shape["x"] - {"middle": wide / 2, "end": wide}.get(shape.get("anchor", ""), 0.0)
    return left, shape["y"] - 0.8 * shape["size"], left + wide, shape["y"] + 0.25 * shape["size"]


def meet(one: Box, other: Box) -> bool:
    """Tell whether two boxes lie over each other."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def boxes_of(shapes: Iterable[Shape]) -> list[Box]:
    """Return the boxes of all texts that stand upright."""
    return [box_of(shape) for shape in shapes if shape["kind"] == "text" and not shape.get("turn")]


def along(points: Sequence[tuple[float, float]], width: float = 4.0) -> list[Box]:
    """Return boxes along a line, so that no words are put across it."""
    found: list[Box] = []
    for (x0, y0), (x1, y1) in pairwise(points):
        steps = max(1, int(max(abs(x1 - x0), abs(y1 - y0)) / width))
        spots = ((x0 + (x1 - x0) * n / steps, y0 + (y1 - y0) * n / steps) for n in range(steps + 1))
        found += [(x - width / 2, y - width / 2, x + width / 2, y + width / 2) for x, y in spots]
    return found


class Page:
    """The room of a figure: what is taken, and where the next label still fits."""

    def __init__(self, left: float, top: float, right: float, bottom: float, taken: Iterable[Box] = ()) -> None:
        self.edges = left, top, right, bottom
        self.taken = list(taken)

    def put(
        self,
        at: tuple[float, float],
        away: float,
        words: str,
        role: str,
        size: float,
        *,
        must: bool = False,
        **looks: Any,
    ) -> list[Shape]:
        """Return a text beside a mark: right, left, below or above it, else further away; the room is taken then.

        Where no room is left there is none, unless it ``must`` stand.
        """
        tried = [text(x, y, words, role, size, anchor=anchor, **looks) for x, y, anchor in _around(at, away, size)]
        shape = next((shape for shape in tried if self._is_free(box_of(shape))), tried[0] if must else None)
        if shape is None:
            return []
        self.taken.append(box_of(shape))
        return [shape]

    def _is_free(self, box: Box) -> bool:
        left, top, right, bottom = self.edges
        inside = box[0] >= left and box[1] >= top and box[2] <= right and box[3] <= bottom
        return inside and not any(meet(box, other) for other in self.taken)


def _around(at: tuple[float, float], away: float, size: float) -> Sequence[tuple[float, float, str]]:
    x, y = at
    middle, below, above = y + size / 3, y + away + 0.8 * size, y - away
    levels = [level for n in range(4) for level in (below + n * 1.2 * size, above - n * 1.2 * size)]
    sides = ((x, "middle"), (x + away, "start"), (x - away, "end"))
    return [
        (x + away, middle, "start"), (x - away, middle, "end"),
        *((beside, level, anchor) for level in levels for beside, anchor in sides),
    ]  # fmt: skip
