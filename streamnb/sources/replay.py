"""from_pandas: a table replayed as a stream, in order of arrival."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from streamnb.connect import Unit
from streamnb.errors import DataError, PlanError, column_not_found
from streamnb.schema import as_rows, microseconds
from streamnb.time import Duration, duration


class Replay:
    """A table as a source. Offsets count rows in order of arrival."""

    def __init__(self, data: Any, arrival: str | None, every: Duration | None, rows: int | None) -> None:
        table = microseconds(as_rows("from_pandas", data))
        self.arrival = arrival
        if arrival is not None:
            table = table.sort(_checked(table, arrival), maintain_order=True)
        self._table = table
        self.schema = table.schema
        self._ends, self._times = _cut(table, arrival, every, rows)

    def latest(self) -> int:
        return len(self._table)

    def read(self, start: int | None, end: int) -> pl.DataFrame:
        return self._table[start or 0 : end]

    def waiting(self, end: int | None) -> int:
        return len(self._table) - (end or 0)

    def commit(self, end: int) -> None:
        """Nothing to do: the table stays."""

    def unit(self, start: int | None) -> Unit | None:
        at = int(np.searchsorted(self._ends, start or 0, side="right"))
        if at == len(self._ends):
            return None
        return Unit(int(self._ends[at]), None if self._times is None else int(self._times[at]))

    def __repr__(self) -> str:
        rows, units = len(self._table), len(self._ends)
        return f"Replay({rows} row{'s' * (rows != 1)} in {units} unit{'s' * (units != 1)})"


def _checked(table: pl.DataFrame, arrival: str) -> str:
    if arrival not in table.columns:
        raise column_not_found("from_pandas", arrival, table.columns)
    if not isinstance(table[arrival].dtype, pl.Datetime):
        raise PlanError(
            f"from_pandas: arrival {arrival!r} is {table[arrival].dtype}, not a datetime; use pd.to_datetime.",
            code="EVENT_TIME_TYPE",
        )
    missing = table[arrival].null_count()
    if missing:
        raise DataError(
            f"from_pandas: {missing} rows have no {arrival!r} and would never arrive; drop them with "
            f"df.dropna(subset=[{arrival!r}])."
        )
    return arrival


def _cut(
    table: pl.DataFrame, arrival: str | None, every: Duration | None, rows: int | None
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any] | None]:
    """Return where units end, and when: at the first tick of ``every`` at or after their rows arrived."""
    if every is not None and rows is not None:
        raise PlanError(f"from_pandas: {every=} and {rows=} are two measures; give one.", code="OPTION_INVALID")
    if every is not None:
        if arrival is None:
            raise PlanError(
                "from_pandas: every= cuts by the time of arrival; give arrival=, its column.", code="OPTION_INVALID"
            )
        step = duration(every, "from_pandas")
        if step <= 0:
            raise PlanError(f"from_pandas: every={every!r} is no time at all; write '30 min'.", code="OPTION_INVALID")
        times = -(-table[arrival].to_physical().to_numpy() // step) * step
        ends = np.flatnonzero(np.diff(times, append=times[-1:] + 1)) + 1
        return ends, times[ends - 1]
    size = len(table) if rows is None else rows
    if size <= 0 < len(table):
        raise PlanError(f"from_pandas: rows={rows!r} makes no progress; give 1 or more.", code="OPTION_INVALID")
    ends = np.append(np.arange(size, len(table), size), len(table)) if len(table) else np.empty(0, np.int64)
    return ends, None if arrival is None else table[arrival].to_physical().to_numpy()[ends - 1]
