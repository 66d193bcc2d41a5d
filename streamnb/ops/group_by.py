"""group_by: one row per key, or per window of event time and key, kept up to date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import polars as pl

from streamnb.aggregates import as_fold
from streamnb.errors import PlanError
from streamnb.expressions import Expression, listed, native, outcome, plain_column, window_time
from streamnb.folds import Fold
from streamnb.ops.aggregate_step import AggregateStep
from streamnb.ops.apply_in_pandas_with_state import apply_in_pandas_with_state
from streamnb.ops.folding import FoldStep
from streamnb.ops.transform_with_state import transform_with_state
from streamnb.plan import EventTime, Node, Opening
from streamnb.time import Window
from streamnb.windows import END, START, TimeKey, WindowKey

if TYPE_CHECKING:
    from streamnb.frame import StreamFrame

_WINDOW_TIME = native(window_time())


def group_by(
    self: StreamFrame, *keys: Expression | TimeKey | Sequence[Expression | TimeKey], **named: Expression
) -> Grouped:
    """Group rows by columns, expressions and at most one window (``window``, ``session_window``); then ``.agg(…)``.

    Null is a key like any other. Without keys there is one group, of everything. The keys may stand in a list.

    State
        One row a group. With a window, or a column of event time, below a watermark: until the watermark passes it.
        Otherwise for ever.

    Spark: ``groupBy``.

    >>> flights.group_by("carrier").agg(n=sn.count()).collect().head(3)
      carrier   n
    0      US   5
    1      B6  69
    2      EV   2
    """
    return Grouped(self.with_columns(**named) if named else self, (*listed(keys), *named))


@dataclass(frozen=True, eq=False)
class Grouped:
    """Rows by key, waiting for ``agg`` or a function of one's own."""

    frame: StreamFrame
    keys: tuple[Expression | TimeKey, ...]

    apply_in_pandas_with_state = apply_in_pandas_with_state
    transform_with_state = transform_with_state

    def agg(self, *unnamed: object, **aggregates: object) -> StreamFrame:
        """Compute aggregates per group, such as ``agg(n=sn.count(), total=sn.sum("v"))``.

        Append mode gives a group once, when the watermark has passed it; update mode every group that a batch touched;
        complete mode all of them, every time. Each has a name, which the column bears; one without is an error.

        Spark: ``agg``.
        """
        if unnamed:
            raise _nameless(unnamed[0])
        if not aggregates:
            raise PlanError("agg: nothing to compute; write agg(n=sn.count()).", code="AGGREGATE_INVALID")
        folds = {name: as_fold("agg", name, value) for name, value in aggregates.items()}
        time_key = next((key for key in self.keys if isinstance(key, TimeKey)), None)
        node = GroupBy if time_key is None else time_key.grouped(GroupBy)
        return self.frame.then(node((self.frame.node,), self.keys, folds))


def _nameless(value: object) -> PlanError:
    """Return the error for what stands in ``agg`` without a name."""
    told, way = (str(value), f"sn.{value.name}(…)") if isinstance(value, Fold) else (repr(value), "sn.sum('column')")
    return PlanError(f"agg: {told} has no name; name it: agg(a_name={way}).", code="AGGREGATE_INVALID")


@dataclass(frozen=True, eq=False)
class GroupBy(Node):
    by: tuple[Expression | TimeKey, ...]
    aggregates: Mapping[str, Fold]
    verb: ClassVar[str] = "group_by"
    remembers: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if sum(isinstance(k, TimeKey) for k in self.by) > 1:
            raise PlanError("group_by: two windows in one group_by; chain two group_bys instead.", code="TWO_WINDOWS")
        names = [*self.key_columns, *self.aggregates]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise PlanError(f"group_by: the names {twice} stand twice; rename one.", code="COLUMN_DUPLICATE")
        self._check_time()
        _ = self.schema

    def _check_time(self) -> None:
        if self.time_key is None:
            return
        (dtype,) = outcome("window", [self.time], self.inputs[0].schema).dtypes()
        if not isinstance(dtype, pl.Datetime):
            raise PlanError(
                f"window: {self.time_name!r} is {dtype}, and windows are of datetimes; convert it first.",
                code="EVENT_TIME_TYPE",
            )

    @cached_property
    def time_key(self) -> TimeKey | None:
        return next((k for k in self.by if isinstance(k, TimeKey)), None)

    @property
    def window(self) -> Window | None:
        return self.time_key.window if isinstance(self.time_key, WindowKey) else None

    @cached_property
    def time(self) -> pl.Expr:
        assert self.time_key is not None  # noqa: S101  asked for windows only
        return native(self.time_key.time)

    @cached_property
    def time_name(self) -> str:
        return plain_column(self.time) or self.time.meta.output_name()

    @cached_property
    def keys(self) -> Mapping[str, pl.Expr]:
        """The keys besides the window, by the name they get."""
        expressions = [native(k) for k in self.by if not isinstance(k, TimeKey)]
        return {e.meta.output_name(): e for e in expressions}

    @cached_property
    def key_columns(self) -> tuple[str, ...]:
        """All key columns in the order given, the window's two where the window stands."""
        names: list[str] = []
        for key in self.by:
            names += (START, END) if isinstance(key, TimeKey) else (native(key).meta.output_name(),)
        return tuple(names)

    @cached_property
    def key_schema(self) -> pl.Schema:
        types = dict(outcome(self.verb, self.keys.values(), self.inputs[0].schema))
        if self.time_key is not None:
            (time,) = outcome("window", [self.time], self.inputs[0].schema).dtypes()
            types |= {START: time, END: time}
        return pl.Schema({name: types[name] for name in self.key_columns})

    @cached_property
    def schema(self) -> pl.Schema:
        return pl.Schema({**self.key_schema, **self.open(Opening("complete")).value_schema})

    @cached_property
    def mark(self) -> EventTime | None:
        """The event time of the grouping time, if a watermark is declared on it."""
        if self.time_key is None:
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
        """The start of a window names it."""
        return tuple(name for name in self.key_columns if name != END)

    def open(self, opening: Opening) -> FoldStep:
        return AggregateStep(self, opening)

    def describe(self) -> str:
        by = [self.time_key.describe(self.time_name)] if self.time_key else []
        folds = [f"{name}={fold}" for name, fold in self.aggregates.items()]
        return f"group_by {', '.join([*by, *self.keys])} → {', '.join(folds)}"
