"""The real servers that tests talk to. Each starts when the first test asks for it and ends with the session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.lacking import give_up

if TYPE_CHECKING:
    from tests.servers.kafka_mock import MockKafka
    from tests.servers.mosquitto import Mosquitto
    from tests.servers.nats import Nats
    from tests.servers.postgres import Postgres
    from tests.servers.redis import Redis


TOGETHER = ("browser", "spark")
"""Folders whose tests share one dear thing, JupyterLab or Spark's session: one worker runs each, and they run first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not _scope(item.nodeid).endswith(TOGETHER))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give a worker a whole file at a time, or one of the folders that stay together."""
    from xdist.scheduler import LoadScopeScheduling

    scheduler = LoadScopeScheduling(config, log)
    scheduler._split_scope = _scope
    return scheduler


def _scope(test: str) -> str:
    folder = "/".join(test.split("/")[:2])
    return folder if folder.endswith(TOGETHER) else test.split("::", maxsplit=1)[0]


@pytest.fixture
def kafka() -> Iterator[MockKafka]:
    """A cluster of three brokers, new for every test."""
    from tests.servers.kafka_mock import MockKafka

    with MockKafka(brokers=3) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    from tests.servers.start import start_postgres

    server = start_postgres()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    from tests.servers import programs
    from tests.servers.start import start_redis

    if programs.find("redis-server") is None:
        give_up(programs.missing("redis-server"))
    server = start_redis()
    yield server
    server.remove()


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    from tests.servers import programs
    from tests.servers.mosquitto import Mosquitto

    program = programs.find("mosquitto") or give_up(programs.missing("mosquitto"))
    server = Mosquitto(program, tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nats]:
    from tests.servers import programs
    from tests.servers.nats import Nats

    program = programs.find("nats-server") or give_up(programs.missing("nats-server"))
    server = Nats(program, tmp_path_factory.mktemp("nats"))
    server.start()
    yield server
    server.stop()
