"""State of one's own: what a user's function is handed to remember with, per key."""

from __future__ import annotations

import datetime as dt
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from streamnb.cells import Cells, Entry
from streamnb.fields import Fields, Values
from streamnb.time import MILLISECOND, Duration, duration, instant

Milliseconds = int | Duration
"""A span: whole milliseconds, or a duration such as ``"10 seconds"``."""
Instant = int | dt.datetime
"""A moment: milliseconds since 1970 UTC, or a datetime (``pandas.Timestamp`` is one)."""


class SparkNames:
    """Also answers to PySpark's own spelling of its names: ``setTimeoutDuration`` for ``set_timeout_duration``."""

    def __getattr__(self, name: str) -> Any:
        plain = snake(name)
        if plain == name or name.startswith("_"):
            raise AttributeError(f"{type(self).__name__} has no {name!r}")
        found = getattr(self, plain)
        return _with_plain_arguments(found) if callable(found) else found


def snake(name: str) -> str:
    """Return a camelCase name in snake_case."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _with_plain_arguments(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *given, **named: function(*given, **{snake(name): value for name, value in named.items()})


# -- apply_in_pandas_with_state


class GroupState(SparkNames):
    """The state of one key during one call: a tuple, and a timeout. PySpark: ``GroupState``."""

    def __init__(
        self,
        fields: Fields,
        values: Values | None,
        *,
        timeout: str,
        now_ms: int,
        watermark_ms: int | None,
        has_timed_out: bool = False,
    ) -> None:
        self._fields, self._values, self._timeout = fields, values, timeout
        self._now_ms, self._watermark_ms = now_ms, watermark_ms
        self.has_timed_out = has_timed_out
        """Whether the function is called because the key's timeout has passed."""
        self.updated = self.removed = False
        self.timeout_ms: int | None = None

    @property
    def exists(self) -> bool:
        """Whether the key has a state."""
        return self._values is not None

    @property
    def get(self) -> Values:
        """The state; ValueError if there is none."""
        if self._values is None:
            raise ValueError("state.get: there is no state, or it was removed; ask state.exists first.")
        return self._fields.copied(self._values)

    @property
    def get_option(self) -> Values | None:
        """The state, or None."""
        return self.get if self.exists else None

    def update(self, value: Any) -> None:
        """Remember a tuple, one value for every column of the state's schema."""
        self._values = self._fields.fit(value)
        self.updated, self.removed = True, False

    def remove(self) -> None:
        """Forget the state."""
        self._values = None
        self.updated, self.removed = False, True

    def set_timeout_duration(self, duration_ms: Milliseconds) -> None:
        """Call again for this key when processing time is past now plus a duration and no row has come."""
        self._needs("processing", "set_timeout_duration")
        span = milliseconds(duration_ms, "set_timeout_duration")
        if span <= 0:
            raise ValueError(f"set_timeout_duration: {duration_ms!r} is not above zero; wait for some time.")
        self.timeout_ms = self._now_ms + span

    def set_timeout_timestamp(self, timestamp_ms: Instant) -> None:
        """Call again for this key when the watermark is past a moment and no row has come."""
        self._needs("event", "set_timeout_timestamp")
        at = moment_ms(timestamp_ms, "set_timeout_timestamp")
        if at <= 0:
            raise ValueError(f"set_timeout_timestamp: {timestamp_ms!r} is not after 1970; the watermark starts there.")
        if self._watermark_ms is not None and at < self._watermark_ms:
            raise ValueError(
                f"set_timeout_timestamp: {at} ms is before the watermark, {self._watermark_ms} ms; set a later one."
            )
        self.timeout_ms = at

    def _needs(self, timeout: str, name: str) -> None:
        if self._timeout != timeout:
            raise ValueError(f"{name}: the timeout is {self._timeout!r}; ask for timeout={timeout!r}.")

    def get_current_watermark_ms(self) -> int:
        """Return the watermark, in milliseconds since 1970."""
        if self._watermark_ms is None:
            raise ValueError("get_current_watermark_ms: there is no watermark; declare with_watermark below.")
        return self._watermark_ms

    def get_current_processing_time_ms(self) -> int:
        """Return the processing time of the batch, in milliseconds since 1970; the same for all of the batch."""
        return self._now_ms

    def __repr__(self) -> str:
        return f"GroupState({self.get_option})"


# -- transform_with_state


