"""Memory: keeps every batch, for looking at in the notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from streamnb.schema import lean

_BATCH, _PLACE, _FIRST = "__batch", "__place", "__first"


class Memory:
    """The rows of every batch by id. A batch that comes again replaces itself; ``forget_after`` serves rewinding.

    What a query itself keeps for ``q.result`` is one of these: of batches that ``q.trace`` no longer tells of it has
    only the table that they left behind. One that you hand to a query keeps all.

    >>> memory = sn.sinks.Memory()
    >>> hourly.query(sink=memory).run().status
    'done'
    """

    def __init__(self) -> None:
        self._mode = "append"
        # the last batch that was let go of and the table then, and the batches since: replaced as one, for others look
        self._held: tuple[tuple[int, pl.DataFrame] | None, dict[int, pl.DataFrame]] = None, {}

    def __repr__(self) -> str:
        return f"Memory({len(self._held[1])} batches)"

    def write_polars(self, batch_id: int, rows: pl.DataFrame, mode: str) -> None:
        self._held[1][batch_id], self._mode = lean(rows), mode

    def forget_after(self, batch_id: int) -> None:
        """Drop the batches after ``batch_id``."""
        left, batches = self._held
        self._held = left, {n: rows for n, rows in batches.items() if n <= batch_id}

    def let_go(self, first: int, key: tuple[str, ...] | None) -> None:
        """Keep only the table that the batches before one have left behind."""
        table, (left, batches) = self.table(key, first - 1), self._held
        left = left if table is None else (first - 1, table.rechunk())
        self._held = left, {n: rows for n, rows in batches.items() if n >= first}

    @property
    def first(self) -> int:
        """The first batch whose rows are kept; 0 when all are."""
        left, _ = self._held
        return 0 if left is None else left[0] + 1

    def is_known(self, batch_id: int) -> bool:
        """Tell whether the table after a batch can still be told."""
        return batch_id >= self.first - 1

    def rows(self, batch_id: int) -> pl.DataFrame:
        """Return the rows of one batch."""
        return self._held[1][batch_id]

    def batches(self, up_to: int | None = None) -> list[pl.DataFrame]:
        """Return the rows of every batch that is kept, in order."""
        return _until(self._held[1], up_to)

    def table(self, key: tuple[str, ...] | None, up_to: int | None = None) -> pl.DataFrame | None:
        """Return what a reader sees: all rows (append), the latest of every key (update), the last table (complete)."""
        left, kept = self._held
        batches = [*([] if left is None else [left[1]]), *_until(kept, up_to)]
        if not batches:
            return None
        if self._mode == "complete":
            return batches[-1]
        if self._mode == "update" and key is not None:
            return latest([rows for rows in batches if set(key) <= set(rows.columns)], key)
        return _together(batches)


def _until(batches: Mapping[int, pl.DataFrame], last: int | None) -> list[pl.DataFrame]:
    return [rows for n, rows in list(batches.items()) if last is None or n <= last]


def _together(batches: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return batches below one another; the columns are the last one's, which another logic may have changed."""
    newest = batches[-1].schema
    if all(rows.schema == newest for rows in batches):
        return pl.concat(batches)
    return pl.concat([*batches], how="diagonal_relaxed").select(*newest)


def latest(batches: Sequence[pl.DataFrame], key: tuple[str, ...]) -> pl.DataFrame:
    """Return what the last batch that names a key says of it, keys in order of first appearance."""
    rows = _together([rows.with_columns(pl.lit(n).alias(_BATCH)) for n, rows in enumerate(batches)])
    by = key or (pl.lit(0),)
    rows = rows.with_row_index(_PLACE).with_columns(pl.col(_PLACE).min().over(*by).alias(_FIRST))
    newest = rows.filter(pl.col(_BATCH) == pl.col(_BATCH).max().over(*by))
    return newest.sort(_FIRST, _PLACE).drop(_BATCH, _PLACE, _FIRST)
