"""What a query tells about itself: the numbers of a batch, the story of its rows, and the shape of the whole.

Figures, tables, checks and tests read these records and nothing else.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from streamnb.time import Window


class Record(Mapping[str, Any]):
    """A frozen dataclass that can also be read like a dictionary."""

    __slots__ = ()

    def __getitem__(self, name: str) -> Any:
        if name not in self:
            raise KeyError(name)
        return getattr(self, name)

    def __contains__(self, name: object) -> bool:
        return any(f.name == name for f in fields(self))  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[str]:
        return (f.name for f in fields(self))  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(fields(self))  # type: ignore[arg-type]


class Made:
    """Rows made from ``held`` ones whenever somebody asks: all that is kept of them."""

    def __init__(self, held: pl.DataFrame, how: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
        self.held, self.how = held, how

    def __call__(self) -> pl.DataFrame:
        return self.how(self.held)

    def then(self, how: Callable[[pl.DataFrame], pl.DataFrame]) -> Made:
        """Return the rows that are made from these."""
        first = self.how
        return Made(self.held, lambda rows: how(first(rows)))

    def emptied(self) -> Made:
        """Return what holds nothing and makes the same columns."""
        return Made(self.held.clear(), self.how)


class Told:
    """A field that is given rows, or made ones."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, record: Any, owner: type) -> pl.DataFrame:
        given: pl.DataFrame | Made = record.__dict__[self._name]
        return given() if isinstance(given, Made) else given

    def __set__(self, record: Any, given: pl.DataFrame | Made) -> None:
        record.__dict__[self._name] = given


def told(record: Trace | StepTrace) -> pl.DataFrame | Made:
    """Return the rows of a record as it was given them."""
    given: pl.DataFrame | Made = record.__dict__["rows"]
    return given


@dataclass(frozen=True, eq=False, slots=True)
class OperatorProgress(Record):
    """One stateful operator in one batch: Spark's ``stateOperators`` entry."""

    operator: str
    late_watermark: pd.Timestamp | None
    eviction_watermark: pd.Timestamp | None
    num_rows_total: int
    num_rows_updated: int
    num_rows_removed: int
    num_rows_dropped_by_watermark: int
    memory_used_bytes: int
    custom_metrics: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, slots=True)
class SourceProgress(Record):
    """One source in one batch; ``num_rows_waiting`` lie behind ``end_offset``, where the source can tell."""

    description: str
    start_offset: Any
    end_offset: Any
    latest_offset: Any
    num_input_rows: int
    num_rows_waiting: int | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Progress(Record):
    """The numbers of one batch, named as Spark's ``StreamingQueryProgress``.

    ``event_time`` holds ``max``, ``min``, ``avg`` (when the batch had rows with an event time) and ``watermark``, the
    one the batch ran with; the new one shows in the next batch. ``duration_ms`` holds milliseconds per phase.
    ``sink`` holds ``num_output_rows`` and ``num_retries``, how often a sink that failed was tried again.
    ``num_dead_letters`` counts the records that the batch set aside; they are no input rows.
    """

    name: str
    batch_id: int
    timestamp: pd.Timestamp
    num_input_rows: int
    input_rows_per_second: float
    processed_rows_per_second: float
    duration_ms: Mapping[str, float]
    event_time: Mapping[str, Any]
    state_operators: Sequence[OperatorProgress]
    sources: Sequence[SourceProgress]
    sink: Mapping[str, Any]
    num_dead_letters: int = 0


@dataclass(frozen=True, eq=False)
class StepTrace:
    """What one stateful operator did with the rows of one batch.

    ``rows`` is its input; ``late`` the dropped ones among them, with ``window_start`` / ``window_end`` where there are
    windows and ``late_by`` (``late_by_``, if a column of the user's has that name). ``changed`` are the state's new
    values (key columns, then results), ``removed`` the evicted ones; both are computed when asked for. Of very old
    batches late rows are let go of too, and ``late_let_go`` is their number.
    """

    operator: str
    rows: pl.DataFrame
    late: pl.DataFrame | None
    changed: Callable[[], pl.DataFrame]
    removed: Callable[[], pl.DataFrame]
    late_watermark: int | None = None
    eviction_watermark: int | None = None
    num_rows_total: int = 0
    num_rows_updated: int = 0
    num_rows_removed: int = 0
    memory_used_bytes: int = 0
    custom_metrics: Mapping[str, int] = field(default_factory=dict)
    late_let_go: int = 0

    @property
    def num_late(self) -> int:
        """Return how many rows were dropped, told of or let go of."""
        return self.late_let_go + (0 if self.late is None else len(self.late))