class StatefulProcessor(ABC):
    """What to do with the rows of a key, and with its state. PySpark 4: ``StatefulProcessor``.

    A fresh copy works for every batch: ``init`` first, then the keys, then ``close``. So what is kept in attributes is
    gone with the batch; what shall last is state.
    """

    def init(self, handle: StatefulProcessorHandle) -> None:  # noqa: B027  many need none
        """Declare the state variables: ``self.count = handle.get_value_state("count", "n bigint")``."""

    @abstractmethod
    def handle_input_rows(self, key: Values, rows: Iterator[Any], timer_values: TimerValues) -> Any:
        """Take the rows of a key, an iterator of pandas frames; return or yield what comes out.

        That is pandas frames, or rows as dicts or tuples, or None.
        """

    def handle_expired_timer(self, key: Values, timer_values: TimerValues, expired_timer_info: ExpiredTimerInfo) -> Any:
        """Be called once for every timer that has expired; the same may come out."""

    def handle_initial_state(self, key: Values, initial_state: Any, timer_values: TimerValues) -> None:  # noqa: B027
        """Take the rows of the initial state of a key, as pandas, in the first batch."""

    def close(self) -> None:  # noqa: B027
        """End the batch."""


@dataclass
class Turn:
    """Whose turn it is: the batch, and the group in it that a call is for."""

    time_mode: str
    now: int = 0
    watermark_ms: int | None = None
    batch_id: int = 0
    group: int | None = None
    sequence: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def at(self) -> int:
        """The number of the group."""
        if self.group is None:
            raise ValueError("state: no key has its turn; read and write state while rows or timers are handled.")
        return self.group

    def next(self) -> int:
        """Return a number above all that were given before."""
        self.sequence += 1
        return (self.batch_id << 32) + self.sequence


class _Variable(SparkNames):
    """A state variable: its cells, and how long what is written lives (microseconds; None: for ever)."""

    def __init__(self, name: str, turn: Turn, cells: Cells, fields: Fields, ttl: int | None) -> None:
        self.name, self._turn, self._cells, self._fields, self._ttl = name, turn, cells, fields, ttl

    @property
    def cells(self) -> Sequence[Cells]:
        """All cells, the ones that count as rows of state first."""
        return (self._cells,)

    def _entry(self, value: Any) -> Entry:
        self._turn.counts["updated"] += 1
        return Entry(self._fields.fit(value), self._expires())

    def _expires(self) -> int | None:
        return None if self._ttl is None else self._turn.now + self._ttl

    def _alive(self, entry: Entry | None) -> bool:
        return entry is not None and (entry.expires is None or entry.expires > self._turn.now)

    def _members(self) -> Iterator[tuple[Values, Values]]:
        for rest, entry in self._cells.members(self._turn.at):
            if self._alive(entry):
                yield rest, self._fields.copied(entry.values)

    def _remove(self, rest: Values = ()) -> None:
        self._turn.counts["removed"] += 1
        self._cells.remove(self._turn.at, rest)


class ValueState(_Variable):
    """One tuple a key. PySpark: ``ValueState``."""

    def exists(self) -> bool:
        """Tell whether there is a value."""
        return self._alive(self._cells.get(self._turn.at))

    def get(self) -> Values | None:
        """Return the value, None if there is none."""
        entry = self._cells.get(self._turn.at)
        return self._fields.copied(entry.values) if entry is not None and self._alive(entry) else None

    def update(self, new_value: Any) -> None:
        """Write a value."""
        self._cells.put(self._turn.at, self._entry(new_value))

    def clear(self) -> None:
        """Forget the value."""
        self._remove()


class ListState(_Variable):
    """A list of tuples a key; an element is a row, so appending costs what is appended. PySpark: ``ListState``."""

    def __init__(self, name: str, turn: Turn, cells: Cells, fields: Fields, ttl: int | None, heads: Cells) -> None:
        super().__init__(name, turn, cells, fields, ttl)
        self._heads = heads

    @property
    def cells(self) -> Sequence[Cells]:
        """One head a list, which lives as long as its newest element; then the elements."""
        return (self._heads, self._cells)

    def exists(self) -> bool:
        """Tell whether there is an element."""
        return self._alive(self._heads.get(self._turn.at))

    def get(self) -> Iterator[Values]:
        """Return the elements, oldest first."""
        return iter([value for _, value in sorted(self._members(), key=lambda member: member[0])])

    def put(self, new_state: Iterable[Any]) -> None:
        """Write a whole new list, not an empty one."""
        values = list(new_state)
        if not values:
            raise ValueError("ListState.put: an empty list is no value; call clear().")
        self._forget()
        self.append_list(values)

    def append_value(self, new_value: Any) -> None:
        """Write one more element."""
        self.append_list([new_value])

    def append_list(self, new_values: Iterable[Any]) -> None:
        """Write more elements."""
        at = self._turn.at
        for value in new_values:
            self._cells.put(at, self._entry(value), (self._turn.next(),))
            self._heads.put(at, Entry((), self._expires()))

    def clear(self) -> None:
        """Forget the list."""
        self._turn.counts["removed"] += self._forget()

    def _forget(self) -> int:
        at = self._turn.at
        indices = [rest for rest, _ in self._cells.members(at)]
        for index in indices:
            self._cells.remove(at, index)
        self._heads.remove(at)
        return len(indices)


