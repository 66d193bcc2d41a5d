"""Redis: rows and the ledger of batches in one script on the server, which does all or nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from typing import Any

import polars as pl

from streamnb.errors import PlanError, QueryError
from streamnb.patience import library, masked, patiently
from streamnb.points import reached
from streamnb.sinks.ledger import Verdict, digest
from streamnb.sinks.plain import as_json, json_rows, plain
from streamnb.sinks.target import Target, Transactional
from streamnb.time import SECOND, Duration, duration

# KEYS: data, ledger. ARGV: query, the note that was found, the new note, mode, rows as [[field, row, version] …].
_SCRIPT = """
if (redis.call('HGET', KEYS[2], ARGV[1]) or '') ~= ARGV[2] then return 0 end
if ARGV[4] == 'complete' then redis.call('DEL', KEYS[1]) end
for _, row in ipairs(cjson.decode(ARGV[5])) do
  local field, text, version = row[1], row[2], row[3]
  if field == cjson.null then
    redis.call('XADD', KEYS[1], '*', 'row', text)
  else
    local there = version and redis.call('HGET', KEYS[1], field)
    local older = true
    if there then
      local old = cjson.decode(there)[ARGV[6]]
      older = old == nil or old == cjson.null or (version ~= cjson.null and version >= old)
    end
    if older then redis.call('HSET', KEYS[1], field, text) end
  end
end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
return 1
"""


class Redis(Transactional):
    """Write a hash or a stream of Redis, exactly once.

    With ``key`` the rows are fields of the hash ``name``: the field is the key as JSON (``"ann"``, ``7``, ``null``; of
    several columns a list), the value is the row as JSON. Without a key each row is an entry of the stream ``name``, as
    JSON in its field ``row``. Append and update mode set or add; complete mode replaces all. With ``version``, a number
    or a time, a row only replaces one with an older or equal value in that column.

    Rows and the note which batch they were are written by one script, so a batch that comes again is skipped; the notes
    are the hash ``_streamnb:{name}``. What survives the end of the server is the server's setting (``appendfsync``); if
    it forgets batches, the query refuses to go on.

    ``url`` is ``redis://user:password@host:port/db``, or ``rediss://``; it is never shown. What is written without a
    key is a source again: ``sn.from_redis(name, url, field="row")``.

    >>> sn.sinks.Redis("redis://:secret@localhost", "hourly")
    Redis('localhost:6379', 'hourly')
    """

    def __init__(
        self,
        url: str,
        name: str,
        key: str | Sequence[str] | None = None,
        version: str | None = None,
        timeout: Duration = "30 seconds",
    ) -> None:
        self._redis = library("sinks.Redis", "redis", "redis", "redis")
        self._target = Target.of("Redis", name, key, version)
        self._seconds = duration(timeout, "Redis") / SECOND
        self._connect, self._said, self._place = self._reaching(url)

    def _reaching(self, url: str) -> tuple[Callable[[], Any], Callable[[object], str], str]:
        """Return how to connect, how to tell of an error, and what may be shown; the password is in no attribute."""
        with suppress(ValueError):
            parts = self._redis.connection.parse_url(url)
            limits = {"socket_timeout": self._seconds, "socket_connect_timeout": self._seconds}
            place = f"{parts.get('host', parts.get('path', 'localhost'))}:{parts.get('port', 6379)}"
            secrets = [url, parts.get("password")]
            return lambda: self._redis.Redis.from_url(url, **limits), lambda error: masked(error, secrets), place
        raise PlanError(
            "Redis: the url cannot be read; write redis://user:password@host:6379/0.", code="OPTION_INVALID"
        )

    def __repr__(self) -> str:
        return f"Redis({self._place!r}, {self._target.table!r})"

    def write_polars(self, batch_id: int, rows: pl.DataFrame, mode: str) -> None:
        self.check(mode)
        errors = self._redis.exceptions
        try:
            return patiently(lambda: self._write(batch_id, rows, mode), self._seconds)
        except errors.AuthenticationError as error:
            failure: Exception = QueryError(f"Redis: {self._place} refuses: {self._said(error)}; mend the url.")
        except (errors.ConnectionError, errors.TimeoutError) as error:
            failure = ConnectionError(f"{self._place}: {self._said(error)}")
        except errors.RedisError as error:
            failure = QueryError(f"Redis: {self._said(error)}; write under another name than {self._target.table!r}.")
        raise failure  # outside of the handlers, so that the client's own words are nowhere behind it

    def _write(self, batch_id: int, rows: pl.DataFrame, mode: str) -> None:
        mine, payload = digest(rows), json.dumps(list(self._rows(self._target.newest(rows))))
        note = json.dumps([batch_id, self._ledger.epoch, mine])
        keys = (self._target.table, f"_streamnb:{{{self._target.table}}}")
        with closing(self._connect()) as link:
            while True:
                found = (link.hget(keys[1], self._ledger.query) or b"").decode()
                noted = tuple(json.loads(found)) if found else None
                if self._ledger.judge(noted, batch_id, mine) is Verdict.SKIP:
                    return
                reached("sink.rows")
                reached("sink.ledger")
                arguments = (self._ledger.query, found, note, mode, payload, self._target.version or "")
                if link.eval(_SCRIPT, 2, *keys, *arguments):
                    return

    def _rows(self, rows: pl.DataFrame) -> Iterator[list[Any]]:
        """Give field, row and version of every row, as JSON has them."""
        key, version = self._target.key, self._target.version
        texts, flat = json_rows("Redis", rows), plain("Redis", rows)
        fields = (
            [as_json(values[0] if len(key) == 1 else values) for values in flat.select(key).rows()] if key else None
        )
        versions = None if version is None else flat[version].to_list()
        for n, text in enumerate(texts):
            yield [fields and fields[n], text, *([versions[n]] if versions else [])]
