"""The real servers that tests talk to. Each starts when the first test asks for it and ends with the session."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.servers.kafka_mock import MockKafka
    from tests.servers.postgres import Postgres
    from tests.servers.redis import Redis


@pytest.fixture
def kafka() -> Iterator[MockKafka]:
    """A cluster of three brokers, new for every test."""
    from tests.servers.kafka_mock import MockKafka

    with MockKafka(brokers=3) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    from tests.servers.postgres import Postgres

    server = Postgres()
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    from tests.servers import programs
    from tests.servers.redis import Redis

    program = programs.find("redis-server") or pytest.skip(programs.missing("redis-server"))
    server = Redis(program, str(tmp_path_factory.mktemp("redis")))
    server.start()
    yield server
    server.stop()
