"""from_rate: so many rows a second, for trying things out."""

from __future__ import annotations

import polars as pl

from streamnb.connect import Unit
from streamnb.errors import PlanError
from streamnb.time import SECOND, Clock, SystemClock

_SCHEMA = pl.Schema({"timestamp": pl.Datetime("us"), "value": pl.Int64()})


class Rate:
    """Columns ``timestamp`` (UTC, naive) and ``value`` (0, 1, 2, …), evenly spaced from the moment it is made."""

    schema = _SCHEMA
    arrival = "timestamp"

    def __init__(self, rows_per_second: float, clock: Clock | None) -> None:
        if not rows_per_second > 0:
            raise PlanError(
                f"from_rate: rows_per_second={rows_per_second!r} gives none; give more than 0.",
                code="OPTION_INVALID",
            )
        self.gap = SECOND / rows_per_second
        self._clock = clock or SystemClock()
        self._start = self._clock.now()

    def latest(self) -> int:
        return int((self._clock.now() - self._start) / self.gap)

    def read(self, start: int | None, end: int) -> pl.DataFrame:
        value = pl.int_range(start or 0, end, eager=True, dtype=pl.Int64)
        at = (self._start + (value + 1) * self.gap).cast(pl.Int64).cast(pl.Datetime("us"))
        return pl.DataFrame({"timestamp": at, "value": value})

    def commit(self, end: int) -> None:
        """Nothing to do: a row is a function of its number."""

    def unit(self, start: int | None) -> Unit | None:
        end = self.latest()
        return Unit(end) if end > (start or 0) else None

    def __repr__(self) -> str:
        return f"Rate({SECOND / self.gap:g} rows/s)"
