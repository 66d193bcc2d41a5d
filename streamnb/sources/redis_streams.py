"""from_redis: the entries of a Redis stream, read by their ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from streamnb.connect import BadRecord, Sifted, Source, Unit
from streamnb.contact import Reached
from streamnb.errors import DataError, PlanError
from streamnb.patience import library, secrets_of, shown
from streamnb.schema import Schema, polars_schema
from streamnb.sources.answers import Answers
from streamnb.sources.records import Format, decoded, fitted, guess, objects, rows_of, simple_format
from streamnb.time import SECOND, Duration, duration

Entry = tuple[bytes, dict[bytes, bytes]]
_SAMPLE = 100


def from_redis(
    stream: str,
    url: str,
    schema: Schema | None = None,
    *,
    field: str | None = None,
    format: str = "json",
    id: str | None = "id",
    rows_per_batch: int = 10_000,
    timeout: Duration = "5 seconds",
) -> Source:
    """Read a Redis stream from its first entry on. The query keeps the id it has read to; no group is joined.

    Every range can be read again while its entries are there; a query that has fallen behind entries that were trimmed
    or deleted fails and says so. A server that is away after a first contact is waited for; ``q.troubles`` and the
    dashboard show it.

    Parameters
    ----------
    url
        ``"redis://:password@host:6379/0"``; the password is never shown.
    schema
        The fields of an entry, as text made to fit; or those of the JSON in ``field``. None: guessed. A field that it
        does not name is left out, one that is not there is null, one that does not fit makes its entry a dead letter.
    field
        The one field that holds the whole row, by ``format``: ``"json"``, ``"text"`` or ``"raw"``.
    id
        The column for an entry's id. None: no such column.
    rows_per_batch
        At most so many entries in one step.
    timeout
        How long the server may take to answer.

    >>> sn.from_redis("flights", "redis://:secret@localhost", {"n": "int64"})
      1  read RedisStream('flights' at redis://localhost)
    """
    if rows_per_batch < 1:
        raise PlanError(
            f"from_redis: rows_per_batch={rows_per_batch!r} reads nothing; give 1 or more.", code="OPTION_INVALID"
        )
    entries = Entries(stream, url, duration(timeout, "from_redis") / SECOND)
    return RedisStream(entries, _fields(entries, field, format, schema), id, rows_per_batch)


def _fields(entries: Entries, field: str | None, format: str, schema: Schema | None) -> Fields:
    if field is None:
        return Fields(polars_schema("from_redis", schema or dict.fromkeys(_names(entries), "string")))
    if schema is None and format == "json":
        schema = guess(objects(fields.get(field.encode()) for _, fields in entries.some())) or _nothing(entries)
    given = simple_format("from_redis", format, schema)
    return Fields(given.schema, field, given)


def _names(entries: Entries) -> list[str]:
    names = list(dict.fromkeys(name.decode() for _, fields in entries.some() for name in fields))
    return names or _nothing(entries)


def _nothing(entries: Entries) -> Any:
    raise DataError(f"from_redis: {entries.name!r} holds no entry to guess its columns from; give schema={{…}}.")


class Fields:
    """How entries become rows: a field a column, or one field that holds the row."""

    def __init__(self, schema: pl.Schema, field: str | None = None, format: Format | None = None) -> None:
        self.schema, self._field, self._format = schema, field, format

    def rows(self, entries: Sequence[Entry]) -> tuple[pl.DataFrame, list[int], list[BadRecord]]:
        def where(n: int) -> str:
            return f"entry {entries[n][0].decode()}"

        if self._format is not None and self._field is not None:
            key = self._field.encode()
            return rows_of(self._format, [fields.get(key) for _, fields in entries], where)
        return rows_of(_Columns(self.schema), [fields for _, fields in entries], where)


class _Columns:
    """An entry's fields, a column each; text unless the column is binary."""

    def __init__(self, schema: pl.Schema) -> None:
        self.schema = schema

    def value(self, payload: Mapping[bytes, bytes]) -> Any:
        fields = {decoded(name): value for name, value in payload.items()}
        return {
            name: value if self.schema[name] == pl.Binary() else decoded(value)
            for name, value in fields.items()
            if name in self.schema
        }

    def frame(self, values: Sequence[Any]) -> pl.DataFrame:
        return fitted(values, self.schema)


class RedisStream(Reached):
    """Entries as a source. An offset holds an id as its two numbers, and the id where the query began."""

    def __init__(self, entries: Entries, fields: Fields, id: str | None, rows_per_batch: int) -> None:
        self._entries, self._fields, self._id, self._rows_per_batch = entries, fields, id, rows_per_batch
        self.contact, self.fields = entries.answers.contact, fields.schema
        if id is not None and id in fields.schema:
            raise PlanError(
                f"from_redis: {id!r} is a field too; give id=None, or another name.", code="COLUMN_DUPLICATE"
            )
        self.schema = pl.Schema({**fields.schema, **({id: pl.String()} if id else {})})

    def latest(self) -> Any:
        first, last = self._entries.edges()
        return None if last is None else {"from": first, "to": last}

    def unit(self, start: Any) -> Unit | None:
        found = self._entries.next(None if start is None else start["to"], self._rows_per_batch)
        if not found:
            return None
        return Unit({"from": _numbers(found[0][0]) if start is None else start["from"], "to": _numbers(found[-1][0])})

    def read(self, start: Any, end: Any) -> Sifted:
        found = self._entries.between(None if start is None else start["to"], end)
        rows, kept, bad = self._fields.rows(found)
        ids = [] if self._id is None else [pl.Series(self._id, [found[n][0].decode() for n in kept], pl.String)]
        return Sifted(rows.with_columns(ids), bad)

    def commit(self, end: Any) -> None:
        """Nothing to do: the id is the query's."""

    def __repr__(self) -> str:
        return f"RedisStream({self._entries.name!r} at {self._entries.address})"


def _numbers(id: bytes) -> list[int]:
    return [int(part) for part in id.split(b"-")]


def _text(id: Sequence[int]) -> str:
    return f"{id[0]}-{id[1]}"


class Entries:
    """A stream on a server."""

    def __init__(self, name: str, url: str, seconds: float) -> None:
        self._redis = library("from_redis", "redis", "redis", "redis")
        self.name, self.address = name, shown(url)
        limits = {"socket_timeout": seconds, "socket_connect_timeout": seconds}
        try:
            self._client = self._redis.Redis.from_url(url, **limits, retry=None)
        except ValueError:
            raise PlanError(
                "from_redis: the url cannot be read; write redis://user:password@host:6379/0.", code="OPTION_INVALID"
            ) from None
        errors = (self._redis.RedisError,)
        label, secrets = f"{name!r} at {self.address}", secrets_of(url)
        self.answers = Answers("from_redis", label, errors, self._is_away, seconds=seconds, secrets=secrets)

    def _is_away(self, error: BaseException) -> bool:
        return isinstance(error, self._redis.ConnectionError | self._redis.TimeoutError)

    def edges(self) -> tuple[list[int] | None, list[int] | None]:
        """Return the ids of the first and the last entry."""
        none: list[Entry] = []
        first = self.answers.ask(lambda: self._client.xrange(self.name, count=1), none)
        last = self.answers.ask(lambda: self._client.xrevrange(self.name, count=1), none)
        return (_numbers(first[0][0]), _numbers(last[0][0])) if first and last else (None, None)

    def some(self) -> list[Entry]:
        """Return the last entries."""
        return list(self.answers.must(lambda: self._client.xrevrange(self.name, count=_SAMPLE)))[::-1]

    def next(self, start: Sequence[int] | None, most: int) -> list[Entry]:
        """Return the entries after an id."""
        return self.answers.ask(lambda: self._range(start, "+", most), [])

    def between(self, start: Sequence[int] | None, end: Mapping[str, Sequence[int]]) -> list[Entry]:
        """Return the entries after an id up to another; a DataError if one of the two ends is not there any more."""
        found = self.answers.must(lambda: self._range(start, _text(end["to"]), None))
        begins = start is not None or (found and _numbers(found[0][0]) == end["from"])
        if not found or _numbers(found[-1][0]) != end["to"] or not begins:
            raise DataError(f"from_redis: entries of {self.name!r} up to {_text(end['to'])} are gone; {_ANEW}")
        return found

    def _range(self, start: Sequence[int] | None, end: str, most: int | None) -> list[Entry]:
        if start is not None:
            self._still_there(start)
        found: list[Entry] = self._client.xrange(self.name, "-" if start is None else f"({_text(start)}", end, most)
        return found

    def _still_there(self, start: Sequence[int]) -> None:
        """Raise if entries behind a place were deleted, or trimmed together with that place."""
        if not self._client.exists(self.name):
            raise DataError(f"from_redis: the stream {self.name!r} is gone; {_ANEW}")
        told = self._client.xinfo_stream(self.name)
        first, last, here = told["first-entry"], _numbers(told["last-generated-id"]), list(start)
        trimmed = here < last and (first is None or _numbers(first[0]) > here)
        if trimmed or _numbers(told.get("max-deleted-entry-id", b"0-0")) > here:
            raise DataError(
                f"from_redis: entries of {self.name!r} at or behind {_text(start)}, where the query stands, were "
                f"deleted; keep more with MAXLEN, and {_ANEW}"
            )


_ANEW = "start the query on a new checkpoint."
