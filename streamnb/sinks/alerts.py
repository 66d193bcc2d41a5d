"""Alerts: a call of the user's own function for every row: a message, a page, a request over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from streamnb.errors import PlanError, QueryError, StreamnbError, column_not_found
from streamnb.patience import Retry, asker, patiently, still_asked
from streamnb.sinks.row_ids import row_ids
from streamnb.time import SECOND, Duration, duration


class Alerts:
    """Call ``fn(row, id)`` for every row: a dict, and a text that is the same whenever the same alert comes again.

    At least once: after a crash an alert may come again, with the same ``id``; hand it on as the idempotency key of a
    request, or skip one that was seen. With ``key`` an alert is one per key, not one per row: a key that was alerted is
    not alerted again while this query lives. A call that raises, or takes longer than ``timeout``, is tried again
    ``retries`` times with growing waits; then the batch fails, and alerts of it that were made are not made again.

    State: one id for each key that was alerted.

    >>> told = []
    >>> alerts = sn.sinks.Alerts(lambda row, key: told.append(row["n"]), key="window_start")
    >>> hourly.query(sink=alerts).run().status, told[:3]
    ('done', [6, 9, 13])
    """

    def __init__(
        self,
        fn: Callable[[Mapping[str, Any], str], object],
        key: str | Sequence[str] | None = None,
        retries: int = 3,
        timeout: Duration = "30 seconds",
    ) -> None:
        if retries < 0:
            raise PlanError(f"Alerts: retries={retries} is less than none; give 0 or more.", code="OPTION_INVALID")
        self._fn, self._retries, self._seconds = fn, retries, duration(timeout, "Alerts") / SECOND
        self._key = [key] if isinstance(key, str) else list(key or ())
        self._query, self._batch = "", -1
        self._made: set[str] = set()

    def __repr__(self) -> str:
        return f"Alerts({getattr(self._fn, '__qualname__', self._fn)})"

    def open(self, query: str, epoch: int) -> None:
        """Hear for which query the batches are."""
        self._query, self._batch = query, -1
        self._made.clear()

    def write_polars(self, batch_id: int, rows: pl.DataFrame, mode: str) -> None:
        for name in self._key:
            if name not in rows.columns:
                raise column_not_found("Alerts", name, rows.columns)
        if not self._key and batch_id != self._batch:
            self._made.clear()
        self._batch = batch_id
        scope = self._query if self._key else f"{self._query}/{batch_id}"
        ids = row_ids(rows.select(self._key), scope, number=False) if self._key else row_ids(rows, scope)
        for row, id in zip(rows.iter_rows(named=True), ids, strict=True):
            if id not in self._made:
                self._call(row, id, batch_id)
                self._made.add(id)

    def _call(self, row: Mapping[str, Any], id: str, batch_id: int) -> None:
        retry, ended = Retry(), asker() or threading.Event()
        for attempt in range(self._retries + 1):
            try:
                patiently(lambda: self._fn(row, id), self._seconds)
            except StreamnbError:
                raise
            except Exception as error:
                if attempt == self._retries:
                    raise QueryError(
                        f"Alerts: a call failed {attempt + 1} times in batch {batch_id}: "
                        f"{type(error).__name__} {error}; step again to go on with it."
                    ) from error
                ended.wait(retry.next())
                still_asked()
            else:
                return
