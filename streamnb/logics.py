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

_FOLDER = "logic"


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


class Logics:
    """The entries of one checkpoint, oldest first: ``logic/0``, ``logic/1``, … The first logic is in the metadata."""

    def __init__(self, store: Store) -> None:
        self._store = store

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
        """Log an entry: from here on it holds."""
        number = max(self._numbers(), default=-1) + 1
        self._store.write(f"{_FOLDER}/{number}", json.dumps(asdict(entry)).encode())

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
