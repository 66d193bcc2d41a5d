"""Player: the one background thread of a query."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable


class Player:
    """Runs posted commands, and while playing a tick every ``interval`` seconds, in a daemon thread.

    The thread is started by the first command and ended by ``close``. A tick that is slower than the interval is
    followed at once by the next one; ticks are not caught up.
    """

    def __init__(self, name: str, tick: Callable[[], None]) -> None:
        self._name, self._tick = name, tick
        self._commands: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self.interval: float | None = None
        self.closed, self.ended = threading.Event(), threading.Event()

    @property
    def playing(self) -> bool:
        return self.interval is not None and not self.closed.is_set()

    def play(self, interval: float) -> None:
        """Tick every so many seconds from now on."""
        self.interval = interval
        self.post(lambda: None)

    def pause(self) -> None:
        """Stop ticking; commands are still run."""
        self.interval = None

    def fail(self) -> None:
        """Stop ticking, and wake those who wait for the end."""
        self.interval = None
        self.ended.set()

    def go_on(self) -> None:
        """Let those wait again who ask for the end. An interrupt inside of ``clear`` would leave its lock taken."""
        if self.ended.is_set():
            self.ended.clear()

    def post(self, command: Callable[[], None]) -> None:
        """Run a command in the thread, soon."""
        with self._starting:
            if self._thread is None and not self.closed.is_set():
                self._thread = threading.Thread(target=self._run, name=f"streamnb {self._name}", daemon=True)
                self._thread.start()
        self._commands.put(command)

    def close(self, timeout: float | None = 10.0) -> None:
        """End the thread; wait for the batch at work unless called by the thread itself."""
        self.interval = None
        self.closed.set()
        self._commands.put(None)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)
        self.ended.set()

    def _run(self) -> None:
        ticked = -math.inf
        while not self.closed.is_set():
            command = self._next(ticked)
            if command is not None:
                command()
            if self._left(ticked) == 0 and not self.closed.is_set():
                ticked = time.monotonic()
                self._tick()

    def _next(self, ticked: float) -> Callable[[], None] | None:
        try:
            return self._commands.get(timeout=self._left(ticked))
        except queue.Empty:
            return None

    def _left(self, ticked: float) -> float | None:
        """Return the seconds until the next tick, None while it does not play."""
        interval = self.interval
        return None if interval is None else max(0.0, ticked + interval - time.monotonic())
