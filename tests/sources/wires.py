"""Every connector under one face: a frame of two columns that comes over a real wire, and the way to say JSON to it."""

from __future__ import annotations

import json
import queue
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import streamnb as sn
from tests.sources import test_kafka, test_mqtt, test_nats, test_redis, test_sse, test_tcp, test_websocket
from tests.sources.waiting import eventually

Json = dict[str, Any]


@dataclass
class Wire:
    """A frame, and ``say``, which sends one row."""

    frame: sn.StreamFrame
    say: Callable[[Json], object]

    def tell(self, query: sn.Query, *rows: Json) -> None:
        """Say rows, once somebody listens."""
        query.step()
        eventually(lambda: not query.sources[0].endswith("not connected yet"))
        for row in rows:
            self.say(row)

    def drive(self, query: sn.Query, rows: int, dead: int = 0) -> sn.Query:
        """Step until so many rows have come and so many records were set aside."""

        def enough() -> bool:
            query.step()
            return (len(query.result), len(query.dead_letters)) == (rows, dead)

        eventually(enough)
        return query


def encoded(row: Json) -> bytes:
    return json.dumps(row).encode()


Make = Callable[[pytest.FixtureRequest, ExitStack, Path, Any], Wire]


def kafka(request: pytest.FixtureRequest, _: ExitStack, __: Path, schema: Any) -> Wire:
    topic = test_kafka.Topic(request.getfixturevalue("kafka"))
    return Wire(topic.read(schema, metadata=["partition"], timeout="2 seconds"), topic.write)


def redis(request: pytest.FixtureRequest, stack: ExitStack, _: Path, schema: Any) -> Wire:
    stream = test_redis.Stream(request.getfixturevalue("redis_server"))
    stack.callback(stream.redis.delete, stream.name)
    return Wire(stream.read(schema), lambda row: stream.redis.xadd(stream.name, dict(row.items())))


def redis_field(request: pytest.FixtureRequest, stack: ExitStack, _: Path, schema: Any) -> Wire:
    stream = test_redis.Stream(request.getfixturevalue("redis_server"))
    stack.callback(stream.redis.delete, stream.name)
    return Wire(stream.read(schema, field="row"), lambda row: stream.redis.xadd(stream.name, {"row": encoded(row)}))


def nats(request: pytest.FixtureRequest, _: ExitStack, __: Path, schema: Any) -> Wire:
    stream = test_nats.Stream(request.getfixturevalue("nats_server"))
    return Wire(stream.read(schema), lambda row: stream.add(encoded(row)))


def mqtt(request: pytest.FixtureRequest, _: ExitStack, __: Path, schema: Any) -> Wire:
    broker = request.getfixturevalue("mosquitto")
    return Wire(test_mqtt.read(broker, schema), lambda row: test_mqtt.publish(broker, encoded(row)))


def tcp(_: pytest.FixtureRequest, stack: ExitStack, __: Path, schema: Any) -> Wire:
    server = stack.enter_context(test_tcp.Lines())
    return Wire(test_tcp.read(server, schema), lambda row: server.say(encoded(row) + b"\n"))


def websocket(_: pytest.FixtureRequest, stack: ExitStack, __: Path, schema: Any) -> Wire:
    server = stack.enter_context(test_websocket.Server())
    return Wire(test_websocket.read(server, schema), lambda row: server.said.put(encoded(row)))


def sse(_: pytest.FixtureRequest, stack: ExitStack, __: Path, schema: Any) -> Wire:
    server = stack.enter_context(test_sse.Events())
    return Wire(sn.from_sse(server.url, schema), lambda row: server.said.put(b"data: " + encoded(row) + b"\n\n"))


def generator(_: pytest.FixtureRequest, stack: ExitStack, __: Path, schema: Any) -> Wire:
    said: queue.Queue[Json | None] = queue.Queue()
    stack.callback(said.put, None)
    return Wire(sn.from_generator(iter(said.get, None), schema), said.put)


def lines(_: pytest.FixtureRequest, __: ExitStack, folder: Path, schema: Any) -> Wire:
    (folder / "in").mkdir()

    def say(row: Json) -> None:
        with (folder / "in/a.jsonl").open("ab") as file:
            file.write(encoded(row) + b"\n")

    return Wire(sn.from_files(f"{folder}/in/*.jsonl", schema), say)


WIRES: dict[str, Make] = {
    "kafka": kafka, "redis": redis, "redis field": redis_field, "nats": nats, "mqtt": mqtt, "tcp": tcp,
    "websocket": websocket, "sse": sse, "generator": generator, "lines": lines,
}  # fmt: skip


@contextmanager
def wire(name: str, request: pytest.FixtureRequest, folder: Path, schema: Any) -> Iterator[Wire]:
    with ExitStack() as stack:
        yield WIRES[name](request, stack, folder, schema)
