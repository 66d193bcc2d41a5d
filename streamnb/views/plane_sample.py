"""Samples of big batches: what a picture keeps of a batch, and what it leaves out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

MOST_OF_A_BATCH = 2_000
"""Rows of one batch that a picture keeps, and as many late and as many dropped ones besides."""

MOST_KEPT = 100_000
"""Rows that the pictures of a query keep in all; of older batches they know the numbers only."""

Flags = np.ndarray[Any, Any]
Places = np.ndarray[tuple[int], np.dtype[np.int64]]
Codes = np.ndarray[tuple[int], np.dtype[np.uint8]]


@dataclass(frozen=True)
class LeftOut:
    """Rows of a batch that no picture knows: all of them, and the late and dropped ones among them."""

    rows: int = 0
    late: int = 0
    dropped: int = 0

    def all_of(self, codes: Codes, late: int, dropped: int) -> LeftOut:
        """Return the same with rows that are let go of too."""
        counts = (len(codes), int((codes == late).sum()), int((codes == dropped).sum()))
        return LeftOut(self.rows + counts[0], self.late + counts[1], self.dropped + counts[2])


NOTHING_LEFT_OUT = LeftOut()


def every(rows: int, most: int) -> int:
    """Return that of how many rows one is kept, a power of two, so that at most ``most`` are."""
    return 1 if rows <= most else 2 ** math.ceil(math.log2(rows / most))


def thinned(which: Flags, most: int) -> tuple[Flags, int]:
    """Return at most ``most`` of the rows in ``which``, and that of how many one is kept."""
    step = every(int(which.sum()), most)
    return which & ((np.cumsum(which) - 1) % step == 0), step


def sample(codes: Codes, late: int, dropped: int) -> tuple[Places, LeftOut]:
    """Return the places of the rows to keep, and how many are left out."""
    count = len(codes)
    if count <= MOST_OF_A_BATCH:
        return np.arange(count), NOTHING_LEFT_OUT
    told = [np.flatnonzero(codes == code) for code in (late, dropped)]
    kept = [np.arange(0, count, every(count, MOST_OF_A_BATCH)), *(_some(places) for places in told)]
    places = np.unique(np.concatenate(kept))
    left = [len(rows) - int((codes[places] == code).sum()) for rows, code in zip(told, (late, dropped), strict=True)]
    return places, LeftOut(count - len(places), *left)


def _some(places: Places) -> Places:
    return places[:: every(len(places), MOST_OF_A_BATCH)]
