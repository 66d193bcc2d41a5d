"""Logics: the entries of a checkpoint's log that say which logic decides from which batch on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import polars as pl

from streamnb.compatible import Shape
from streamnb.durable import Store
from streamnb.state import StateTable
from streamnb.state_files import StateFiles

_FOLDER, _WAITS = "logic", "switch"


@dataclass(frozen=True)
class Logic:
    """Which logic decides what comes after a batch.

    ``marks`` are the watermarks that it begins with, late rows' and its own. ``places`` are the folders of its tables,
    ``heads`` their newest files. The sink is the query's from batch ``sink_since`` on.
    """

    after: int
    how: str
    shape: Mapping[str, Any]
    marks: Sequence[int]
    sink_since: int = 0
    places: Sequence[int] = ()
    heads: Sequence[int] = ()


@dataclass(frozen=True)
class Waiting:
    """A switch that was asked for: the batch from which on another logic decides, and that logic as it is told."""

    at_batch: int
    logic: Sequence[str]

    way_out = "give it again with switch_to(fork(query=…), at_batch=…), or stay with this one by switch_to(fork())"

    def __str__(self) -> str:
        return f"`{' → '.join(self.logic) or 'the source as it is'}`"


class Logics:
    """The entries of one checkpoint, oldest first: ``logic/0``, ``logic/1``, … The first logic is in the metadata."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._half: int | None = None  # the entry that is being written
        self.waits = self._waiting()

    def newest(self) -> Logic | None:
        """Return the newest entry, None if the first logic still holds."""
        numbers = self._numbers()
        return self._read(numbers[-1]) if numbers else None

    def shapes(self) -> list[Mapping[str, Any]]:
        """Return the shapes of all logics, oldest first, each with the batch ``after`` which it held and ``how``."""
        metadata = json.loads(self._store.read("metadata"))
        later = [
            {"format": metadata["format"], "after": entry.after, "how": entry.how, **entry.shape}
            for entry in map(self._read, self._numbers())
        ]
        return [{"after": -1, "how": "start", **metadata}, *later]

    def enter(self, entry: Logic) -> None:
        """Log an entry: from here on it holds. What the disk fails in is taken back before anything else is written."""
        self.take_back()
        self._half = max(self._numbers(), default=-1) + 1
        self._store.write(f"{_FOLDER}/{self._half}", json.dumps(asdict(entry)).encode())
        self._half = None

    def take_back(self) -> None:
        """Remove an entry that could not be written whole, and be sure of it."""
        if self._half is not None:
            if self._half in self._numbers():
                self._store.remove(f"{_FOLDER}/{self._half}")
            self._store.sync(_FOLDER)
            self._half = None

    def wait_for(self, switch: Waiting | None) -> None:
        """Log a switch that waits for its batch, or that none does."""
        if switch is not None:
            self._store.write(_WAITS, json.dumps(asdict(switch)).encode(), point=_WAITS)
        self.waits = switch
        if switch is None and (self._store.path / _WAITS).exists():
            self._store.remove(_WAITS)

    def _waiting(self) -> Waiting | None:
        """Return the switch that waits, unless another logic has taken over since."""
        if not (self._store.path / _WAITS).exists():
            return None
        told, newest = Waiting(**json.loads(self._store.read(_WAITS))), self.newest()
        return None if newest is not None and newest.after >= told.at_batch - 1 else told

    def change(
        self, entry: Logic, tables: Sequence[StateTable], kept: Mapping[int, int], old: Sequence[int], state: StateFiles
    ) -> Logic:
        """Write the tables that are not ``kept``, each in a folder of its own, then the entry; ``old`` are the heads.

        Cut short before the entry, nothing has happened.
        """
        state.wait()
        fresh = state.fresh(len(old))
        places = [state.place(kept[n]) if n in kept else fresh + n for n in range(len(tables))]
        heads = [old[kept[n]] if n in kept else entry.after for n in range(len(tables))]
        for number, table in enumerate(tables):
            if number not in kept:
                state.whole(places[number], entry.after, table)
        entry = replace(entry, places=places, heads=heads)
        self.enter(entry)
        return entry

    def frames(self, state: StateFiles, heads: Sequence[int]) -> list[pl.DataFrame | None]:
        """Return the tables as they are on disk, of whatever logic they are."""
        return [state.frame(n, heads[n], told["keys"]) for n, told in enumerate(self.shapes()[-1]["tables"])]

    def _numbers(self) -> list[int]:
        there = (self._store.path / _FOLDER).exists()
        return self._store.numbers(_FOLDER) if there else []

    def _read(self, number: int) -> Logic:
        return Logic(**json.loads(self._store.read(f"{_FOLDER}/{number}")))


def renewed(shape: Shape, newest: Mapping[str, Any]) -> bool:
    """Tell whether a query that may go on is written otherwise than the newest logic."""
    return list(newest.get("logic", shape.logic)) != list(shape.logic)
