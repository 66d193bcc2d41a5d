"""An index from 64-bit hashes to slots that answers for a whole batch at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Slots = NDArray[np.int64]

EMPTY, GONE = np.uint64(0), np.uint64(1)
_FIRST = np.uint64(2)
"""The least hash that is stored; less stands for a place without one."""
_ROOM = 64
"""How many places there are behind the last home. The very last place stays empty."""


class HashIndex:
    """Open addressing with linear probing, in two NumPy arrays at most half full, with some room behind the last home.

    A call costs what its hashes cost, whatever the index holds; growing is paid for by the inserts before it.
    """

    def __init__(self) -> None:
        self._clear(4, -1)

    def _clear(self, bits: int, last: int) -> None:
        """Make 2**bits homes, and room behind them; ``last`` is the last place that is to be taken."""
        self._shift, self._used = np.uint64(64 - bits), 0
        self._most = 1 << (bits - 1)
        size = max((1 << bits) + _ROOM, last + 2)
        self._hashes, self._slots = np.zeros(size, np.uint64), np.zeros(size, np.int32)

    def find(self, hashes: Hashes) -> Slots:
        """Return the slot of every hash, -1 where there is none."""
        hashes = np.maximum(hashes, _FIRST)
        at = self._home(hashes)
        there = self._hashes[at]
        hit = there == hashes
        slots = np.where(hit, self._slots[at], np.int64(-1))
        todo = np.flatnonzero(~hit & (there != EMPTY))
        at = at[todo] + 1
        while len(todo):
            there = self._hashes[at]
            hit = there == hashes[todo]
            slots[todo[hit]] = self._slots[at[hit]]
            go = ~hit & (there != EMPTY)
            todo, at = todo[go], at[go] + 1
        return slots

    def insert(self, hashes: Hashes, slots: Slots) -> bool:
        """Add hashes that are not there yet; False if two of them are the same: then the index is of no use."""
        hashes = np.maximum(hashes, _FIRST)
        if self._used + len(hashes) > self._most:
            return self._rebuild(hashes, slots)
        self._used += len(hashes)
        todo, at = np.arange(len(hashes)), self._home(hashes)
        while len(todo):
            mine, own = hashes[todo], slots[todo]
            free = self._hashes[at] < _FIRST
            self._hashes[at[free]], self._slots[at[free]] = mine[free], own[free]
            lost = np.flatnonzero(~free | (self._slots[at] != own))
            todo, at = todo[lost], at[lost]
            if (self._hashes[at] == mine[lost]).any():
                return False
            at += 1
            if len(at) and at.max() >= len(self._hashes) - 1:
                return self._rebuild(hashes[todo], slots[todo])
        return True

    def remove(self, hashes: Hashes, slots: Slots) -> None:
        """Forget hashes that are there, each with its slot."""
        hashes = np.maximum(hashes, _FIRST)
        todo, at = np.arange(len(hashes)), self._home(hashes)
        while len(todo):
            hit = (self._hashes[at] == hashes[todo]) & (self._slots[at] == slots[todo])
            self._hashes[at[hit]] = GONE
            todo, at = todo[~hit], at[~hit] + 1

    @property
    def nbytes(self) -> int:
        return self._hashes.nbytes + self._slots.nbytes

    def _home(self, hashes: Hashes) -> Slots:
        return (hashes >> self._shift).view(np.int64)

    def _rebuild(self, more: Hashes, slots: Slots) -> bool:
        """Place all hashes anew, a quarter full: in order, each at its home or behind the one before."""
        live = np.flatnonzero(self._hashes >= _FIRST)
        hashes = np.concatenate([self._hashes[live], more])
        slots = np.concatenate([self._slots[live], slots])
        order = np.argsort(hashes)
        hashes, slots, count = hashes[order], slots[order], np.arange(len(order))
        bits = max(4, (4 * len(order) - 1).bit_length())
        at = np.maximum.accumulate((hashes >> np.uint64(64 - bits)).view(np.int64) - count) + count
        self._clear(bits, int(at[-1]))
        self._hashes[at], self._slots[at], self._used = hashes, slots, len(order)
        return bool((hashes[1:] != hashes[:-1]).all())
