"""with_watermark: declare which column is event time, and how long to wait for late rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl

from streamnb.errors import PlanError
from streamnb.ops.marks import Marks
from streamnb.params import Param, time_in
from streamnb.plan import Batch, EventTime, Node, Opening, Step
from streamnb.time import Duration, Watermark, candidate, duration, instant, spell

if TYPE_CHECKING:
    from streamnb.frame import StreamFrame

_origins = count()


def with_watermark(
    self: StreamFrame,
    event_time: str,
    delay: Duration | Param,
    *,
    per: str | None = None,
    idle_after: Duration | None = None,
) -> StreamFrame:
    """Promise that rows come at most ``delay`` behind the newest one in event time.

    The watermark is the largest event time seen minus the delay. It never goes back, and it moves between batches:
    a row is not late because of its own neighbours. Operators that use the column drop rows behind the watermark and
    forget state behind it; without such an operator nothing is dropped. Null times are passed on and move nothing.

    Parameters
    ----------
    event_time
        Name of a datetime column, with or without a time zone.
    delay
        Not negative. A month counts as 31 days here, as in Spark. Or a param that is changed while the query runs:
        ``sn.param("wait", "3 hours")``, or numbers with ``sn.slider("wait", 180, 0, 720, unit="minutes")``. A batch
        goes by the value in its trace (``given``). A shorter delay moves the watermark on, from the largest event time
        seen; a longer one leaves it where it is until rows have caught up.
    per
        A column, such as Kafka's ``"partition"``: every value of it has a largest event time of its own, and the
        slowest one counts. A value that has not come yet holds nothing back. Spark takes the largest of all.
    idle_after
        What has had no row for so long by the query's clock is not waited for: a value of ``per``, or this stream among
        several; a batch without input moves the watermark on. Rows that it sends afterwards may be late. If all are
        silent the one furthest ahead counts. Without it whoever is silent holds the watermark, as in Spark.

    State
        The largest event time of this stream; with ``per``, ``idle_after`` or a param in the checkpoint too.

    Spark
        ``withWatermark(eventTime, delayThreshold)``; it has neither ``per`` nor ``idle_after``. Of a param it gets the
        value of now.

    >>> flights.with_watermark("dep", "3 hours").query().run().watermark
    Timestamp('2013-02-08 14:28:00')
    """
    if isinstance(delay, Param):
        delay.means_time()
    wait = delay if isinstance(delay, Param) else duration(delay, "with_watermark", months=True)
    idle_us = None if idle_after is None else duration(idle_after, "with_watermark: idle_after")
    return self.then(WithWatermark((self.node,), event_time, wait, next(_origins), per, idle_us))


@dataclass(frozen=True, eq=False)
class WithWatermark(Node):
    event_time: str
    wait: int | Param
    origin: int
    per: str | None = None
    idle_after: int | None = None
    verb: ClassVar[str] = "with_watermark"

    def __post_init__(self) -> None:
        self.need(self.event_time, *(() if self.per is None else (self.per,)))
        dtype = self.schema[self.event_time]
        if not isinstance(dtype, pl.Datetime):
            raise PlanError(
                f"with_watermark: {self.event_time!r} is {dtype}, and event time must be a datetime; "
                f"convert it first, such as sn.col({self.event_time!r}).str.to_datetime().",
                code="EVENT_TIME_TYPE",
            )
        if self.delay < 0:
            raise PlanError(
                f"with_watermark: a delay of {spell(self.delay)} is negative; wait '0 seconds' or longer.",
                code="DURATION_INVALID",
            )
        if self.idle_after is not None and self.idle_after <= 0:
            raise PlanError(
                f"with_watermark: idle_after={spell(self.idle_after)!r} waits for nobody; give a duration above zero.",
                code="DURATION_INVALID",
            )

    @property
    def delay(self) -> int:
        """Microseconds: those of a param as the batch at work goes by it, outside of one those of now."""
        return time_in(self.wait) if isinstance(self.wait, Param) else self.wait

    @property
    def keeps(self) -> bool:
        return self.per is not None or self.idle_after is not None or isinstance(self.wait, Param)

    @cached_property
    def schema(self) -> pl.Schema:
        return self.inputs[0].schema

    @cached_property
    def event_times(self) -> Mapping[str, EventTime]:
        return {**self.inputs[0].event_times, self.event_time: EventTime(self.delay, self.origin)}

    def open(self, opening: Opening) -> WatermarkStep:
        return WatermarkStep(self, opening.watermark)

    def describe(self) -> str:
        per = "" if self.per is None else f" per {self.per}"
        idle = "" if self.idle_after is None else f", idle after {spell(self.idle_after)}"
        delay = f"param({self.wait.param})" if isinstance(self.wait, Param) else spell(self.wait)
        return f"with_watermark {self.event_time} − {delay}{per}{idle}"


class WatermarkStep(Step):
    """Shows the query's watermark every event time of its stream; stamps batches with the query's watermark."""

    def __init__(self, node: WithWatermark, watermark: Watermark) -> None:
        self.node, self.watermark, self.delay = node, watermark, node.delay
        self.marks: Marks | None = None
        if node.keeps:
            self.marks = Marks(node.schema, node.event_time, node.per, node.idle_after)
            self.tables = (self.marks.table,)
        self.number = watermark.add_input(None if self.marks is None else self._asks)
        self.rows = pl.DataFrame(schema=node.schema)
        self.ahead: pl.DataFrame | None = None  # rows whose time is not believed
        self.told: Any = self.rows
        self.set_by: Mapping[str, Any] | None = None

    def output_watermark(self, *inputs: int | None) -> int | None:
        return self.watermark.current

    def due(self, watermark: int | None, before: int | None, time: int) -> bool:
        return self.marks is not None and self.watermark.next_at(time) > self.watermark.current

    def on_batch(self, *batches: Batch) -> Batch:
        batch, self.delay = self._guarded(batches[0]), self.node.delay
        self.rows, self.told = batch.rows, batch.told
        times = batch.rows[self.node.event_time]
        largest = times.max()
        if self.marks is not None:
            self._note(self.marks, batch)
        elif largest is not None and self.watermark.observe(self.number, instant(largest), self.delay):  # type: ignore[arg-type]
            self.set_by = batch.rows.row(times.arg_max() or 0, named=True)
        mark = self.watermark
        return Batch(batch.rows, mark.late, mark.current, batch.id, batch.time, made=batch.made)

    def _note(self, marks: Marks, batch: Batch) -> None:
        """Take the rows of a batch, part by part, and tell the watermark what is asked for at its time."""
        marks.note(batch.rows, batch.time)
        asked = marks.asked(batch.time)
        by = {} if self.node.per is None or asked.value is None else {self.node.per: asked.value}
        setter = {**by, self.node.event_time: marks.instant(asked)} if asked.largest else None
        if setter is None or self.set_by is None or not _agrees(self.set_by, setter):
            self.set_by = setter if setter is None or self.node.per is not None else self._whole(setter, batch.rows)
        self.watermark.ask(self.number, *self._asks(batch.time))

    def _whole(self, setter: Mapping[str, Any], rows: pl.DataFrame) -> Mapping[str, Any]:
        """Return all of the row that set the watermark, if the batch has it."""
        times = rows[self.node.event_time]
        found = rows.row(times.arg_max() or 0, named=True) if times.count() else setter
        return found if _agrees(found, setter) else setter

    def _asks(self, time: int) -> tuple[int, bool]:
        assert self.marks is not None  # noqa: S101  only such a step is asked
        asked = self.marks.asked(time)
        return candidate(asked.largest, self.node.delay), asked.idle

    def _guarded(self, batch: Batch) -> Batch:
        """Set rows aside whose time lies too far beyond the clock."""
        self.ahead = None
        if self.watermark.guard is None:
            return batch
        latest = batch.time + self.watermark.guard
        ahead = (pl.col(self.node.event_time).to_physical() > latest).fill_null(value=False)
        self.ahead = batch.rows.filter(ahead)
        return batch.with_rows(batch.rows.filter(~ahead)) if len(self.ahead) else batch


def _agrees(row: Mapping[str, Any], setter: Mapping[str, Any]) -> bool:
    return all(row.get(name) == value for name, value in setter.items())
