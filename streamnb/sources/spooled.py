"""Spooled: a source that cannot be read again, received by a thread of its own into a spool."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import polars as pl

from streamnb.connect import Sifted, Unit
from streamnb.contact import Contact, Trouble
from streamnb.errors import DataError, PlanError, StreamnbError
from streamnb.patience import GLANCE, Retry, asker, asking, masked, still_asked
from streamnb.sources.records import Format, Json, guess, objects, rows_of
from streamnb.sources.sift import in_short
from streamnb.sources.spool import Received, RefusedError, Spool
from streamnb.time import SystemClock

_SAMPLE = 100
AnySpool = str | os.PathLike[str] | Spool | None


class NobodyAsks(BaseException):
    """The last query that wanted the rows has ended."""


class Reception:
    """The thread that receives, as long as a query asks, and what it has to say. It tries again by itself."""

    def __init__(self, receive: Callable[[Reception], bool], spool: Spool, secrets: tuple[str | None, ...]) -> None:
        self._receive, self.spool, self._secrets = receive, spool, secrets
        self._askers: weakref.WeakSet[threading.Event] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._clock = SystemClock()
        self._never = threading.Event()
        self.finished = self._refused = False
        self.contact = Contact()
        self.settled = threading.Event()
        self.status = "not connected yet"
        self.error: BaseException | None = None

    # -- for the source

    def ask(self, ended: threading.Event) -> None:
        """Receive for a query, until it ends."""
        with self._lock:
            if ended not in self._askers:
                self._askers.add(ended)
            if self._thread is None and not self.finished and not ended.is_set():
                self.settled.clear()
                self._refused = False
                self._thread = threading.Thread(target=self._run, name="streamnb source", daemon=True)
                self._thread.start()

    @property
    def failure(self) -> BaseException | None:
        """What went wrong before there ever was a connection, or for good."""
        return self.error if self.error is not None and self.settled.is_set() else None

    # -- for what receives

    def connected(self) -> None:
        """Say that there is a connection."""
        self.contact.made()
        self.error, self.status = None, "connected"
        self.settled.set()

    def is_asked(self) -> bool:
        """Tell whether a query still wants rows."""
        with self._lock:
            return any(not ended.is_set() for ended in self._askers)

    def check(self) -> None:
        """Leave the connection if nobody wants rows any more."""
        if not self.is_asked():
            raise NobodyAsks

    def give(self, payload: bytes, tag: str = "") -> None:
        """Keep a record; wait while there is no room for it."""
        at = self._clock.now()
        while not self.spool.append(at, tag, payload):
            self.status = f"waiting: the spool holds {self.spool.nbytes:,} bytes that no query has committed"
            self.spool.room.wait(GLANCE)
            self.check()
        self.status = "connected"

    # -- the thread

    def _run(self) -> None:
        retry = Retry()
        while not self._is_over():
            before = self.spool.end
            try:
                self._once()
            except NobodyAsks:
                continue
            except RefusedError as error:
                self.error, self._refused = error, True
                self.contact.failed(in_short(error))
            except Exception as error:  # noqa: BLE001  shown, and tried again
                if self.spool.end > before:
                    retry.reset()
                self._wait(error, retry.next())

    def _once(self) -> None:
        self.finished = self._receive(self)
        if not self.finished:
            raise ConnectionError("the other side closed the connection")

    def _wait(self, error: Exception, seconds: float) -> None:
        """Show what went wrong, and wait a while."""
        self.contact.failed(masked(error, self._secrets) or type(error).__name__)
        self.status = f"trying again in {seconds:g} s: {self.contact.trouble}"
        self.error = None if self.contact.was_there else error
        self.settled.set()
        until = time.monotonic() + seconds
        while self.is_asked() and time.monotonic() < until:
            self._never.wait(GLANCE)

    def _is_over(self) -> bool:
        """Tell whether to end, and end: who asks from then on begins anew."""
        with self._lock:
            if not (self.finished or self._refused) and any(not ended.is_set() for ended in self._askers):
                return False
            self.status = "ended" if self.finished else "refused" if self._refused else "stopped"
            self._thread = None
            self.settled.set()
            return True


class Spooled:
    """Rows of a spool, and of the thread that fills it. Offsets hold record numbers, and where the query began."""

    def __init__(
        self,
        verb: str,
        label: str,
        format: Format | None,
        receive: Callable[[Reception], bool],
        *,
        spool: AnySpool = None,
        received: str | None = "received",
        tag: str | None = None,
        rows_per_batch: int = 10_000,
        timeout: float = 5.0,
        secrets: tuple[str | None, ...] = (),
    ) -> None:
        if rows_per_batch < 1:
            raise PlanError(
                f"{verb}: rows_per_batch={rows_per_batch!r} reads nothing; give 1 or more.", code="OPTION_INVALID"
            )
        self._verb, self._label = verb, masked(label, secrets)
        self.received, self._tag, self._rows_per_batch, self._timeout = received, tag, rows_per_batch, timeout
        self._secrets = secrets
        self._spool = spool if isinstance(spool, Spool) else Spool(spool)
        self._reception = Reception(receive, self._spool, secrets)
        self._begins: weakref.WeakKeyDictionary[threading.Event, int] = weakref.WeakKeyDictionary()
        self._commits: weakref.WeakKeyDictionary[threading.Event, int] = weakref.WeakKeyDictionary()
        self._direct = threading.Event()  # who asks outside of a query asks for as long as the source lives
        weakref.finalize(self, self._direct.set)
        self._format = format or self._guessed()
        self.fields = self._format.schema
        self.schema = pl.Schema({**self._format.schema, **self._added_types()})

    def _guessed(self) -> Format:
        """Return the JSON that the first records look like."""
        ended = threading.Event()
        end = asking(ended, lambda: self._first_end(ended))
        ended.set()
        first = self._spool.first
        records = self._spool.read(first, min(end, first + _SAMPLE))
        found = guess(objects(record.payload for record in records))
        if not found:
            raise DataError(f"{self._verb}: nothing came to guess the columns from; give schema={{…}}.")
        return Json(found)

    def _first_end(self, ended: threading.Event) -> int:
        """Return up to where records came before the timeout, once the first is there."""
        until = time.monotonic() + self._timeout
        while not (end := self._end(0)) and time.monotonic() < until:
            ended.wait(GLANCE)
        return end

    def _added_types(self) -> dict[str, pl.DataType]:
        added: dict[str, pl.DataType] = {self._tag: pl.String()} if self._tag else {}
        added |= {self.received: pl.Datetime("us")} if self.received else {}
        twice = [name for name in added if name in self._format.schema]
        if twice:
            raise PlanError(
                f"{self._verb}: {twice} are fields of the rows too; give received=None, or another name.",
                code="COLUMN_DUPLICATE",
            )
        return added

    @property
    def status(self) -> str:
        """``"connected"``, or what is waited for, tried again, or has ended."""
        return self._reception.status

    @property
    def trouble(self) -> Trouble | None:
        """Why the other side is away, or refuses; None while it answers."""
        return self._reception.contact.trouble

    def _asker(self) -> threading.Event:
        return asker() or self._direct

    def _end(self, done: int) -> int:
        """Return the end of what may be read; with nothing to read, wait for a first contact or raise why not."""
        self._reception.ask(self._asker())
        self._begins.setdefault(self._asker(), self._spool.first)
        until = time.monotonic() + self._timeout
        while self._spool.end <= done and not self._reception.settled.wait(GLANCE) and time.monotonic() < until:
            still_asked()
        self._spool.sync()
        end = self._spool.end
        if end <= done and self._reception.failure is not None:
            raise self._told(self._reception.failure)
        return end

    def _told(self, error: BaseException) -> StreamnbError:
        if isinstance(error, StreamnbError):
            return error
        said = masked(error, self._secrets) or type(error).__name__
        return DataError(
            f"{self._verb}: cannot reach {self._label}: {said}; start the server or mend the address. "
            "It is tried again while the query is open."
        )

    def latest(self) -> Any:
        end = self._end(0)
        return {"from": self._begin(), "to": end} if end > self._begin() else None

    def _begin(self) -> int:
        return self._begins.get(self._asker(), self._spool.first)

    def unit(self, start: Any) -> Unit | None:
        done = self._begin() if start is None else start["to"]
        self._spool.read(done, done)  # is it still there?
        end = min(self._end(done), done + self._rows_per_batch)
        began = self._begin() if start is None else start["from"]
        return Unit({"from": began, "to": end}) if end > done else None

    def read(self, start: Any, end: Any) -> Sifted:
        records = self._spool.read(end["from"] if start is None else start["to"], end["to"])
        rows, kept, bad = rows_of(self._format, [r.payload for r in records], lambda n: f"record {records[n].number}")
        return Sifted(rows.with_columns(self._added([records[n] for n in kept])), bad)

    def _added(self, records: list[Received]) -> list[pl.Series]:
        tags = [pl.Series(self._tag, [r.tag for r in records], pl.String)] if self._tag else []
        if self.received is None:
            return tags
        return [*tags, pl.Series(self.received, [r.at for r in records], pl.Int64).cast(pl.Datetime("us"))]

    def waiting(self, end: Any) -> int:
        """Return how many records the spool holds after ``end``."""
        return self._spool.end - (self._begin() if end is None else end["to"])

    def commit(self, end: Any) -> None:
        """Let go of what every query has done."""
        self._commits[self._asker()] = end["to"]
        waiting = [self._commits.get(ended, begin) for ended, begin in self._begins.items() if not ended.is_set()]
        self._spool.forget(min(waiting, default=end["to"]))

    def __repr__(self) -> str:
        return f"{self._verb}({self._label})"
