"""Asking: what a query answers: why, why not yet, what differs, what it holds page by page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import narwhals as nw
import polars as pl

from streamnb.answers.ahead import Standing
from streamnb.answers.asked import Question
from streamnb.answers.difference import Diff, difference
from streamnb.answers.doctor import Diagnosis, examine
from streamnb.answers.kept import Order, StatePage, chosen, page, place_among_told, stateful
from streamnb.answers.lineage import Recording
from streamnb.answers.sizes import Ledger, Size
from streamnb.answers.twin import Twin, compare
from streamnb.answers.waiting import NoOutput, Situation, away, why_no_output
from streamnb.answers.why import Why, why
from streamnb.errors import not_there
from streamnb.explain import explain
from streamnb.graph import Graph
from streamnb.inputs import Inputs
from streamnb.looking import Looking
from streamnb.plan import Batch, Node, Opening
from streamnb.progress import Trace

MOST_AHEAD = 50_000
"""Rows of a replay up to which a figure is told of those that have not arrived yet."""


class Asking(Looking):
    """The questions to a query. Nothing here changes it."""

    def state_page(
        self,
        operator: str | None = None,
        batch: int | None = None,
        *,
        sort: str | None = None,
        descending: bool = False,
        filter: nw.Expr | str | Mapping[str, Any] | Callable[[pl.DataFrame], pl.Series] | None = None,
        touched: bool = False,
        ending: bool = False,
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
            An expression over the columns, a dict of column to value, words, or a function of a Polars frame that
            says of every row whether it is meant.
        touched, ending
            Only rows that the batch wrote; only those that the next batch ends.

        >>> query.state_page(batch=10).rows.head(2)
        shape: (2, 3)
        ┌─────────────────────┬─────────────────────┬─────┐
        │ window_start        ┆ window_end          ┆ n   │
        │ ---                 ┆ ---                 ┆ --- │
        │ datetime[μs]        ┆ datetime[μs]        ┆ i64 │
        ╞═════════════════════╪═════════════════════╪═════╡
        │ 2013-02-08 07:00:00 ┆ 2013-02-08 08:00:00 ┆ 10  │
        │ 2013-02-08 09:00:00 ┆ 2013-02-08 10:00:00 ┆ 6   │
        └─────────────────────┴─────────────────────┴─────┘
        """
        order = Order(sort, descending, filter, touched, ending, offset, limit)
        with self._lock:
            traces, _ = self._own()
            first = traces[0].batch_id if traces else self._since
            at = len(traces) - 1 if batch is None else batch - first
            if not 0 <= at < len(traces):
                raise not_there("state", self._since if batch is None else batch, first, first + len(traces) - 1)
            last = at == len(traces) - 1 and not self._broken
            graph = self._graph if last else self._kept(traces[at].batch_id)
            name, stream = chosen(graph, operator)
            place = place_among_told(graph, stream)
            ledger = self._ledger(name, stream.node, place, traces)
            return page(name, stream, traces[: at + 1], ledger, place=place, mode=self._mode, order=order)

    def state_operators(self) -> tuple[str, ...]:
        """Return the names of the operators that remember something.

        >>> query.state_operators()
        ('group_by',)
        """
        return tuple(stateful(self._graph))

    def state_sizes(self, operator: str | None = None) -> list[Size]:
        """Return how much an operator kept after every batch, and how much it would keep if it never forgot.

        >>> query.state_sizes()[10]
        Size(batch_id=10, keys=4, ever=6, new=0, changed=2, removed=0, nbytes=1280)
        """
        with self._lock:
            traces, _ = self._own()
            name, stream = chosen(self._graph, operator)
            return self._ledger(name, stream.node, place_among_told(self._graph, stream), traces).follow(traces)

    def _ledger(self, name: str, node: Node, place: int, traces: list[Trace]) -> Ledger:
        ledger = self._ledgers.setdefault(name, Ledger(node, place))
        ledger.follow(traces)
        return ledger

    def diff(self, before: int, after: int) -> Diff:
        """Tell what changed in state and result from the end of one batch to the end of another (-1: the beginning).

        >>> print(query.diff(9, 10))
        From batch 9 to batch 10: no row of the result.
          · state of group_by: 2 keys changed
        """
        states = self._kept(before), self._kept(after)
        results = self._result_at(before), self._result_at(after)
        return difference((before, after), states, results, self._optimized)

    def compare_with_batch(self) -> Twin:
        """Compare the result with one batch over all that was read so far: every difference, each with its cause.

        >>> query.compare_with_batch().causes
        {'late': 6, 'not final': 4}
        """
        return compare(self.recording())

    @property
    def findings(self) -> Diagnosis:
        """What will surprise in this query, with the way out and the lesson that teaches it; ``sn.doctor(q)``.

        >>> [finding.code for finding in query.findings]
        []
        """
        return examine(self.recording())

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

        >>> query.why("US 450").fate
        'late'
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
        are not called to try things; the answer then says less. Of a server that is away it says since when, and how
        often it was tried.

        >>> hourly.query().why_no_output().reason
        'input waits'
        """
        if self.playing and (lines := self.troubles):  # a batch that waits for them would keep us waiting too
            return away(lines, again="the query tries again by itself")
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
        """Return what the query has read and done so far; explanations and what-if are computed from it.

        >>> query.recording().output_mode
        'append'
        """
        with self._lock:
            watermark, sources = self._graph.watermark, tuple(self._inputs.sources)
            traces, progress = self._own()
            emitted = tuple(self._memory.rows(trace.batch_id) for trace in traces)
            told = tuple(traces), tuple(progress), emitted, self.let_go
            return Recording(self._optimized, self._mode, watermark, sources, *told)

    @property
    def plans(self) -> tuple[Node, Node]:
        """The plan as it was written, and the one that runs.

        >>> query.plans[0] is query.plan
        True
        """
        return self._plan, self._optimized

    def explain(self) -> str:
        """Return the plan as text, and the one that runs where that differs.

        >>> print(query.explain())
          1  read Replay(145 rows in 32 units)
          2  with_watermark dep − 3 hours
          3  keeps group_by window dep 1 hour → n=count()
        """
        return explain(self._plan, self._optimized)

    def upcoming(self) -> pl.DataFrame | None:
        """Return the rows of a replay that have not arrived yet, as the watermark will see them; else None.

        None too for a replay of more than 50,000 rows: to read them all for every picture would take too long.

        >>> hourly.query().upcoming().height
        145
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
