"""StatefulProcessor: what a user writes for transform_with_state, and the handle it works with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import polars as pl

from streamnb.cells import Entry, ManyCells
from streamnb.fields import Fields, Values
from streamnb.group_state import Instant, Milliseconds, SparkNames, milliseconds, moment_ms
from streamnb.time import MILLISECOND
from streamnb.variables import ListState, MapState, Turn, ValueState, Variable

TIMER = "timer"


class StatefulProcessor(ABC):
    """What to do with the rows of a key, and with its state. PySpark 4: ``StatefulProcessor``.

    A fresh copy works for every batch: ``init`` first, then the keys, then ``close``. So what is kept in attributes is
    gone with the batch; what shall last is state.

    >>> class Counting(sn.StatefulProcessor):
    ...     def init(self, handle):
    ...         self.n = handle.get_value_state("n", {"n": "int64"})
    ...     def handle_input_rows(self, key, rows, timer_values):
    ...         self.n.update(((self.n.get() or (0,))[0] + sum(map(len, rows)),))
    ...         yield pd.DataFrame({"n": [self.n.get()[0]]})
    ...
    >>> counted = flights.group_by("dest").transform_with_state(Counting(), {"n": "int64"})
    >>> counted.query("append").run().result["n"].max()
    np.int64(16)
    """

    def init(self, handle: StatefulProcessorHandle) -> None:  # noqa: B027  many need none
        """Declare the state variables: ``self.count = handle.get_value_state("count", "n bigint")``."""

    @abstractmethod
    def handle_input_rows(self, key: Values, rows: Iterator[Any], timer_values: TimerValues) -> Any:
        """Take the rows of a key, an iterator of pandas frames; return or yield what comes out.

        That is pandas frames, or rows as dicts or tuples, or None.
        """

    def handle_expired_timer(  # noqa: B027
        self, key: Values, timer_values: TimerValues, expired_timer_info: ExpiredTimerInfo
    ) -> Any:
        """Be called once for every timer that has expired; the same may come out."""

    def handle_initial_state(self, key: Values, initial_state: Any, timer_values: TimerValues) -> None:  # noqa: B027
        """Take the rows of the initial state of a key, as pandas, in the first batch."""

    def close(self) -> None:  # noqa: B027
        """End the batch."""


@dataclass(frozen=True)
class TimerValues(SparkNames):
    """The two times of a batch, in milliseconds since 1970. PySpark: ``TimerValues``.

    >>> class Watch(sn.StatefulProcessor):
    ...     def handle_input_rows(self, key, rows, timer_values):
    ...         yield pd.DataFrame({"at": [timer_values.get_current_watermark_in_ms()]})
    ...
    >>> by_dest = flights.with_watermark("dep", "3 hours").group_by("dest")
    >>> by_dest.transform_with_state(Watch(), {"at": "int64"}).query("append").run().result["at"].max() > 0
    np.True_
    """

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
    """Which timer it was. PySpark: ``ExpiredTimerInfo``.

    >>> class Reminder(sn.StatefulProcessor):
    ...     def init(self, handle):
    ...         self.handle = handle
    ...     def handle_input_rows(self, key, rows, timer_values):
    ...         self.handle.register_timer(timer_values.get_current_watermark_in_ms() + 1)
    ...     def handle_expired_timer(self, key, timer_values, expired):
    ...         yield pd.DataFrame({"at": [expired.get_expiry_time_in_ms()]})
    ...
    >>> timed = flights.with_watermark("dep", "3 hours").group_by("dest")
    >>> reminded = timed.transform_with_state(Reminder(), {"at": "int64"}, "event")
    >>> len(reminded.query("append").run().result) > 0
    True
    """

    _expiry_time: int

    def get_expiry_time_in_ms(self) -> int:
        """Return the time that the timer was registered for, in milliseconds since 1970."""
        return self._expiry_time


class StatefulProcessorHandle(SparkNames):
    """A processor's way to its state variables, in ``init``, and to timers. PySpark 4: ``StatefulProcessorHandle``.

    >>> class Counting(sn.StatefulProcessor):
    ...     def init(self, handle):
    ...         self.n = handle.get_value_state("n", {"n": "int64"})
    ...     def handle_input_rows(self, key, rows, timer_values):
    ...         self.n.update((sum(map(len, rows)),))
    ...         yield pd.DataFrame({"n": [self.n.get()[0]]})
    ...
    >>> counted = flights.group_by("dest").transform_with_state(Counting(), {"n": "int64"})
    >>> counted.query("append").run().result["n"].max()
    np.int64(4)
    """

    def __init__(self, keys: Mapping[str, pl.DataType], turn: Turn) -> None:
        self._keys, self._turn = keys, turn
        self._timers = Timers(turn, keys)
        self._variables: dict[str, tuple[object, Variable]] = {}
        self._declaring = self._sealed = False

    def initialize(self, processor: Any) -> None:
        """Let a processor declare its variables: the first time any, from then on the same."""
        self._declaring = True
        try:
            method(processor, "init")(self)
        finally:
            self._declaring = False
        self._sealed = True

    @property
    def timers(self) -> Timers:
        """All timers."""
        return self._timers

    @property
    def variables(self) -> Mapping[str, Variable]:
        """The declared variables by name."""
        return {name: variable for name, (_, variable) in self._variables.items()}

    # -- state variables

    def get_value_state(
        self,
        state_name: str,
        schema: Any,
        ttl_duration_ms: Milliseconds | None = None,
        *,
        ttl: Milliseconds | None = None,
    ) -> ValueState:
        """Declare a variable of one tuple a key, with columns such as ``"n bigint, at timestamp"``.

        ``ttl`` (or ``ttl_duration_ms``) ends a value so long after it was last written, in processing time.
        """
        return self._declare(ValueState, state_name, [schema], _either(ttl, ttl_duration_ms))

    def get_list_state(
        self,
        state_name: str,
        schema: Any,
        ttl_duration_ms: Milliseconds | None = None,
        *,
        ttl: Milliseconds | None = None,
    ) -> ListState:
        """Declare a variable of a list of tuples a key; ``ttl`` as for a value, for every element."""
        return self._declare(ListState, state_name, [schema], _either(ttl, ttl_duration_ms))

    def get_map_state(
        self,
        state_name: str,
        user_key_schema: Any,
        value_schema: Any,
        ttl_duration_ms: Milliseconds | None = None,
        *,
        ttl: Milliseconds | None = None,
    ) -> MapState:
        """Declare a variable of a dictionary a key; ``ttl`` as for a value, for every pair."""
        return self._declare(MapState, state_name, [value_schema, user_key_schema], _either(ttl, ttl_duration_ms))

    def delete_if_exists(self, state_name: str) -> None:
        """Forget a variable that an earlier version of the processor declared."""
        self._only_in_init("delete_if_exists", state_name)
        if not self._sealed:
            self._variables.pop(state_name, None)

    def _declare(self, kind: type[AnyVariable], name: str, schemas: list[Any], ttl: Milliseconds | None) -> AnyVariable:
        verb = f"{kind.__name__} {name!r}"
        self._only_in_init(verb, name)
        fields = [Fields(verb, schema) for schema in schemas]
        lives = self._lives(verb, ttl)
        said = (kind, tuple(tuple(f.schema.items()) for f in fields), lives)
        if name not in self._variables and not self._sealed:
            self._variables[name] = said, kind(name, self._turn, self._keys, fields, lives)
        before, variable = self._variables.get(name, (None, None))
        if before != said or not isinstance(variable, kind):
            raise ValueError(f"{verb}: init declared it otherwise before; declare the same variables every time.")
        return variable

    def _lives(self, verb: str, ttl: Milliseconds | None) -> int | None:
        if ttl is None:
            return None
        if self._turn.time_mode != "processing":
            raise ValueError(f"{verb}: a ttl counts in processing time; ask for time_mode='processing'.")
        if (span := milliseconds(ttl, verb)) <= 0:
            raise ValueError(f"{verb}: a ttl of {ttl!r} is not above zero; leave it out to keep values for ever.")
        return span * MILLISECOND

    def _only_in_init(self, verb: str, name: str) -> None:
        if not self._declaring:
            raise ValueError(f"{verb}: {name!r} is declared too late; declare state variables in init.")

    # -- timers

    def register_timer(self, expiry_timestamp_ms: Instant) -> None:
        """Have ``handle_expired_timer`` called for this key when the clock, or the watermark, reaches a moment."""
        self._timers.register(moment_ms(expiry_timestamp_ms, "register_timer"))

    def delete_timer(self, expiry_timestamp_ms: Instant) -> None:
        """Forget a timer of this key."""
        self._timers.delete(moment_ms(expiry_timestamp_ms, "delete_timer"))

    def list_timers(self) -> Iterator[int]:
        """Return the timers of this key, earliest first; while one is handled it is still among them."""
        return iter(self._timers.of_this_key())


AnyVariable = TypeVar("AnyVariable", bound=Variable)


class Timers:
    """The timers of all keys: one row each, which ends when it expires."""

    def __init__(self, turn: Turn, keys: Mapping[str, pl.DataType]) -> None:
        self._turn = turn
        self.cells = ManyCells(keys, {TIMER: pl.Int64()}, {})

    def register(self, at_ms: int) -> None:
        self._needs_time("register_timer")
        self._turn.counts["registered"] += 1
        self.cells.put(self._turn.at, Entry((), at_ms * MILLISECOND), (at_ms,))

    def delete(self, at_ms: int) -> None:
        self._needs_time("delete_timer")
        self._turn.counts["deleted"] += 1
        self.cells.remove(self._turn.at, (at_ms,))

    def of_this_key(self) -> list[int]:
        self._needs_time("list_timers")
        return sorted(at for (at,), _ in self.cells.members(self._turn.at))

    def _needs_time(self, verb: str) -> None:
        if self._turn.time_mode == "none":
            raise ValueError(f"{verb}: without a clock there are no timers; ask for time_mode='event' or 'processing'.")
        if self._turn.time_mode == "event" and self._turn.watermark_ms is None:
            raise ValueError(f"{verb}: there is no watermark, so no timer would ever expire; declare with_watermark.")


def method(processor: Any, name: str) -> Any:
    """Return a method of a processor, by our name or by PySpark's."""
    first, *others = name.split("_")
    camel = first + "".join(word.capitalize() for word in others)
    return (
        getattr(processor, camel)
        if name not in dir(processor) and hasattr(processor, camel)
        else getattr(processor, name)
    )


def _either(ttl: Milliseconds | None, ttl_duration_ms: Milliseconds | None) -> Milliseconds | None:
    return ttl_duration_ms if ttl is None else ttl
