"""State per key that outlives a batch: update_state_by_key and map_with_state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from streamnb.dstream.pairs import Function, grouped, pairs
from streamnb.dstream.work import Batch, Work

Initial = Mapping[Any, Any] | Iterable[tuple[Any, Any]]


class UpdateState(Work):
    """Calls the function for every known key in every batch; what it returns is the key's state, None ends it."""

    def __init__(self, name: str, function: Function, initial: Initial) -> None:
        self.name = name
        self._function = function
        self._table = dict(initial)

    def run(self, time: int, *batches: Batch) -> Batch | None:
        (batch,) = batches
        new = grouped(batch)
        table = {key: self._function(new.get(key, []), self._table.get(key)) for key in self._table | new}
        self._table = {key: value for key, value in table.items() if value is not None}
        return list(self._table.items())

    def state(self) -> Any:
        return self._table

    def restore(self, state: Any) -> None:
        self._table = dict(state)


class KeyState:
    """The state of one key during one call of the function of ``map_with_state``. Spark: ``State``."""

    def __init__(self, value: Any = None, *, exists: bool = False, is_timing_out: bool = False) -> None:
        self.exists = exists
        """Whether the key has a state."""
        self.is_timing_out = is_timing_out
        """Whether the key has been idle for too long: this is its last call."""
        self._value = value

    @property
    def get(self) -> Any:
        """The state; ValueError if there is none."""
        if not self.exists:
            raise ValueError("state.get: there is no state, or it was removed; ask state.exists first.")
        return self._value

    @property
    def get_option(self) -> Any:
        """The state, or None."""
        return self._value if self.exists else None

    def update(self, value: Any) -> None:
        """Remember a value for this key."""
        self._alive("update")
        self._value, self.exists = value, True

    def remove(self) -> None:
        """Forget this key."""
        self._alive("remove")
        self._value, self.exists = None, False

    def _alive(self, verb: str) -> None:
        if self.is_timing_out:
            raise ValueError(
                f"state.{verb}: the key is timing out and goes in any case; ask state.is_timing_out first."
            )

    def __repr__(self) -> str:
        return f"KeyState({self.get_option!r})"


Kept = tuple[Any, int]
"""A key's state, and when the key was last seen."""


class MapWithState(Work):
    """Calls the function for every element. The table is in the order in which its keys were last seen."""

    def __init__(self, name: str, function: Function, timeout: int | None, initial: Initial) -> None:
        self.name = name
        self._function, self._timeout = function, timeout
        self._table: dict[Any, Kept] = {key: (value, -1) for key, value in dict(initial).items()}

    def run(self, time: int, *batches: Batch) -> Batch | None:
        (batch,) = batches
        seen: dict[Any, KeyState] = {}
        results = [self._call(key, value, seen) for key, value in pairs(batch)]
        idle = [key for key in self._idle(time) if key not in seen]
        results += [self._function(key, None, self._state_of(key, is_timing_out=True)) for key in idle]
        self._commit(time, seen, idle)
        return results

    def _call(self, key: Any, value: Any, seen: dict[Any, KeyState]) -> Any:
        if key not in seen:
            seen[key] = self._state_of(key)
        return self._function(key, value, seen[key])

    def _state_of(self, key: Any, *, is_timing_out: bool = False) -> KeyState:
        value = self._table.get(key)
        return KeyState(None if value is None else value[0], exists=value is not None, is_timing_out=is_timing_out)

    def _idle(self, time: int) -> Iterator[Any]:
        """Yield the keys that have been idle for longer than the timeout."""
        if self._timeout is None:
            return
        for key, (_, last) in self._table.items():
            if last >= time - self._timeout:
                return
            yield key

    def _commit(self, time: int, seen: Mapping[Any, KeyState], idle: Iterable[Any]) -> None:
        for key in [*seen, *idle]:
            self._table.pop(key, None)
        self._table |= {key: (state.get, time) for key, state in seen.items() if state.exists}

    def snapshot(self) -> Batch:
        """Return the whole table as pairs."""
        return [(key, value) for key, (value, _) in self._table.items()]

    def state(self) -> Any:
        return self._table

    def restore(self, state: Any) -> None:
        self._table = dict(state)
