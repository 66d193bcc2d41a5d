"""GroupState: what a function of apply_in_pandas_with_state is handed to remember with."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

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


class GroupState(SparkNames):
    """The state of one key during one call: a tuple, and a timeout. PySpark: ``GroupState``.

    >>> def last(key, frames, state):
    ...     state.update((state.get[0] + sum(map(len, frames)) if state.exists else 0,))
    ...     yield pd.DataFrame({"n": [state.get[0]]})
    ...
    >>> by_dest, count = flights.group_by("dest"), {"n": "int64"}
    >>> counted = by_dest.apply_in_pandas_with_state(last, count, count, "update", "NoTimeout")
    >>> counted.query(output_mode="update").run().last_progress.batch_id
    31
    """

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


def milliseconds(span: Milliseconds, verb: str) -> int:
    """Return a span in whole milliseconds."""
    if isinstance(span, str | dt.timedelta):
        return duration(span, verb) // MILLISECOND
    return int(span)


def moment_ms(at: Instant, verb: str) -> int:
    """Return a moment in whole milliseconds since 1970; a naive time is taken as it stands."""
    if isinstance(at, dt.datetime):
        return instant(at) // MILLISECOND
    try:
        return int(at)
    except (TypeError, ValueError):
        raise ValueError(f"{verb}: {at!r} is no moment; give milliseconds since 1970, or a datetime.") from None
