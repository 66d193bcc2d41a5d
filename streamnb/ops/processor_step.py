"""The step of transform_with_state: variables and timers in tables, a processor called key by key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import polars as pl

from streamnb.errors import QueryError, StreamnbError
from streamnb.per_key import Groups, LastTime, Output, without_late
from streamnb.plan import Batch, Opening, Step, instant_of, least, moved
from streamnb.progress import StepTrace
from streamnb.state import EXPIRES
from streamnb.stateful import TIMER, ExpiredTimerInfo, StatefulProcessorHandle, TimerValues, method
from streamnb.time import ALL_PAST, MILLISECOND, NEVER_LATE
from streamnb.variables import Turn

if TYPE_CHECKING:
    from streamnb.ops.transform_with_state import TransformWithState

VERB = "transform_with_state"


class ProcessorStep(Step):
    """The tables of the processor's variables, of its timers, and the time of the last batch."""

    def __init__(self, node: TransformWithState, opening: Opening) -> None:
        self.node, self.mode, self.whole = node, opening.output_mode, opening.output_mode == "batch"
        self.turn = Turn(node.time_mode)
        self.handle = StatefulProcessorHandle(node.key_schema, self.turn)
        self.last = LastTime()
        self._declare()
        self.variables = self.handle.variables
        self.timers = self.handle.timers.cells
        self.cells = [*(c for v in self.variables.values() for c in v.cells), self.timers]
        self.tables = (*(cells.table for cells in self.cells), self.last.table)

    def _declare(self) -> None:
        processor = copy(self.node.processor)
        try:
            self.handle.initialize(processor)
            method(processor, "close")()
        except StreamnbError:
            raise
        except Exception as error:
            name = type(processor).__name__
            raise QueryError(
                f"{VERB}: init of {name} failed: {type(error).__name__} {error}; mend it there."
            ) from error

    # -- one batch

    def on_batch(self, *batches: Batch) -> Batch:
        (batch,) = batches
        rows, late = batch.rows, None
        if self.node.time_mode == "event" and not self.whole:
            rows, late = without_late(rows, self.node.time, batch.late_watermark)
        self._begin(batch)
        calls = self._calls(rows, self._initial(batch))
        changes = [cells.close() for cells in self.cells]
        lapsed = {v.name: [c.table.evict(self.turn.now) for c in v.cells] for v in self.variables.values() if v.lapses}
        if self.node.time_mode == "processing":
            self.last.note(batch.time)
        out = self._checked(calls.output.rows(), batch)
        trace = self._trace(batch, late, changes, lapsed)
        if self.node.time_mode == "processing":
            batch = replace(batch, late_watermark=None, eviction_watermark=None)
        return batch.with_rows(out, trace)

    def _begin(self, batch: Batch) -> None:
        """Set the two times: of a whole table the watermark stays in 1970 until all rows are handled."""
        watermark = 0 if self.whole and self.node.time else batch.eviction_watermark
        self.turn.now = batch.time // MILLISECOND * MILLISECOND
        self.turn.watermark_ms = None if watermark is None else watermark // MILLISECOND
        self.turn.batch_id, self.turn.group, self.turn.sequence = batch.id, None, 0
        self.turn.counts.clear()

    def _initial(self, batch: Batch) -> Groups | None:
        if self.node.initial is None or batch.id:
            return None
        keys = {name: pl.col(name) for name in self.node.key_schema}
        return Groups(self.node.initial, keys, self.node.key_schema, [])

    def _calls(self, rows: pl.DataFrame, initial: Groups | None) -> _Calls:
        due = self.timers.table.rows(self.timers.table.due(self._clock()))
        more = [due] if initial is None else [initial.keys, due]
        groups = Groups(rows, self.node.keys, self.node.key_schema, more)
        for cells in self.cells:
            cells.open(groups.keys)
        calls = _Calls(self.node, self.handle, self.turn, groups)
        if initial is not None:
            calls.initial_state(initial)
        calls.rows()
        due_now = dict.fromkeys(zip(due[TIMER].to_list(), groups.find(due), strict=True))
        calls.timers(due_now | dict.fromkeys(self._due_since()), by_their_own_time=self.whole)
        calls.close()
        return calls

    def _clock(self) -> int:
        """Return the moment that timers expire by (microseconds)."""
        if self.whole or self.node.time_mode == "none":
            return NEVER_LATE
        return self.turn.now if self.node.time_mode == "processing" else (self.turn.watermark_ms or 0) * MILLISECOND

    def _due_since(self) -> Iterator[tuple[int, int]]:
        """Yield the timers registered in this batch that have expired; of a whole table every event-time timer has."""
        clock = ALL_PAST if self.whole and self.node.time_mode == "event" else self._clock()
        for group, (at,), _ in self.timers.waiting():
            if at * MILLISECOND <= clock:
                yield at, group

    def _checked(self, rows: pl.DataFrame, batch: Batch) -> pl.DataFrame:
        """Return the rows; raise if one of them is late before it is given out."""
        name, late = self.node.event_time_column, batch.late_watermark
        if name is None or late is None or self.whole or not len(rows):
            return rows
        behind = rows[name].filter(rows[name].to_physical() <= late)
        if len(behind):
            raise QueryError(
                f"{VERB}: a row came out with {name!r} = {behind[0]}, at or behind the watermark, "
                f"{instant_of(late, behind.dtype)}, so later steps would drop it; give out later times."
            )
        return rows

    # -- what it tells

    def output_watermark(self, *inputs: int | None) -> int | None:
        return None if self.node.time_mode == "processing" else least(inputs)

    def due(self, watermark: int | None, before: int | None, time: int) -> bool:
        if self.node.time_mode == "processing":
            return self.last.before(time)
        return self.mode in {"append", "update"} and moved(watermark, before)

    def state(self) -> pl.DataFrame:
        frames = [variable.frame().with_columns(variable=pl.lit(name)) for name, variable in self.variables.items()]
        timers = self.timers.table.frame().drop(TIMER).with_columns(variable=pl.lit(TIMER))
        shown = pl.concat([*frames, timers], how="diagonal")
        return shown.select(*self.node.key_schema, "variable", pl.exclude(*self.node.key_schema, "variable"))

    def _trace(
        self,
        batch: Batch,
        late: pl.DataFrame | None,
        changes: Sequence[tuple[pl.DataFrame, pl.DataFrame]],
        lapsed: Mapping[str, Sequence[pl.DataFrame]],
    ) -> StepTrace:
        counts = self.turn.counts
        gone = [*(removed for _, removed in changes), *(rows for tables in lapsed.values() for rows in tables)]
        return StepTrace(
            operator=VERB,
            rows=batch.told,
            late=late,
            changed=lambda: _together([written for written, _ in changes]),
            removed=lambda: _together(gone),
            late_watermark=batch.late_watermark,
            eviction_watermark=batch.eviction_watermark,
            num_rows_total=sum(len(variable.cells[0].table) for variable in self.variables.values()),
            num_rows_updated=counts["updated"],
            num_rows_removed=counts["removed"],
            memory_used_bytes=sum(cells.table.nbytes for cells in self.cells),
            custom_metrics={
                "num_registered_timers": counts["registered"],
                "num_deleted_timers": counts["deleted"],
                "num_expired_timers": counts["expired"],
                "num_values_removed_due_to_ttl_expiry": sum(len(tables[-1]) for tables in lapsed.values()),
            },
        )


