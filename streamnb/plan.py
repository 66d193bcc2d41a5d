"""A query as a value: Node (one verb), and at work: Step and Batch."""

from __future__ import annotations

import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, TypeVar

import polars as pl

from streamnb.errors import column_not_found
from streamnb.expressions import native
from streamnb.params import params_in, value_of
from streamnb.progress import Made, StepTrace
from streamnb.state import StateTable
from streamnb.time import Watermark, moment

Rows = TypeVar("Rows")


@dataclass(frozen=True)
class EventTime:
    """The mark on a column that holds event time.

    A row with it is behind a watermark W when ``column + shift <= W``: ``shift`` is zero for a time itself and for a
    window's end, the window's size for its start. ``delay`` is the watermark's, in microseconds. Columns with one
    ``origin`` tell one time.
    """

    delay: int
    origin: int
    shift: int = 0


@dataclass(frozen=True)
class Batch:
    """The rows of one trigger, and the two watermarks they are judged by (microseconds; None: no watermark upstream).

    ``late_watermark`` is that of the batch before: rows at or behind it are late. ``eviction_watermark`` is this
    batch's: state at or behind it ends. ``time`` is its processing time. ``trace`` is what the step that made this
    batch tells of its work. ``made`` makes the rows once more, where that is cheaper than to keep them for the trace.
    """

    rows: pl.DataFrame
    late_watermark: int | None = None
    eviction_watermark: int | None = None
    id: int = 0
    time: int = 0
    trace: StepTrace | None = None
    made: Made | None = None

    def with_rows(self, rows: pl.DataFrame, trace: StepTrace | None = None, made: Made | None = None) -> Batch:
        return Batch(rows, self.late_watermark, self.eviction_watermark, self.id, self.time, trace, made)

    @property
    def told(self) -> Any:
        """The rows as a trace holds them: themselves, or what makes them."""
        return self.made or self.rows


_LATE_BY = "late_by"


def late_name(columns: Collection[str]) -> str:
    """Return a name for how late a row is, beside columns of the user's: ``late_by``, or that with ``_`` behind it."""
    name = _LATE_BY
    while name in columns or f"{name}_" in columns:
        name += "_"
    return name


def late_column(columns: Collection[str]) -> str:
    """Return which column of late rows says by how much, whatever columns the user has."""
    name = _LATE_BY
    while f"{name}_" in columns:
        name += "_"
    return name


class Step(ABC):
    """A node at work. All that it remembers is in its ``tables``."""

    tables: tuple[StateTable, ...] = ()

    @abstractmethod
    def on_batch(self, *batches: Batch) -> Batch:
        """Take one batch of every input, return one."""

    def output_watermark(self, *inputs: int | None) -> int | None:
        """Return the watermark of what comes out, from those of the inputs: the least of those that have one."""
        return least(inputs)

    def due(self, watermark: int | None, before: int | None, time: int) -> bool:
        """Tell whether a batch without input would act, now that the watermark of the input has moved from ``before``.

        ``time`` is the processing time. Both watermarks are None where none is declared upstream.
        """
        return False

    def state(self) -> pl.DataFrame | None:
        """Return the keys and values held, with ``expires_at``; None if nothing can be."""
        return None


@dataclass(frozen=True)
class Opening:
    """What a node must know to open its step.

    ``output_mode`` is the query's, or ``"batch"`` for ``collect()``: one batch that is never late and always past.
    """

    output_mode: str = "append"
    watermark: Watermark = field(default_factory=Watermark)


