"""Delivery: what a batch gives out, to the memory that ``q.result`` reads and to the user's sink."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import polars as pl

from streamnb.connect import PolarsSink, Sink
from streamnb.contact import Contact
from streamnb.errors import PlanError, QueryError, StreamnbError
from streamnb.sinks.foreach_batch import ForeachBatch
from streamnb.sinks.memory import Memory

if TYPE_CHECKING:
    import pandas as pd

AnySink = Sink | PolarsSink | Callable[["pd.DataFrame", int], object]

SINK_RETRIES = 3
"""How often a batch is given again to a sink that failed. A function of the user's own is called once."""
_FIRST_WAIT, _LONGEST_WAIT = 0.1, 10.0


class Delivery:
    """Hands every batch on by its id, so that a sink can tell one that comes again.

    A sink that fails is tried again ``retries`` times, after 0.1 s, 0.2 s, 0.4 s … up to 10 s. ``wait`` takes the
    seconds and tells whether the query was stopped meanwhile. While a sink is slow one batch at most is read ahead.
    """

    def __init__(
        self, sink: AnySink | None, mode: str, retries: int | None = None, wait: Callable[[float], bool] | None = None
    ) -> None:
        self.memory = Memory()
        self._sink, self._mode, self._wait = _as_sink(sink), mode, wait or (lambda _: True)
        if self._sink is not None and hasattr(self._sink, "check"):
            self._sink.check(mode)
        default = 0 if isinstance(self._sink, ForeachBatch) else SINK_RETRIES
        self._retries = default if retries is None else retries
        self.retried = 0  # how often the last batch was tried again
        self.reached = -1  # the last batch that was handed on
        self._contact = Contact()

    @property
    def name(self) -> str:
        return "memory" if self._sink is None else type(self._sink).__name__

    @property
    def troubles(self) -> list[str]:
        """Why the sink cannot be written now, since when, and how often it was tried; nothing while it can."""
        trouble = self._contact.trouble
        return [] if trouble is None else [f"{_named(self._sink)} cannot be written: {trouble}"]

    @property
    def overlaps(self) -> bool:
        """Whether the sink may be given a batch in a thread, while the next one is computed."""
        return bool(getattr(self._sink, "overlaps", False))

    def open(self, query: str, epoch: int) -> None:
        """Tell a sink that keeps a ledger for which query, and which of its runs, the batches are."""
        if self._sink is not None and hasattr(self._sink, "open"):
            self._sink.open(query, epoch)

    def close(self) -> None:
        """Tell a sink that no batch follows."""
        if self._sink is not None and hasattr(self._sink, "close"):
            self._sink.close()

    def fits(self, schema: pl.Schema) -> None:
        """Let a sink that names columns refuse rows that lack them, before anything runs."""
        if self._sink is not None and hasattr(self._sink, "fits"):
            self._sink.fits(schema)

    def attach(self, query: Any) -> None:
        """Hand the query to a sink that shows it."""
        if self._sink is not None and hasattr(self._sink, "attach"):
            self._sink.attach(query)

    def redirected(self, sink: AnySink) -> Delivery:
        """Return one that would hand on to another sink."""
        return Delivery(sink, self._mode, None, self._wait)

    def redirect(self, to: Delivery) -> None:
        """Hand on to the sink of another one from now on."""
        if self._sink is not to._sink:
            self.close()
            self._sink, self._retries = to._sink, to._retries

    def write(self, batch_id: int, rows: pl.DataFrame) -> None:
        """Give out the rows of a batch; what the sink raises in the end is a QueryError that names it."""
        self.memory.write_polars(batch_id, rows, self._mode)
        self.retried, self.reached = 0, batch_id
        if self._sink is None:
            return
        try:
            while not self._is_written(self._sink, batch_id, rows):
                self.retried += 1
        except StreamnbError:
            raise
        except Exception as error:
            tries = f" {self.retried + 1} times" if self.retried else ""
            raise QueryError(
                f"sink: {_named(self._sink)} failed{tries} on batch {batch_id}, {len(rows)} rows: "
                f"{type(error).__name__} {str(error).rstrip('.')}; mend it, then step again."
            ) from error

    def _is_written(self, sink: Sink | PolarsSink, batch_id: int, rows: pl.DataFrame) -> bool:
        """Try once; False after a failure that has been waited out, to try again."""
        try:
            self._hand_over(sink, batch_id, rows)
        except StreamnbError:
            raise
        except Exception as error:
            self._contact.failed(f"{type(error).__name__} {error}")
            if self.retried >= self._retries or self._wait(min(_FIRST_WAIT * 2**self.retried, _LONGEST_WAIT)):
                raise
            return False
        self._contact.made()
        return True

    def _hand_over(self, sink: Sink | PolarsSink, batch_id: int, rows: pl.DataFrame) -> None:
        if hasattr(sink, "write_polars"):
            sink.write_polars(batch_id, rows, self._mode)
        else:
            sink.write(batch_id, rows.to_pandas(), self._mode)


def _named(sink: object) -> str:
    """Return a sink as it shows itself, or the name of its class."""
    return type(sink).__name__ if type(sink).__repr__ is object.__repr__ else repr(sink)


def _as_sink(sink: AnySink | None) -> Sink | PolarsSink | None:
    if sink is None or hasattr(sink, "write") or hasattr(sink, "write_polars"):
        return sink
    if callable(sink):
        return ForeachBatch(sink)
    raise PlanError(
        f"query: sink={sink!r} is not known; use sn.sinks.…, or a function of (pandas, batch_id).",
        code="OPTION_INVALID",
    )
