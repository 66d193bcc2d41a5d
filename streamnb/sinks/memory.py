"""Memory: keeps every batch, for looking at in the notebook."""

from __future__ import annotations

import polars as pl


class Memory:
    """The rows of every batch by id. A batch that comes again replaces itself; ``forget_after`` serves rewinding."""

    def __init__(self) -> None:
        self._batches: dict[int, pl.DataFrame] = {}
        self._mode = "append"

    def write_polars(self, batch_id: int, rows: pl.DataFrame, mode: str) -> None:
        self._batches[batch_id], self._mode = rows, mode

    def forget_after(self, batch_id: int) -> None:
        """Drop the batches after ``batch_id``."""
        self._batches = {n: rows for n, rows in self._batches.items() if n <= batch_id}

    def batches(self, up_to: int | None = None) -> list[pl.DataFrame]:
        """Return the rows of every batch in order."""
        return [rows for n, rows in self._batches.items() if up_to is None or n <= up_to]

    def table(self, key: tuple[str, ...] | None, up_to: int | None = None) -> pl.DataFrame | None:
        """Return what a reader sees: all rows (append), the latest of every key (update), the last table (complete)."""
        batches = self.batches(up_to)
        if not batches:
            return None
        if self._mode == "complete":
            return batches[-1]
        rows = pl.concat(batches)
        if self._mode == "update" and key is not None:
            return latest(rows, key)
        return rows


def latest(rows: pl.DataFrame, key: tuple[str, ...]) -> pl.DataFrame:
    """Return the last row of every key, keys in order of first appearance."""
    if not key:
        return rows.tail(1)
    return rows.group_by(key, maintain_order=True).agg(pl.all().last()).select(rows.columns)
