"""Patience: calls over a network that end when their time is over or the query stops, whatever the other side does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from streamnb.time import SECOND, Duration, duration

T = TypeVar("T")


class Patience:
    """Runs one call after the other, each in a thread of its own, and waits ``timeout`` at most.

    A call that is given up may still come to its end later. Sinks bear that: their ledger knows the batch.
    """

    def __init__(self, sink: str, timeout: Duration) -> None:
        self._sink = sink
        self.seconds = duration(timeout, sink) / SECOND
        self._waiting: set[threading.Event] = set()

    def call(self, work: Callable[[], T], give_up: Callable[[], object] = lambda: None) -> T:
        """Return what ``work`` returns or raise what it raises; ``give_up`` is called when nobody waits any more."""
        outcome: Future[T] = Future()
        woken = threading.Event()
        outcome.add_done_callback(lambda _: woken.set())
        threading.Thread(target=_settle, args=(outcome, work), name=f"streamnb {self._sink}", daemon=True).start()
        self._waiting.add(woken)
        try:
            in_time = woken.wait(self.seconds)
            if outcome.done():
                return outcome.result()
        finally:
            self._waiting.discard(woken)
            if not outcome.done():
                give_up()
        if in_time:
            raise ConnectionAbortedError(f"{self._sink}: the query was stopped while a batch was under way")
        raise TimeoutError(f"{self._sink}: no answer within {self.seconds:g} s")

    def close(self) -> None:
        """Let whoever waits wait no longer; any thread may ask."""
        for woken in tuple(self._waiting):
            woken.set()


def _settle(outcome: Future[T], work: Callable[[], T]) -> None:
    try:
        outcome.set_result(work())
    except BaseException as error:  # noqa: BLE001  raised by whoever waits
        outcome.set_exception(error)
