"""The transactional sinks under one face, for the rules that all of them keep and for the kill tests."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

import streamnb as sn
from streamnb.sinks.ledger import Ledger, Verdict

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Kind:
    """How to make a sink at a place (a path, or an address), how to read what is there, and how to wipe it out."""

    make: Callable[..., Any]
    read: Callable[[str], Rows]
    wipe: Callable[[str], object]
    modes: tuple[str, ...] = ("append", "update", "complete")
    server: str | None = None
    """The fixture of the server that has ``place(name)``; None: the place is a path."""


def sqlite(place: str, **options: Any) -> Any:
    return sn.sinks.SQLite(place, "t", **options)


def read_sqlite(place: str) -> Rows:
    with closing(sqlite3.connect(place)) as db:
        db.row_factory = sqlite3.Row
        return [dict(row) for row in db.execute("SELECT * FROM t")]


def duckdb(place: str, **options: Any) -> Any:
    return sn.sinks.DuckDB(place, "t", **options)


def read_duckdb(place: str) -> Rows:
    import duckdb

    with duckdb.connect(place) as db:
        result = db.execute("SELECT * FROM t")
        names = [name for name, *_ in result.description or ()]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def files(place: str, **_: Any) -> Any:
    return sn.sinks.Files(place)


def read_files(place: str) -> Rows:
    return sn.sinks.Files(place).read_polars().to_dicts()


def postgres(place: str, **options: Any) -> Any:
    return sn.sinks.Postgres(place, "t", **options)


def ask_postgres(place: str, sql: str) -> Any:
    import psycopg
    from psycopg.rows import dict_row

    with psycopg.connect(place, connect_timeout=10, row_factory=dict_row) as link:
        return link.execute(sql)


def read_postgres(place: str) -> Rows:
    return list(ask_postgres(place, "SELECT * FROM t").fetchall())


def wipe_postgres(place: str) -> None:
    ask_postgres(place, "DROP TABLE t, _streamnb_ledger")


def delta(place: str, **options: Any) -> Any:
    return sn.sinks.Delta(place, **options)


def read_delta(place: str) -> Rows:
    return pl.read_delta(place).to_dicts()


def redis(place: str, **options: Any) -> Any:
    url, name = place.split(" ")
    return sn.sinks.Redis(url, name, **options)


def read_redis(place: str) -> Rows:
    import redis

    url, name = place.split(" ")
    with redis.Redis.from_url(url, socket_timeout=10) as link:
        rows = link.hvals(name) if link.type(name) == b"hash" else [e[b"row"] for _, e in link.xrange(name)]
        return [json.loads(row) for row in rows]


def wipe_redis(place: str) -> None:
    import redis

    url, name = place.split(" ")
    with redis.Redis.from_url(url, socket_timeout=10) as link:
        link.delete(name, f"_streamnb:{{{name}}}")


def kafka(place: str, **_: Any) -> Any:
    servers, topic = place.split(" ")
    return sn.sinks.Kafka(topic, servers)


def read_kafka(place: str) -> Rows:
    """Return the rows of all messages, of those with one id the first."""
    from confluent_kafka import Consumer, TopicPartition

    servers, topic = place.split(" ")
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "g", "log_level": 0})
    try:
        _, end = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=20)
        consumer.assign([TopicPartition(topic, 0, 0)])
        found = consumer.consume(end, timeout=20)
    finally:
        consumer.close()
    once = {dict(message.headers() or ())["streamnb-id"]: message.value() or b"" for message in found}
    return [json.loads(value) for value in once.values()]


class Amnesia(Ledger):
    """Writes whatever comes, as a sink without a ledger does."""

    def judge(self, found: tuple[int, int, str] | None, batch_id: int, rows: str) -> Verdict:
        return Verdict.WRITE


class Forgetful(sn.sinks.SQLite):
    """The sink by which the kill tests are tested."""

    def open(self, query: str, epoch: int) -> None:
        self._ledger = Amnesia(query, epoch)


KINDS = {
    "sqlite": Kind(sqlite, read_sqlite, lambda place: Path(place).unlink()),
    "duckdb": Kind(duckdb, read_duckdb, lambda place: Path(place).unlink()),
    "files": Kind(files, read_files, shutil.rmtree, modes=("append", "complete")),
    "delta": Kind(delta, read_delta, shutil.rmtree),
    "redis": Kind(redis, read_redis, wipe_redis, server="redis_server"),
    "postgres": Kind(postgres, read_postgres, wipe_postgres, server="postgres_server"),
}
MUTANT, LEAST_ONCE = "mutant", "kafka"
ALL = {
    **KINDS,
    MUTANT: Kind(lambda place, **options: Forgetful(place, "t", **options), read_sqlite, KINDS["sqlite"].wipe),
    LEAST_ONCE: Kind(kafka, read_kafka, lambda _: None, modes=("append",), server="kafka"),
}
