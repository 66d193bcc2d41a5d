"""Pacer: one thread that draws what changed, as often as the reader can follow and no more."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FRAME = 0.08
"""Seconds between two frames, with the drawing itself at most 10 frames a second."""
CALM = 1.0
"""Seconds without a change after which the picture has come to rest."""
AGAIN = 0.02
"""Seconds until a reader who was behind is asked again."""


class Pacer:
    """Calls ``draw(since)`` after a change, when the reader is ``ready``, and ``rest()`` once things are calm.

    ``since`` is the ``time.monotonic()`` of the first change that is drawn. What ``draw`` and ``rest`` raise must be
    handled there.
    """

    def __init__(
        self, name: str, draw: Callable[[float], None], rest: Callable[[], None], ready: Callable[[], bool]
    ) -> None:
        self._draw, self._rest, self._ready = draw, rest, ready
        self._since: float | None = None
        self._changed = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"streamnb-view-{name}", daemon=True)
        self._thread.start()

    def mark(self) -> None:
        """Say that something changed; any thread, returns at once."""
        self._since = self._since or time.monotonic()
        self._changed.set()

    def stop(self) -> None:
        """End the thread, after the frame that it may be drawing."""
        self._stopped.set()
        self._changed.set()

    def _run(self) -> None:
        calm = True
        while not self._stopped.is_set():
            if not self._changed.wait(None if calm else CALM):
                calm = True
                self._rest()
            elif self._ready():
                calm = False
                self._frame()
            else:
                self._stopped.wait(AGAIN)

    def _frame(self) -> None:
        self._changed.clear()
        since, self._since = self._since or time.monotonic(), None
        if not self._stopped.is_set():
            self._draw(since)
            self._stopped.wait(FRAME)