def _together(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(frames, how="diagonal").drop(EXPIRES)


class _Calls:
    """The calls of one batch to one copy of the processor, and what they gave out."""

    def __init__(self, node: TransformWithState, handle: StatefulProcessorHandle, turn: Turn, groups: Groups) -> None:
        self.turn, self.groups, self.registered = turn, groups, handle.timers.cells
        self.processor = copy(node.processor)
        self.methods: dict[str, Callable[..., Any]] = {}
        self.output = Output(VERB, node.returns)
        handle.initialize(self.processor)

    def initial_state(self, initial: Groups) -> None:
        for number, group in enumerate(self.groups.find(initial.keys)):
            self._call("handle_initial_state", group, initial.pandas(number), self._times())

    def rows(self) -> None:
        for group in range(self.groups.with_rows):
            rows = iter([self.groups.pandas(group)])
            self.output.take(self._call("handle_input_rows", group, rows, self._times()))

    def timers(self, due: Iterable[tuple[int, int]], *, by_their_own_time: bool) -> None:
        for at, group in sorted(due, key=itemgetter(0)):
            if self.registered.get(group, (at,)) is not None:
                self.turn.counts["expired"] += 1
                self._expire(group, at, at if by_their_own_time else self.turn.watermark_ms)

    def _expire(self, group: int, at: int, watermark_ms: int | None) -> None:
        self.turn.watermark_ms = watermark_ms
        self.output.take(self._call("handle_expired_timer", group, self._times(), ExpiredTimerInfo(at)))
        self.registered.remove(group, (at,))

    def close(self) -> None:
        self.turn.group = None
        method(self.processor, "close")()

    def _call(self, name: str, group: int, *arguments: Any) -> Any:
        self.turn.group = group
        if name not in self.methods:
            self.methods[name] = method(self.processor, name)
        return self.methods[name](self.groups.values[group], *arguments)

    def _times(self) -> TimerValues:
        watermark = self.turn.watermark_ms
        return TimerValues(self.turn.now // MILLISECOND, -1 if watermark is None else watermark)
