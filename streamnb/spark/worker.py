"""What runs in Spark's Python workers: rows and state handed to a user's function as they are handed to it here.

The workers need streamnb installed, as they need every package that the function itself uses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd
import polars as pl

from streamnb.fields import Fields, Values
from streamnb.group_state import milliseconds, moment_ms
from streamnb.per_key import Output
from streamnb.schema import as_rows
from streamnb.spark.adapter import Snake
from streamnb.spark.kinds import ddl
from streamnb.stateful import method


@dataclass(frozen=True)
class Rows:
    """The columns that go into a user's function, and those that come out."""

    verb: str
    takes: pl.Schema
    gives: pl.Schema

    def given(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return rows of Spark's as they look here."""
        return self._polars(frame).to_pandas()

    def _polars(self, frame: pd.DataFrame) -> pl.DataFrame:
        if frame.empty:
            return pl.DataFrame(schema=self.takes)
        own = frame[list(self.takes)]
        return as_rows(self.verb, _in_zones(own, self.takes), self.takes)

    def taken(self, out: Any) -> pd.DataFrame:
        """Return what a call gave out as Spark takes it."""
        output = Output(self.verb, self.gives)
        output.take(out)
        return _naive(output.rows()).to_pandas()


def _in_zones(frame: pd.DataFrame, schema: pl.Schema) -> pd.DataFrame:
    """Spark hands out times without their zone, in the session's, which is the columns' own."""
    zones = {n: t.time_zone for n, t in schema.items() if isinstance(t, pl.Datetime) and t.time_zone is not None}
    return frame.assign(**{name: frame[name].dt.tz_localize(zone) for name, zone in zones.items()}) if zones else frame


def _naive(rows: pl.DataFrame) -> pl.DataFrame:
    zoned = [n for n, t in rows.schema.items() if isinstance(t, pl.Datetime) and t.time_zone is not None]
    return rows.with_columns(pl.col(zoned).dt.replace_time_zone(None))


@dataclass(frozen=True)
class MapBatches:
    """A function of a batch for ``mapInPandas``, which hands over a part of a batch at a time."""

    function: Callable[[pd.DataFrame], Any]
    rows: Rows

    def __call__(self, parts: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        return (self.rows.taken(self.function(self.rows.given(part))) for part in parts)


@dataclass(frozen=True)
class ApplyInPandasWithState:
    """A function of a key, its rows and its state for ``applyInPandasWithState``."""

    function: Callable[..., Any]
    rows: Rows
    remembers: Fields

    def __call__(self, key: Values, parts: Iterator[pd.DataFrame], state: Any) -> Iterator[pd.DataFrame]:
        rows = self.rows.given(pd.concat(list(parts) or [pd.DataFrame()], ignore_index=True))
        yield self.rows.taken(self.function(tuple(key), rows, _State(state, self.remembers)))


class _State(Snake):
    """Spark's GroupState, which takes and gives what ours does."""

    def __init__(self, state: Any, fields: Fields) -> None:
        super().__init__(state)
        self._fields = fields

    @property
    def get(self) -> Values:
        return tuple(self.inner.get)

    @property
    def get_option(self) -> Values | None:
        return self.get if self.inner.exists else None

    def update(self, new_value: Any) -> None:
        self.inner.update(self._fields.fit(new_value))

    def set_timeout_duration(self, duration_ms: Any) -> None:
        self.inner.setTimeoutDuration(milliseconds(duration_ms, "set_timeout_duration"))

    def set_timeout_timestamp(self, timestamp_ms: Any) -> None:
        self.inner.setTimeoutTimestamp(moment_ms(timestamp_ms, "set_timeout_timestamp"))


class Processor:
    """A StatefulProcessor for ``transformWithStateInPandas``: every call handed on, under our names."""

    def __init__(self, processor: Any, rows: Rows, initial: Rows | None) -> None:
        self.processor, self.rows, self.initial = processor, rows, initial

    def init(self, handle: Any) -> None:
        method(self.processor, "init")(_Handle(handle))

    def handleInputRows(self, key: Values, rows: Iterator[pd.DataFrame], timerValues: Any) -> Iterator[pd.DataFrame]:  # noqa: N802, N803
        given = map(self.rows.given, rows)
        yield self.rows.taken(method(self.processor, "handle_input_rows")(tuple(key), given, Snake(timerValues)))

    def handleExpiredTimer(self, key: Values, timerValues: Any, expiredTimerInfo: Any) -> Iterator[pd.DataFrame]:  # noqa: N802, N803
        handle = method(self.processor, "handle_expired_timer")
        yield self.rows.taken(handle(tuple(key), Snake(timerValues), Snake(expiredTimerInfo)))

    def handleInitialState(self, key: Values, initialState: pd.DataFrame, timerValues: Any) -> None:  # noqa: N802, N803
        assert self.initial is not None  # noqa: S101  Spark calls this for an initial state only
        given = self.initial.given(initialState)
        method(self.processor, "handle_initial_state")(tuple(key), given, Snake(timerValues))

    def close(self) -> None:
        method(self.processor, "close")()


class _Handle(Snake):
    """Spark's StatefulProcessorHandle, which takes what ours does: schemas as dicts, durations as text, moments."""

    def get_value_state(self, state_name: str, schema: Any, ttl_duration_ms: Any = None, *, ttl: Any = None) -> Any:
        fields = Fields(state_name, schema)
        state = self.inner.getValueState(state_name, ddl(fields.schema), _span(ttl, ttl_duration_ms))
        return _Variable(state, fields)

    def get_list_state(self, state_name: str, schema: Any, ttl_duration_ms: Any = None, *, ttl: Any = None) -> Any:
        fields = Fields(state_name, schema)
        state = self.inner.getListState(state_name, ddl(fields.schema), _span(ttl, ttl_duration_ms))
        return _List(state, fields)

    def get_map_state(
        self, state_name: str, user_key_schema: Any, value_schema: Any, ttl_duration_ms: Any = None, *, ttl: Any = None
    ) -> Any:
        keys, values = Fields(state_name, user_key_schema), Fields(state_name, value_schema)
        span = _span(ttl, ttl_duration_ms)
        return _Map(self.inner.getMapState(state_name, ddl(keys.schema), ddl(values.schema), span), values, keys)

    def register_timer(self, expiry_timestamp_ms: Any) -> None:
        self.inner.registerTimer(moment_ms(expiry_timestamp_ms, "register_timer"))

    def delete_timer(self, expiry_timestamp_ms: Any) -> None:
        self.inner.deleteTimer(moment_ms(expiry_timestamp_ms, "delete_timer"))


class _Variable(Snake):
    """A state variable of Spark's: values go in as ours do, and come out as tuples."""

    def __init__(self, inner: Any, fields: Fields, keys: Fields | None = None) -> None:
        super().__init__(inner)
        self._fields, self._keys = fields, keys or fields

    def get(self) -> Any:
        value = self.inner.get()
        return None if value is None else tuple(value)

    def update(self, new_value: Any) -> None:
        self.inner.update(self._fields.fit(new_value))


class _List(_Variable):
    def get(self) -> Iterator[Values]:
        return map(tuple, self.inner.get())

    def put(self, new_state: Iterable[Any]) -> None:
        self.inner.put([self._fields.fit(value) for value in new_state])

    def append_value(self, new_value: Any) -> None:
        self.inner.appendValue(self._fields.fit(new_value))

    def append_list(self, new_values: Iterable[Any]) -> None:
        self.inner.appendList([self._fields.fit(value) for value in new_values])


class _Map(_Variable):
    def get_value(self, key: Any) -> Values | None:
        value = self.inner.getValue(self._keys.fit(key))
        return None if value is None else tuple(value)

    def contains_key(self, key: Any) -> bool:
        return bool(self.inner.containsKey(self._keys.fit(key)))

    def update_value(self, key: Any, value: Any) -> None:
        self.inner.updateValue(self._keys.fit(key), self._fields.fit(value))

    def remove_key(self, key: Any) -> None:
        self.inner.removeKey(self._keys.fit(key))


def _span(ttl: Any, ttl_duration_ms: Any) -> int | None:
    given = ttl_duration_ms if ttl is None else ttl
    return None if given is None else milliseconds(given, "ttl")
