"""Marks: how far in event time a stream has come, each value of a column by itself, and which have fallen silent."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from streamnb.plan import instant_of
from streamnb.state import EXPIRES, StateTable

_KEYS = ["whole", "value"]


@dataclass(frozen=True)
class Asked:
    """What a stream asks for: the event time it has come to (microseconds), the slowest value, and its silence."""

    largest: int
    value: Any = None
    idle: bool = False


class Marks:
    """The largest event time of a stream, and of every value of its column ``per``; in a table, so that it is kept.

    Who has had no row for ``idle_after`` (microseconds of processing time) is idle: a value is forgotten until it comes
    again, a stream is not waited for. A stream is listened to from the query's first batch on.
    """

    def __init__(self, schema: pl.Schema, event_time: str, per: str | None, idle_after: int | None) -> None:
        self._dtype, self._idle_after = schema[event_time], idle_after
        self._time = pl.col(event_time).dt.epoch("us").alias("largest")
        self._value = pl.lit(None, pl.Int8) if per is None else pl.col(per)
        self._is_split = per is not None
        value = schema[per] if per is not None else pl.Int8()
        columns = {"whole": pl.Boolean(), "value": value, "largest": pl.Int64(), "heard": pl.Int64()}
        self.table = StateTable(columns, _KEYS)

    def note(self, rows: pl.DataFrame, time: int) -> None:
        """Take the rows of a batch; those without an event time say nothing."""
        timed = rows.select(self._value.alias("value"), self._time).drop_nulls("largest")
        if len(timed) or not len(self.table):
            nobody = pl.lit(None, self.table.schema["value"]).alias("value")
            self._keep(timed.select(nobody, pl.col("largest").max().fill_null(0)), time, whole=True)
        if self._is_split:
            values = timed.group_by("value", maintain_order=True).agg(pl.col("largest").max())
            self._keep(values, time, whole=False)
            self._forget(time)

    def _keep(self, news: pl.DataFrame, time: int, *, whole: bool) -> None:
        told = {"whole": pl.lit(whole), "heard": pl.lit(time, pl.Int64), EXPIRES: pl.lit(None, pl.Int64)}
        news = news.with_columns(**told)[self.table.schema.names()]
        slots, held = self.table.match(news)
        before = np.zeros(len(news), np.int64)
        before[slots >= 0] = held["largest"].to_numpy()
        self.table.upsert(news.with_columns(largest=pl.max_horizontal("largest", pl.Series(before))), slots)

    def _forget(self, time: int) -> None:
        gone = self.table.frame().filter(~pl.col("whole") & self._is_silent(time))
        self.table.remove(self.table.find(gone))

    def _is_silent(self, time: int) -> pl.Expr:
        return pl.lit(False) if self._idle_after is None else pl.col("heard") <= time - self._idle_after

    def asked(self, time: int) -> Asked:
        """Return what the stream asks for at a processing time."""
        rows = self.table.frame()
        whole = rows.filter("whole")
        heard = rows.filter(~pl.col("whole") & ~self._is_silent(time))
        if not len(whole):
            return Asked(0)
        if not len(heard):
            return Asked(whole["largest"][0], idle=bool(whole.select(self._is_silent(time)).to_series()[0]))
        slowest = heard.row(heard["largest"].arg_min() or 0, named=True)
        return Asked(slowest["largest"], slowest["value"])

    def behind(self, largest: int, time: int) -> list[Any]:
        """Return the values that are waited for and have not come as far as an event time."""
        slow = (pl.col("largest") < largest) & ~pl.col("whole") & ~self._is_silent(time)
        return self.table.frame().filter(slow)["value"].to_list()

    def instant(self, asked: Asked) -> dt.datetime | None:
        """Return the event time that is asked for, as its column has it."""
        return instant_of(asked.largest, self._dtype)
