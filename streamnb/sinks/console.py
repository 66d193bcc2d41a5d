"""Console: prints every batch."""

from __future__ import annotations

import sys

import polars as pl


class Console:
    """Print the rows of every batch with its id, as Spark's console sink does; ``rows`` at most.

    >>> hourly.query(sink=sn.sinks.Console(rows=2)).rewind(to=-1).step().batch_id
    -- batch 0 (append)
    (no rows)
    0
    """

    def __init__(self, rows: int = 20) -> None:
        self._rows = rows

    def __repr__(self) -> str:
        return "Console()"

    def write_polars(self, batch_id: int, rows: pl.DataFrame, mode: str) -> None:
        table = rows.head(self._rows).to_pandas().to_string(index=False) if len(rows) else "(no rows)"
        more = f"\n… {len(rows) - self._rows} more" if len(rows) > self._rows else ""
        sys.stdout.write(f"-- batch {batch_id} ({mode})\n{table}{more}\n")
