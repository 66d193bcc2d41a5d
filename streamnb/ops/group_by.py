"""group_by: one row per key, or per window of event time and key, kept up to date."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import narwhals as nw
import polars as pl

from streamnb.aggregates import as_fold
from streamnb.errors import PlanError
from streamnb.expressions import Expression, as_expr, native, outcome, plain_column, window_time
from streamnb.folds import Fold
from streamnb.ops.aggregate_step import AggregateStep
from streamnb.plan import EventTime, Node, Opening, Step
from streamnb.time import Duration, Window, duration

if TYPE_CHECKING:
    from streamnb.frame import StreamFrame

START, END = "window_start", "window_end"
_WINDOW_TIME = native(window_time())


def window(time: Expression, size: Duration, slide: Duration | None = None, start: Duration = "0s") -> WindowKey:
    """Group by windows of event time: ``[start, end)`` of ``size``, one every ``slide`` (the size, if not given).

    Windows are counted from 1970-01-01 midnight UTC (of a naive column: midnight as it stands) plus ``start``, whatever
    the time zone. A row with a null time is in no window. Adds the columns ``window_start`` and ``window_end``.

    Spark: ``window(timeColumn, windowDuration, slideDuration, startTime)``.
    """
    size_us = duration(size, "window")
    slide_us = size_us if slide is None else duration(slide, "window")
    return WindowKey(as_expr(time), Window(size_us, slide_us, duration(start, "window")))


@dataclass(frozen=True, eq=False)
class WindowKey:
    """What ``sn.window(…)`` returns: a key of ``group_by``."""

    time: nw.Expr
    window: Window


def group_by(self: StreamFrame, *keys: Expression | WindowKey, **named: Expression) -> Grouped:
    """Group rows by columns, expressions and at most one ``sn.window(…)``; then say ``.agg(…)``.

    Null is a key like any other. Without keys there is one group, of everything.

    State
        One row a group. With a window, or a column of event time, below a watermark: until the watermark passes it.
        Otherwise for ever.

    Spark: ``groupBy``.
    """
    return Grouped(self.with_columns(**named) if named else self, (*keys, *named))


@dataclass(frozen=True, eq=False)
class Grouped:
    """Rows by key, waiting for ``agg``."""

    frame: StreamFrame
    keys: tuple[Expression | WindowKey, ...]

    def agg(self, **aggregates: object) -> StreamFrame:
        """Compute aggregates per group, such as ``agg(n=sn.count(), total=sn.sum("v"))``.

        Append mode gives a group once, when the watermark has passed it; update mode every group that a batch touched;
        complete mode all of them, every time.

        Spark: ``agg``.
        """
        if not aggregates:
            raise PlanError("agg: nothing to compute; write agg(n=sn.count()).", code="AGGREGATE_INVALID")
        folds = {name: as_fold("agg", name, value) for name, value in aggregates.items()}
        return self.frame.then(GroupBy((self.frame.node,), self.keys, folds))


@dataclass(frozen=True, eq=False)
class GroupBy(Node):
    by: tuple[Expression | WindowKey, ...]
    aggregates: Mapping[str, Fold]
    verb: ClassVar[str] = "group_by"
    remembers: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if sum(isinstance(k, WindowKey) for k in self.by) > 1:
            raise PlanError("group_by: two windows in one group_by; chain two group_bys instead.", code="TWO_WINDOWS")
        names = [*self.key_columns, *self.aggregates]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise PlanError(f"group_by: the names {twice} stand twice; rename one.", code="COLUMN_DUPLICATE")
        self._check_time()

    def _check_time(self) -> None:
        if self.window_key is None:
            return
        (dtype,) = outcome("window", [self.time], self.inputs[0].schema).dtypes()
        if not isinstance(dtype, pl.Datetime):
            raise PlanError(
                f"window: {self.time_name!r} is {dtype}, and windows are of datetimes; convert it first.",
                code="EVENT_TIME_TYPE",
            )

    @cached_property
    def window_key(self) -> WindowKey | None:
        return next((k for k in self.by if isinstance(k, WindowKey)), None)

    @property
    def window(self) -> Window | None:
        return self.window_key.window if self.window_key else None

    @cached_property
    def time(self) -> pl.Expr:
        assert self.window_key is not None  # noqa: S101  asked for windows only
        return native(self.window_key.time)

    @cached_property
    def time_name(self) -> str:
        return plain_column(self.time) or self.time.meta.output_name()

    @cached_property
    def keys(self) -> Mapping[str, pl.Expr]:
        """The keys besides the window, by the name they get."""
        expressions = [native(k) for k in self.by if not isinstance(k, WindowKey)]
        return {e.meta.output_name(): e for e in expressions}

    @cached_property
    def key_columns(self) -> tuple[str, ...]:
        """All key columns in the order given, the window's two where the window stands."""
        names: list[str] = []
        plain = iter(self.keys)
        for key in self.by:
            names += (START, END) if isinstance(key, WindowKey) else (next(plain),)
        return tuple(names)

    @cached_property
    def key_schema(self) -> pl.Schema:
        types = dict(outcome(self.verb, self.keys.values(), self.inputs[0].schema))
        if self.window_key is not None:
            (time,) = outcome("window", [self.time], self.inputs[0].schema).dtypes()
            types |= {START: time, END: time}
        return pl.Schema({name: types[name] for name in self.key_columns})

    @cached_property
    def schema(self) -> pl.Schema:
        step = AggregateStep(self, Opening("complete"))
        return pl.Schema({**self.key_schema, **step.value_schema})

    @cached_property
    def mark(self) -> EventTime | None:
        """The event time of the grouping time, if a watermark is declared on it."""
        if self.window_key is None:
            return None
        marks = self.inputs[0].event_times
        if self.time.meta.undo_aliases().meta.eq(_WINDOW_TIME) and END in marks:
            return marks[END]
        return marks.get(plain_column(self.time) or "")

    @cached_property
    def event_times(self) -> Mapping[str, EventTime]:
        below = self.inputs[0].event_times
        kept = {n: below[c] for n, e in self.keys.items() if (c := plain_column(e) or "") in below}
        if self.mark is None or self.window is None:
            return kept
        delay, origin = self.mark.delay, self.mark.origin
        return {**kept, START: EventTime(delay, origin, self.window.size), END: EventTime(delay, origin)}

    @cached_property
    def key(self) -> tuple[str, ...] | None:
        return self.key_columns

    def open(self, opening: Opening) -> Step:
        return AggregateStep(self, opening)

    def describe(self) -> str:
        by = [f"window {self.time_name} {self.window}"] if self.window_key else []
        folds = [f"{name}={fold}" for name, fold in self.aggregates.items()]
        return f"group_by {', '.join([*by, *self.keys])} → {', '.join(folds)}"
