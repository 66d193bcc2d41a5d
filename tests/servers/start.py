"""Start a server by name; it has ``place(name)``, an address of its own for each name, and ``remove()``."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Protocol

from tests.servers import programs
from tests.servers.kafka_mock import MockKafka
from tests.servers.postgres import Postgres
from tests.servers.redis import Redis


class Started(Protocol):
    def place(self, name: str) -> str: ...

    def remove(self) -> None: ...


def start_postgres() -> Postgres:
    server = Postgres()
    server.start()
    return server


def start_redis() -> Redis:
    program = programs.find("redis-server")
    if program is None:
        raise FileNotFoundError(programs.missing("redis-server"))
    server = Redis(program, tempfile.mkdtemp(prefix="streamnb-redis-"))
    server.start()
    return server


class Kafka(MockKafka):
    """A cluster of one broker."""

    def remove(self) -> None:
        self.close()


START: dict[str, Callable[[], Started]] = {
    "postgres_server": start_postgres,
    "redis_server": start_redis,
    "kafka": Kafka,
}
"""By the names of their fixtures."""
