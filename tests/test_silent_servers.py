"""A server that takes a connection and says nothing: one clear line within the limit, and an end with ``q.stop()``."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import streamnb as sn

SCHEMA = {"n": "int64"}


class Silent:
    """Listens, and leaves every caller on the line."""

    def __init__(self) -> None:
        self._door = socket.create_server(("127.0.0.1", 0), backlog=50)
        self.port: int = self._door.getsockname()[1]
        self.called = threading.Event()
        self._lines: list[socket.socket] = []
        threading.Thread(target=self._answer, daemon=True).start()

    def _answer(self) -> None:
        with contextlib.suppress(OSError):  # the door is shut
            while True:
                self._lines.append(self._door.accept()[0])
                self.called.set()

    def close(self) -> None:
        self._door.close()
        for line in self._lines:
            line.close()


@pytest.fixture
def silent() -> Iterator[Silent]:
    server = Silent()
    yield server
    for query in sn.queries():
        query.stop()
    server.close()


SOURCES: dict[str, Callable[[int, str], sn.StreamFrame]] = {
    "kafka": lambda port, limit: sn.from_kafka("t", f"127.0.0.1:{port}", SCHEMA, timeout=limit),
    "redis": lambda port, limit: sn.from_redis("s", f"redis://127.0.0.1:{port}/0", SCHEMA, timeout=limit),
    "nats": lambda port, limit: sn.from_nats("s", f"nats://127.0.0.1:{port}", SCHEMA, timeout=limit),
    "websocket": lambda port, limit: sn.from_websocket(f"ws://127.0.0.1:{port}", SCHEMA, timeout=limit),
    "sse": lambda port, limit: sn.from_sse(f"http://127.0.0.1:{port}", SCHEMA, timeout=limit),
    "mqtt": lambda port, limit: sn.from_mqtt("t", "127.0.0.1", port, SCHEMA, timeout=limit),
}
SINKS: dict[str, Callable[[int, str], Any]] = {
    "kafka": lambda port, limit: sn.sinks.Kafka("t", f"127.0.0.1:{port}", timeout=limit),
    "redis": lambda port, limit: sn.sinks.Redis(f"redis://127.0.0.1:{port}/0", "t", timeout=limit),
    "postgres": lambda port, limit: sn.sinks.Postgres(f"host=127.0.0.1 port={port} dbname=d", "t", timeout=limit),
    "delta": lambda port, limit: sn.sinks.Delta(
        "s3://bucket/t",
        storage_options={
            "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "k", "AWS_REGION": "x", "AWS_ALLOW_HTTP": "true",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        },
        timeout=limit,
    ),
}  # fmt: skip


def filled() -> sn.StreamFrame:
    source = sn.MemorySource(SCHEMA)
    source.add([{"n": 1}])
    return sn.stream(source)


def query_of(name: str, port: int, limit: str) -> sn.Query:
    kind, _, system = name.partition(" ")
    if kind == "source":
        return SOURCES[system](port, limit).query()
    return filled().query(sink=SINKS[system](port, limit), sink_retries=0)


ALL = [*(f"source {name}" for name in SOURCES), *(f"sink {name}" for name in SINKS)]


@pytest.mark.parametrize("name", ALL)
def test_a_query_that_waits_for_an_answer_ends_within_a_second(silent, name):
    query = query_of(name, silent.port, "1 minute").play(every="10 ms")
    assert silent.called.wait(20)
    began = time.monotonic()
    query.stop()
    assert time.monotonic() - began < 1
    assert query.exception is None


@pytest.mark.parametrize("name", ALL)
def test_the_wait_has_a_limit_and_ends_in_one_line(silent, name):
    query = query_of(name, silent.port, "1 second")
    with pytest.raises(sn.StreamnbError) as caught:
        wait_for_the_error(query)
    assert "\n" not in str(caught.value)
    assert "None" not in str(caught.value)


def wait_for_the_error(query: sn.Query) -> None:
    """Step until it is known: what is received in the background is tried for as long as its limit allows."""
    until, never = time.monotonic() + 20, threading.Event()
    while time.monotonic() < until:
        query.step()
        never.wait(0.05)


def test_a_table_is_asked_for_its_columns_within_the_limit(silent):
    began = time.monotonic()
    with pytest.raises(sn.DataError, match=r"from_sql: postgresql://127\.0\.0\.1:\d+/d: "):
        sn.from_sql("t", f"host=127.0.0.1 port={silent.port} dbname=d", "n", timeout="1 second")
    assert time.monotonic() - began < 10
