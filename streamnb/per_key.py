"""Rows handed to a user's function key by key, and what comes back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl

from streamnb.errors import DataError, PlanError, one_of
from streamnb.expressions import native, outcome
from streamnb.fields import Values
from streamnb.plan import EventTime, Node, late_name
from streamnb.schema import as_rows
from streamnb.state import EXPIRES, StateTable

_ROW = "\0row"
_MANY = 200
"""So many frames wait to be put together, before they burden Python's collector."""
TIME_MODES = ("none", "event", "processing")


@dataclass(frozen=True, eq=False)
class PerKey(Node):
    """A node that calls a user's function for every key of ``by``."""

    by: tuple[Any, ...]

    def check_keys(self) -> None:
        """Raise unless the keys are one or more columns or expressions."""
        windows = [key for key in self.by if not isinstance(key, nw.Expr | str)]
        if windows:
            raise PlanError(
                f"{self.verb}: a window is no key here; add with_columns(w=sn.window(…)) and group by 'w_start'.",
                code="EXPRESSION_INVALID",
            )
        if not self.by:
            raise PlanError(
                f"{self.verb}: state is kept per key, and there is none; name one in group_by.", code="KEYS_MISSING"
            )
        _ = self.key_schema

    @cached_property
    def keys(self) -> Mapping[str, pl.Expr]:
        """The keys, by the name they get."""
        expressions = [native(key) for key in self.by]
        return {e.meta.output_name(): e for e in expressions}

    @cached_property
    def key_schema(self) -> pl.Schema:
        return outcome(self.verb, self.keys.values(), self.inputs[0].schema)

    @cached_property
    def time(self) -> tuple[str, EventTime] | None:
        """The column of event time that rows are late by, with its mark."""
        return next(iter(self.inputs[0].event_times.items()), None)


class Groups:
    """The keys of a batch, in order of their first rows, each with its rows; then further keys, which have none."""

    def __init__(
        self, rows: pl.DataFrame, keys: Mapping[str, pl.Expr], schema: pl.Schema, more: Iterable[pl.DataFrame]
    ) -> None:
        named = rows.select(*keys.values()).cast(dict(schema)).with_row_index(_ROW)  # type: ignore[arg-type]
        found = named.group_by(*keys, maintain_order=True).agg(pl.col(_ROW))
        order = found[_ROW].explode() if len(found) else pl.Series([], dtype=pl.UInt32)
        self._rows = rows[order] if len(found) else rows
        self._ends = np.concatenate([[0], found[_ROW].list.len().to_numpy().cumsum()]).astype(int)
        self.with_rows = len(found)
        self.keys = _distinct([found.drop(_ROW), *more])
        self.values: list[Values] = self.keys.rows()

    def pandas(self, group: int) -> pd.DataFrame:
        """Return the rows of a group; types depend on this group's values only."""
        start, end = self._ends[group], self._ends[group + 1]
        if self._whole is None:
            return self._rows[start:end].to_pandas()
        rows = self._whole.iloc[start:end]
        rows.index = pd.RangeIndex(end - start)
        return rows

    @cached_property
    def nothing(self) -> pd.DataFrame:
        """The rows of a group that has none."""
        return self._rows[:0].to_pandas()

    @cached_property
    def _whole(self) -> pd.DataFrame | None:
        """All rows as pandas, if no null among them makes a difference to the types of other groups."""
        return None if any(self._rows.null_count().row(0)) else self._rows.to_pandas()

    def find(self, keys: pl.DataFrame) -> list[int]:
        """Return the numbers of the groups with these keys."""
        names = self.keys.columns
        numbered = self.keys.with_row_index(_ROW)
        found = keys.select(names).join(numbered, on=names, how="left", nulls_equal=True, maintain_order="left")
        return found[_ROW].to_list()