@dataclass(frozen=True, eq=False)
class Node(ABC):
    """One verb of a query as a frozen value. It refuses to exist if it makes no sense."""

    inputs: tuple[Node, ...]
    verb: ClassVar[str] = ""
    remembers: ClassVar[bool] = False
    opaque: ClassVar[bool] = False
    """Whether the columns that come out are new: no event time and no key is handed on."""

    @property
    def keeps(self) -> bool:
        """Whether its step has tables: it remembers rows, or what it has seen of them."""
        return self.remembers

    @cached_property
    @abstractmethod
    def schema(self) -> pl.Schema:
        """The columns that come out, with their Polars types."""

    @cached_property
    def event_times(self) -> Mapping[str, EventTime]:
        """The columns that carry event time."""
        return {} if self.opaque else self.inputs[0].event_times

    @cached_property
    def key(self) -> tuple[str, ...] | None:
        """The columns that name one row of an updated result; None: rows are only ever added."""
        return None if self.opaque else self.inputs[0].key

    @abstractmethod
    def open(self, opening: Opening) -> Step:
        """Return a new step."""

    def describe(self) -> str:
        """Return the verb with its arguments, for ``explain()``."""
        return self.verb

    def walk(self) -> Iterator[Node]:
        """Yield this node and all below it, inputs first; a node used twice comes twice."""
        for node in self.inputs:
            yield from node.walk()
        yield self

    def need(self, *names: str) -> None:
        """Raise unless the first input has these columns."""
        for name in names:
            if name not in self.inputs[0].schema:
                raise column_not_found(self.verb, name, self.inputs[0].schema)


class RowWise(Node):
    """A node that looks at one row at a time and remembers nothing.

    ``apply`` is written in the verbs that Polars and Narwhals share, so it runs in the kernel and on Spark alike;
    ``compile`` turns an expression into one of the frame's own. A ``repeatable`` node drops rows and always the same:
    a trace holds what it was given, which others hold too, and applies it again for whoever looks.
    """

    repeatable = False

    @abstractmethod
    def apply(self, rows: Any, compile: Callable[[Any], Any]) -> Any:
        """Return the rows that come out."""

    def open(self, opening: Opening) -> Step:
        return RowWiseStep(self)


class RowWiseStep(Step):
    """A node without memory at work."""

    def __init__(self, node: RowWise) -> None:
        self.node = node
        self.compiled: dict[int, pl.Expr] = {}
        self.params = sorted(params_in(node))
        self.values: list[Any] = []

    def on_batch(self, *batches: Batch) -> Batch:
        (batch,) = batches
        if self.params:
            self._go_by([value_of(name) for name in self.params])
        rows = self.apply(batch.rows)
        return batch.with_rows(rows, made=self._again(batch) if self.node.repeatable else None)

    def apply(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the rows that come out."""
        found: pl.DataFrame = self.node.apply(rows, self._compile)
        return found

    def _go_by(self, values: list[Any]) -> None:
        """Compile anew where params have changed; what was compiled before stays with the traces of then."""
        if values != self.values:
            self.compiled, self.values = {}, values

    def _again(self, batch: Batch) -> Made:
        apply = copy(self).apply if self.params else self.apply
        return Made(batch.rows, apply) if batch.made is None else batch.made.then(apply)

    def _compile(self, expression: Any) -> pl.Expr:
        """Compile once; the node keeps its expressions alive, so their ids are theirs."""
        if id(expression) not in self.compiled:
            self.compiled[id(expression)] = native(expression)
        return self.compiled[id(expression)]


def least(watermarks: Iterable[int | None]) -> int | None:
    """Return the smallest of the watermarks that there are."""
    return min((w for w in watermarks if w is not None), default=None)


def moved(watermark: int | None, before: int | None) -> bool:
    """Tell whether a watermark has moved."""
    return watermark is not None and (before is None or watermark > before)


def instant_of(watermark: int | None, like: pl.DataType | None) -> dt.datetime | None:
    """Return a watermark as a time, in the time zone of the event-time column."""
    if watermark is None:
        return None
    zone = getattr(like, "time_zone", None)
    at = moment(watermark)
    return at if zone is None else _zoned(at, zone)


def _zoned(at: dt.datetime, zone: str) -> dt.datetime:
    from zoneinfo import ZoneInfo

    return at.replace(tzinfo=dt.UTC).astimezone(ZoneInfo(zone))
