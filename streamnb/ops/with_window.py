"""with_window: the window of every row as two columns; a row in several windows once for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import polars as pl

from streamnb.errors import PlanError
from streamnb.expressions import native, outcome, plain_column
from streamnb.plan import Batch, EventTime, Node, Opening, Step
from streamnb.windows import WindowKey

if TYPE_CHECKING:
    from streamnb.frame import StreamFrame

_START = "__start"


def with_window(self: StreamFrame, key: WindowKey, name: str = "window") -> StreamFrame:
    """Add ``{name}_start`` and ``{name}_end``; what ``select`` and ``with_columns`` make of ``sn.window(…)``.

    A row with a null time is in no window and is left out. Spark: ``window`` in ``select``.

    >>> flights.with_window(sn.window("dep", "1 hour")).schema.names()[-2:]
    ['window_start', 'window_end']
    """
    return self.then(WithWindow((self.node,), key, name))


@dataclass(frozen=True, eq=False)
class WithWindow(Node):
    window: WindowKey
    name: str
    verb: ClassVar[str] = "with_window"

    def __post_init__(self) -> None:
        (dtype,) = outcome("window", [self.time], self.inputs[0].schema).dtypes()
        if not isinstance(dtype, pl.Datetime):
            raise PlanError(
                f"window: the time is {dtype}, and windows are of datetimes; convert it first.", code="EVENT_TIME_TYPE"
            )

    @cached_property
    def time(self) -> pl.Expr:
        return native(self.window.time)

    @cached_property
    def names(self) -> tuple[str, str]:
        return f"{self.name}_start", f"{self.name}_end"

    @cached_property
    def schema(self) -> pl.Schema:
        (dtype,) = outcome("window", [self.time], self.inputs[0].schema).dtypes()
        return pl.Schema({**self.inputs[0].schema, **dict.fromkeys(self.names, dtype)})

    @cached_property
    def event_times(self) -> Mapping[str, EventTime]:
        below = {name: mark for name, mark in self.inputs[0].event_times.items() if name not in self.names}
        mark = self.inputs[0].event_times.get(plain_column(self.time) or "")
        if mark is None:
            return below
        start, end = self.names
        size = self.window.window.size
        return {**below, start: EventTime(mark.delay, mark.origin, size), end: EventTime(mark.delay, mark.origin)}

    def open(self, opening: Opening) -> Step:
        return _Step(self)

    def describe(self) -> str:
        return f"with_window {plain_column(self.time) or '…'} {self.window.window} as {', '.join(self.names)}"


class _Step(Step):
    def __init__(self, node: WithWindow) -> None:
        self.node, self.window = node, node.window.window
        edges = zip(node.names, (pl.col(_START), pl.col(_START) + self.window.size), strict=True)
        self.edges = [edge.cast(node.schema[name]).alias(name) for name, edge in edges]

    def on_batch(self, *batches: Batch) -> Batch:
        (batch,) = batches
        rows = self.window.each(batch.rows, self.node.time, _START)
        return batch.with_rows(rows.with_columns(self.edges).drop(_START))
