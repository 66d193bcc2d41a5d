"""An index from 64-bit hashes to slots that answers for a whole batch at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamnb.order import ordered

Hashes = NDArray[np.uint64]
Slots = NDArray[np.int64]

EMPTY, GONE = np.uint64(0), np.uint64(1)
_HALF, _TAG = np.uint64(32), np.uint64(1 << 32)
_SLOT = np.uint64((1 << 32) - 1)
_FEW = 2048
"""So few hashes get four times the places: what they cost is the number of looks, not the memory looked at."""
_ROOM = 64
"""How many places there are behind the last home. The very last place stays empty."""


class HashIndex:
    """Open addressing with linear probing in one NumPy array, at most half full, an eighth where it is small.

    The upper bits of a hash say where its home is. A place holds one word: the lower half of a hash, then its slot. So
    one look at memory tells both, and two hashes are taken for one if their homes are near and their lower halves the
    same, which is seldom. A call costs what its hashes cost, whatever the index holds; growing is paid for by the
    inserts before it.
    """

    def __init__(self) -> None:
        self._hash_of = np.empty(0, np.uint64)
        self._clear(4, -1, 8)

    def _clear(self, bits: int, last: int, most: int) -> None:
        """Make 2**bits homes, and room behind them; ``last`` is the last place that is to be taken."""
        self._shift, self._used, self._most = np.uint64(64 - bits), 0, most
        self._words = np.empty(max((1 << bits) + _ROOM, last + 2), np.uint64)
        self._words.fill(0)  # not zeros(), which the system gives in small pages: four times the time, and to look up

    def find(self, hashes: Hashes) -> Slots:
        """Return the slot of every hash, -1 where there is none."""
        tags, at = _tags(hashes), self._home(hashes)
        there = self._words.take(at)
        miss = (there ^ tags) >= _TAG
        slots: Slots = (there & _SLOT).view(np.int64)
        np.putmask(slots, miss, -1)
        todo = np.flatnonzero(miss & (there != EMPTY))
        at, tags = at.take(todo), tags.take(todo)
        while len(todo):
            at += 1
            there = self._words.take(at)
            miss = (there ^ tags) >= _TAG
            hit, go = np.flatnonzero(~miss), np.flatnonzero(miss & (there != EMPTY))
            slots[todo.take(hit)] = (there.take(hit) & _SLOT).view(np.int64)
            todo, at, tags = todo.take(go), at.take(go), tags.take(go)
        return slots

    def insert(self, hashes: Hashes, slots: Slots) -> bool:
        """Add hashes that are not there yet; False if two look the same: then the index is of no use."""
        self._note(hashes, slots)
        if self._used + len(hashes) > self._most:
            return self._rebuild(slots)
        words, at = _tags(hashes) | slots.view(np.uint64), self._home(hashes)
        while len(words):
            there = self._words.take(at)
            free = np.flatnonzero(there < _TAG)
            self._words[at.take(free)] = words.take(free)
            now = self._words.take(at)
            lost = np.flatnonzero(now != words)
            self._used += int(np.count_nonzero(there == EMPTY) - np.count_nonzero(there.take(lost) == EMPTY))
            now, words, at = now.take(lost), words.take(lost), at.take(lost) + 1
            if ((now ^ words) < _TAG).any():
                return False
            if len(at) and at.max() >= len(self._words) - 1:
                return self._rebuild((words & _SLOT).view(np.int64))
        return True

    def remove(self, slots: Slots) -> None:
        """Forget the hashes of some slots, which are there."""
        hashes = self._hash_of[slots]
        words, at = _tags(hashes) | slots.view(np.uint64), self._home(hashes)
        while len(words):
            miss = self._words.take(at) != words
            found = at.take(np.flatnonzero(~miss))
            last = self._words.take(found + 1) == EMPTY  # nothing lies behind these: nobody has to look past them
            self._words[found] = np.where(last, EMPTY, GONE)
            self._used -= int(np.count_nonzero(last))
            go = np.flatnonzero(miss)
            words, at = words.take(go), at.take(go) + 1

    @property
    def nbytes(self) -> int:
        return self._words.nbytes + self._hash_of.nbytes

    def _home(self, hashes: Hashes) -> Slots:
        return (hashes >> self._shift).view(np.int64)

    def _note(self, hashes: Hashes, slots: Slots) -> None:
        needed = int(slots.max(initial=-1)) + 1
        if needed > len(self._hash_of):
            self._hash_of = np.resize(self._hash_of, max(needed, 2 * len(self._hash_of)))
        self._hash_of[slots] = hashes

    def _rebuild(self, more: Slots) -> bool:
        """Place all hashes anew, at most half as full as may be: in order, at their homes or behind the one before."""
        held = self._words[self._words >= _TAG]
        more = more.take(ordered(self._hash_of[more]))
        slots = np.concatenate([(held & _SLOT).view(np.int64), more])
        hashes = self._hash_of[slots]
        order = np.argsort(hashes, kind="stable")  # a merge: those held lie in order but for neighbours
        hashes, slots, count = hashes[order], slots[order], np.arange(len(order))
        spare, full = (16, 8) if len(order) <= _FEW else (3, 2)
        bits = max(4, (spare * len(order) - 1).bit_length())
        at = np.maximum.accumulate((hashes >> np.uint64(64 - bits)).view(np.int64) - count) + count
        self._clear(bits, int(at[-1]), (1 << bits) // full)
        self._words[at], self._used = _tags(hashes) | slots.view(np.uint64), len(order)
        return bool((hashes[1:] != hashes[:-1]).all())


def _tags(hashes: Hashes) -> Hashes:
    tags: Hashes = np.maximum(hashes << _HALF, _TAG)
    return tags
