"""Pacer: one thread that draws what changed, as often as the reader can follow and no more."""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FRAME = 0.1
"""Seconds from one frame to the next: 10 frames a second at most."""
SHARE, BUSY = 0.04, 0.1
"""Frames have the first share of the processor's time while the process is busy with other things, that is for more
than the second share of the time that goes by."""
CALM = 1.0
"""Seconds without a change after which the picture has come to rest."""
AGAIN = 0.02
"""Seconds until a reader who was behind is asked again."""


class Pacer:
    """Calls ``draw(since)`` after a change, when the reader is ``ready``, and ``rest()`` once things are calm.

    ``since`` is the ``time.monotonic()`` of the first change that is drawn; ``draw`` returns whether it had anything
    new. What ``draw`` and ``rest`` raise must be handled there.
    """

    def __init__(
        self, name: str, draw: Callable[[float], bool], rest: Callable[[], None], ready: Callable[[], bool]
    ) -> None:
        self._draw, self._rest, self._ready = draw, rest, ready
        self._since: float | None = None
        self._calm_at = math.inf
        self._changed = threading.Event()
        self._stopped = threading.Event()
        threading.Thread(target=self._run, name=f"streamnb view of {name}", daemon=True).start()

    def mark(self) -> None:
        """Say that something changed; any thread, returns at once."""
        self._since = self._since or time.monotonic()
        self._changed.set()

    def stop(self) -> None:
        """End the thread, after the frame that it may be drawing."""
        self._stopped.set()
        self._changed.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            left = self._calm_at - time.monotonic()
            if left <= 0:
                self._calm_at = math.inf
                self._rest()
            elif self._changed.wait(left if left < math.inf else None):
                self._frame_or_wait()

    def _frame_or_wait(self) -> None:
        if not self._ready():
            self._stopped.wait(AGAIN)
            return
        self._changed.clear()
        started, used = time.monotonic(), time.thread_time()
        since, self._since = self._since or started, None
        if not self._stopped.is_set():
            if self._draw(since):
                self._calm_at = time.monotonic() + CALM
            self._pause(started, time.thread_time() - used)

    def _pause(self, started: float, used: float) -> None:
        """Wait for the next frame: not before its time, and while others need the processor not before its share."""
        rested, before = time.monotonic(), time.process_time()
        self._stopped.wait(max(started + FRAME - rested, FRAME / 2))
        while not self._stopped.is_set():
            if may_go_on(used, time.process_time() - before, time.monotonic() - rested):
                return
            self._stopped.wait(FRAME / 2)


def may_go_on(used: float, spent: float, seconds: float) -> bool:
    """Tell whether a next frame is due, ``seconds`` after one that ``used`` so much of the processor.

    ``spent`` is what the process has used since.
    """
    return spent * SHARE >= used * (1 - SHARE) or spent < BUSY * seconds
