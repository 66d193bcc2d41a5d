"""session_window: group the rows of a key that follow each other without a gap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import narwhals as nw
import polars as pl

from streamnb.errors import PlanError
from streamnb.expressions import Expression, as_expr, native, outcome
from streamnb.ops.folding import FoldStep
from streamnb.ops.group_by import GroupBy
from streamnb.ops.session_step import SessionStep
from streamnb.plan import EventTime, Opening
from streamnb.time import Duration, duration, spell
from streamnb.windows import END, TimeKey


def session_window(time: Expression, gap: Duration | Expression) -> SessionKey:
    """Group the rows of a key that follow each other without a gap.

    A row alone is a session ``[time, time + gap)``. Sessions of one key that overlap or touch are one session, from the
    first start to the last end, so a row may extend a session on either side, or bridge several. Adds the columns
    ``window_start`` and ``window_end``. ``group_by`` needs another key beside it.

    A row is late when its own session ends at or before the watermark, whatever session it could still have joined.
    Append mode gives a session once, when the watermark has passed its end. Update mode gives every session that a
    batch touched, as it is now; a session that went up into one with an earlier start is not taken back. Where sessions
    merge, ``first``, ``last`` and lists go by the order in which the sessions opened.

    Parameters
    ----------
    time
        A datetime. A row with a null time is in no session.
    gap
        A duration, or one per row: an expression (or column) of durations, or of strings that say durations. A row
        whose gap is null, unreadable, zero or negative is dropped. A string that begins with a letter names a column.

    State
        One row a session, until the watermark passes its end; for every key its open sessions. A batch reads the open
        sessions of its keys.

    Spark
        ``session_window(timeColumn, gapDuration)``. Spark refuses it in update mode.

    >>> per_plane = flights.group_by(sn.session_window("dep", "30 minutes"), "carrier").agg(n=sn.count())
    >>> per_plane.collect()["n"].max()
    np.int64(33)
    """
    return SessionKey(as_expr(time), _gap(gap))


def _gap(gap: Duration | Expression) -> int | nw.Expr:
    if isinstance(gap, nw.Expr):
        return gap
    if isinstance(gap, str) and gap[:1].isalpha() and not gap.lower().startswith("interval "):
        return as_expr(gap)
    return duration(gap, "session_window")


@dataclass(frozen=True, eq=False)
class SessionKey(TimeKey):
    """What ``sn.session_window(…)`` returns; ``gap`` is in microseconds, or one per row."""

    gap: int | nw.Expr

    def grouped(self, plain: type[Any]) -> type[Any]:
        return SessionGroupBy

    def describe(self, time: str) -> str:
        gap = f"gap {spell(self.gap)}" if isinstance(self.gap, int) else "gap per row"
        return f"session {time} {gap}"


@dataclass(frozen=True, eq=False)
class SessionGroupBy(GroupBy):
    """A group_by with a session among its keys."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.keys:
            raise PlanError(
                "session_window: the only key is the session, and sessions are kept key by key; "
                "group by another column too, such as group_by(sn.session_window(…), 'user').",
                code="SESSION_WITHOUT_KEY",
            )
        (dtype,) = outcome("session_window", [self.gap], self.inputs[0].schema).dtypes()
        if not isinstance(dtype, pl.String | pl.Duration):
            raise PlanError(
                f"session_window: the gap is {dtype}, and a gap is a duration; write '5 minutes', "
                "or an expression of durations or of such strings.",
                code="DURATION_INVALID",
            )

    @cached_property
    def gap(self) -> pl.Expr:
        """The gap of every row, as a duration or as text."""
        assert isinstance(self.time_key, SessionKey)  # noqa: S101  what built this node
        gap = self.time_key.gap
        return pl.duration(microseconds=gap) if isinstance(gap, int) else native(gap)

    @cached_property
    def event_times(self) -> Mapping[str, EventTime]:
        """A session's start is no event time: how far behind its end it lies differs from session to session."""
        ends = {} if self.mark is None else {END: EventTime(self.mark.delay, self.mark.origin)}
        return {**ends, **super().event_times}

    def open(self, opening: Opening) -> FoldStep:
        return SessionStep(self, opening)
