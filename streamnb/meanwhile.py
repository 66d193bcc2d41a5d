"""Meanwhile: what a thread of its own does while a batch is computed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Value = TypeVar("Value")


def meanwhile(future: Future[Value], work: Callable[[], Value], name: str) -> None:
    """Let a thread do ``work`` and the future hear of it, unless that is cancelled before."""
    threading.Thread(target=_do, args=(future, work), name=f"streamnb {name}", daemon=True).start()


def _do(future: Future[Value], work: Callable[[], Value]) -> None:
    if future.set_running_or_notify_cancel():
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001  raised where somebody waits for it
            future.set_exception(error)
