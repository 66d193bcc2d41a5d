"""select, with_columns: compute columns row by row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import narwhals as nw
import polars as pl

from streamnb.errors import PlanError
from streamnb.expressions import Expression, as_expr, listed, native, outcome, plain_column, row_by_row, window_time
from streamnb.plan import EventTime, Node, RowWise
from streamnb.windows import WindowKey

if TYPE_CHECKING:
    from streamnb.frame import StreamFrame


def select(
    self: StreamFrame,
    *columns: Expression | WindowKey | Sequence[Expression | WindowKey],
    **named: Expression | WindowKey,
) -> StreamFrame:
    """Keep or compute just these columns, in this order; they may stand in a list.

    A column of event time stays one if it is handed on as it is, under any name.

    ``sn.window(…)`` gives two columns, the start and the end.

    Spark: ``select``.

    >>> flights.select("dest", hour=sn.col("dep").dt.hour()).collect().head(2)
      dest  hour
    0  PHL     5
    1  BOS     6
    """
    frame, expressions = _expressions(self, "select", listed(columns), named)
    return frame.then(Select((frame.node,), expressions))


def with_columns(
    self: StreamFrame,
    *columns: Expression | WindowKey | Sequence[Expression | WindowKey],
    **named: Expression | WindowKey,
) -> StreamFrame:
    """Add columns, or replace those of the same name. All see the columns as they were before.

    ``sn.window(…)`` gives two columns, the start and the end.

    Spark: ``withColumns``.

    >>> flights.with_columns(late=sn.col("arr_delay") > 15).schema.names()[-1]
    'late'
    """
    frame, expressions = _expressions(self, "with_columns", listed(columns), named)
    return frame.then(WithColumns((frame.node,), expressions))


def _expressions(
    frame: StreamFrame, verb: str, columns: Sequence[Any], named: Mapping[str, Any]
) -> tuple[StreamFrame, tuple[nw.Expr, ...]]:
    """Return what is computed; a window goes below, and its two columns stand in its place."""
    given = [("window", column) for column in columns] + list(named.items())
    windows = {name: key for name, key in given if isinstance(key, WindowKey)}
    if sum(isinstance(key, WindowKey) for _, key in given) > 1:
        raise PlanError(f"{verb}: two windows would pair every row with both; use one.", code="TWO_WINDOWS")
    for name, key in windows.items():
        frame = frame.with_window(key, name)
    plain = [as_expr(column) for column in columns if not isinstance(column, WindowKey)]
    called = [as_expr(value).alias(name) for name, value in named.items() if name not in windows]
    edges = [nw.col(f"{name}_{edge}") for name in windows for edge in ("start", "end")]
    return frame, (*plain, *called, *edges)


def _is_window_time(expression: pl.Expr) -> bool:
    return expression.meta.undo_aliases().meta.eq(native(window_time()))


@dataclass(frozen=True, eq=False)
class Select(RowWise):
    expressions: tuple[nw.Expr, ...]
    verb: ClassVar[str] = "select"

    def __post_init__(self) -> None:
        if not self.schema:
            raise PlanError("select: no column is named; name at least one.", code="EXPRESSION_INVALID")
        row_by_row(self.verb, self.expressions)

    @cached_property
    def schema(self) -> pl.Schema:
        return outcome(self.verb, map(native, self.expressions), self.inputs[0].schema)

    @cached_property
    def origins(self) -> Mapping[str, str]:
        """The columns that are an input's column, untouched: name to the input's name."""
        found: dict[str, str | None] = {}
        for expression in map(native, self.expressions):
            if not expression.meta.has_multiple_outputs():
                found[expression.meta.output_name()] = plain_column(expression)
            else:
                names = outcome(self.verb, [expression], self.inputs[0].schema)
                found |= {name: name for name in names}
        return {name: origin for name, origin in found.items() if origin is not None}

    @cached_property
    def event_times(self) -> Mapping[str, EventTime]:
        marks = self.inputs[0].event_times
        kept = {name: marks[origin] for name, origin in self.origins.items() if origin in marks}
        return kept | _window_times(self.expressions, self.inputs[0])

    @cached_property
    def key(self) -> tuple[str, ...] | None:
        key = self.inputs[0].key
        if key is None:
            return None
        back = {origin: name for name, origin in self.origins.items()}
        back.setdefault("window_start", back.get("window_end", ""))  # either names the window
        return tuple(back[name] for name in key) if all(back.get(name) for name in key) else None

    @cached_property
    def _constant(self) -> bool:
        return not any(e.meta.root_names() or e.meta.has_multiple_outputs() for e in map(native, self.expressions))

    def apply(self, rows: Any, compile: Callable[[Any], Any]) -> Any:
        if self._constant:  # a frame of literals alone would be one row
            return rows.with_columns(*map(compile, self.expressions)).select(*self.schema)
        return rows.select(*map(compile, self.expressions))

    def describe(self) -> str:
        return f"{self.verb} {', '.join(self.schema)}"


@dataclass(frozen=True, eq=False)
class WithColumns(RowWise):
    expressions: tuple[nw.Expr, ...]
    verb: ClassVar[str] = "with_columns"

    def __post_init__(self) -> None:
        _ = self.schema
        row_by_row(self.verb, self.expressions)

    @cached_property
    def new(self) -> pl.Schema:
        return outcome(self.verb, map(native, self.expressions), self.inputs[0].schema)

    @cached_property
    def schema(self) -> pl.Schema:
        return pl.Schema({**self.inputs[0].schema, **self.new})

    @cached_property
    def event_times(self) -> Mapping[str, EventTime]:
        marks = self.inputs[0].event_times
        kept = {name: mark for name, mark in marks.items() if name not in self.new}
        simple = [e for e in map(native, self.expressions) if not e.meta.has_multiple_outputs()]
        copied = {e.meta.output_name(): marks[c] for e in simple if (c := plain_column(e) or "") in marks}
        return kept | copied | _window_times(self.expressions, self.inputs[0])

    @cached_property
    def key(self) -> tuple[str, ...] | None:
        key = self.inputs[0].key
        return None if key is None or any(name in self.new for name in key) else key

    def apply(self, rows: Any, compile: Callable[[Any], Any]) -> Any:
        return rows.with_columns(*map(compile, self.expressions))

    def describe(self) -> str:
        return f"{self.verb} {', '.join(self.new)}"


def _window_times(expressions: tuple[nw.Expr, ...], below: Node) -> dict[str, EventTime]:
    """Mark ``sn.window_time()``: the time of a windowed row is an event time again."""
    end = below.event_times.get("window_end")
    if end is None:
        return {}
    times = [e for e in map(native, expressions) if _is_window_time(e)]
    return {e.meta.output_name(): EventTime(end.delay, end.origin) for e in times}