@dataclass(frozen=True, eq=False, slots=True)
class Work(Record):
    """What one operator of the plan that runs did in a batch: rows in and out, and its own milliseconds.

    ``number`` counts the plan's operators from 1, inputs first.
    """

    number: int
    verb: str
    rows_in: int
    rows_out: int
    ms: float


class SoFar(NamedTuple):
    """Sums from a query's first batch to one of them, those included that are no longer told of.

    ``rows`` were read, ``late`` dropped, ``removed`` evicted from state. ``work`` is that of every operator of the plan
    that runs, since it runs, and ``late_by`` the late rows of every one of a trace's ``steps``.
    """

    rows: int = 0
    late: int = 0
    removed: int = 0
    work: tuple[Work, ...] = ()
    late_by: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class Mark:
    """One ``with_watermark`` after one batch: what it asks for by itself, whatever the other inputs ask for.

    ``input`` counts them from 1; ``source`` is what feeds it. ``value`` is its largest event time minus ``delay``, set
    by ``row``; both are None before its first row. An ``idle`` one is not waited for.
    """

    input: int
    event_time: str
    source: str
    delay: dt.timedelta
    value: dt.datetime | None
    row: Mapping[str, Any] | None
    idle: bool = False


@dataclass(frozen=True, eq=False)
class Trace:
    """The story of one batch.

    ``time`` is its processing time (of the clock, or of the replay). ``watermark`` is the one it ran with,
    ``watermark_after`` the one it left behind, set by the row ``watermark_row``. ``rows`` are the rows that declared an
    event time in it (all input rows where none is declared). ``no_data`` marks a batch without input. ``marks`` are the
    inputs' own watermarks after it; the query goes by the least of them (``watermark_policy="max"``: the largest).
    ``dead_letters`` are the records it set aside. ``summarised``: it is old, and only its numbers and its late rows are
    kept; its other rows can be read again from the sources.
    ``serial`` tells it from the trace of a batch that was done again after a rewind.
    ``work`` tells of every operator of the plan that runs. ``given`` are the params and versions of rules it went by.
    ``so_far`` are the sums up to it, once it has happened.
    """

    batch_id: int
    time: dt.datetime
    no_data: bool
    watermark: dt.datetime | None
    watermark_after: dt.datetime | None
    watermark_row: Mapping[str, Any] | None
    rows: pl.DataFrame
    steps: tuple[StepTrace, ...]
    emitted: pl.DataFrame
    marks: tuple[Mark, ...] = ()
    dead_letters: pl.DataFrame | None = None
    summarised: bool = False
    serial: int = field(default_factory=count().__next__)
    work: tuple[Work, ...] = ()
    given: Mapping[str, Any] = field(default_factory=dict)
    so_far: SoFar = field(default_factory=SoFar)


for _record in (StepTrace, Trace):  # behind the classes, where it is no default
    setattr(_record, "rows", Told("rows"))  # noqa: B010


@dataclass(frozen=True, eq=False)
class Outline:
    """The facts of a query that a figure needs; only the delay may change while it runs, if it is a param.

    ``delay`` is the watermark's; ``window`` that of the first windowed aggregation, with its other grouping ``keys``
    and the names of its ``values``; ``arrival`` the column that says when a row arrived, where the source has one.
    """

    name: str
    output_mode: str
    event_time: str | None = None
    arrival: str | None = None
    delay: dt.timedelta | None = None
    window: Window | None = None
    keys: tuple[str, ...] = ()
    values: tuple[str, ...] = ()


class Playable(Protocol):
    """All that a control or a view may touch of a running query. ``streamnb.Query`` is one."""

    @property
    def name(self) -> str: ...
    @property
    def outline(self) -> Outline: ...
    @property
    def trace(self) -> Sequence[Trace]: ...
    @property
    def progress(self) -> Sequence[Progress]: ...
    @property
    def let_go(self) -> int:
        """Return how many batches, the oldest, trace and progress no longer tell of."""

    @property
    def playing(self) -> bool: ...
    @property
    def status(self) -> str:
        """``"idle" | "playing" | "done" | "stopped" | "failed"``; done: nothing left to read for now."""

    @property
    def exception(self) -> BaseException | None: ...

    def result_at(self, batch_id: int) -> pd.DataFrame:
        """Return what the sink held after ``batch_id``."""

    def state_at(self, batch_id: int) -> pd.DataFrame:
        """Return what was remembered after ``batch_id``, with ``operator`` first and ``expires_at`` last."""

    def upcoming(self) -> pl.DataFrame | None:
        """Return the rows not read yet, where the source can know them; else None."""

    def post(self, command: str, **arguments: Any) -> None:
        """Ask the query's own thread for ``"step" | "play" | "pause" | "rewind" | "stop"``; returns at once."""

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call ``callback`` (any thread, no lock held) after every change; returns the way to end that."""
