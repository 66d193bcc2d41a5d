"""Block: the rows of a state table in one array, changed in place; where every column has a fixed width."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from streamnb.hash_index import Hashes, Slots
from streamnb.store import EXPIRES, FOREVER, Numbers, Store, ends_of

_MOST = 16
"""So many columns a block has at most: one bit each says what is null, beside the turn."""
_ODD, _ODDER = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
_HALF, _WORD = np.uint64(32), (1 << 64) - 1
_TURN, _NULLS = 16, (1 << 16) - 1


def fits(schema: Mapping[str, pl.DataType], keys: Iterable[str]) -> bool:
    """Tell whether a block can hold rows: of numbers, times and truth, keys not of floats, as these have two zeros."""
    numbers = all(_width_is_fixed(dtype) for dtype in schema.values())
    return numbers and len(schema) <= _MOST and not any(schema[key].is_float() for key in keys)


def _width_is_fixed(dtype: pl.DataType) -> bool:
    whole = dtype.is_integer() and dtype not in {pl.Int128, pl.UInt128}
    return whole or dtype.is_temporal() or dtype in {pl.Float64, pl.Boolean}


class Block(Store):
    """A row is a few words of 64 bits: its turn and its nulls, then its columns. So all of it is one look at memory."""

    def __init__(self, schema: pl.Schema, keys: Sequence[str]) -> None:
        self._schema, self._keys = schema, keys
        self._at = {name: n for n, name in enumerate(schema, 1)}
        self._width = len(schema) + 1
        self._row = np.dtype((np.void, 8 * self._width))
        self._words = np.empty((0, self._width), np.int64)
        self._turn = 0

    def held(self, rows: pl.DataFrame) -> Numbers:
        return self._columns(rows, self._schema)

    def held_keys(self, keys: pl.DataFrame) -> Numbers:
        return self._columns(keys, self._keys)

    def _columns(self, rows: pl.DataFrame, names: Iterable[str]) -> Numbers:
        """Return rows column by column; what is null there stands in front."""
        held = np.empty((self._width, len(rows)), np.int64)
        held[0] = 0
        for name in names:
            column, at = rows[name], self._at[name]
            held[at] = ends_of(rows) if name == EXPIRES else _words_of(column)
            if name != EXPIRES and column.null_count():
                held[0] |= column.is_null().to_numpy().astype(np.int64) << (at - 1)
        return held

    def rows(self, held: Numbers) -> pl.DataFrame:
        nulls = _any_nulls(held)
        return pl.DataFrame([self._column(name, held, nulls) for name in self._schema])

    def _column(self, name: str, held: Numbers, nulls: int) -> pl.Series:
        at, dtype = self._at[name], self._schema[name]
        column = _column_of(name, held[at], dtype)
        if name != EXPIRES and not nulls >> (at - 1) & 1:
            return column
        null = held[at] == FOREVER if name == EXPIRES else held[0] >> (at - 1) & 1 == 1
        if not null.any():
            return column
        if null.all():
            return pl.Series(name, [None], dtype).new_from_index(0, len(null))
        return column.zip_with(pl.Series(~null), pl.Series([None], dtype=dtype))

    def picked(self, held: Numbers, numbers: Numbers) -> Numbers:
        return held.take(numbers, axis=1)

    def ends_of(self, held: Numbers) -> Numbers:
        ends: Numbers = held[self._at[EXPIRES]]
        return ends

    def hashes(self, held: Numbers, seed: int) -> Hashes:
        hashes = np.full(held.shape[1], seed, np.uint64)
        nulls = _any_nulls(held)
        for at in map(self._at.__getitem__, self._keys):
            hashes += held[at].view(np.uint64)
            if nulls >> (at - 1) & 1:
                hashes[held[0] >> (at - 1) & 1 == 1] += np.uint64(int(_ODD) * (seed + 1) & _WORD)
            hashes *= _ODD
            hashes ^= hashes >> _HALF
            hashes *= _ODDER
        hashes ^= hashes >> _HALF
        return hashes

    def added(self, held: Numbers, old: Numbers, summed: Collection[str]) -> Numbers | None:
        if any((_any_nulls(held) | _any_nulls(old)) >> (self._at[name] - 1) & 1 for name in summed):
            return None
        for name in summed:
            kind = np.float64 if self._schema[name] == pl.Float64 else np.int64
            held[self._at[name], : old.shape[1]].view(kind)[:] += old[self._at[name]].view(kind)
        return held

    def grow(self, size: int) -> None:
        words = np.empty((size, self._width), np.int64)
        words[: len(self._words)] = self._words
        words[len(self._words) :, 0] = -1
        self._words = words

    def write(self, slots: Slots, held: Numbers) -> None:
        words = np.empty((len(slots), self._width), np.int64)
        words[:] = held.T
        words[:, 0] = (np.arange(self._turn, self._turn + len(slots)) << _TURN) | (held[0] & _NULLS)
        self._turn += len(slots)
        self._rows.put(slots, words.view(self._row)[:, 0])

    def drop(self, slots: Slots) -> None:
        self._words.reshape(-1)[slots * self._width] = -1

    def at(self, slots: Slots) -> Numbers:
        words = self._rows.take(slots).view(np.int64).reshape(len(slots), self._width)
        return np.ascontiguousarray(words.T)

    def match(self, slots: Slots, keys: Numbers, *, whole: bool) -> Numbers | None:
        held = self.at(slots)
        ats = [self._at[name] for name in self._keys]
        nulls = np.int64(sum(1 << (at - 1) for at in ats))
        same = all(np.array_equal(held[at], keys[at]) for at in ats) and not ((held[0] ^ keys[0]) & nulls).any()
        return held if same else None

    def ends(self, slots: Slots) -> Numbers:
        return self._words.reshape(-1).take(slots * self._width + self._at[EXPIRES])

    def turns(self, slots: Slots) -> Numbers:
        return self._words.reshape(-1).take(slots * self._width) >> _TURN

    def frozen(self) -> Callable[[], pl.DataFrame]:
        words = self._words[self._words[:, 0] >= 0]
        return lambda: self.rows(np.ascontiguousarray(words[np.argsort(words[:, 0])].T))

    @property
    def nbytes(self) -> int:
        return self._words.nbytes

    @property
    def _rows(self) -> NDArray[Any]:
        """The same memory, a row an element."""
        return self._words.view(self._row)[:, 0]


def _any_nulls(held: Numbers) -> int:
    """Return the columns that hold a null, a bit each."""
    return int(np.bitwise_or.reduce(held[0])) & _NULLS


def _words_of(column: pl.Series) -> Numbers:
    """Return a column as words, zero for null."""
    column = column if column.dtype in {pl.Float64, pl.UInt64} else column.cast(pl.Int64)
    column = column.fill_null(0) if column.null_count() else column
    return column.to_numpy().view(np.int64)


def _column_of(name: str, words: Numbers, dtype: pl.DataType) -> pl.Series:
    if dtype == pl.Float64:
        return pl.Series(name, words.view(np.float64))
    column = pl.Series(name, words.view(np.uint64) if dtype == pl.UInt64 else words)
    return column if dtype in {pl.Int64, pl.UInt64} else column.cast(dtype)
