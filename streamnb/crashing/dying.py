"""Dying: a query stopped at a named point of a batch, in this process or with it."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import NoReturn

from streamnb import points
from streamnb.errors import one_of
from streamnb.frame import StreamFrame
from streamnb.query import Query

Made = Callable[[], "Query | StreamFrame"]

MOMENTS = {
    "before plan": "batch.begin",  # Spark: before the offset log has the batch
    "before read": "offsets.done",  # the offset log has it
    "before compute": "batch.read",  # its rows are in memory
    "before state": "batch.computed",  # the new state is in memory only
    "before write": "sink.begin",  # the state store has it, the sink has not heard
    "halfway": "sink.rows",  # half of the rows are written; of a transaction all, but not its batch id
    "between statements": "sink.ledger",  # a next statement, or the end of a transaction, is to come
    "before commit": "sink.end",  # the sink has the batch, the commit log does not
    "after commit": "batch.end",  # the commit log has it, the process does not know
}
"""What a moment of a batch is called, and its point. Any of ``streamnb.points.POINTS`` may be named too."""


class Crashed(BaseException):  # like KeyboardInterrupt, so that nothing catches it by accident
    """The process is taken to be dead from here on."""


def point_of(at: str) -> str:
    """Return the point that a moment names."""
    word = at.replace("the ", "")
    if word not in MOMENTS and word not in points.POINTS:
        raise one_of("crash", "at", at, MOMENTS)
    return MOMENTS.get(word, word)


def crashed(point: str, batch: int) -> NoReturn:
    """Die in this process."""
    raise Crashed(f"crash: the process dies at {point} of batch {batch}; open the query again from its checkpoint.")


@contextmanager
def dying(at: str, batch: int, die: Callable[[str, int], object] = crashed) -> Iterator[None]:
    """Raise :class:`Crashed` when the query that is opened and run within, by this thread, reaches a point of a batch.

    What was durable then is there, what was in memory counts as lost: stop the query, and open it again from its
    checkpoint. Batches are counted from 0, the first one that runs within.
    """
    point, now = point_of(at), -1
    opening = point.startswith(("metadata", "epoch"))

    def hear(reached: str) -> None:
        nonlocal now
        now += reached == "batch.begin"
        if reached == point and (opening or now == batch):
            die(point, batch)

    with hearing(hear):
        yield


@contextmanager
def hearing(listener: Callable[[str], object]) -> Iterator[None]:
    """Tell a listener the points that this thread reaches, after those who listen already."""
    thread, others = threading.get_ident(), points.listener()

    def hear(reached: str) -> None:
        if others is not None:
            others(reached)
        if threading.get_ident() == thread:
            listener(reached)

    points.listen(hear)
    try:
        yield
    finally:
        points.listen(others)


def made(make: Query | StreamFrame | Made) -> Query:
    """Return the query that is given, or that a function or a frame makes."""
    given = make if isinstance(make, Query | StreamFrame) else make()
    return given.query() if isinstance(given, StreamFrame) else given


def like(query: Query) -> Callable[..., Query]:
    """Return the way to open a query of the same plan and settings from the beginning of its sources."""
    watermark = query._watermark  # noqa: SLF001  a query's own settings
    return partial(
        Query,
        query._plan,  # noqa: SLF001
        output_mode=query._mode,  # noqa: SLF001
        watermark_policy=watermark.policy,
        clock=query._clock,  # noqa: SLF001
        no_data_batches=query._no_data,  # noqa: SLF001
        multiple_stateful=not watermark.single,
        on_bad_record="dead_letters" if query._keeps_bad else "fail",  # noqa: SLF001
        guard_future=None if watermark.guard is None else dt.timedelta(microseconds=watermark.guard),
        sink_retries=0,
    )
