"""Suggest: a delay for the watermark, from a table with event times and arrivals."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from streamnb import display
from streamnb.answers.cards import NOTE, Card, Line, plural
from streamnb.errors import DataError, PlanError, column_not_found
from streamnb.schema import as_rows, microseconds
from streamnb.time import DAY, MILLISECOND, SECOND, spell

_LEVELS = (0.9, 0.95, 0.99, 0.999, 1.0)
_POINTS = 100
_STEPS = (MILLISECOND, SECOND, 60 * SECOND, 5 * 60 * SECOND, 3600 * SECOND, DAY)


@dataclass(frozen=True, eq=False)
class Suggestion(Card):
    """A delay that keeps at least ``keep`` of the rows.

    ``shortest`` is the shortest such delay, ``delay`` that one rounded up to a time one would write; ``kept`` is the
    share that ``delay`` keeps. ``levels`` holds the shortest delay for several shares. A row counts as kept if it would
    not be behind the watermark on its own, one row a batch: with larger batches or windows more rows are kept.
    """

    delay: pd.Timedelta
    shortest: pd.Timedelta
    kept: float
    keep: float
    rows: int
    ahead: int
    levels: pd.DataFrame = field(repr=False)
    curve: pd.DataFrame = field(repr=False)

    __repr__ = Card.__repr__

    def _ipython_display_(self) -> None:
        display.answer(self)

    @property
    def title(self) -> str:
        words = spell(self.delay // pd.Timedelta(1, "us"))
        return f"A delay of {words} keeps {self.kept:.2%} of {plural(self.rows, 'row')}."

    @property
    def lines(self) -> tuple[Line, ...]:
        told = [Line(NOTE, f"with_watermark(…, {spell(self.delay // pd.Timedelta(1, 'us'))!r})")]
        if self.ahead:
            text = f"{plural(self.ahead, 'row')} happened after they arrived: a clock ahead of time moves the watermark"
            told.append(Line(NOTE, text, "guard_future= sets such rows aside"))
        return tuple(told)

    @property
    def table(self) -> pd.DataFrame:
        return self.levels


def suggest_watermark(df: Any, event_time: str, arrival: str, keep: float = 0.99) -> Suggestion:
    """Return the shortest delay of a watermark that keeps a share of the rows, from how late they came.

    Parameters
    ----------
    df
        pandas, Polars, Arrow, a dict of columns or dicts.
    event_time, arrival
        Columns of datetimes: when a row happened, and when it arrived. Rows without either are left out.
    keep
        The share of rows to keep, above 0 and at most 1.

    Spark: none; the delay is for ``withWatermark``.

    >>> sn.suggest_watermark(sn.data.flights(), "dep", "arr", keep=0.95).delay
    Timedelta('0 days 05:00:00')
    """
    if not 0 < keep <= 1:
        raise PlanError(
            f"suggest_watermark: keep={keep!r} is no share; give more than 0, at most 1.", code="OPTION_INVALID"
        )
    table = microseconds(as_rows("suggest_watermark", df))
    for name in (event_time, arrival):
        if name not in table.columns:
            raise column_not_found("suggest_watermark", name, table.columns)
        if not isinstance(table[name].dtype, pl.Datetime):
            raise PlanError(
                f"suggest_watermark: {name!r} is {table[name].dtype}, not a datetime; use pd.to_datetime.",
                code="EVENT_TIME_TYPE",
            )
    rows = table.select(event=event_time, arrived=arrival).drop_nulls().sort("arrived", maintain_order=True)
    if not len(rows):
        raise DataError(f"suggest_watermark: no row has both {event_time!r} and {arrival!r}; give a table that has.")
    return _suggestion(rows, keep)


def _suggestion(rows: pl.DataFrame, keep: float) -> Suggestion:
    late = np.sort(_lateness(rows))
    shortest = _shortest(late, keep)
    delay = _rounded(shortest)
    same = rows["event"].dtype == rows["arrived"].dtype
    return Suggestion(
        delay=pd.Timedelta(delay, "us"),
        shortest=pd.Timedelta(shortest, "us"),
        kept=float(_kept(late, delay)),
        keep=keep,
        rows=len(rows),
        ahead=int((rows["event"] > rows["arrived"]).sum()) if same else 0,
        levels=pd.DataFrame(
            [{"keep": level, "delay": pd.Timedelta(_shortest(late, level), "us")} for level in sorted({*_LEVELS, keep})]
        ),
        curve=_curve(late),
    )


def _curve(late: np.ndarray[Any, Any]) -> pd.DataFrame:
    """Return delays from none to the longest needed, each with the share of rows that it keeps."""
    places = np.unique(np.linspace(0, len(late) - 1, _POINTS).astype(np.int64))
    delays = np.unique([0, *(0 if t < 0 else t // MILLISECOND * MILLISECOND + MILLISECOND for t in late[places])])
    kept = [_kept(late, int(delay)) for delay in delays]
    return pd.DataFrame({"delay": pd.to_timedelta(delays, unit="us"), "kept": kept})


def _lateness(rows: pl.DataFrame) -> np.ndarray[Any, Any]:
    """Return how far each row lies behind the newest that arrived before it, in whole milliseconds; -1: it is ahead."""
    times = rows["event"].to_physical().to_numpy()
    newest = np.maximum.accumulate(times)
    before = np.concatenate([times[:1], newest[:-1]]) // MILLISECOND * MILLISECOND
    return np.where(before < times, -1, before - times)


def _shortest(late: np.ndarray[Any, Any], keep: float) -> int:
    """A row is kept if its lateness is below the delay; the delay is whole milliseconds."""
    worst = int(late[max(0, int(np.ceil(keep * len(late) - 1e-9)) - 1)])
    return 0 if worst < 0 else worst // MILLISECOND * MILLISECOND + MILLISECOND


def _kept(late: np.ndarray[Any, Any], delay: int) -> float:
    return float(np.mean(late < max(delay, 0))) if delay else float(np.mean(late < 0))


def _rounded(delay: int) -> int:
    """Round up to a step that is small beside the delay."""
    step = max((s for s in _STEPS if s * 10 <= delay), default=MILLISECOND)
    return -(-delay // step) * step
