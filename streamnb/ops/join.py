"""join: rows of two streams that belong together, each pair once, whichever comes first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import narwhals as nw
import polars as pl

from streamnb.errors import PlanError, column_not_found, one_of
from streamnb.expressions import conjuncts, native, needed, outcome
from streamnb.ops.join_static import join_static
from streamnb.ops.join_step import JoinStep
from streamnb.plan import EventTime, Node, Opening, Step
from streamnb.time import MILLISECOND, Duration, duration, spell

if TYPE_CHECKING:
    from streamnb.frame import StreamFrame

HOW = ("inner", "left", "right", "full", "semi", "anti")
_CLOSED = ("both", "left", "right", "none")


@dataclass(frozen=True)
class Between:
    """``of + after <= time <= of + before`` in microseconds; what ``sn.between(…)`` returns."""

    time: str
    of: str
    after: int | None
    before: int | None
    closed: str

    def turned(self) -> Between:
        """Return the same range with the two columns in each other's place."""
        closed = {"left": "right", "right": "left"}.get(self.closed, self.closed)
        after = None if self.before is None else -self.before
        before = None if self.after is None else -self.after
        return Between(self.of, self.time, after, before, closed)


def between(
    time: str, *, after: Duration | None = None, before: Duration | None = None, of: str, closed: str = "both"
) -> Between:
    """Say how far apart two times may be: ``of + after <= time <= of + before``, for ``join(within=…)``.

    Either bound may be None. ``closed`` says which are included: ``"both"``, ``"left"``, ``"right"``, ``"none"``.

    >>> near = sn.between("seen", after="0 min", before="10 minutes", of="shown")
    >>> near
    Between(time='seen', of='shown', after=0, before=600000000, closed='both')
    """
    if closed not in _CLOSED:
        raise one_of("between", "closed", closed, _CLOSED)
    if after is None and before is None:
        raise PlanError("between: no bound is given; give after=, before= or both.", code="OPTION_INVALID")
    bounds = [None if bound is None else duration(bound, "between") for bound in (after, before)]
    return Between(time, of, bounds[0], bounds[1], closed)


def join(
    self: StreamFrame,
    right: StreamFrame | Any,
    on: str | Sequence[str] | None = None,
    how: str = "inner",
    *,
    left_on: str | Sequence[str] | None = None,
    right_on: str | Sequence[str] | None = None,
    within: Between | None = None,
    where: nw.Expr | None = None,
) -> StreamFrame:
    """Join with another stream, or with a table.

    A pair comes out in the batch in which its second row comes in. An unmatched row of an outer join comes out with
    nulls once the watermark proves that nothing can match it any more; so outer, semi and anti joins need a time bound:
    event time among the keys, or ``within``. Columns of the right side whose names the left side has get the suffix
    ``_right``; keys named by ``on`` stand once. Null keys never match (but in a full join of two streams: as in Spark).

    Parameters
    ----------
    right
        A StreamFrame, or a table: pandas, Polars, Arrow, or a function that returns one, called for every batch.
    how
        ``"inner"``, ``"left"``, ``"right"``, ``"full"``, ``"semi"`` or ``"anti"``.
    within
        ``sn.between(…)``: how far apart the times of two streams may be. It bounds the state.
    where
        A further condition over the joined columns.

    State
        The rows of both streams, until no row within the watermark can match them; without a bound for ever.

    Spark: ``join``; anti joins of two streams go further.

    >>> named = flights.join(sn.data.planes(), on="tailnum", how="left")
    >>> len(named.collect())
    145
    """
    if how not in HOW:
        raise one_of("join", "how", how, HOW)
    if not hasattr(right, "node"):
        if within is not None:
            raise PlanError(
                "join: within= bounds the state of two streams, a table has none; use where=.",
                code="OPTION_INVALID",
            )
        return join_static(self, right, on=on, left_on=left_on, right_on=right_on, how=how, where=where)
    keys = _keys(on, left_on, right_on)
    within = _oriented(within, self.node, right.node)
    return self.then(Join((self.node, right.node), keys, how, on is not None, within, where))


