"""Spark's hash of a key, which says the partition that the key's rows and state go to: Murmur3, 32 bits, seed 42."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from streamnb.errors import PlanError

Hashes = NDArray[np.uint32]
SEED = 42
_C1, _C2, _M = np.uint32(0xCC9E2D51), np.uint32(0x1B873593), np.uint32(0xE6546B64)


def partitions(keys: pl.DataFrame, count: int) -> NDArray[np.int64]:
    """Return the partition of every row of keys among ``count``, as ``HashPartitioning`` has it."""
    return hashes(keys).view(np.int32).astype(np.int64) % count


def hashes(keys: pl.DataFrame) -> Hashes:
    """Return ``hash(columns…)`` of every row: each column's hash is the seed of the next; a null changes nothing."""
    return _on_from(np.full(len(keys), SEED, np.uint32), keys)


def _on_from(seeds: Hashes, keys: pl.DataFrame) -> Hashes:
    for column in keys.get_columns():
        seeds = np.where(column.is_null().to_numpy(), seeds, _column(column, seeds))
    return seeds


def _column(column: pl.Series, seeds: Hashes) -> Hashes:
    dtype = column.dtype
    if isinstance(dtype, pl.Struct):
        return _on_from(seeds, column.struct.unnest())
    hasher = next((by for kinds, by in _BY_TYPE if isinstance(dtype, kinds)), None)
    if hasher is None:
        raise PlanError(
            f"forecast: the key {column.name!r} is {dtype}, whose hash is not known here; group by text, numbers, "
            "dates or times.",
            code="SPARK_UNSUPPORTED",
        )
    return hasher(column, seeds)


def _ints(column: pl.Series, seeds: Hashes) -> Hashes:
    words = column.to_physical().fill_null(0).cast(pl.Int32).to_numpy().view(np.uint32)
    return _end(_mixed(seeds, words), np.uint32(4))


def _booleans(column: pl.Series, seeds: Hashes) -> Hashes:
    return _ints(column.cast(pl.Int32), seeds)


def _longs(column: pl.Series, seeds: Hashes) -> Hashes:
    whole = column.to_physical().fill_null(0).cast(pl.Int64).to_numpy().view(np.uint64)
    return _of_longs(whole, seeds)


def _of_longs(whole: NDArray[np.uint64], seeds: Hashes) -> Hashes:
    low, high = whole.astype(np.uint32), (whole >> np.uint64(32)).astype(np.uint32)
    return _end(_mixed(_mixed(seeds, low), high), np.uint32(8))


def _floats(column: pl.Series, seeds: Hashes) -> Hashes:
    """Minus zero is zero, and every NaN the same."""
    values = column.fill_null(0.0).to_numpy() + 0.0
    values = np.where(np.isnan(values), np.nan, values)
    if column.dtype == pl.Float32():
        return _end(_mixed(seeds, values.astype(np.float32).view(np.uint32)), np.uint32(4))
    return _of_longs(values.astype(np.float64).view(np.uint64), seeds)


def _texts(column: pl.Series, seeds: Hashes) -> Hashes:
    """Four bytes at a time; the last few one by one, each with its sign."""
    coded = [value.encode() if isinstance(value, str) else value or b"" for value in column]
    found = [_bytes(value, int(seed)) for value, seed in zip(coded, seeds, strict=True)]
    return np.array(found, np.uint32)


def _bytes(value: bytes, seed: int) -> int:
    whole = len(value) // 4 * 4
    words = [int.from_bytes(value[n : n + 4], "little") for n in range(0, whole, 4)]
    words += [byte - 256 if byte > 127 else byte for byte in value[whole:]]
    state = np.array([seed], np.uint32)
    for word in words:
        state = _mixed(state, np.array([word & 0xFFFFFFFF], np.uint32))
    return int(_end(state, np.uint32(len(value)))[0])


def _mixed(state: Hashes, word: Hashes) -> Hashes:
    with np.errstate(over="ignore"):
        k = _rotated(word * _C1, 15) * _C2
        return _rotated(state ^ k, 13) * np.uint32(5) + _M


def _rotated(x: Hashes, by: int) -> Hashes:
    return (x << np.uint32(by)) | (x >> np.uint32(32 - by))


def _end(state: Hashes, length: np.uint32) -> Hashes:
    with np.errstate(over="ignore"):
        h = state ^ length
        h = (h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B)
        h = (h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35)
        return h ^ (h >> np.uint32(16))


_BY_TYPE: tuple[tuple[tuple[type[pl.DataType], ...], Callable[[pl.Series, Hashes], Hashes]], ...] = (
    ((pl.Boolean,), _booleans),
    ((pl.Int8, pl.Int16, pl.Int32, pl.UInt8, pl.UInt16, pl.Date), _ints),
    ((pl.Int64, pl.UInt32, pl.Datetime, pl.Duration), _longs),
    ((pl.Float32, pl.Float64), _floats),
    ((pl.String, pl.Binary), _texts),
)
