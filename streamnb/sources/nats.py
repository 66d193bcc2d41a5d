"""from_nats: the messages of a JetStream stream, read by their sequence numbers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import polars as pl

from streamnb.connect import Sifted, Source, Unit
from streamnb.contact import Reached
from streamnb.errors import DataError, PlanError
from streamnb.patience import library, secrets_of, shown
from streamnb.schema import Schema
from streamnb.sources.answers import Answers, unknown
from streamnb.sources.records import Format, guess, objects, rows_of, simple_format
from streamnb.time import SECOND, Duration, duration

Found = TypeVar("Found")
_ADDED = {"subject": pl.String(), "sequence": pl.Int64(), "timestamp": pl.Datetime("us")}
_SAMPLE = 100
_ANEW = "start the query on a new checkpoint."


def from_nats(
    stream: str,
    url: str,
    schema: Schema | None = None,
    *,
    format: str = "json",
    metadata: Mapping[str, str] | tuple[str, ...] = tuple(_ADDED),
    rows_per_batch: int = 10_000,
    timeout: Duration = "5 seconds",
) -> Source:
    """Read a stream of NATS JetStream from its first message on. The query keeps the number it has read to.

    No consumer is left behind and nothing is acknowledged, so every range can be read again while its messages are
    there; a query that has fallen behind messages that were dropped fails and says so. A server that is away after a
    first contact is waited for; ``q.troubles`` and the dashboard show it.

    Parameters
    ----------
    url
        ``"nats://user:password@host:4222"``; the password is never shown.
    schema
        The fields of the JSON messages. None: guessed from the last ones. A field that it does not name is left out,
        one that is not there is null, a value that does not fit makes its message a dead letter.
    format
        ``"json"``, or ``"text"`` or ``"raw"`` for one column ``value``.
    metadata
        Which of ``subject``, ``sequence`` and ``timestamp`` (UTC) become columns; a dict renames.
    rows_per_batch, timeout
        As in ``from_kafka``.

    >>> sn.from_nats("flights", "nats://localhost:4222", {"n": "int64"})
      1  read JetStream('flights' at nats://localhost:4222)
    """
    if rows_per_batch < 1:
        raise PlanError(
            f"from_nats: rows_per_batch={rows_per_batch!r} reads nothing; give 1 or more.", code="OPTION_INVALID"
        )
    log = Log(stream, url, duration(timeout, "from_nats") / SECOND)
    given = _guessed(log) if schema is None and format == "json" else schema
    names = dict(metadata) if isinstance(metadata, Mapping) else {name: name for name in metadata}
    return JetStream(log, simple_format("from_nats", format, given), names, rows_per_batch)


def _guessed(log: Log) -> dict[str, str]:
    first, last = log.must_edges()
    messages = log.messages(max(first, last - _SAMPLE + 1), last)
    found = guess(objects(message.data for message in messages))
    if not found:
        raise DataError(f"from_nats: {log.name!r} holds no message to guess its columns from; give schema={{…}}.")
    return found


class JetStream(Reached):
    """Messages as a source. An offset holds a sequence number, and the one where the query began."""

    def __init__(self, log: Log, format: Format, names: Mapping[str, str], rows_per_batch: int) -> None:
        self._log, self._format, self._names, self._rows_per_batch = log, format, names, rows_per_batch
        self.contact, self.fields = log.answers.contact, format.schema
        self.received = names.get("timestamp")
        try:
            added = {column: _ADDED[name] for name, column in names.items()}
        except KeyError as error:
            raise PlanError(
                f"from_nats: metadata={error} is not there; choose among {[*_ADDED]}.", code="OPTION_INVALID"
            ) from None
        twice = [name for name in added if name in format.schema]
        if twice:
            raise PlanError(
                f"from_nats: {twice} are fields of the message too; rename them with metadata={{…}}.",
                code="COLUMN_DUPLICATE",
            )
        self.schema = pl.Schema({**format.schema, **added})

    def latest(self) -> Any:
        edges = self._log.edges()
        return None if edges is None or edges[1] < edges[0] else {"from": edges[0], "to": edges[1]}

    def unit(self, start: Any) -> Unit | None:
        edges = self._log.edges()
        if edges is None:
            return None
        first, last = edges
        done = first - 1 if start is None else start["to"]
        if start is not None:
            self._log.check(done, first, last)
        end = min(last, done + self._rows_per_batch)
        return Unit({"from": first if start is None else start["from"], "to": end}) if end > done else None

    def read(self, start: Any, end: Any) -> Sifted:
        messages = self._log.messages(end["from"] if start is None else start["to"] + 1, end["to"])
        payloads = [message.data for message in messages]
        rows, kept, bad = rows_of(self._format, payloads, lambda n: f"message {_sequence(messages[n])}")
        good = [messages[n] for n in kept]
        return Sifted(rows.with_columns(_added(name, column, good) for name, column in self._names.items()), bad)

    def commit(self, end: Any) -> None:
        """Nothing to do: the number is the query's."""

    def __repr__(self) -> str:
        return f"JetStream({self._log.name!r} at {self._log.address})"


def _sequence(message: Any) -> int:
    return int(message.metadata.sequence.stream)


def _added(name: str, column: str, messages: list[Any]) -> pl.Series:
    if name == "subject":
        return pl.Series(column, [m.subject for m in messages], pl.String)
    if name == "sequence":
        return pl.Series(column, [_sequence(m) for m in messages], pl.Int64)
    times = [m.metadata.timestamp.replace(tzinfo=None) for m in messages]
    return pl.Series(column, times, pl.Datetime("us"))


class Log:
    """A stream on a server. Every question has a connection of its own."""

    def __init__(self, name: str, url: str, seconds: float) -> None:
        self._nats = library("from_nats", "nats", "nats-py", "nats")
        self._errors = library("from_nats", "nats.errors", "nats-py", "nats")
        self._js = library("from_nats", "nats.js", "nats-py", "nats")
        self.name, self.address, self._url, self._seconds = name, shown(url), url, seconds
        label, errors, secrets = f"{name!r} at {self.address}", (self._errors.Error,), secrets_of(url)
        self.answers = Answers("from_nats", label, errors, self._is_away, seconds=seconds, secrets=secrets)

    def _is_away(self, error: BaseException) -> bool:
        return not isinstance(error, self._js.errors.NotFoundError)

    def edges(self) -> tuple[int, int] | None:
        """Return the first and the last sequence number; None while the server is away."""
        return self.answers.ask(lambda: self._run(self._state), None)

    def must_edges(self) -> tuple[int, int]:
        return self.answers.must(lambda: self._run(self._state))

    def check(self, done: int, first: int, last: int) -> None:
        """Raise if what comes after a message cannot be there any more."""
        if first > done + 1:
            raise DataError(f"from_nats: message {done + 1} of {self.name!r} is gone, {first} is the first; {_ANEW}")
        if last < done:
            raise DataError(f"from_nats: {self.name!r} ends at {last} and {done} was read: it is a new one; {_ANEW}")

    def messages(self, first: int, last: int) -> list[Any]:
        """Return the messages of a range; a DataError if its first is not there any more."""
        there, end = self.must_edges()
        self.check(first - 1, there, end)
        return self.answers.must(lambda: self._run(lambda js: self._fetch(js, first, last)))

    async def _state(self, js: Any) -> tuple[int, int]:
        try:
            state = (await js.stream_info(self.name)).state
        except self._js.errors.NotFoundError:
            known = [one.config.name for one in await js.streams_info()]
            raise unknown("from_nats", self.address, "stream", self.name, known) from None
        return max(1, state.first_seq), state.last_seq

    async def _fetch(self, js: Any, first: int, last: int) -> list[Any]:
        """Fetch by a consumer that goes away by itself. Numbers may be missing: messages can be deleted one by one."""
        policies = self._js.api
        consumer = await js.add_consumer(
            self.name,
            policies.ConsumerConfig(
                deliver_policy=policies.DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=first,
                ack_policy=policies.AckPolicy.NONE,
                inactive_threshold=30.0,
            ),
        )
        found: list[Any] = []
        waiting = consumer.num_pending
        subscription = await js.pull_subscribe_bind(consumer.name, self.name)
        while waiting and (not found or _sequence(found[-1]) < last):
            found += await subscription.fetch(min(500, waiting), timeout=self._seconds)
            waiting = found[-1].metadata.num_pending
        await js.delete_consumer(self.name, consumer.name)
        return [message for message in found if _sequence(message) <= last]

    def _run(self, call: Callable[[Any], Awaitable[Found]]) -> Found:
        heard: list[Exception] = []  # the client tells why it tries again, and goes on until its time is up

        async def told(error: Exception) -> None:
            heard.append(error)

        async def connected() -> Found:
            link = await self._nats.connect(
                self._url, connect_timeout=self._seconds, allow_reconnect=False, error_cb=told
            )
            try:
                return await call(link.jetstream(timeout=self._seconds))
            finally:
                await link.close()

        try:
            return asyncio.run(asyncio.wait_for(connected(), self._seconds))
        except TimeoutError as error:
            raise ConnectionError(str(heard[-1]) if heard else f"no answer within {self._seconds:g} s") from error
