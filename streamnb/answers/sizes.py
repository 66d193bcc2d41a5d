"""Sizes: which keys of an operator were new in which batch, and how many there would be if none were forgotten."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from streamnb.ops.dedup_step import Deduplication
from streamnb.ops.group_by import GroupBy
from streamnb.plan import Node
from streamnb.progress import StepTrace, Trace
from streamnb.windows import END

Hashes = NDArray[np.uint64]
_NONE = np.empty(0, np.uint64)
MOST_KEYS = 1_000_000
"""Keys that were ever seen, up to which each is known; of more only the number of new ones is added up."""


@dataclass(frozen=True)
class Size:
    """What an operator kept after one batch.

    ``keys`` are the rows of its state, ``ever`` how many there would be if nothing were ever forgotten: all keys seen
    so far, those of late rows too. ``new``, ``changed`` and ``removed`` are those of this batch, ``nbytes`` its memory.
    """

    batch_id: int
    keys: int
    ever: int
    new: int
    changed: int
    removed: int
    nbytes: int


def key_of(node: Node) -> tuple[str, ...] | None:
    """Return the columns that name a row of an operator's state, as they stand in a trace; None: rows have no name."""
    if isinstance(node, GroupBy):
        return tuple(name for name in node.key_columns if name != END or node.window is None)
    return tuple(node.columns) if isinstance(node, Deduplication) else None


class Ledger:
    """Follows the traces of one operator; reads only what is new in them. Any thread may ask."""

    def __init__(self, node: Node, place: int) -> None:
        self._key, self._place = key_of(node), place
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._serials: list[int] = []  # not the traces: their rows are let go of by the query
        self._sizes: list[Size] = []
        self._new: list[Hashes] = []
        self._live, self._ever, self._count = _NONE, _NONE, 0
        self._blind = False  # whether rows of old batches were let go of before they were read here

    def follow(self, traces: Sequence[Trace]) -> list[Size]:
        """Return one size a batch; traces that were rewound are read anew."""
        with self._lock:
            found = followed(self._serials, traces)
            if found is None:
                self._forget()
            else:
                for known in (self._serials, self._sizes, self._new):
                    del known[:found]
            for trace in traces[len(self._serials) :]:
                self._read(trace, trace.steps[self._place])
            return self._sizes[: len(traces)]

    def is_new(self, batch: int, rows: pl.DataFrame) -> NDArray[np.bool_]:
        """Tell which rows of state came into being in a batch (its place in the traces)."""
        if self._key is None or not len(rows):
            return np.zeros(len(rows), np.bool_)
        hashes = rows.select(self._key).hash_rows(0).to_numpy() if self._key else np.zeros(len(rows), np.uint64)
        return _in(hashes, self._new[batch])

    def _read(self, trace: Trace, step: StepTrace) -> None:
        held = self._sizes[-1].keys if self._sizes else 0
        made = step.num_rows_total - held + step.num_rows_removed
        self._blind = self._blind or trace.summarised or len(self._ever) > MOST_KEYS
        self._ever = _NONE if self._blind else self._ever
        before = len(self._ever)
        new = _NONE if self._key is None or trace.summarised else self._turn(step, self._key)
        self._count += made if self._blind or self._key is None else len(self._ever) - before
        new = new if len(new) <= made else _NONE  # some are older than what is still told of
        changed = max(0, step.num_rows_updated - made)
        size = (step.num_rows_total, self._count, made, changed, step.num_rows_removed, step.memory_used_bytes)
        self._sizes.append(Size(trace.batch_id, *size))
        self._new.append(new)
        self._serials.append(trace.serial)

    def _turn(self, step: StepTrace, key: tuple[str, ...]) -> Hashes:
        """Move the sets of keys one batch on; return the new ones."""
        touched = _hash(step.changed(), key) if step.num_rows_updated else _NONE
        gone = _hash(step.removed(), key) if step.num_rows_removed else _NONE
        late = _NONE if step.late is None or not len(step.late) else _hash(step.late, key)
        new = touched[~_in(touched, self._live)]
        self._live = _without(_with(self._live, new), gone)
        self._ever = _NONE if self._blind else _with(_with(self._ever, new), late)
        return new


def followed(known: Sequence[int], traces: Sequence[Trace]) -> int | None:
    """Return how many of the traces known, by serial, were let go of; None where they no longer are those known.

    What is known may go on behind the last of ``traces``: a look at an earlier batch forgets nothing.
    """
    if not known or not traces:
        return 0
    gone = bisect_left(known, traces[0].serial)
    common = min(len(known) - gone, len(traces))
    if common and known[gone] == traces[0].serial and known[gone + common - 1] == traces[common - 1].serial:
        return gone
    return None


def _hash(rows: pl.DataFrame, key: Sequence[str]) -> Hashes:
    """Return the hashes of the keys, each once, in order."""
    if not key:
        return np.zeros(min(1, len(rows)), np.uint64)
    hashes = np.sort(rows.select(key).hash_rows(0).to_numpy())
    return hashes[np.concatenate([[True], hashes[1:] != hashes[:-1]])] if len(hashes) else hashes


def _in(hashes: Hashes, among: Hashes) -> NDArray[np.bool_]:
    """Tell which hashes are among others, which are in order."""
    at = np.searchsorted(among, hashes)
    found = at < len(among)
    found[found] = among[at[found]] == hashes[found]
    return found


def _with(among: Hashes, new: Hashes) -> Hashes:
    fresh = new[~_in(new, among)]
    return np.insert(among, np.searchsorted(among, fresh), fresh) if len(fresh) else among


def _without(among: Hashes, gone: Hashes) -> Hashes:
    there = gone[_in(gone, among)]
    return np.delete(among, np.searchsorted(among, there)) if len(there) else among
