"""ForeachBatch: hands every batch to a function of yours."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


class ForeachBatch:
    """Call ``fn(rows, batch_id)`` with pandas for every batch, empty ones too.

    At least once: after a crash the same batch may come again, with the same id and the same rows. Write both in one
    transaction and skip an id that is already there.

    Spark: ``foreachBatch``.

    >>> heard = []
    >>> sink = sn.sinks.ForeachBatch(lambda rows, batch_id: heard.append(batch_id))
    >>> hourly.query(sink=sink).run().status, len(heard)
    ('done', 32)
    """

    def __init__(self, fn: Callable[[pd.DataFrame, int], object]) -> None:
        self.fn = fn

    def __repr__(self) -> str:
        return f"ForeachBatch({getattr(self.fn, '__qualname__', self.fn)})"

    def write(self, batch_id: int, rows: pd.DataFrame, mode: str) -> None:
        self.fn(rows, batch_id)
