"""The rows that all contenders get: seeded, and written as Parquet files once."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl

ROWS, BATCH = 4_000_000, 100_000
PER_SECOND = 2_500
"""Rows a second of event time."""
_VERSION = 1


def events(rows: int, keys: int = 100, seed: int = 1) -> pl.DataFrame:
    """Return rows of event time (up to 3 s out of order), key and value."""
    rng = np.random.default_rng(seed)
    at = np.arange(rows) * (1_000_000 // PER_SECOND) + 10**12 - rng.integers(0, 3_000_000, rows)
    return pl.DataFrame(
        {"at": pl.Series(at).cast(pl.Datetime("us")), "key": rng.integers(0, keys, rows), "value": rng.random(rows)}
    )


def batches(rows: pl.DataFrame, size: int = BATCH) -> list[pl.DataFrame]:
    """Cut rows into batches."""
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def folder(keys: int = 100, rows: int = ROWS, size: int = BATCH) -> Path:
    """Return the folder with the same rows as Parquet files, one a batch; it is made at the first call."""
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "streamnb-bench"
    path = home / f"events-{rows}-{size}-{keys}-v{_VERSION}"
    if not path.exists():
        making = path.with_suffix(f".{os.getpid()}")
        making.mkdir(parents=True)
        for number, part in enumerate(batches(events(rows, keys), size)):
            part.write_parquet(making / f"{number:04}.parquet")
        making.rename(path)
    return path
