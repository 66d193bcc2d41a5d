"""Looking at a query: its result, state, watermark, progress and trace, now or after any batch."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import narwhals as nw
import pandas as pd
import polars as pl

from streamnb.answers.ahead import Standing
from streamnb.answers.asked import Question
from streamnb.answers.difference import Diff, difference
from streamnb.answers.doctor import Diagnosis, examine
from streamnb.answers.holders import watermarks
from streamnb.answers.kept import Order, StatePage, chosen, page, place_among_told, scratch, stateful
from streamnb.answers.lineage import Recording
from streamnb.answers.silence import silence
from streamnb.answers.sizes import Ledger, Size
from streamnb.answers.twin import Twin, compare
from streamnb.answers.waiting import NoOutput, Situation, why_no_output
from streamnb.answers.why import Why, why
from streamnb.errors import QueryError
from streamnb.explain import explain
from streamnb.graph import Graph
from streamnb.history import History
from streamnb.inputs import Inputs, told
from streamnb.journal import Journal
from streamnb.plan import Batch, Node, Opening
from streamnb.player import Player
from streamnb.progress import Progress, Trace
from streamnb.report import late_rows, state_rows, timestamp
from streamnb.sinks.memory import Memory
from streamnb.time import Clock, Duration

if TYPE_CHECKING:
    from streamz import Stream


MOST_AHEAD = 50_000
"""Rows of a replay up to which a figure is told of those that have not arrived yet."""


class Looking:
    """What can be seen of a query. Nothing here changes it."""

    _plan: Node
    _optimized: Node
    _mode: str
    _graph: Graph
    _inputs: Inputs
    _memory: Memory
    _history: History
    _journal: Journal
    _player: Player
    _lock: threading.RLock
    _trace: list[Trace]
    _since: int
    _progress: list[Progress]
    _exception: BaseException | None
    _broken: bool
    _ledgers: dict[str, Ledger]
    _recalled: tuple[int, Graph] | None
    _clock: Clock
    _no_data: bool
    _replayed: int | None
    _trigger: Duration | None
    _stopped: bool
    _done: bool

    @property
    def status(self) -> str:
        """``"failed"``, ``"stopped"``, ``"playing"``, ``"done"`` (nothing left to read for now) or ``"idle"``."""
        if self._exception is not None:
            return "failed"
        if self._stopped:
            return "stopped"
        if self._done:
            return "done"
        return "playing" if self._player.playing else "idle"

    @property
    def plan(self) -> Node:
        """The plan as it was written."""
        return self._plan

    @property
    def sources(self) -> list[str]:
        """The sources, with their status where they have one: connected, or what is waited for or tried again.

        A source that brought no rows in the newest batches with input says since when, and how many batches that is.
        """
        return [f"{told(source)}{silence(self._progress, n)}" for n, source in enumerate(self._inputs.sources)]

    @property
    def stopped(self) -> bool:
        """True once ``stop()`` was called, also of a query that had failed."""
        return self._stopped

    @property
    def playing(self) -> bool:
        return self._player.playing

    @property
    def exception(self) -> BaseException | None:
        """What a background batch failed with; None after the next good one."""
        return self._exception

    @property
    def result(self) -> pd.DataFrame:
        """What the result holds: all rows (append), the latest of every key (update), the last table (complete)."""
        return self.result_at(self._history.last.batch_id)

    def result_at(self, batch_id: int) -> pd.DataFrame:
        """Return the result as it was after a batch."""
        return self._result_at(batch_id).to_pandas()

    def _result_at(self, batch_id: int) -> pl.DataFrame:
        table = self._memory.table(self._optimized.key, batch_id)
        return pl.DataFrame(schema=self._optimized.schema) if table is None else table

    @property
    def emitted(self) -> list[pd.DataFrame]:
        """The rows handed to the sink, one frame per batch id."""
        return [rows.to_pandas() for rows in self._memory.batches()]

    @property
    def late(self) -> pd.DataFrame:
        """Every dropped row with ``batch_id``, ``operator``, ``watermark``, ``late_by``, ``reason`` and ``set_by``.

        A row in several windows stands once for each window that it was too late for. ``watermark`` is the one that
        condemned it, ``set_by`` the row that had set that watermark, ``late_by`` how far the watermark had passed its
        window's end (or its own time). A column of the user's own of one of these names keeps it; ours then has a
        ``_`` behind it, such as ``operator_``.
        """
        return late_rows(self._trace).to_pandas()

    @property
    def dead_letters(self) -> pd.DataFrame:
        """Every record that is no row, once: ``batch_id``, ``source``, ``offset``, ``reason``, ``raw``.

        A record is set aside when it cannot be read (no JSON, no UTF-8, half a surrogate pair), when a value does not
        fit the schema, or when its event time lies further beyond the clock than ``guard_future`` allows.
        ``query(on_bad_record="fail")`` raises an error instead.
        """
        return self._journal.dead_letters(self._history.last.batch_id).to_pandas()

    @property
    def state(self) -> pd.DataFrame:
        """What is remembered now, a row a key: ``operator``, keys, values, ``expires_at``.

        A column of the user's own called ``operator`` or ``expires_at`` keeps its name; ours is then ``operator_``.
        """
        return state_rows(self._graph).to_pandas()

    def state_at(self, batch_id: int) -> pd.DataFrame:
        """Return what was remembered after a batch."""
        return state_rows(self._kept(batch_id)).to_pandas()

    def _kept(self, batch_id: int) -> Graph:
        """Return a graph that holds what was remembered after a batch; the last one asked for is at hand."""
        with self._lock:
            first, last = self._history.first_id, self._history.last.batch_id
            if not first <= batch_id <= last:
                raise QueryError(f"state: batch {batch_id} is not there; batches {first} to {last} are.")
            point = next(t.serial for t in self._trace if t.batch_id == batch_id) if batch_id >= 0 else -1
            if self._recalled is None or self._recalled[0] != point:
                self._recalled = point, scratch(self._optimized, self._mode, self._history.frames(batch_id))
            return self._recalled[1]

    def state_page(
        self,
        operator: str | None = None,
        batch: int | None = None,
        *,
        sort: str | None = None,
        descending: bool = False,
        filter: nw.Expr | str | Mapping[str, Any] | None = None,
        touched: bool = False,
        offset: int = 0,
        limit: int = 30,
    ) -> StatePage:
        """Return a page of what one operator remembered after a batch: what is new, changed, about to end, and when.

        Sorting, filtering and cutting happen here, so a million keys are a page like any other.

        Parameters
        ----------
        operator
            One of ``state_operators()``; the first, if not given.
        batch
            A batch id; the last, if not given.
        sort, descending
            A column, or ``"expires_at"``; the oldest write first, if not given.
        filter
            An expression over the columns, a dict of column to value, or words.
        touched
            Only rows that the batch wrote.
        """
        order = Order(sort, descending, filter, touched, offset, limit)
        with self._lock:
            traces = self._trace[self._since :]
            ids = [trace.batch_id for trace in traces]
            at = len(ids) - 1 if batch is None else ids.index(batch) if batch in ids else -1
            if at < 0:
                raise QueryError(f"state: batch {batch} is not there; {len(traces)} batches have run.")
            last = at == len(traces) - 1 and not self._broken
            graph = self._graph if last else self._kept(traces[at].batch_id)
            name, stream = chosen(graph, operator)
            place = place_among_told(graph, stream)
            ledger = self._ledger(name, stream.node, place, traces)
            return page(name, stream, traces[: at + 1], ledger, place=place, mode=self._mode, order=order)

    def state_operators(self) -> tuple[str, ...]:
        """Return the names of the operators that remember something."""
        return tuple(stateful(self._graph))

    def state_sizes(self, operator: str | None = None) -> list[Size]:
        """Return how much an operator kept after every batch, and how much it would keep if it never forgot."""
        with self._lock:
            traces = self._trace[self._since :]
            name, stream = chosen(self._graph, operator)
            return self._ledger(name, stream.node, place_among_told(self._graph, stream), traces).follow(traces)

    def _ledger(self, name: str, node: Node, place: int, traces: list[Trace]) -> Ledger:
        ledger = self._ledgers.setdefault(name, Ledger(node, place))
        ledger.follow(traces)
        return ledger

    def diff(self, before: int, after: int) -> Diff:
        """Tell what changed in state and result from the end of one batch to the end of another (-1: the beginning)."""
        states = self._kept(before), self._kept(after)
        results = self._result_at(before), self._result_at(after)
        return difference((before, after), states, results, self._optimized)

    def compare_with_batch(self) -> Twin:
        """Compare the result with one batch over all that was read so far: every difference, each with its cause."""
        return compare(self.recording())

    @property
    def findings(self) -> Diagnosis:
        """What will surprise in this query, with the way out and the lesson that teaches it; ``sn.doctor(q)``."""
        return examine(self.recording())

    @property
    def watermarks(self) -> pd.DataFrame:
        """The inputs' own watermarks, a row an input: which one holds the query's back, since when, and who set each.

        ``watermark`` is the largest event time of the input minus its ``delay``; it is missing before the first row,
        and then counts as 1970. The query goes by the least (``watermark_policy="max"``: the largest).
        """
        return watermarks(self._trace, self._graph.watermark.policy)

    @property
    def watermark_policy(self) -> str:
        """``"min"`` or ``"max"``: which input the watermark goes by, if several feed the query."""
        return self._graph.watermark.policy

    @property
    def watermark(self) -> pd.Timestamp | None:
        """The current watermark, 1970 before any row; None if the query declares none."""
        steps = self._graph.watermark_steps
        if not steps:
            return None
        dtype = steps[0].node.schema[steps[0].node.event_time]
        return timestamp(self._graph.watermark.current, dtype)

    @property
    def progress(self) -> list[Progress]:
        """The numbers of every batch, oldest first."""
        return self._progress

    @property
    def last_progress(self) -> Progress | None:
        return self._progress[-1] if self._progress else None

    @property
    def trace(self) -> list[Trace]:
        """The story of every batch, oldest first."""
        return self._trace

    @property
    def graph(self) -> list[Stream]:
        """The streamz nodes, inputs first; ``q.graph[-1].sink(print)`` listens to the last."""
        return list(self._graph.streams)

    def why(self, row: Question) -> Why:
        """Tell what became of a row, dropped or kept, and why; of a row of the result, which rows it is made of.

        Parameters
        ----------
        row
            A dict of columns or a row of a DataFrame (of the input, of ``q.late``, of ``q.result``), an expression such
            as ``sn.col("id") == 7``, or words that its values say (``"US 450"``). If several rows match, the first is
            told of, and how many more there are.

        Errors: ColumnNotFoundError for a column that is nowhere. Rows are read again from the sources, and functions of
        your own in the plan are called again.
        """
        recording = self.recording()

        def waiting() -> dict[int, pl.DataFrame]:
            with self._lock:
                unread = self._inputs.read(self._inputs.latest(), [])
            return {n: unread[id(source)] for n, source in enumerate(recording.sources)}

        return why(recording, row, waiting)

    def why_no_output(self) -> NoOutput:
        """Tell why nothing comes out yet, or what comes out next: the first thing that must happen, and what after it.

        What it names has been tried on a copy of the query; do it, ``run()``, and rows come out. Functions of your own
        are not called to try things; the answer then says less.
        """
        return why_no_output(self._situation())

    def _situation(self) -> Situation:
        recording = self.recording()
        with self._lock:
            tables = tuple(table.frame() for step in self._graph.steps for table in step.tables)
            standing = Standing(
                self._optimized, self._mode, self._graph.watermark, tables, self._graph.snapshot(), self._inputs,
                self._now(), self._history.last.batch_id, self._no_data,
            )  # fmt: skip
            return Situation(recording, standing, self.status, self._exception, once=self._trigger == "once")

    def _now(self) -> int:
        """Return the processing time of a batch that would run now."""
        return self._clock.now() if self._replayed is None else self._replayed

    def recording(self) -> Recording:
        """Return what the query has read and done so far; explanations and what-if are computed from it."""
        with self._lock:
            watermark, sources = self._graph.watermark, tuple(self._inputs.sources)
            traces, progress = tuple(self._trace[self._since :]), tuple(self._progress[self._since :])
            emitted = tuple(
                self._memory.batches()[self._since : len(self._trace)]
            )  # a batch that failed may have left its rows there
            return Recording(self._optimized, self._mode, watermark, sources, traces, progress, emitted)

    @property
    def plans(self) -> tuple[Node, Node]:
        """The plan as it was written, and the one that runs."""
        return self._plan, self._optimized

    def explain(self) -> str:
        """Return the plan as text, and the one that runs where that differs."""
        return explain(self._plan, self._optimized)

    def upcoming(self) -> pl.DataFrame | None:
        """Return the rows of a replay that have not arrived yet, as the watermark will see them; else None.

        None too for a replay of more than 50,000 rows: to read them all for every picture would take too long.
        """
        return _upcoming(self._optimized, self._inputs)


def _upcoming(plan: Node, inputs: Inputs) -> pl.DataFrame | None:
    """Return the unread rows of a replay up to its watermark node."""
    marks = [node for node in plan.walk() if node.verb == "with_watermark"]
    if len(marks) != 1 or len(inputs.sources) != 1 or not hasattr(inputs.sources[0], "arrival"):
        return None
    if inputs.sources[0].latest() > MOST_AHEAD:
        return None
    below = list(marks[0].walk())
    if any(node.remembers or node.verb == "map_batches" for node in below):
        return None
    graph = Graph(marks[0], Opening("batch"))
    return graph.run(inputs.read(inputs.latest(), []), Batch(pl.DataFrame())).rows