class MapState(_Variable):
    """A dictionary a key, from tuples to tuples; every pair is a row. PySpark: ``MapState``."""

    def __init__(self, name: str, turn: Turn, cells: Cells, fields: Fields, ttl: int | None, key_fields: Fields) -> None:
        super().__init__(name, turn, cells, fields, ttl)
        self._key_fields = key_fields

    def exists(self) -> bool:
        """Tell whether there is a pair."""
        return next(self._members(), None) is not None

    def get_value(self, key: Any) -> Values | None:
        """Return the value of a key, None if there is none."""
        entry = self._cells.get(self._turn.at, self._key_fields.fit(key))
        return self._fields.copied(entry.values) if entry is not None and self._alive(entry) else None

    def contains_key(self, key: Any) -> bool:
        """Tell whether a key has a value."""
        return self._alive(self._cells.get(self._turn.at, self._key_fields.fit(key)))

    def update_value(self, key: Any, value: Any) -> None:
        """Write the value of a key."""
        self._cells.put(self._turn.at, self._entry(value), self._key_fields.fit(key))

    def iterator(self) -> Iterator[tuple[Values, Values]]:
        """Return the pairs."""
        return iter(list(self._members()))

    def keys(self) -> Iterator[Values]:
        """Return the keys."""
        return (key for key, _ in self.iterator())

    def values(self) -> Iterator[Values]:
        """Return the values."""
        return (value for _, value in self.iterator())

    def remove_key(self, key: Any) -> None:
        """Forget a key with its value."""
        self._remove(self._key_fields.fit(key))

    def clear(self) -> None:
        """Forget all pairs."""
        for key in [key for key, _ in self._cells.members(self._turn.at)]:
            self._remove(key)


@dataclass(frozen=True)
class TimerValues(SparkNames):
    """The two times of a batch, in milliseconds since 1970. PySpark: ``TimerValues``."""

    _processing_time: int
    _watermark: int

    def get_current_processing_time_in_ms(self) -> int:
        """Return the processing time of the batch."""
        return self._processing_time

    def get_current_watermark_in_ms(self) -> int:
        """Return the watermark; -1 where none is declared."""
        return self._watermark


@dataclass(frozen=True)
class ExpiredTimerInfo(SparkNames):
    """Which timer it was. PySpark: ``ExpiredTimerInfo``."""

    _expiry_time: int

    def get_expiry_time_in_ms(self) -> int:
        """Return the time that the timer was registered for, in milliseconds since 1970."""
        return self._expiry_time


class StatefulProcessorHandle(SparkNames):
    """A processor's way to state variables, in ``init``, and to timers. PySpark 4: ``StatefulProcessorHandle``."""

    def __init__(self, variables: Variables) -> None:
        self._variables = variables

    def get_value_state(
        self, state_name: str, schema: Any, ttl_duration_ms: Milliseconds | None = None, *, ttl: Milliseconds | None = None
    ) -> ValueState:
        """Declare a variable of one tuple a key, with columns such as ``"n bigint, at timestamp"``.

        ``ttl`` (or ``ttl_duration_ms``) ends a value so long after it was last written, in processing time.
        """
        return self._variables.value(state_name, schema, _either(ttl, ttl_duration_ms))

    def get_list_state(
        self, state_name: str, schema: Any, ttl_duration_ms: Milliseconds | None = None, *, ttl: Milliseconds | None = None
    ) -> ListState:
        """Declare a variable of a list a key; ``ttl`` as for a value, for each element."""
        return self._variables.list(state_name, schema, _either(ttl, ttl_duration_ms))

    def get_map_state(
        self,
        state_name: str,
        user_key_schema: Any,
        value_schema: Any,
        ttl_duration_ms: Milliseconds | None = None,
        *,
        ttl: Milliseconds | None = None,
    ) -> MapState:
        """Declare a variable of a dictionary a key; ``ttl`` as for a value, for each pair."""
        return self._variables.map(state_name, user_key_schema, value_schema, _either(ttl, ttl_duration_ms))
