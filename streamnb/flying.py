"""Flying: a batch on its way to the disk and the sink, while the next one is computed.

``q.run()`` lets a batch fly to a sink that says so. What is written, and in which order, is as ever, in a thread: the
log of a batch is begun when the batch before it has landed. Where it fails, what was computed since is thrown away.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from concurrent.futures import Future, wait
from dataclasses import dataclass

import polars as pl

from streamnb.evolving.forking import Forking
from streamnb.history import Point
from streamnb.inputs import Planned
from streamnb.journal import Begun
from streamnb.meanwhile import meanwhile
from streamnb.patience import asking
from streamnb.points import reached
from streamnb.progress import Progress, Trace
from streamnb.report import delivered, summed
from streamnb.retention import Retention


@dataclass(frozen=True)
class Computed:
    """A batch whose rows are computed, and what is still to be written and told of it."""

    begun: Begun
    rows: pl.DataFrame
    dead: pl.DataFrame
    trace: Trace
    progress: Progress
    is_logged: bool  # whether the log has its intent


@dataclass(frozen=True)
class Closed:
    """A batch that is whole in memory: where the query stands after it, and the watermark of the next one."""

    computed: Computed
    point: Point
    next_watermark: int


@dataclass(frozen=True)
class Flight:
    """A batch on its way; the future tells how long it took."""

    batch: Closed
    future: Future[float]


class Flying(Forking):
    """What becomes of a batch that is computed."""

    _retention: Retention
    _flight: Flight | None = None

    @abstractmethod
    def _alive(self) -> None: ...

    @property
    def _next_id(self) -> int:
        return self._history.last.batch_id + (1 if self._flight is None else 2)

    def _again(self) -> Planned | None:
        """Return the plan of a batch that was begun and not finished: the same rows again."""
        return self._journal.again(self._next_id)

    def _closed(self, computed: Computed) -> Closed:
        """Stand behind a batch in memory: what comes next is computed from here."""
        planned = computed.begun.planned
        self._watermark.advance()
        self._inputs.commit(planned.offsets)
        point = self._history.close(computed.begun.batch_id, dict(planned.offsets), self._graph.snapshot())
        return Closed(computed, point, self._watermark.current)

    def _hand_over(self, batch: Closed) -> float:
        """Write a batch down and give it to the sink; return the seconds that took."""
        computed, number, started = batch.computed, batch.point.batch_id, time.perf_counter()
        if not computed.is_logged:
            self._journal.begin(computed.begun)
        self._journal.keep(number, batch.point.changes, computed.dead)
        reached("sink.begin")
        asking(self._inputs.ended, lambda: self._delivery.write(number, computed.rows))
        reached("sink.end")
        seconds = time.perf_counter() - started
        self._journal.commit(number, batch.next_watermark)
        reached("batch.end")
        return seconds

    def _happened(self, batch: Closed, seconds: float) -> Progress:
        """Tell of a batch that the sink has."""
        progress = delivered(batch.computed.progress, seconds, self._delivery.retried)
        planned = batch.computed.begun.planned
        self._replayed = planned.time if planned.replayed else None
        before = self._trace[-1] if self._trace else None
        self._progress.append(progress)  # first: who looks meanwhile goes by the number of traces
        self._trace.append(summed(batch.computed.trace, progress.num_input_rows, before))
        offsets = self._history.last.offsets
        self._history.add(batch.point)
        self._retention.added()
        self._journal.release(offsets, batch.point.offsets)
        self._let_go()
        return progress

    def _let_go(self) -> None:
        """Let go of the oldest batches once there are too many; their stories go last, so that all of it is done."""
        first = self._retention.first
        if first is None:
            return
        self._history.let_go(first)
        self._memory.let_go(first, self._optimized.key)
        self._journal.let_go(first)
        self._eras = [era for era in self._eras if era[0].last.batch_id >= first]
        for history, _ in self._eras:
            history.let_go(first)
        self._retention.let_go(first)

    def _can_fly(self, batch: Closed) -> bool:
        """Tell whether the next batch needs to know nothing of how this one ends."""
        alone = self._switch is None and self._origin is None and not self._journal.taken_back
        return alone and self._delivery.overlaps and not self._journal.is_due(batch.point.batch_id, batch.point.changes)

    def _launch(self, batch: Closed) -> None:
        self._alive()
        self._flight = flight = Flight(batch, Future())  # before the thread is there: an interrupt must not lose it
        meanwhile(flight.future, lambda: self._hand_over(batch), "delivery")

    def _land(self, *, cancel: bool = False) -> None:
        """Wait for the batch that is on its way, if one is; raise what it failed with.

        ``cancel``: after an interrupt, which may have come before its thread.
        """
        flight = self._flight
        if flight is None:
            return
        if cancel:
            flight.future.cancel()
        if not flight.future.cancelled():
            wait([flight.future])
        broken, self._broken = self._broken, True  # until it is told of
        self._flight = None
        if flight.future.cancelled():
            self._alive()  # or it was a stop: nothing may follow
            return
        error = flight.future.exception()
        if error is not None:
            self._exception = error if isinstance(error, Exception) and not self._stopped else None
            raise error
        self._happened(flight.batch, flight.future.result())
        self._broken = broken

    def _give_up_flight(self) -> None:
        """Wait until nothing is on its way any more; what has not started does not."""
        flight = self._flight
        if flight is not None and not flight.future.cancel():
            wait([flight.future])
