"""Ids of rows that are the same whenever a batch comes again, whatever the order of its rows."""

from __future__ import annotations

import polars as pl

_HASH, _NTH = "__hash", "__nth"


def row_ids(rows: pl.DataFrame, scope: str, *, number: bool = True) -> list[str]:
    """Return ``scope/fingerprint`` of every row; ``number`` counts the rows of a batch that are equal."""
    if not len(rows):
        return []
    hashed = rows.hash_rows(11).alias(_HASH).to_frame()
    counted = hashed.with_columns(pl.int_range(pl.len()).over(_HASH).alias(_NTH))
    if not number:
        return [f"{scope}/{bits:016x}" for bits in hashed[_HASH]]
    return [f"{scope}/{bits:016x}-{nth}" for bits, nth in counted.iter_rows()]
