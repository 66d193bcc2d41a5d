"""from_generator: rows that a Python generator makes."""

from __future__ import annotations

import asyncio
import datetime as dt
import inspect
import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from streamnb.connect import Source
from streamnb.errors import DataError, PlanError
from streamnb.patience import GLANCE
from streamnb.schema import Schema
from streamnb.sources.records import format_of
from streamnb.sources.spool import RefusedError, Spool
from streamnb.sources.spooled import AnySpool, Reception, Spooled

_Rows = Iterable[Any] | AsyncIterator[Any]


def from_generator(
    make: Callable[..., _Rows] | _Rows,
    schema: Schema | None = None,
    *,
    spool: AnySpool = None,
    received: str | None = None,
    rows_per_batch: int = 10_000,
) -> Source:
    """Take what a generator or an async generator yields, a dict a row or a list of them.

    It runs in a thread of its own while a query is open, pauses between two rows when none is, and goes on with the
    next query. Rows are kept in a spool as JSON, so that a query can rewind and go on from its checkpoint. What it
    raises is raised by the query, after the rows before it.

    Parameters
    ----------
    make
        A generator, a function that returns one, or anything else to iterate over. A function with a parameter is
        handed how many rows are in the spool already, to go on from there in a new process.
    schema
        None: guessed from the first rows. What differs from it is as in ``from_tcp``.
    spool, received, rows_per_batch
        As in ``from_tcp``.

    >>> import streamnb as sn
    >>> ticks = sn.from_generator(({"n": n} for n in range(3)), {"n": "int64"})
    >>> query = ticks.query()
    >>> while query.result["n"].tolist() != [0, 1, 2]:
    ...     _ = query.step()
    """
    if not (callable(make) or hasattr(make, "__iter__") or hasattr(make, "__aiter__")):
        raise PlanError(f"from_generator: {make!r} yields no rows; give a generator.", code="OPTION_INVALID")
    kept = spool if isinstance(spool, Spool) else Spool(spool)
    pull = _Pull(make, kept)
    label = getattr(make, "__name__", type(make).__name__)
    return Spooled(
        "from_generator",
        label,
        format_of("from_generator", "json", schema),
        pull.receive,
        spool=kept,
        received=received,
        rows_per_batch=rows_per_batch,
    )


class _Pull:
    """A generator at work. Between two queries it stands still."""

    def __init__(self, make: Any, spool: Spool) -> None:
        self._make, self._spool = make, spool
        self._next: Callable[[Reception], Any] | None = None
        self._error: RefusedError | None = None

    def receive(self, reception: Reception) -> bool:
        if self._error is not None:
            raise self._error
        reception.connected()
        try:
            self._next = self._next or self._opened()
            while True:
                reception.check()
                for row in _rows(self._next(reception)):
                    reception.give(_packed(row))
        except (StopIteration, StopAsyncIteration):
            return True
        except DataError as error:
            self._error = RefusedError(str(error))
            raise self._error from error
        except Exception as error:
            self._error = RefusedError(
                f"from_generator: it raised {type(error).__name__}: {error}; mend it, open anew."
            )
            raise self._error from error

    def _opened(self) -> Callable[[Reception], Any]:
        made = self._make
        if callable(made):
            made = made(self._spool.end) if inspect.signature(made).parameters else made()
        if hasattr(made, "__aiter__"):
            return _async_next(made.__aiter__())
        rows: Iterator[Any] = iter(made)
        return lambda _: next(rows)


def _async_next(rows: AsyncIterator[Any]) -> Callable[[Reception], Any]:
    """Return what waits for the next row in a loop of its own; a wait that is left goes on later."""
    loop = asyncio.new_event_loop()
    waiting: list[asyncio.Task[Any]] = []

    async def following() -> Any:
        return await anext(rows)

    def step(reception: Reception) -> Any:
        if not waiting:
            waiting.append(loop.create_task(following()))
        while not waiting[0].done():
            loop.run_until_complete(asyncio.wait(waiting, timeout=GLANCE))
            reception.check()
        return waiting.pop().result()

    return step


def _rows(item: Any) -> list[Any]:
    return item if isinstance(item, list) else [item]


def _packed(row: Any) -> bytes:
    if not isinstance(row, Mapping):
        raise DataError(f"from_generator: a row is a dict of column to value, not {row!r}; yield {{'column': value}}.")
    try:
        return json.dumps(dict(row), default=_plain).encode()
    except (TypeError, ValueError) as error:
        raise DataError(f"from_generator: {row!r} cannot be kept: {error}; yield numbers, text and times.") from None


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    if isinstance(value, Decimal | UUID):
        return str(value)
    if hasattr(value, "tolist"):
        return value.tolist()  # a number of NumPy
    raise TypeError(f"{type(value).__name__} is no JSON")
