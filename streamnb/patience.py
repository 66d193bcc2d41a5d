"""Patience: waiting for a network without hanging. A limit, an end with the query, a retry that can be seen."""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, wait
from contextvars import ContextVar
from typing import Any, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

from streamnb.errors import MissingError, StoppedError
from streamnb.within import within

Found = TypeVar("Found")
GLANCE = 0.05
"""Seconds between two looks at whether the query still wants an answer."""

_asking: ContextVar[threading.Event | None] = ContextVar("asking", default=None)


def asking(ended: threading.Event, call: Callable[[], Found]) -> Found:
    """Ask sources and sinks in the name of a query; who waits for the answer gives up once ``ended`` is set."""
    return within(_asking, ended, call)


def asker() -> threading.Event | None:
    """Return the event that ends with the query that is asking; None outside of one."""
    return _asking.get()


def still_asked() -> None:
    """Raise a StoppedError if the query that is asking has been stopped."""
    ended = _asking.get()
    if ended is not None and ended.is_set():
        raise StoppedError("stop: the query was stopped while it waited for another system; that batch comes again.")


def patiently(call: Callable[[], Found], seconds: float) -> Found:
    """Return what a call gives that may block, in a thread of its own; a TimeoutError if it takes too long.

    The call needs a limit of its own too: it is not ended when nobody waits for it any more.
    """
    future: Future[Found] = Future()
    threading.Thread(target=_work, args=(call, future), daemon=True).start()
    until = time.monotonic() + seconds
    while not wait([future], GLANCE).done:
        still_asked()
        if time.monotonic() > until:
            raise TimeoutError(f"no answer within {seconds:g} s")
    return future.result()


def _work(call: Callable[[], Found], future: Future[Found]) -> None:
    try:
        future.set_result(call())
    except BaseException as error:  # noqa: BLE001  raised again by who waits
        future.set_exception(error)


class Retry:
    """The waits between attempts: twice as long each time, up to ten seconds."""

    def __init__(self) -> None:
        self.seconds = 0.125

    def reset(self) -> None:
        self.seconds = 0.125

    def next(self) -> float:
        self.seconds = min(10.0, 2 * self.seconds)
        return self.seconds


def library(verb: str, module: str, distribution: str, extra: str) -> Any:
    """Import a client library; a MissingError with the line to type."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingError(f'{verb} needs {distribution}: pip install "streamnb[{extra}]"') from error


def masked(text: object, secrets: Iterable[str | None]) -> str:
    """Return one line of text with every secret left out."""
    line = " ".join(str(text).split())
    for secret in secrets:
        line = line.replace(secret, "•••") if secret else line
    return line


def shown(url: str) -> str:
    """Return an address without what may be secret in it: name, password and query."""
    parts = _split(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}{'://' if parts.scheme else ''}{parts.hostname or ''}{port}{parts.path}"


def _split(url: str) -> SplitResult:
    """Return the parts of an address, which may do without a scheme."""
    return urlsplit(url if "://" in url else f"//{url}")


def secrets_of(url: str, headers: Mapping[str, str] | None = None) -> tuple[str | None, ...]:
    """Return what an error of a library must not repeat."""
    parts = _split(url)
    return (parts.password, unquote(parts.password or ""), parts.query, *(headers or {}).values())
