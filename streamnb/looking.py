"""Looking at a query: its result, state, watermark, progress and trace, now or after any batch."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pandas as pd
import polars as pl

from streamnb.answers.holders import watermarks
from streamnb.answers.kept import scratch
from streamnb.answers.silence import silence
from streamnb.answers.sizes import Ledger
from streamnb.delivery import Delivery
from streamnb.errors import not_there
from streamnb.graph import Graph
from streamnb.history import History
from streamnb.inputs import Inputs, told, troubles
from streamnb.journal import Journal
from streamnb.plan import Node
from streamnb.player import Player
from streamnb.progress import Progress, Trace
from streamnb.report import late_in, late_rows, state_rows, timestamp
from streamnb.sinks.memory import Memory
from streamnb.time import Clock, Duration

if TYPE_CHECKING:
    from streamz import Stream


class Looking:
    """What can be seen of a query. Nothing here changes it."""

    _plan: Node
    _optimized: Node
    _mode: str
    _graph: Graph
    _inputs: Inputs
    _delivery: Delivery
    _memory: Memory
    _history: History
    _journal: Journal
    _player: Player
    _lock: threading.RLock
    _trace: list[Trace]
    _first_id: int
    _since: int
    _eras: list[tuple[History, Node]]
    _progress: list[Progress]
    _exception: BaseException | None
    _broken: bool
    _ledgers: dict[str, Ledger]
    _recalled: tuple[tuple[int, int], Graph] | None
    _clock: Clock
    _no_data: bool
    _replayed: int | None
    _trigger: Duration | None
    _stopped: bool
    _done: bool

    @property
    def status(self) -> str:
        """``"failed"``, ``"stopped"``, ``"playing"``, ``"done"`` (nothing left to read for now) or ``"idle"``.

        >>> query.status
        'done'
        """
        if self._exception is not None:
            return "failed"
        if self._stopped:
            return "stopped"
        if self._done:
            return "done"
        return "playing" if self._player.playing else "idle"

    @property
    def plan(self) -> Node:
        """The plan as it was written.

        >>> query.plan is hourly.node
        True
        """
        return self._plan

    @property
    def sources(self) -> list[str]:
        """The sources, with their status where they have one: connected, or what is waited for or tried again.

        A source that brought no rows in the newest batches with input says since when, and how many batches that is.

        >>> query.sources
        ['Replay(145 rows in 32 units)']
        """
        return [f"{told(source)}{silence(self._progress, n)}" for n, source in enumerate(self._inputs.sources)]

    @property
    def troubles(self) -> list[str]:
        """Which other systems are waited for now: sources and a sink that do not answer, a line each.

        It says why, since when, and how often it was tried; the dashboard shows it too.

        >>> query.troubles
        []
        """
        return [] if self._stopped else [*troubles(self._inputs.sources), *self._delivery.troubles]

    @property
    def stopped(self) -> bool:
        """True once ``stop()`` was called, also of a query that had failed.

        >>> query.stop().stopped
        True
        """
        return self._stopped

    @property
    def playing(self) -> bool:
        """True while the query goes on by itself.

        >>> query.playing
        False
        """
        return self._player.playing

    @property
    def exception(self) -> BaseException | None:
        """What a background batch failed with; None after the next good one.

        >>> query.exception is None
        True
        """
        return self._exception

    @property
    def result(self) -> pd.DataFrame:
        """What the result holds: all rows (append), the latest of every key (update), the last table (complete).

        >>> query.result.tail(2)
                 window_start          window_end   n
        7 2013-02-08 12:00:00 2013-02-08 13:00:00   6
        8 2013-02-08 13:00:00 2013-02-08 14:00:00  11
        """
        return self.result_at(self._history.last.batch_id)

    def result_at(self, batch_id: int) -> pd.DataFrame:
        """Return the result as it was after a batch.

        >>> len(query.result_at(10))
        2
        """
        return self._result_at(batch_id).to_pandas()

    def _result_at(self, batch_id: int) -> pl.DataFrame:
        if not self._memory.is_known(batch_id):
            raise not_there("result", batch_id, self._trace[0].batch_id, self._history.last.batch_id)
        table = self._memory.table(self._optimized.key, batch_id)
        return pl.DataFrame(schema=self._optimized.schema) if table is None else table

    @property
    def emitted(self) -> list[pd.DataFrame]:
        """The rows handed to the sink, one frame per batch id.

        >>> len(query.emitted)
        32
        """
        return [rows.to_pandas() for rows in self._memory.batches()]

    @property
    def late(self) -> pd.DataFrame:
        """Every dropped row with ``batch_id``, ``operator``, ``watermark``, ``late_by``, ``reason`` and ``set_by``.

        A row in several windows stands once for each window that it was too late for. ``watermark`` is the one that
        condemned it, ``set_by`` the row that had set that watermark, ``late_by`` how far the watermark had passed its
        window's end (or its own time). A column of the user's own of one of these names keeps it; ours then has a
        ``_`` behind it, such as ``operator_``.

        Late rows of batches whose other rows were let go of have 8 MB; of the oldest beyond that, and of batches that
        ``q.trace`` no longer tells of, the number is kept, in ``q.late.attrs["let_go"]``.

        >>> query.late[["batch_id", "flight_id", "watermark", "late_by"]].head(2)
           batch_id      flight_id           watermark         late_by
        0        10  DL 1415 02-08 2013-02-08 07:25:00 0 days 00:25:00
        1        10  UA 1030 02-08 2013-02-08 07:25:00 0 days 00:25:00
        """
        traces = list(self._trace)
        rows = late_rows(traces, self._graph).to_pandas()
        gone = sum(step.late_let_go for trace in traces for step in trace.steps)
        rows.attrs["let_go"] = gone + (traces[0].so_far.late - late_in(traces[0]) if traces else 0)
        return rows

    @property
    def dead_letters(self) -> pd.DataFrame:
        """Every record that is no row, once: ``batch_id``, ``source``, ``offset``, ``reason``, ``raw``.

        A record is set aside when it cannot be read (no JSON, no UTF-8, half a surrogate pair), when a value does not
        fit the schema, or when its event time lies further beyond the clock than ``guard_future`` allows.
        ``query(on_bad_record="fail")`` raises an error instead. Without a checkpoint they have 8 MB; of the oldest
        beyond that the number is kept, in ``q.dead_letters.attrs["let_go"]``.

        >>> len(query.dead_letters)
        0
        """
        rows = self._journal.dead_letters(self._history.last.batch_id).to_pandas()
        rows.attrs["let_go"] = self._journal.dead_let_go
        return rows

    @property
    def state(self) -> pd.DataFrame:
        """What is remembered now, a row a key: ``operator``, keys, values, ``expires_at``.

        A column of the user's own called ``operator`` or ``expires_at`` keeps its name; ours is then ``operator_``.

        >>> query.state
           operator        window_start          window_end   n          expires_at
        0  group_by 2013-02-08 14:00:00 2013-02-08 15:00:00   5 2013-02-08 15:00:00
        1  group_by 2013-02-08 15:00:00 2013-02-08 16:00:00  11 2013-02-08 16:00:00
        2  group_by 2013-02-08 16:00:00 2013-02-08 17:00:00   6 2013-02-08 17:00:00
        3  group_by 2013-02-08 17:00:00 2013-02-08 18:00:00   2 2013-02-08 18:00:00
        """
        return state_rows(self._graph).to_pandas()

    def state_at(self, batch_id: int) -> pd.DataFrame:
        """Return what was remembered after a batch.

        >>> len(query.state_at(10))
        4
        """
        return state_rows(self._kept(batch_id)).to_pandas()

    def _kept(self, batch_id: int) -> Graph:
        """Return a graph that holds what was remembered after a batch; the last one asked for is at hand."""
        with self._lock:
            eras = [(self._history, self._optimized), *reversed(self._eras)]
            history, plan = next((e for e in eras if e[0].first_id <= batch_id <= e[0].last.batch_id), eras[0])
            if not history.first_id <= batch_id <= history.last.batch_id:
                raise not_there("state", batch_id, self._history.first_id, self._history.last.batch_id)
            point = batch_id, next((t.serial for t in self._trace if t.batch_id == batch_id), -1)
            if self._recalled is None or self._recalled[0] != point:
                self._recalled = point, scratch(plan, self._mode, history.frames(batch_id))
            return self._recalled[1]

    @property
    def watermarks(self) -> pd.DataFrame:
        """The inputs' own watermarks, a row an input: which one holds the query's back, since when, and who set each.

        ``watermark`` is the largest event time of the input minus its ``delay``; it is missing before the first row,
        and then counts as 1970. The query goes by the least (``watermark_policy="max"``: the largest).

        >>> query.watermarks[["input", "watermark"]]
           input           watermark
        0      1 2013-02-08 14:28:00
        """
        return watermarks(self._trace, self._graph.watermark.policy)

    @property
    def watermark_policy(self) -> str:
        """``"min"`` or ``"max"``: which input the watermark goes by, if several feed the query.

        >>> query.watermark_policy
        'min'
        """
        return self._graph.watermark.policy

    @property
    def watermark(self) -> pd.Timestamp | None:
        """The current watermark, 1970 before any row; None if the query declares none.

        >>> query.watermark
        Timestamp('2013-02-08 14:28:00')
        """
        steps = self._graph.watermark_steps
        if not steps:
            return None
        dtype = steps[0].node.schema[steps[0].node.event_time]
        return timestamp(self._graph.watermark.current, dtype)

    @property
    def progress(self) -> list[Progress]:
        """The numbers of every batch, oldest first.

        Of the newest 10,000: the 1,000 oldest go at once when there are more, and ``q.progress[0].batch_id`` says which
        is the oldest. Spark: ``recentProgress``, which keeps 100.

        >>> [progress.num_input_rows for progress in query.progress[:5]]
        [1, 2, 1, 1, 9]
        """
        return self._progress

    @property
    def last_progress(self) -> Progress | None:
        """The numbers of the newest batch; None before the first.

        >>> query.last_progress.num_input_rows
        1
        """
        return self._progress[-1] if self._progress else None

    @property
    def trace(self) -> list[Trace]:
        """The story of every batch, oldest first.

        The rows in it have 32 MB: beyond that the oldest batches keep only numbers, watermarks and late rows, which
        have 8 MB of it. Of more than 10,000 batches the 1,000 oldest go at once, and ``q.trace[0].batch_id`` moves on:
        they can no longer be rewound to or asked about. What they gave out stays in ``q.result``.

        >>> query.trace[10].batch_id
        10
        """
        return self._trace

    @property
    def let_go(self) -> int:
        """How many batches ``q.trace`` and ``q.progress`` no longer tell of.

        >>> query.let_go
        0
        """
        return self._trace[0].batch_id - self._first_id if self._trace else 0

    def _own(self) -> tuple[list[Trace], list[Progress]]:
        """Return what is told of the batches of the logic that runs."""
        traces, progress = list(self._trace), list(self._progress)
        if not traces or not progress:
            return [], []
        # where an interrupt came while batches were let go of, one of these begins later than the others
        first = max(self._since, self._memory.first, traces[0].batch_id, progress[0].batch_id)
        return traces[first - traces[0].batch_id :], progress[first - progress[0].batch_id :]

    @property
    def graph(self) -> list[Stream]:
        """The streamz nodes, inputs first; ``q.graph[-1].sink(print)`` listens to the last.

        >>> len(query.graph)
        3
        """
        return list(self._graph.streams)
