"""Store: where a state table keeps its rows, by slot."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from streamnb.hash_index import Hashes, Slots

Numbers = NDArray[np.int64]
Held = Any
"""Rows as a store has them."""

EXPIRES = "__expires"
"""The column of a state table with the watermark that ends a row (microseconds; null: never)."""

FOREVER = np.iinfo(np.int64).max


class Store(ABC):
    """Rows by slot. Every call but ``frozen`` costs the rows named, not those held."""

    @abstractmethod
    def held(self, rows: pl.DataFrame) -> Held:
        """Return rows, which have all columns, as they are held."""

    @abstractmethod
    def held_keys(self, keys: pl.DataFrame) -> Held:
        """Return keys as they are held, whatever other columns there are."""

    @abstractmethod
    def rows(self, held: Held) -> pl.DataFrame:
        """Return rows from what is held."""

    @abstractmethod
    def picked(self, held: Held, numbers: Numbers) -> Held:
        """Return some of the rows by their numbers."""

    @abstractmethod
    def ends_of(self, held: Held) -> Numbers:
        """Return what ends rows."""

    @abstractmethod
    def hashes(self, held: Held, seed: int) -> Hashes:
        """Return the hash of every key."""

    def added(self, held: Held, old: Held, summed: Collection[str]) -> Held | None:
        """Return rows with some columns of as many old ones added to those of the first; None where it cannot."""
        return None

    @abstractmethod
    def grow(self, size: int) -> None:
        """Make room for so many slots."""

    @abstractmethod
    def write(self, slots: Slots, held: Held) -> None:
        """Put rows into slots, each a different one."""

    @abstractmethod
    def drop(self, slots: Slots) -> None:
        """Empty some slots."""

    @abstractmethod
    def at(self, slots: Slots) -> Held:
        """Return the rows in some slots."""

    @abstractmethod
    def match(self, slots: Slots, keys: Held, *, whole: bool) -> Held | None:
        """Return the rows in some slots, ``whole`` or not, if they have these keys; None if one has another."""

    @abstractmethod
    def ends(self, slots: Slots) -> Numbers:
        """Return what ends the rows in some slots."""

    @abstractmethod
    def turns(self, slots: Slots) -> Numbers:
        """Return numbers that grow with each row written, -1 for an empty slot."""

    @abstractmethod
    def frozen(self) -> Callable[[], pl.DataFrame]:
        """Return a way to have every row as it is now, oldest write first, later and in another thread."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Bytes held."""


def grown(values: Numbers, size: int, fill: int) -> Numbers:
    """Return numbers with more of them behind."""
    larger = np.full(size, fill, values.dtype)
    larger[: len(values)] = values
    return larger


def ends_of(rows: pl.DataFrame) -> Numbers:
    """Return what ends some rows of state."""
    ends = rows[EXPIRES]
    if ends.null_count() == len(ends):
        return np.full(len(ends), FOREVER)
    return (ends.fill_null(FOREVER) if ends.null_count() else ends).to_numpy()
