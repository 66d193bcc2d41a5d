"""What a script needs beside PySpark to run a function or a processor with state; it needs nothing of streamnb.

``to_pyspark_source`` prints these classes and functions, so they are short, and formatted for a width of 88.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd


class Snake:
    """An object of PySpark's by its names in snake_case."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "inner":
            raise AttributeError(name)
        first, *rest = name.split("_")
        return getattr(self.inner, first + "".join(map(str.capitalize, rest)))


def milliseconds(span: Any) -> int:
    """Return a span: milliseconds, or text such as "10 minutes"."""
    if isinstance(span, int):
        return span
    return int(pd.Timedelta(span).total_seconds() * 1000)


def moment(at: Any) -> int:
    """Return a moment in milliseconds since 1970; a time without a zone is UTC."""
    return int(at if isinstance(at, int) else pd.Timestamp(at).timestamp() * 1000)


def span(ttl_duration_ms: Any = None, *, ttl: Any = None) -> int | None:
    """Return how long a value of state lives, in milliseconds; None is for ever."""
    given = ttl_duration_ms if ttl is None else ttl
    return None if given is None else milliseconds(given)


def plain(value: Any, columns: list[str]) -> tuple[Any, ...]:
    """Return a value of state as a tuple of Python's own values."""
    if isinstance(value, dict):
        value = [value.get(name) for name in columns]
    values = value if isinstance(value, (tuple, list)) else (value,)
    return tuple(v.item() if hasattr(v, "item") else v for v in values)


def whole(parts: Iterable[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    """Return the rows of a key in one frame; none, if its timeout has passed."""
    frames = [part[columns] for part in parts if len(part)]
    return pd.concat(frames or [pd.DataFrame(columns=columns)], ignore_index=True)


def frame(out: Any, columns: list[str]) -> pd.DataFrame:
    """Return what came out as pandas: frames, rows as dicts or tuples, or nothing."""
    one = isinstance(out, (dict, tuple, pd.DataFrame))
    parts: Any = [out] if one else [] if out is None else list(out)
    if parts and isinstance(parts[0], pd.DataFrame):
        parts = pd.concat(parts, ignore_index=True)
    return pd.DataFrame(parts, columns=columns)


class State(Snake):
    """Spark's GroupState, which takes durations and moments too."""

    def __init__(self, inner: Any, columns: list[str]) -> None:
        super().__init__(inner)
        self.columns = columns

    def update(self, new_value: Any) -> None:
        self.inner.update(plain(new_value, self.columns))

    def set_timeout_duration(self, duration_ms: Any) -> None:
        self.inner.setTimeoutDuration(milliseconds(duration_ms))

    def set_timeout_timestamp(self, timestamp_ms: Any) -> None:
        self.inner.setTimeoutTimestamp(moment(timestamp_ms))


class Variable(Snake):
    """A state variable of Spark's: its values and keys go in as plain tuples."""

    def __init__(self, inner: Any, schema: str, key_schema: str = "") -> None:
        super().__init__(inner)
        self._columns = [column.split()[0] for column in schema.split(",")]
        self._keys = [key.split()[0] for key in key_schema.split(",") if key]

    def update(self, new_value: Any) -> None:
        self.inner.update(plain(new_value, self._columns))

    def put(self, new_state: Any) -> None:
        self.inner.put([plain(value, self._columns) for value in new_state])

    def append_value(self, new_value: Any) -> None:
        self.inner.appendValue(plain(new_value, self._columns))

    def append_list(self, new_values: Any) -> None:
        self.inner.appendList([plain(value, self._columns) for value in new_values])

    def get_value(self, key: Any) -> Any:
        return self.inner.getValue(plain(key, self._keys))

    def contains_key(self, key: Any) -> bool:
        return bool(self.inner.containsKey(plain(key, self._keys)))

    def update_value(self, key: Any, value: Any) -> None:
        self.inner.updateValue(plain(key, self._keys), plain(value, self._columns))

    def remove_key(self, key: Any) -> None:
        self.inner.removeKey(plain(key, self._keys))


class Handle(Snake):
    """Spark's StatefulProcessorHandle, which takes durations and moments too."""

    def get_value_state(self, state_name: str, schema: str, *a: Any, **k: Any) -> Any:
        inner = self.inner.getValueState(state_name, schema, span(*a, **k))
        return Variable(inner, schema)

    def get_list_state(self, state_name: str, schema: str, *a: Any, **k: Any) -> Any:
        inner = self.inner.getListState(state_name, schema, span(*a, **k))
        return Variable(inner, schema)

    def get_map_state(self, state_name: str, *schemas: str, **k: Any) -> Any:
        keys, values, *ttl = schemas
        inner = self.inner.getMapState(state_name, keys, values, span(*ttl, **k))
        return Variable(inner, values, keys)

    def register_timer(self, expiry_timestamp_ms: Any) -> None:
        self.inner.registerTimer(moment(expiry_timestamp_ms))

    def delete_timer(self, expiry_timestamp_ms: Any) -> None:
        self.inner.deleteTimer(moment(expiry_timestamp_ms))


class Processor:
    """A processor with names in snake_case, called as PySpark calls its own."""

    def __init__(self, inner: Any, takes: list[str], gives: list[str]) -> None:
        self.inner, self.takes, self.gives = inner, takes, gives

    def init(self, handle: Any) -> None:
        self.inner.init(Handle(handle))

    def handleInputRows(self, key: Any, rows: Any, timerValues: Any) -> Iterator[Any]:
        parts = (part[self.takes] for part in rows)
        out = self.inner.handle_input_rows(tuple(key), parts, Snake(timerValues))
        yield frame(out, self.gives)

    def handleExpiredTimer(
        self,
        key: Any,
        timerValues: Any,
        expiredTimerInfo: Any,
    ) -> Iterator[Any]:
        times = Snake(timerValues), Snake(expiredTimerInfo)
        yield frame(self.inner.handle_expired_timer(tuple(key), *times), self.gives)

    def handleInitialState(self, key: Any, initialState: Any, timerValues: Any) -> None:
        times = Snake(timerValues)
        self.inner.handle_initial_state(tuple(key), initialState, times)

    def close(self) -> None:
        self.inner.close()


class StatefulProcessor:
    """What a processor need not say for itself."""

    def init(self, handle: Any) -> None:
        pass

    def handle_expired_timer(self, key: Any, timer_values: Any, info: Any) -> Any:
        pass

    def handle_initial_state(self, key: Any, rows: Any, timer_values: Any) -> None:
        pass

    def close(self) -> None:
        pass
