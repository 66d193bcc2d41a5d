"""Forking: a second query beside a running one, over the same batches, and the switch from the one to the other."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Self

from streamnb.connect import Source
from streamnb.errors import CheckpointError, PlanError, QueryError, not_there
from streamnb.evolving.carrying import Route, asked_alike, carry, run_again
from streamnb.evolving.evolution import Evolution, planned
from streamnb.evolving.givens import Givens
from streamnb.evolving.sources import read_by, same_sources
from streamnb.evolving.verbs import Change, Evolving
from streamnb.graph import Graph
from streamnb.history import Point
from streamnb.inputs import Inputs, Planned
from streamnb.journal import Past
from streamnb.logics import Waiting
from streamnb.optimize import optimize
from streamnb.plan import Node, Opening
from streamnb.time import Watermark

if TYPE_CHECKING:
    from streamnb.frame import StreamFrame


@dataclass(frozen=True, eq=False)
class Start:
    """Where a fork begins: behind a batch, with the offsets that were read and what was remembered then."""

    point: Point
    change: Change
    past: Mapping[int, Past]
    origin: Forking

    @property
    def opened(self) -> tuple[Node, Watermark, Graph]:
        """The plan that runs, its watermark and its steps."""
        return self.change.optimized, self.change.watermark, self.change.graph


@dataclass(frozen=True, eq=False)
class _Switch:
    other: Forking
    at_batch: int


class Forking(Evolving):
    """What a query does with a second one beside it."""

    _switch: _Switch | None = None
    _origin: Forking | None = None

    @abstractmethod
    def stop(self) -> Self: ...
    @abstractmethod
    def _forked(self, plan: Node, name: str, mode: str, start: Start) -> Self: ...

    # -- fork

    def fork(
        self,
        at_batch: int | None = None,
        query: StreamFrame | None = None,
        *,
        rebuild: bool = False,
        name: str | None = None,
    ) -> Self:
        """Return a second query that goes on from the end of a batch with state of its own, beside this one.

        It runs the batches of this query: the same rows at the same times, each as soon as this one has done it. Once
        this one is stopped it reads on by itself. Its result is its own; no sink is written to.

        Parameters
        ----------
        at_batch
            The last batch that both have in common; the last one done, if not given; -1: the beginning.
        query
            The frame that it runs, over the same sources; the same one, if not given.
        rebuild
            As in ``evolve``: what cannot be kept is made anew from the input instead of refused.
        name
            This query's name with ``-fork``, if not given.

        State: a copy of this query's at that batch. Errors: as ``evolve``; a QueryError for a batch that is no longer
        there. Spark: none; a second query on a copy of the checkpoint.

        >>> query.fork(at_batch=10, name="doc fork").run().status
        'done'
        """
        with self._lock:
            self._ready()
            at = self._history.last.batch_id if at_batch is None else at_batch
            point = self._point(at)
            change = self._opened(self._plan if query is None else query.node, "fork")
            evolution = self._evolution(change, rebuild=rebuild, after=at)
            evolution.check()
            change = self._filled_at(change, evolution, point)
            start = Start(point, change, {n: p for n, p in self._journal.past.items() if n <= at}, self)
            return self._forked(change.plan, name or f"{self.name}-fork", self._mode, start)

    def _point(self, batch_id: int) -> Point:
        points = {point.batch_id: point for point in self._history.points}
        if batch_id == -1 and -1 not in points and self._journal.done(0) is not None:
            nothing = dict.fromkeys(range(len(self._inputs.sources)))
            return Point(-1, nothing, (), (), 0)
        if batch_id not in points:
            raise not_there("fork", batch_id, self._history.first_id, self._history.last.batch_id)
        return points[batch_id]

    def _filled_at(self, change: Change, evolution: Evolution, point: Point) -> Change:
        if point.batch_id < 0:
            return change
        if evolution.replays:
            run_again(change.graph, Inputs(self._inputs.sources), self._route(point, Givens(change.plan)))
            return change
        frames = self._history.frames(point.batch_id)
        old = Graph(self._optimized, Opening(self._mode, self._watermark.like()))
        old.restore(point.watermark)
        carry(evolution.verdicts, asdict(self._shape), asdict(change.shape), frames.__getitem__, change.graph.tables)
        asked_alike(old, change.graph, evolution.verdicts)
        return change

    def _begin_at(self, start: Start) -> int:
        """Stand where a fork begins."""
        self._origin = start.origin
        self._inputs.rewind(start.point.offsets)
        self._inputs.commits = False
        self._journal.past.update(start.past)
        return start.point.batch_id

    def _followed(self) -> tuple[bool, Planned | None]:
        """Tell whether the next batch is there already, and return it: a fork's origin has it, or it was rewound."""
        origin, number = self._origin, self._history.last.batch_id + 1
        if origin is None:
            rewound = self._journal.taken_back.get(number)
            return rewound is not None, None if rewound is None else self._givens.redone(rewound)
        last = origin._history.last.batch_id  # noqa: SLF001  asked first: the origin goes on meanwhile
        found = origin._journal.done(number)  # noqa: SLF001
        if found is None and origin.stopped:
            self._origin, self._inputs.commits = None, True
            return self._followed()
        if found is None and number <= last:
            raise QueryError(
                f"fork: query {origin.name!r} no longer knows what batch {number} read, which {self.name!r} is to run; "
                "fork again."
            )
        if found is None:
            return True, None
        given = self._givens.shared(found.planned.given, origin._givens)  # noqa: SLF001
        return True, replace(found.planned, given=given)

    # -- switch

    def switch_to(self, other: Self, at_batch: int | None = None) -> Evolution:
        """Have another query's logic and state decide from batch ``at_batch`` on; this one's sink and log go on.

        ``other`` reads the same sources; it is most often a fork. Up to ``at_batch`` - 1 this query decides, from there
        on the other's logic with the other's state, so no batch is decided twice or never. A batch that is not reached
        yet is waited for. The switch is one entry of this query's log. The other query is stopped then.

        That a switch waits is in the checkpoint: a process that goes on from it says so when the query is opened, and
        does not decide batch ``at_batch`` by the old logic; call this again with the other one, made by ``fork``.

        State: the other's. Errors: a QueryError for a batch that has been decided already, or where the two have not
        read the same input; a CheckpointError if the disk fails, and the old logic goes on. Spark: none.

        >>> other = query.fork(name="doc fork")
        >>> query.switch_to(other)
        From batch 32 on the new logic decides; nothing is read again.
          ✓ group_by window dep 1 hour → n=count(): kept (its keys and settings are the same)
        """
        if not isinstance(other, Forking):
            raise PlanError(
                f"switch_to: {type(other).__name__} is no query; switch to a fork: q.switch_to(q.fork(query=frame)).",
                code="OPTION_INVALID",
            )
        with self._lock:
            self._ready()
            self._finish_begun()
            last = self._history.last.batch_id
            at = last + 1 if at_batch is None else at_batch
            if at <= last:
                raise QueryError(
                    f"switch_to: batch {at} has been decided already; name batch {last + 1} or a later one."
                )
            named = read_by(other._plan, other._inputs.sources, other._originals)
            same_sources(named, self._originals, self._inputs.sources)
            other._givens.succeed(self._givens)
            self._switch = _Switch(other, at)
            try:
                done = self._switch_if_due()
                self._journal.wait_for(None if done else Waiting(at, other._shape.logic))
            except Exception:
                self._switch = None
                raise
        self._changed()
        verdicts = planned(at - 1, asdict(other._shape), asdict(other._shape), rebuild=False, nothing_read=False)
        return replace(verdicts, done=done)

    def _switch_if_due(self) -> bool:
        """Switch over, if the last batch of the old logic is done."""
        switch, last, waits = self._switch, self._history.last, self._journal.waits
        if switch is None and waits is not None and waits.at_batch <= last.batch_id + 1:
            raise QueryError(
                f"switch_to: from batch {waits.at_batch} on {waits} decides, as was asked for before the query was "
                f"opened anew; {waits.way_out}."
            )
        if switch is None or switch.at_batch > last.batch_id + 1:
            return False
        switch.other._givens.succeed(self._givens)  # noqa: SLF001
        self._adopt(switch.other._handed_over(self, last))  # noqa: SLF001
        self._switch = None
        with suppress(CheckpointError):  # the log's entry says it
            self._journal.wait_for(None)
        switch.other.stop()
        return True

    def _handed_over(self, to: Forking, at: Point) -> Change:
        """Return this query's logic with the state that it has where another one stands.

        Where the two had different watermarks, its batches are run again with those of the other: what that has given
        out is not given out again, and what it has not is.
        """
        with self._lock:
            while self._history.last.batch_id < at.batch_id and self.step() is not None:
                pass
            point = next((p for p in self._history.points if p.batch_id == at.batch_id), None)
            if point is None or dict(point.offsets) != dict(at.offsets):
                raise QueryError(
                    f"switch_to: query {self.name!r} has not read what {to.name!r} has, up to batch {at.batch_id}; "
                    "make it by fork()."
                )
            own = to._inputs.sources
            plan = read_by(self._plan, self._inputs.sources, own)
            optimized, watermark = optimize(plan), self._watermark.like()
            graph = Graph(optimized, Opening(self._mode, watermark))
            self._fill(graph, point, to._route(at, self._givens, self._first_id - 1), own)
            return Change(plan, optimized, graph, watermark, self._shape, {}, "switch")

    def _fill(self, graph: Graph, point: Point, route: Route, sources: Sequence[Source]) -> None:
        mine = self._route(point, self._givens, route.after)
        # of old batches, which one of the two may have let go of, it is not asked
        alike = mine.marks == route.marks and all(
            mine.past[number].watermark == past.watermark for number, past in route.past.items() if number in mine.past
        )
        start = point if alike else self._history.points[0]
        if start.batch_id not in {point.batch_id, route.after}:
            raise QueryError(f"switch_to: query {self.name!r} no longer has the state that it began with; fork again.")
        for table, frame in zip(graph.tables, self._history.frames(start.batch_id), strict=True):
            table.restore(frame)
        graph.restore(start.watermark)
        if not alike:
            inputs = Inputs(sources)
            inputs.rewind(start.offsets)
            run_again(graph, inputs, route)
