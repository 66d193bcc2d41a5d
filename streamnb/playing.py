"""Playing: a query that goes on by itself, in a thread of its own, and tells those who listen."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Self

from streamnb.asking import Asking
from streamnb.errors import QueryError, StoppedError
from streamnb.progress import Progress
from streamnb.time import SECOND, Duration, duration

TRIGGERS = ("available_now", "once")


class Playing(Asking):
    """What a query does in the background."""

    name: str
    _interval: float
    _listeners: list[Callable[[], None]]

    @abstractmethod
    def step(self) -> Progress | None: ...
    @abstractmethod
    def run(self) -> Self: ...
    @abstractmethod
    def _ready(self) -> None: ...

    def play(self, every: Duration | None = None) -> Self:
        """Go on by itself, a step every ``every`` (the trigger's interval, or 200 ms), in a thread of its own.

        Other cells can run meanwhile. When nothing is left to read it keeps looking for more until paused.

        >>> query.play().stop().status
        'stopped'
        """
        with self._lock:
            self._ready()
            self._player.play(seconds_of(every) if every is not None else self._interval)
        self._changed()
        return self

    def pause(self) -> Self:
        """Stop playing; ``play`` or ``step`` go on from here.

        >>> query.pause().status
        'done'
        """
        self._player.pause()
        self._changed()
        return self

    def await_termination(self, timeout: Duration | float | None = None) -> bool:
        """Wait until the query is stopped or has failed; raise what it failed with. False: the time ran out first.

        >>> hourly.start().await_termination(timeout="1 ms")
        False
        """
        seconds = timeout if timeout is None or isinstance(timeout, int | float) else seconds_of(timeout)
        ended = self._player.ended.wait(seconds)
        if self._exception is not None:
            raise self._exception
        return ended

    # -- the thread

    def _wait(self, seconds: float) -> bool:
        """Wait before something is tried again; True if the query was stopped meanwhile."""
        self._changed()
        waiting: Callable[[float], bool] = getattr(self._clock, "wait", self._player.closed.wait)
        return waiting(seconds)

    def _tick(self) -> None:
        try:
            self.run() if self._trigger in TRIGGERS else self.step()
        except StoppedError:
            self._player.pause()
        except BaseException as error:  # noqa: BLE001  shown by the dashboard and by q.exception
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """End playing; a SystemExit of a user's function must not end the thread without a word."""
        if self._stopped:
            return
        if not isinstance(error, Exception):
            said = (
                f"query {self.name!r}: {type(error).__name__} {error} in the background; take it out of your function."
            )
            error, cause = QueryError(said), error
            error.__cause__ = cause
        self._exception = error
        self._player.fail()
        self._changed()

    def post(self, command: str, **arguments: Any) -> None:
        """Ask the query's thread for ``"step" | "play" | "pause" | "rewind" | "stop"`` and return at once.

        >>> query.post("pause")
        """
        if command == "pause":
            self.pause()
            return

        def work() -> None:
            try:
                getattr(self, command)(**arguments)
            except BaseException as error:  # noqa: BLE001  shown by the dashboard and by q.exception
                self._fail(error)

        self._player.post(work)

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call ``callback`` after every change, from any thread; return the way to end that.

        >>> end = query.subscribe(lambda: print("changed"))
        >>> end()
        """
        self._listeners.append(callback)
        return lambda: self._listeners.remove(callback) if callback in self._listeners else None

    def _changed(self) -> None:
        for callback in tuple(self._listeners):
            callback()


def interval(trigger: Duration | None) -> float:
    """Return the seconds between two steps that a trigger asks for."""
    return 0.2 if trigger is None or trigger in TRIGGERS else seconds_of(trigger)


def seconds_of(value: Duration) -> float:
    """Return a duration in seconds."""
    return max(0, duration(value, "play")) / SECOND