def _names(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _keys(on: Any, left_on: Any, right_on: Any) -> tuple[tuple[str, str], ...]:
    """Return the pairs of key columns."""
    left, right = (_names(on), _names(on)) if on is not None else (_names(left_on or ()), _names(right_on or ()))
    if not left or len(left) != len(right):
        raise PlanError(
            f"join: two streams need equal columns to be matched by, and left {list(left)} and right {list(right)} "
            "are none or not as many; give on=, or left_on= and right_on=.",
            code="JOIN_WITHOUT_EQUALITY",
        )
    return tuple(zip(left, right, strict=True))


def _oriented(within: Between | None, left: Node, right: Node) -> Between | None:
    """Return the range as one of the right side's time around the left side's."""
    if within is None:
        return None
    if within.time in right.schema and within.of in left.schema:
        return within
    if within.time in left.schema and within.of in right.schema:
        return within.turned()
    missing = within.time if within.time not in {*left.schema, *right.schema} else within.of
    raise column_not_found("between", missing, [*left.schema, *right.schema])


@dataclass(frozen=True, eq=False)
class Join(Node):
    keys: tuple[tuple[str, str], ...]
    how: str
    merged: bool
    within: Between | None
    where: nw.Expr | None
    verb: ClassVar[str] = "join"
    remembers: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for side, names in zip(self.inputs, zip(*self.keys, strict=True), strict=True):
            for name in names:
                if name not in side.schema:
                    raise column_not_found("join", name, side.schema)
        self._check_types()
        if self.where is not None:
            outcome("join", [native(self.where)], self.pair_schema)

    def _check_types(self) -> None:
        left, right = (node.schema for node in self.inputs)
        for a, b in self.keys:
            if left[a] != right[b] and not (left[a].is_integer() and right[b].is_integer()):
                raise PlanError(
                    f"join: {a!r} is {left[a]} and {b!r} is {right[b]}, which are never equal; cast one of them.",
                    code="SCHEMA_MISMATCH",
                )

    # -- columns

    @cached_property
    def right_names(self) -> Mapping[str, str]:
        """The right side's columns by the name they get in a pair."""
        left, right = (node.schema for node in self.inputs)
        return {name: f"{name}_right" if name in left else name for name in right}

    @cached_property
    def pair_schema(self) -> pl.Schema:
        """The columns of a pair: the left side's, then the right side's."""
        left, right = (node.schema for node in self.inputs)
        return pl.Schema({**left, **{self.right_names[name]: dtype for name, dtype in right.items()}})

    @cached_property
    def output(self) -> list[pl.Expr]:
        """A pair's columns as they come out: keys named by ``on`` once."""
        if self.how in {"semi", "anti"}:
            return [pl.col(name) for name in self.inputs[0].schema]
        once = {self.right_names[b]: a for a, b in self.keys if self.merged and a == b}
        left = [
            pl.coalesce(name, next(r for r, a in once.items() if a == name)) if name in once.values() else pl.col(name)
            for name in self.inputs[0].schema
        ]
        return [*left, *(pl.col(name) for name in self.right_names.values() if name not in once)]

    @cached_property
    def schema(self) -> pl.Schema:
        return pl.DataFrame(schema=self.pair_schema).select(self.output).schema

    @cached_property
    def event_times(self) -> Mapping[str, EventTime]:
        left, right = (node.event_times for node in self.inputs)
        marks = {**left, **{self.right_names[name]: mark for name, mark in right.items()}}
        for a, b in self.keys:
            if self.merged and a == b and b in right:
                marks.setdefault(a, right[b])
        return {name: marks[name] for name in self.schema if name in marks}

    @cached_property
    def key(self) -> tuple[str, ...] | None:
        return None

    def needed(self, number: int) -> list[str]:
        """Return the columns of a side that must not be null for a match."""
        names = (dict.fromkeys(self.inputs[0].schema), self.right_names)[number]
        keys = {pair[number] for pair in self.keys}
        times = {(self.within.of, self.within.time)[number]} if self.within is not None else set()
        compared = set().union(*(needed(part) for part in conjuncts(self.where))) if self.where is not None else set()
        own = {name for name in names if (name if number == 0 else self.right_names[name]) in compared}
        return [name for name in names if name in keys | times | own]

    # -- how long a row is kept

    @cached_property
    def bounds(self) -> tuple[tuple[str, int] | None, tuple[str, int] | None]:
        """For each side what ends a row, or None: a column and a shift; it ends when column + shift <= watermark."""
        return self._key_bounds() or self._range_bounds()

    def _key_bounds(self) -> tuple[tuple[str, int], tuple[str, int]] | None:
        """Event time among the keys: a row ends with its own time."""
        left, right = (node.event_times for node in self.inputs)
        for a, b in self.keys:
            mark = left.get(a) or right.get(b)
            if mark is not None:
                return (a, mark.shift), (b, mark.shift)
        return None

    def _range_bounds(self) -> tuple[tuple[str, int] | None, tuple[str, int] | None]:
        """A range between two event times: a row ends when the other stream has passed all that could match it."""
        if self.within is None:
            return None, None
        left, right = self.inputs[0].event_times.get(self.within.of), self.inputs[1].event_times.get(self.within.time)
        if left is None or right is None:
            return None, None
        after, before = self.within.after, self.within.before
        open_before, open_after = self.within.closed in {"left", "none"}, self.within.closed in {"right", "none"}
        return (
            None if before is None else (self.within.of, before + (0 if open_before else MILLISECOND)),
            None if after is None else (self.within.time, -after + (0 if open_after else MILLISECOND)),
        )

    @cached_property
    def lags(self) -> tuple[int, ...]:
        """How far the watermark of what comes out stays behind, for each side that is bounded by a range."""
        return () if self._key_bounds() else tuple(bound[1] for bound in self._range_bounds() if bound is not None)

    def accepts_outer(self) -> bool:
        """Tell whether unmatched rows of the preserved side can ever be known: Spark's rule."""
        if self._key_bounds() is not None:
            return True
        if self.within is None:
            return False
        left = self.within.before is not None and self.within.time in self.inputs[1].event_times
        right = self.within.after is not None and self.within.of in self.inputs[0].event_times
        return {"right": right, "full": left or right}.get(self.how, left)

    def open(self, opening: Opening) -> Step:
        return JoinStep(self, opening)

    def describe(self) -> str:
        by = ", ".join(a if a == b else f"{a} = {b}" for a, b in self.keys)
        return f"{self.how} join on {by}{'' if self.within is None else f', {_spelled(self.within)}'}"


def _spelled(within: Between) -> str:
    bounds = [None if b is None else spell(b) for b in (within.after, within.before)]
    return f"{within.time} within {bounds[0] or '…'} to {bounds[1] or '…'} of {within.of}"
