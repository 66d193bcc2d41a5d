"""Verbs: a running query changed at a batch boundary, and across a restart."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from streamnb import display
from streamnb.checkpoint import Checkpoint
from streamnb.compatible import Shape, shape
from streamnb.connect import Source
from streamnb.delivery import AnySink, Delivery
from streamnb.errors import CheckpointError, one_of
from streamnb.evolving.carrying import Route, asked_alike, carry, run_again
from streamnb.evolving.evolution import Evolution, planned
from streamnb.evolving.givens import Givens
from streamnb.evolving.sources import same_sources
from streamnb.graph import Graph
from streamnb.history import History, Point
from streamnb.inputs import Inputs, Planned
from streamnb.optimize import optimize
from streamnb.outline import of_now, outline
from streamnb.plan import Node, Opening
from streamnb.playing import Playing
from streamnb.progress import Outline, Progress
from streamnb.state import StateTable
from streamnb.time import Watermark

if TYPE_CHECKING:
    from streamnb.frame import StreamFrame


@dataclass(frozen=True, eq=False)
class Change:
    """Another logic, opened and filled, that has yet to take over. ``kept`` says which tables are which old ones."""

    plan: Node
    optimized: Node
    graph: Graph
    watermark: Watermark
    shape: Shape
    kept: Mapping[int, int]
    how: str
    sink: AnySink | None = None
    rows_read: int = 0
    era: tuple[History, Node] | None = None


class Evolving(Playing):
    """What changes the logic of a query."""

    _originals: Sequence[Source]
    _shape: Shape
    _since: int
    _evolved: Evolution | None
    _watermark: Watermark
    _tables: Sequence[StateTable]
    _delivery: Delivery
    _first_id: int
    _givens: Givens
    _changing: Change | None = None
    _optimized: Node
    _outline: Outline

    @property
    def outline(self) -> Outline:
        """The fixed facts that figures need; a delay that is a param is that of now.

        >>> query.outline.event_time
        'dep'
        """
        self._outline = of_now(self._outline, self._optimized)
        return self._outline

    @property
    def evolved(self) -> Evolution | None:
        """What became of the logic that ran on the checkpoint before, if the query was opened with ``evolve=True``.

        >>> query.evolved is None
        True
        """
        return self._evolved

    @abstractmethod
    def _run(self, planned: Planned | None) -> Progress | None: ...
    @abstractmethod
    def _again(self) -> Planned | None: ...

    # -- evolve

    def evolve(
        self, frame: StreamFrame, *, rebuild: bool = False, sink: AnySink | None = None, dry_run: bool = False
    ) -> Evolution:
        """Go on with another logic from the next batch on, and tell what becomes of every operator's state.

        Filters, columns, the watermark's delay and the sink may change, and aggregates be left out: state is kept or
        converted, and nothing is read again. What would go wrong in silence is refused: other keys, another window,
        a new aggregate (its open groups would lack the rows they have had), a new operator with state.

        Parameters
        ----------
        frame
            Over the same sources, in the same order.
        rebuild
            Replay the input instead of refusing: all state is what it would be had the new logic run from the start.
            Of batches that are no longer known (``q.let_go``, a log that was pruned) nothing counts as late.
        sink
            Where rows go from now on; where they went, if not given.
        dry_run
            Only say what would happen.

        A batch that was begun is finished by the old logic first. The change is one entry of the checkpoint's log, so
        that a process that dies before it goes on with the old logic and after it with the new one. ``rewind`` goes
        back to the change, not behind it.

        State: kept, or that of the replay. Errors: a PlanError for what is refused (``EVOLVE_STATE``,
        ``EVOLVE_SOURCES``), a QueryError for input that the source no longer has. Spark: a query started again on its
        checkpoint, which refuses an added aggregate too and has no replay.

        >>> query.evolve(hourly.filter(sn.col("n") > 5), dry_run=True)
        From batch 32 on the new logic decides; nothing is read again.
          ✓ group_by window dep 1 hour → n=count(): kept (its keys and settings are the same)
          · added: filter n > 5 (remembers nothing)
          · what is remembered is what the old logic let through
        """
        with self._lock:
            self._ready()
            change = self._opened(frame.node, "evolve", sink)
            evolution = self._evolution(change, rebuild=rebuild)
            if dry_run:
                return evolution
            evolution.check()
            Givens(change.plan).succeed(self._givens)
            self._finish_begun()
            change = self._filled(change, evolution)
            self._adopt(change)
        self._changed()
        return replace(evolution, done=True, rows_read=change.rows_read)

    def _opened(self, written: Node, how: str, sink: AnySink | None = None) -> Change:
        """Open another plan over this query's own sources."""
        plan = same_sources(written, self._originals, self._inputs.sources)
        self._checked(plan)
        optimized, watermark = optimize(plan), self._watermark.like()
        graph = Graph(optimized, Opening(self._mode, watermark))
        told = shape(plan, self._inputs.sources, graph.kept, self._mode)
        return Change(plan, optimized, graph, watermark, told, {}, how, sink)

    @abstractmethod
    def _checked(self, plan: Node) -> None: ...

    def _evolution(self, change: Change, *, rebuild: bool, after: int | None = None) -> Evolution:
        after = self._history.last.batch_id if after is None else after
        named = None if change.sink is None else (self._delivery.name, self._delivery.redirected(change.sink).name)
        return planned(
            after, asdict(self._shape), asdict(change.shape), rebuild=rebuild, sink=named, nothing_read=after < 0
        )

    def _finish_begun(self) -> None:
        """Finish a batch that was begun, by the logic that began it; take it back if nobody has seen any of it."""
        begun = self._again()
        if begun is None:
            return
        number = self._history.last.batch_id + 1
        if self._delivery.reached < number and not self._journal.inherited:
            self._journal.retract(number)
        else:
            self._run(begun)

    def _filled(self, change: Change, evolution: Evolution) -> Change:
        """Give a graph the state that it begins with."""
        if evolution.replays:
            again = Inputs(self._inputs.sources)
            return replace(
                change, rows_read=run_again(change.graph, again, self._route(self._history.last, Givens(change.plan)))
            )
        frames = [table.frame() for table in self._tables]
        kept = carry(
            evolution.verdicts, asdict(self._shape), asdict(change.shape), frames.__getitem__, change.graph.tables
        )
        asked_alike(self._graph, change.graph, evolution.verdicts)
        return replace(change, kept=kept)

    def _route(self, to: Point, givens: Givens, after: int = -1) -> Route:
        """Return the batches up to a point, to be run again."""
        past = {number: past for number, past in self._journal.past.items() if after < number <= to.batch_id}
        counts = {p.batch_id: sum(source.num_input_rows for source in p.sources) for p in self._progress}
        return Route(past, self._marks(to), givens, counts, after)

    def _marks(self, at: Point) -> Sequence[int]:
        """Return the watermarks that stood at a point: that of late rows, and its own."""
        watermark = self._watermark.like()
        graph = Graph(self._optimized, Opening(self._mode, watermark))
        graph.restore(at.watermark)
        return watermark.snapshot()[:2]

    def _adopt(self, change: Change) -> None:
        """Go on with a graph that is filled: from the log's entry on.

        Interrupted, the next step finishes it. If it fails nothing has changed.
        """
        change = change if change.era else replace(change, era=(self._history, self._optimized))
        assert change.era is not None  # noqa: S101  just now
        self._changing = change
        last = self._history.last
        try:
            self._enter(change, last.batch_id)
        except Exception:
            self._changing = None
            raise
        self._plan, self._optimized, self._shape = change.plan, change.optimized, change.shape
        self._watermark, self._graph, self._tables = change.watermark, change.graph, change.graph.tables
        start = Point(last.batch_id, dict(last.offsets), self._graph.snapshot(), (), 0)
        self._eras = [*(era for era in self._eras if era[0] is not change.era[0]), change.era]
        self._history = History(self._tables, start)
        self._outline, self._givens = outline(self._optimized, self.name, self._mode), Givens(change.plan)
        self._since, self._ledgers, self._recalled = last.batch_id + 1, {}, None
        self._changing = None

    def _enter(self, change: Change, after: int) -> None:
        """Log a change, once its sink is open."""
        to = None if change.sink is None else self._delivery.redirected(change.sink)
        (to or self._delivery).fits(change.optimized.schema)
        if to is not None:
            to.open(*self._journal.run_for(after + 1))
        self._journal.change(
            change.graph.tables, change.watermark, change.shape, change.kept, change.how,
            after=after, new_sink=to is not None,
        )  # fmt: skip
        if to is not None:
            self._delivery.redirect(to)
            to.attach(self)

    def _finish_change(self) -> None:
        if self._changing is not None:
            self._adopt(self._changing)

    # -- across a restart

    def _open(self, evolve: object) -> int:
        """Stand where the checkpoint stands, whose logic may be another one if told so; return the last batch done."""
        if evolve not in {False, True, "rebuild"}:
            raise one_of("query", "evolve", evolve, ["True", "rebuild"])
        checkpoint = self._journal.checkpoint
        if not evolve or checkpoint is None or not (checkpoint.path / "metadata").exists():
            done = self._journal.open(self._shape)
            if (waits := self._journal.waits) is not None:
                display.say(f"query {self.name!r}: from batch {waits.at_batch} on {waits} decides; {waits.way_out}.")
            return done
        done = self._journal.open(self._shape, changed=True)
        try:
            self._evolved = self._from_another(checkpoint, done, rebuild=evolve == "rebuild")
        except BaseException:
            checkpoint.close()
            raise
        return done

    def _from_another(self, checkpoint: Checkpoint, done: int, *, rebuild: bool) -> Evolution:
        """Fill the tables from those of the logic that ran before, and log that this one takes over."""
        old, new = checkpoint.logics.shapes()[-1], asdict(self._shape)
        evolution = planned(done, old, new, rebuild=rebuild, nothing_read=done < 0)
        evolution.check()
        if self._journal.again(done + 1) is not None:
            raise CheckpointError(
                f"checkpoint: batch {done + 1} of {checkpoint.path} was begun by the logic before, and the sink may "
                "have it; open the folder with the query as it was, let it step once, and then evolve."
            )
        kept: Mapping[int, int] = {}
        if evolution.replays:
            givens = Givens(self._plan)
            givens.recall(self._journal)
            route = Route(self._journal.past, self._watermark.snapshot()[:2], givens)
            read = run_again(self._graph, Inputs(self._inputs.sources), route)
            evolution = replace(evolution, rows_read=read)
        elif done >= 0:
            frames = checkpoint.frames(done)
            kept = carry(evolution.verdicts, old, new, frames.__getitem__, self._tables)
        self._journal.change(self._tables, self._watermark, self._shape, kept, "evolve", after=done, new_sink=False)
        self._journal.wait_for(None)
        return replace(evolution, done=True)
