"""sn.window: a window of event time, as a key of group_by or as two columns of select and with_columns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import polars as pl

from streamnb.expressions import Expression, as_expr
from streamnb.time import Duration, Window, duration

START, END = "window_start", "window_end"
GIVEN = {name: f"__given_{name}" for name in (START, END)}
"""Where late rows keep columns of the user's own that have the names of ours."""


def beside(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows with their own ``window_start`` and ``window_end`` a second time, before ours take the names."""
    return rows.with_columns(pl.col(name).alias(GIVEN[name]) for name in GIVEN if name in rows.columns)


def as_given(late: pl.DataFrame) -> pl.DataFrame:
    """Return late rows with the user's columns in the place of ours, where both have a name."""
    own = {held: name for name, held in GIVEN.items() if held in late.columns}
    return late.drop(own.values()).rename(own)


def window(time: Expression, size: Duration, slide: Duration | None = None, start: Duration = "0s") -> WindowKey:
    """Give windows of event time: ``[start, end)`` of ``size``, one every ``slide`` (the size, if not given).

    Windows are counted from 1970-01-01 midnight UTC (of a naive column: midnight as it stands) plus ``start``, whatever
    the time zone. A row with a null time is in no window. Adds the columns ``window_start`` and ``window_end``, as a
    key of ``group_by`` or among the columns of ``select`` and ``with_columns``; there ``w=sn.window(…)`` names them
    ``w_start`` and ``w_end``.

    Spark: ``window(timeColumn, windowDuration, slideDuration, startTime)``.

    >>> flights.group_by(sn.window("dep", "1 day")).agg(n=sn.count()).collect()
      window_start window_end    n
    0   2013-02-08 2013-02-09  145
    """
    size_us = duration(size, "window")
    slide_us = size_us if slide is None else duration(slide, "window")
    return WindowKey(as_expr(time), Window(size_us, slide_us, duration(start, "window")))


@dataclass(frozen=True, eq=False)
class TimeKey(ABC):
    """A key of ``group_by`` that is an interval of event time, given out as ``window_start`` and ``window_end``."""

    time: nw.Expr

    def grouped(self, plain: type[Any]) -> type[Any]:
        """Return the node of a group_by with this key; ``plain`` is the usual one."""
        return plain

    @abstractmethod
    def describe(self, time: str) -> str:
        """Return the key as ``explain()`` shows it, over a column named ``time``."""


@dataclass(frozen=True, eq=False)
class WindowKey(TimeKey):
    """What ``sn.window(…)`` returns."""

    window: Window

    def describe(self, time: str) -> str:
        return f"window {time} {self.window}"
