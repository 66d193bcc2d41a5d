"""apply_in_pandas_with_state: a function of one's own per key, with a state and a timeout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from operator import itemgetter
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl

from streamnb.cells import Cells, Entry
from streamnb.ddl import schema_of
from streamnb.errors import PlanError, one_of
from streamnb.fields import Fields
from streamnb.group_state import GroupState
from streamnb.per_key import Groups, LastTime, Output, PerKey, time_mode, without_late
from streamnb.plan import Batch, Opening, Step, moved
from streamnb.progress import StepTrace
from streamnb.schema import Schema
from streamnb.state import EXPIRES
from streamnb.time import MILLISECOND, NEVER_LATE

if TYPE_CHECKING:
    from streamnb.frame import StreamFrame
    from streamnb.ops.group_by import Grouped

EXISTS = "__exists"
OUTPUT_MODES = ("append", "update")
Function = Callable[..., Any]


def apply_in_pandas_with_state(  # noqa: PLR0917  PySpark's order
    self: Grouped,
    fn: Function,
    output_schema: Schema | str,
    state_schema: Schema | str,
    output_mode: str = "append",
    timeout: str = "none",
) -> StreamFrame:
    """Call ``fn(key, rows, state)`` for every key that has rows in a batch, and give out what it returns.

    ``key`` is a tuple, ``rows`` pandas with all rows of the key, ``state`` an ``sn.GroupState``. What comes out is
    pandas or an iterable of it. After the keys with rows come those that have none and whose timeout has passed:
    ``fn`` is called with no rows, and ``state.has_timed_out`` is true. A timeout has passed when the watermark
    (``"event"``) or the clock (``"processing"``) is past it, not at it. A call that writes the state or sets a timeout
    replaces the old timeout; one that only reads leaves it, and due again in the next batch, as in PySpark.

    Parameters
    ----------
    output_schema, state_schema
        Columns with types, as a dict or in Spark's words: ``"user string, n bigint"``.
    output_mode
        ``"append"`` or ``"update"``; the query's own.
    timeout
        ``"none"``, ``"event"`` (needs a watermark; late rows are dropped) or ``"processing"`` (a batch every trigger).

    State
        One row a key, until ``state.remove()``.

    Spark
        ``applyInPandasWithState``, where ``rows`` is an iterator of pandas. ``collect()`` gives every key its rows,
        then lets every event-time timeout pass once.
    """
    node = ApplyInPandasWithState(
        (self.frame.node,),
        self.keys,
        fn,
        schema_of("apply_in_pandas_with_state", output_schema),
        Fields("apply_in_pandas_with_state", state_schema),
        output_mode.lower(),
        time_mode("apply_in_pandas_with_state", "timeout", timeout),
    )
    return self.frame.then(node)


@dataclass(frozen=True, eq=False)
class ApplyInPandasWithState(PerKey):
    function: Function
    returns: pl.Schema
    fields: Fields
    output_mode: str
    timeout: str
    verb: ClassVar[str] = "apply_in_pandas_with_state"
    opaque: ClassVar[bool] = True
    remembers: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.check_keys()
        if self.output_mode not in OUTPUT_MODES:
            raise one_of(self.verb, "output_mode", self.output_mode, OUTPUT_MODES)
        if self.timeout == "event" and self.time is None:
            raise PlanError(
                f"{self.verb}: timeout='event' waits for a watermark, and there is none; declare with_watermark below.",
                code="EVENT_TIME_WITHOUT_WATERMARK",
            )

    @cached_property
    def schema(self) -> pl.Schema:
        return self.returns

    def open(self, opening: Opening) -> Step:
        return _Step(self, opening)

    def describe(self) -> str:
        name = getattr(self.function, "__name__", "function")
        timeout = "" if self.timeout == "none" else f", timeout in {self.timeout} time"
        return f"{self.verb} {name} by {', '.join(self.keys)}{timeout}"


class _Step(Step):
    """One row a key: whether there is a state, its values, and the timeout as the time that ends it."""

    def __init__(self, node: ApplyInPandasWithState, opening: Opening) -> None:
        self.node, self.whole = node, opening.output_mode == "batch"
        self.names = {n: f"state.{n}" if n in node.key_schema else n for n in node.fields.schema}
        values = {self.names[n]: dtype for n, dtype in node.fields.schema.items()}
        self.cells = Cells(node.key_schema, {EXISTS: pl.Boolean(), **values})
        self.last = LastTime()
        self.table = self.cells.table
        self.tables = (self.table, self.last.table)

    def on_batch(self, *batches: Batch) -> Batch:
        (batch,) = batches
        rows, late = batch.rows, None
        if self.node.timeout == "event" and not self.whole:
            rows, late = without_late(rows, self.node.time, batch.late_watermark)
        due = self.table.rows(self.table.due(self._past(batch)))
        groups = Groups(rows, self.node.keys, self.node.key_schema, [due])
        self.cells.open(groups.keys)
        calls = _Calls(self.node, self.cells, groups, self._moment(batch))
        for group in range(groups.with_rows):
            calls.call(group)
        for group, at in self._timed_out(groups):
            calls.call(group, timed_out_at=at)
        written, removed = self.cells.close()
        if self.node.timeout == "processing":
            self.last.note(batch.time)
        out = replace(batch, late_watermark=None, eviction_watermark=None)  # what comes out has no event time
        return out.with_rows(calls.output.rows(), self._trace(batch, late, calls, written, removed))

    def _past(self, batch: Batch) -> int:
        """Return the last moment that has passed: timeouts up to it are due, one at the clock or watermark is not."""
        clock = {"processing": batch.time, "event": batch.eviction_watermark}.get(self.node.timeout)
        return NEVER_LATE if self.whole or clock is None else clock // MILLISECOND * MILLISECOND - 1

    def _moment(self, batch: Batch) -> Moment:
        watermark = 0 if self.whole and self.node.time else batch.eviction_watermark
        return Moment(batch.time // MILLISECOND, None if watermark is None else watermark // MILLISECOND)

    def _timed_out(self, groups: Groups) -> list[tuple[int, int | None]]:
        """Return the groups to call without rows; of a whole table every event-time timeout is past in the end."""
        if not self.whole:
            return [(group, None) for group in range(groups.with_rows, len(groups.values))]
        ends = [(e.expires, g) for g, _, e in self.cells.waiting() if e.expires and self.node.timeout == "event"]
        return [(group, at // MILLISECOND) for at, group in sorted(ends, key=itemgetter(0))]

    # -- what it tells

    def output_watermark(self, *inputs: int | None) -> int | None:
        return None

    def due(self, watermark: int | None, before: int | None, time: int) -> bool:
        if self.node.timeout == "processing":
            return self.last.before(time)
        return self.node.timeout == "event" and moved(watermark, before)

    def state(self) -> pl.DataFrame:
        return self.table.frame().drop(EXISTS)

    def _trace(
        self, batch: Batch, late: pl.DataFrame | None, calls: _Calls, written: pl.DataFrame, removed: pl.DataFrame
    ) -> StepTrace:
        return StepTrace(
            operator=self.node.verb,
            rows=batch.told,
            late=late,
            changed=lambda: written.drop(EXISTS, EXPIRES),
            removed=lambda: removed.drop(EXISTS, EXPIRES),
            late_watermark=batch.late_watermark,
            eviction_watermark=batch.eviction_watermark,
            num_rows_total=len(self.table),
            num_rows_updated=calls.updated,
            num_rows_removed=calls.removed,
            memory_used_bytes=self.table.nbytes,
        )


@dataclass(frozen=True)
class Moment:
    """The two times of a batch in milliseconds."""

    now: int
    watermark: int | None


class _Calls:
    """The calls of one batch, and what they did."""

    def __init__(self, node: ApplyInPandasWithState, cells: Cells, groups: Groups, moment: Moment) -> None:
        self.node, self.cells, self.groups, self.moment = node, cells, groups, moment
        self.output = Output(node.verb, node.returns)
        self.updated = self.removed = 0

    def call(self, group: int, *, timed_out_at: int | None = None) -> None:
        timed_out = timed_out_at is not None or group >= self.groups.with_rows
        state = self._state(group, timed_out_at, timed_out=timed_out)
        rows = self.groups.pandas(group) if not timed_out else self.groups.nothing
        self.output.take(self.node.function(self.groups.values[group], rows, state))
        self._write(group, state)

    def _state(self, group: int, watermark: int | None, *, timed_out: bool) -> GroupState:
        entry = self.cells.get(group)
        return GroupState(
            self.node.fields,
            entry.values[1:] if entry is not None and entry.values[0] else None,
            timeout=self.node.timeout,
            now_ms=self.moment.now,
            watermark_ms=self.moment.watermark if watermark is None else watermark,
            has_timed_out=timed_out,
        )

    def _write(self, group: int, state: GroupState) -> None:
        """Write what the call left; one that neither wrote nor set a timeout leaves state and timeout alone."""
        timeout = state.timeout_ms
        if state.removed and timeout is None:
            self.removed += 1
            self.cells.remove(group)
        elif state.updated or state.removed or timeout is not None:
            self.updated += 1
            values = state.get_option or (None,) * len(self.node.fields.schema)
            expires = None if timeout is None else timeout * MILLISECOND
            self.cells.put(group, Entry((state.exists, *values), expires))
