"""Query: one running copy of a frame. Step it, run it, play it, rewind it, stop it, and look at all it did."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import polars as pl

from streamnb import display, registry
from streamnb.check import check
from streamnb.checkpoint import Checkpoint
from streamnb.compatible import shape
from streamnb.dead_letters import Aside, letters, too_far_ahead
from streamnb.delivery import AnySink, Delivery
from streamnb.errors import DataError, QueryError, not_there, one_of
from streamnb.evolving.evolution import Evolution
from streamnb.evolving.forking import Start
from streamnb.evolving.givens import Givens
from streamnb.evolving.sources import sources_of
from streamnb.flying import Computed, Flying
from streamnb.graph import Graph
from streamnb.history import History, Point
from streamnb.inputs import Inputs, Planned, own_sources
from streamnb.journal import Begun, Journal
from streamnb.optimize import optimize
from streamnb.outline import outline
from streamnb.params import giving
from streamnb.plan import Batch, Node, Opening
from streamnb.player import Player
from streamnb.playing import TRIGGERS, interval
from streamnb.points import reached
from streamnb.progress import Outline, Progress, Trace
from streamnb.report import progress_of, trace_of
from streamnb.retention import Retention
from streamnb.time import Clock, Duration, SystemClock, Watermark, duration


class Query(Flying):
    """One running copy of a frame, made by ``frame.query()`` or ``frame.start()``.

    All that happens happens in batches, one at a time, whoever asks for them. After a batch that failed or was
    interrupted the query stands where it stood before it; the next step tries that batch again.

    >>> hourly.query(name='nightly').run()
    Query 'nightly': done, 32 batches, watermark 2013-02-08 14:28:00
    """

    def __init__(
        self,
        plan: Node,
        *,
        output_mode: str = "append",
        sink: AnySink | None = None,
        trigger: Duration | None = None,
        name: str | None = None,
        watermark_policy: str = "min",
        clock: Clock | None = None,
        no_data_batches: bool = True,
        multiple_stateful: bool = True,
        checkpoint: str | os.PathLike[str] | None = None,
        on_bad_record: str = "dead_letters",
        guard_future: Duration | None = None,
        sink_retries: int | None = None,
        evolve: bool | str = False,
        start: Start | None = None,
    ) -> None:
        self._settings = {
            "watermark_policy": watermark_policy, "clock": clock, "no_data_batches": no_data_batches,
            "multiple_stateful": multiple_stateful, "on_bad_record": on_bad_record, "guard_future": guard_future,
        }  # fmt: skip
        _choice("watermark_policy", watermark_policy, ("min", "max"))
        _choice("on_bad_record", on_bad_record, ("dead_letters", "fail"))
        self._mode, self._keeps_bad = output_mode, on_bad_record == "dead_letters"
        self._checked(plan)
        self.name, self._clock = name or registry.default_name(), clock or SystemClock()
        self._no_data, self._trigger, self._interval = no_data_batches, trigger, interval(trigger)
        self._lock = threading.RLock()
        self._player = Player(self.name, self._tick)
        self._listeners: list[Callable[[], None]] = []
        self._originals = sources_of(plan)
        self._plan = own_sources(plan) if start is None else plan
        if start is not None:
            self._optimized, self._watermark, self._graph = start.opened
        else:
            guard = None if guard_future is None else duration(guard_future, "query: guard_future", months=True)
            self._watermark = Watermark(watermark_policy, single=not multiple_stateful, guard=guard)
            self._optimized = optimize(self._plan)
            self._graph = Graph(self._optimized, Opening(output_mode, self._watermark))
        self._inputs = Inputs([source for source, _ in self._graph.leaves])
        self._tables = self._graph.tables
        self._delivery = Delivery(sink, output_mode, sink_retries, self._wait)
        self._delivery.fits(self._optimized.schema)
        self._memory = self._delivery.memory
        self._stand(None if checkpoint is None else self._take_over(checkpoint), evolve, start)
        self._replaces(registry.register(self))
        self._delivery.attach(self)

    def _stand(self, folder: Checkpoint | None, evolve: object, start: Start | None) -> None:
        """Stand where the checkpoint stands, or where a fork begins; else at the beginning."""
        self._journal = Journal(folder, self._tables, self._inputs, self._watermark)
        self._shape = shape(self._plan, self._inputs.sources, self._graph.kept, self._mode)
        self._evolved: Evolution | None = None
        done = self._open(evolve) if start is None else self._begin_at(start)
        self._givens = Givens(self._plan)
        self._givens.recall(self._journal)
        self._delivery.open(*self._journal.run)
        point = Point(done, dict(self._inputs.offsets), self._graph.snapshot(), (), 0)
        self._history = History(self._tables, point)
        self._first_id = self._since = done + 1
        self._eras, self._trace, self._progress = [], list[Trace](), list[Progress]()
        self._retention = Retention(self._trace, self._progress)
        self._broken = self._stopped = self._done = False
        self._exception: BaseException | None = None
        self._rewinding: int | None = None
        self._replayed: int | None = None  # the time of a replay's last batch; a batch without input follows at once
        self._ledgers, self._recalled = {}, None
        self._outline: Outline = outline(self._optimized, self.name, self._mode)

    # -- running

    def step(self) -> Progress | None:
        """Run one micro-batch: the next unit of input, or the batch without input that is due.

        Return its progress, or None when there is nothing to do. Input that waits goes first, as in Spark: a batch
        without input runs when the watermark has moved, state could end, and nothing is waiting.

        >>> hourly.query().step().num_input_rows
        1
        """
        with self._lock:
            self._ready()
            progress = self._run(self._again() or self._next())
            self._journal.rest()
        self._changed()
        return progress

    def run(self) -> Self:
        """Run until all that is available now is processed, batches without input included.

        Spark: ``processAllAvailable``. With ``trigger="available_now"`` or ``"once"`` the query stops after that.

        >>> hourly.query().run().status
        'done'
        """
        targets, now = self._inputs.latest(), self._clock.now()
        try:
            while self._run_towards(targets, now):
                self._changed()
        finally:
            with self._lock:
                self._land(cancel=self._broken)
        with self._lock:
            self._journal.rest()
        self._changed()
        if self._trigger in TRIGGERS:
            self.stop()
        return self

    def _run_towards(self, targets: Mapping[int, Any], now: int) -> bool:
        with self._lock:
            self._ready() if self._flight is None or self._broken else self._alive()
            planned = None if self._trigger == "once" and self._trace else self._again() or self._next(targets, now)
            if self._flight is not None and (planned is None or not planned.has_data):
                self._land()
                planned = self._again() or self._next(targets, now)
            return self._run(planned, flies=self._trigger != "once") is not None

    def _next(self, targets: Mapping[int, Any] | None = None, now: int | None = None) -> Planned | None:
        """Return the next batch, None if there is none: that of the query which a fork follows, or one of its own."""
        self._switch_if_due()
        follows, planned = self._followed()
        if follows:
            return planned
        if self._trigger == "once":
            return self._inputs.all_at_once()
        planned = self._inputs.plan(targets, whole=self._trigger == "available_now" and targets is not None)
        return planned or self._without_data(self._clock.now() if now is None else now)

    def stop(self) -> Self:
        """End the query; what it did can still be looked at. When this returns, nothing of it runs any more.

        >>> query.stop().status
        'stopped'
        """
        self._inputs.ended.set()
        self._stopped = True
        self._player.close()
        self._give_up_flight()
        self._journal.close()
        self._delivery.close()
        self._changed()
        return self

    def rewind(self, to: int) -> Self:
        """Go back to the end of batch ``to`` (-1: the beginning): state, watermark, result, place in the sources.

        What came after is forgotten; ``step`` does it again, batch by batch: the same rows at the same times, with the
        params and rules of then, and without input where there was none. A param that is set after this counts as it is
        now. A sink other than memory keeps what it was given. If it is interrupted, the next step finishes it first.

        >>> len(query.rewind(to=10).result)
        2
        """
        with self._lock:
            self._ready()
            first, last = max(self._history.first_id, self._journal.first), self._history.last.batch_id
            if not first <= to <= last:
                raise not_there("rewind", to, first, last)
            self._go_back(to)
        self._changed()
        return self

    def recover(self) -> Self:
        """Stand where the last batch ended: what a failed or interrupted batch left half done is thrown away.

        State is read again from the checkpoint, or without one from memory. Every step does this by itself after a
        failure; here it is by name, to look at the state before going on.

        >>> query.recover().last_progress.batch_id
        31
        """
        with self._lock:
            self._ready()
            last = self._history.last.batch_id
            self._restore(last)
            self._broken = True  # until what the disk holds is in place
            fresh = [table for step in Graph(self._optimized, Opening(self._mode)).steps for table in step.tables]
            if self._journal.reload(fresh, last):
                for table, found in zip(self._tables, fresh, strict=True):
                    table.restore(found.frame())
            self._broken = False
        self._changed()
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- one batch

    def _ready(self) -> None:
        self._alive()
        self._exception = None
        self._player.go_on()
        self._land(cancel=self._broken)
        if self._rewinding is not None:
            self._go_back(self._rewinding)
        self._finish_change()
        if self._broken:
            self._restore(self._history.last.batch_id)

    def _go_back(self, to: int) -> None:
        self._rewinding = to  # until disk and memory stand there both
        self._givens.rewound(self._journal)
        self._journal.rewind(to)
        self._restore(to)
        self._rewinding = None

    def _alive(self) -> None:
        if self._stopped:
            raise QueryError(f"query {self.name!r}: it is stopped; make a new one with frame.query().")

    def _without_data(self, now: int) -> Planned | None:
        time = now if self._replayed is None else self._replayed
        allowed = self._no_data and self._trigger != "once" and self._trace
        if not allowed or not self._graph.due(time):
            return None
        return Planned(self._inputs.offsets, self._replayed, has_data=False, replayed=self._replayed is not None)

    def _run(self, planned: Planned | None, *, flies: bool = False) -> Progress | None:
        self._done = planned is None
        if planned is None:
            return None
        try:
            return self._batch(planned, flies=flies)
        except Exception as error:
            self._exception = None if self._stopped else error
            raise

    def _batch(self, planned: Planned, *, flies: bool) -> Progress:
        self._broken = True  # until it is whole again: an interrupt may come between any two lines
        computed = self._computed(planned, is_logged=not (flies and self._delivery.overlaps), is_ahead=flies)
        self._land()
        batch = self._closed(computed)
        if flies and self._can_fly(batch):
            self._launch(batch)
            self._broken = False
            return computed.progress
        progress = self._happened(batch, self._hand_over(batch))
        self._broken = False
        self._journal.settle(progress.batch_id)
        return progress

    def _computed(self, planned: Planned, *, is_logged: bool, is_ahead: bool) -> Computed:
        """Read the rows of a batch and compute what comes of them; before it, log what it is going to do."""
        batch_id = self._next_id
        batch = Batch(pl.DataFrame(), id=batch_id, time=self._clock.now() if planned.time is None else planned.time)
        planned = self._givens.settled(planned)
        given = self._givens.values(planned.given)
        started = time.perf_counter()
        reached("batch.begin")
        begun = self._journal.intends(batch_id, planned, batch.time, self._givens.versions(planned.given))
        aside: list[Aside] = []
        rows = self._read(begun, aside, is_logged=is_logged)
        read = time.perf_counter()
        reached("batch.read")
        if is_ahead:
            self._inputs.prepare(planned.offsets)
        out = giving(given, lambda: self._graph.run(rows, batch))
        computed = time.perf_counter()
        reached("batch.computed")
        dead = letters(batch_id, [*aside, *too_far_ahead(self._graph, batch_id)])
        progress = progress_of(
            batch,
            rows,
            self._graph,
            name=self.name,
            sources=self._inputs.progress(rows, planned.offsets),
            seconds={"get_batch": read - started, "add_batch": computed - read},
            num_output_rows=len(out.rows),
            num_dead_letters=len(dead),
        )
        trace = trace_of(batch, self._graph, rows, out.rows, dead, has_data=planned.has_data, given=given)
        return Computed(begun, out.rows, dead, trace, progress, is_logged)

    def _read(self, begun: Begun, aside: list[Aside], *, is_logged: bool) -> Mapping[int, pl.DataFrame]:
        first_time = self._again() is None
        if is_logged:
            self._journal.begin(begun)
        try:
            return self._inputs.read(begun.planned.offsets, aside if self._keeps_bad else None)
        except DataError:
            if first_time:
                self._land()
                self._journal.retract(begun.batch_id)
            raise

    def _take_over(self, path: str | os.PathLike[str]) -> Checkpoint:
        """Open a checkpoint; an older query of this process that holds it is stopped."""
        for other in registry.queries():
            if other.checkpoint is not None and other.checkpoint.resolve() == Path(path).resolve():
                other.stop()
                display.say(f"query {other.name!r}: stopped, its checkpoint {path} is taken over.")
        return Checkpoint(path)

    @property
    def checkpoint(self) -> Path | None:
        """The folder that this query goes on from when it is opened again.

        >>> query.checkpoint is None
        True
        """
        return self._journal.path

    def _restore(self, batch_id: int) -> None:
        self._broken = True  # until it is whole again
        point = self._history.restore(batch_id)
        self._graph.restore(point.watermark)
        self._inputs.rewind(point.offsets)
        self._memory.forget_after(batch_id)
        self._retention.forget_after(batch_id)
        self._let_go()
        self._broken = self._done = False
        self._exception = None

    def _checked(self, plan: Node) -> None:
        check(plan, self._mode, multiple_stateful=bool(self._settings["multiple_stateful"]))

    def _forked(self, plan: Node, name: str, mode: str, start: Start) -> Self:
        return type(self)(plan, output_mode=mode, name=name, start=start, **self._settings)  # type: ignore[arg-type]

    def _replaces(self, older: Query | None) -> None:
        if older is not None:
            older.stop()
            display.say(f"query {self.name!r}: the older one of this name is stopped.")

    def __repr__(self) -> str:
        batches = self._trace[-1].batch_id + 1 - self._first_id if self._trace else 0
        return f"Query {self.name!r}: {self.status}, {batches} batches, watermark {self.watermark}"

    def _ipython_display_(self) -> None:
        display.show(self)


def _choice(name: str, value: str, choices: tuple[str, str]) -> None:
    if value not in choices:
        raise one_of("query", name, value, choices)