def _distinct(keys: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return keys without repeats, in order; the first frame has none."""
    more = [frame.select(keys[0].columns) for frame in keys[1:] if len(frame)]
    return pl.concat([keys[0], *more]).unique(maintain_order=True) if more else keys[0]


class Output:
    """The rows that a user's function gives out, call by call."""

    def __init__(self, verb: str, schema: pl.Schema) -> None:
        self._verb, self._schema = verb, schema
        self._done: list[pl.DataFrame] = []
        self._alike: list[pd.DataFrame] = []
        self._shape: tuple[list[Any], list[Any]] = [], []
        self._records: list[Mapping[str, Any]] = []

    def take(self, given: Any) -> None:
        """Take what a call returned: pandas, a row as a dict or tuple, None, or an iterable of them."""
        if given is None:
            return
        if isinstance(given, pd.DataFrame):
            self._take_frame(given)
        elif isinstance(given, Mapping):
            self._take_record(given)
        elif isinstance(given, tuple) and not any(isinstance(part, pd.DataFrame | Mapping | tuple) for part in given):
            self._take_record(dict(zip(self._schema, given, strict=True)))
        elif isinstance(given, Iterable) and not isinstance(given, str):
            for part in given:
                self.take(part)
        else:
            raise DataError(f"{self._verb}: {given!r} came out, and rows are wanted; return pandas, or rows as dicts.")

    def rows(self) -> pl.DataFrame:
        """Return all of it, in order."""
        self._settle()
        return pl.concat(self._done) if self._done else pl.DataFrame(schema=self._schema)

    def _take_frame(self, frame: pd.DataFrame) -> None:
        if frame.empty:
            return
        names = frame.columns.tolist()
        if not any(isinstance(name, str) for name in names):
            names = list(self._schema)[: frame.shape[1]]
            frame = frame.set_axis(names, axis=1)
        shape = names, _types(frame)
        if self._records or (self._alike and (self._shape != shape or len(self._alike) == _MANY)):
            self._settle()
        self._shape = shape
        self._alike.append(frame)

    def _take_record(self, record: Mapping[str, Any]) -> None:
        if self._alike:
            self._settle()
        self._records.append(record)

    def _settle(self) -> None:
        """Convert what has gathered: frames of the same types are put together first, so nothing is rounded."""
        if self._alike:
            gathered: Any = self._alike[0] if len(self._alike) == 1 else pd.concat(self._alike, ignore_index=True)
            self._done.append(as_rows(self._verb, gathered, self._schema))
        if self._records:
            self._done.append(as_rows(self._verb, self._records, self._schema))
        self._alike, self._records = [], []


def _types(frame: pd.DataFrame) -> list[Any]:
    """Return the types of the columns; ``dtypes`` makes a series of them, which takes longer than all else here."""
    manager: Any = frame._mgr  # noqa: SLF001
    types: list[Any] = manager.get_dtypes().tolist()
    return types


class LastTime:
    """The processing time of the last batch, remembered like all else."""

    def __init__(self) -> None:
        self.table = StateTable({"clock": pl.Int64(), "time": pl.Int64()}, ["clock"])
        self._clock = pl.DataFrame({"clock": [0]})

    def before(self, time: int) -> bool:
        """Tell whether time has passed since the last batch."""
        slots = self.table.find(self._clock)
        return bool(slots[0] < 0 or self.table.rows(slots)["time"][0] < time)

    def note(self, time: int) -> None:
        """Remember the time of this batch."""
        row = {"clock": 0, "time": time, EXPIRES: None}
        self.table.upsert(pl.DataFrame([row], schema=self.table.schema))


def without_late(
    rows: pl.DataFrame, time: tuple[str, EventTime] | None, late: int | None
) -> tuple[pl.DataFrame, pl.DataFrame | None]:
    """Split off the rows at or behind the late watermark, with ``late_by``; a row without a time is never late."""
    if time is None or late is None or not len(rows):
        return rows, None
    name, mark = time
    passed = late - (pl.col(name).to_physical() + mark.shift)
    behind = (passed >= 0).fill_null(value=False)
    dropped = rows.filter(behind)
    if not len(dropped):
        return rows, None
    return rows.filter(~behind), dropped.with_columns(pl.duration(microseconds=passed).alias(late_name(rows.columns)))


def time_mode(verb: str, option: str, value: str | None) -> str:
    """Return ``"none"``, ``"event"`` or ``"processing"``, also from Spark's ``EventTimeTimeout`` or ``EventTime``."""
    word = str(value).lower().replace("_", "").removesuffix("timeout").removesuffix("time")
    word = {"no": "none"}.get(word, word)
    if word not in TIME_MODES:
        raise one_of(verb, option, value, TIME_MODES)
    return word
