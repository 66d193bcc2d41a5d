"""An index from 64-bit hashes to slots that answers for a whole batch at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Slots = NDArray[np.int64]

EMPTY, GONE = -1, -2


class HashIndex:
    """Open addressing with linear probing, in two NumPy arrays at most half full.

    A call costs what its hashes cost, whatever the index holds; growing is paid for by the inserts before it.
    """

    def __init__(self) -> None:
        self._clear(16)

    def _clear(self, capacity: int) -> None:
        self._hashes = np.zeros(capacity, np.uint64)
        self._slots = np.full(capacity, EMPTY, np.int64)
        self._used = 0

    def find(self, hashes: Hashes) -> Slots:
        """Return the slot of every hash, -1 where there is none."""
        slots = np.full(len(hashes), EMPTY, np.int64)
        todo, at = np.arange(len(hashes)), self._home(hashes)
        while len(todo):
            there = self._slots[at]
            hit = (there >= 0) & (self._hashes[at] == hashes[todo])
            slots[todo[hit]] = there[hit]
            todo, at = self._on(todo, at, ~hit & (there != EMPTY))
        return slots

    def insert(self, hashes: Hashes, slots: Slots) -> None:
        """Add hashes that are not there yet, each once."""
        if 2 * (self._used + len(hashes)) > len(self._slots):
            self._grow(len(hashes))
        todo, at = np.arange(len(hashes)), self._home(hashes)
        while len(todo):
            free = self._slots[at] < 0
            self._slots[at[free]] = slots[todo[free]]
            won = free & (self._slots[at] == slots[todo])
            self._hashes[at[won]] = hashes[todo[won]]
            todo, at = self._on(todo, at, ~won)
        self._used += len(hashes)

    def remove(self, hashes: Hashes, slots: Slots) -> None:
        """Forget hashes that are there, each with its slot."""
        todo, at = np.arange(len(hashes)), self._home(hashes)
        while len(todo):
            hit = self._slots[at] == slots[todo]
            self._slots[at[hit]] = GONE
            todo, at = self._on(todo, at, ~hit)

    @property
    def nbytes(self) -> int:
        return self._hashes.nbytes + self._slots.nbytes

    def _home(self, hashes: Hashes) -> Slots:
        return (hashes & np.uint64(len(self._slots) - 1)).astype(np.int64)

    def _on(self, todo: Slots, at: Slots, go: NDArray[np.bool_]) -> tuple[Slots, Slots]:
        return todo[go], (at[go] + 1) & (len(self._slots) - 1)

    def _grow(self, more: int) -> None:
        live = self._slots >= 0
        hashes, slots = self._hashes[live], self._slots[live]
        capacity = len(self._slots)
        while capacity < 4 * (len(slots) + more):
            capacity *= 2
        self._clear(capacity)
        self.insert(hashes, slots)
