"""Waiting for what a thread or a server does, without a fixed time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import streamnb as sn
from streamnb.ops.read import Read

PATIENCE = 20.0


def eventually(check: Callable[[], Any], seconds: float = PATIENCE) -> None:
    """Wait until something is so."""
    until, never = time.monotonic() + seconds, threading.Event()
    while not check():
        assert time.monotonic() < until, "it has not come"
        never.wait(0.01)


def step_until(query: sn.Query, rows: int) -> None:
    """Step a query until it has given out so many rows."""

    def enough() -> bool:
        query.step()
        return len(query.result) >= rows

    eventually(enough)


def source_of(frame: sn.StreamFrame) -> Any:
    """Return the one source of a frame."""
    (read,) = [node for node in frame.node.walk() if isinstance(node, Read)]
    return read.source


def status(frame: sn.StreamFrame) -> str:
    return str(source_of(frame).status)


def seconds_to_stop(query: sn.Query) -> float:
    began = time.monotonic()
    query.stop()
    return time.monotonic() - began


def source_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "streamnb source"]
