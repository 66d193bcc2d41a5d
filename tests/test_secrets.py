"""A password is nowhere: not in a repr, a trace, an error with all behind it, a script, a checkpoint or a spool."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import streamnb as sn
from tests.servers.process import free_port

SECRET = "0pen-sesame"
ESCAPED = "0pen%2Dsesame"
"""The same in an address: who takes it out of there gets the other."""
SCHEMA = {"n": "int64"}
FAST: dict[str, Any] = {"timeout": "150 ms"}
SASL = {
    "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "sasl.username": "u",
}  # fmt: skip


def at(scheme: str, password: str, path: str = "", port: str | int | None = None) -> str:
    return f"{scheme}://ann:{password}@127.0.0.1:{free_port() if port is None else port}{path}"


Make = Callable[[str, str | int | None], sn.StreamFrame]
SOURCES: dict[str, Make] = {
    "kafka": lambda p, port: sn.from_kafka(
        "t", f"127.0.0.1:{port or free_port()}", SCHEMA, config={**SASL, "sasl.password": p}, **FAST
    ),
    "redis": lambda p, port: sn.from_redis("s", at("redis", p, "/0", port), SCHEMA, **FAST),
    "nats": lambda p, port: sn.from_nats("s", at("nats", p, "", port), SCHEMA, **FAST),
    "postgres": lambda p, port: sn.from_sql("t", at("postgresql", p, "/db", port), "n", SCHEMA, **FAST),
    "postgres words": lambda p, port: sn.from_sql(
        "t", f"host=127.0.0.1 port={port or free_port()} user=u password={p}", "n", SCHEMA, **FAST
    ),
    "postgres query": lambda p, port: sn.from_sql(
        "t", f"postgresql://127.0.0.1:{port or free_port()}/db?user=u&password={p}", "n", SCHEMA, **FAST
    ),
    "redis query": lambda p, port: sn.from_redis(
        "s", f"redis://127.0.0.1:{port or free_port()}/0?password={p}", SCHEMA, **FAST
    ),
    "websocket": lambda p, port: sn.from_websocket(at("ws", p, f"/x?token={p}", port), SCHEMA, **FAST),
    "websocket headers": lambda p, port: sn.from_websocket(
        f"ws://127.0.0.1:{port or free_port()}", SCHEMA, headers={"Authorization": f"Bearer {p}"}, send=[p], **FAST
    ),
    "sse": lambda p, port: sn.from_sse(at("http", p, f"/x?key={p}", port), SCHEMA, **FAST),
    "sse headers": lambda p, port: sn.from_sse(
        f"http://127.0.0.1:{port or free_port()}", SCHEMA, headers={"Authorization": f"Bearer {p}"}, **FAST
    ),
    "mqtt": lambda p, port: sn.from_mqtt(
        "t", "127.0.0.1", int(port or free_port()), SCHEMA, user="u", password=p, **FAST
    ),
}
SINKS: dict[str, Callable[[str, str | int | None], Any]] = {
    "kafka": lambda p, port: sn.sinks.Kafka(
        "t", f"127.0.0.1:{port or free_port()}", timeout="300 ms", config={**SASL, "sasl.password": p}
    ),
    "redis": lambda p, port: sn.sinks.Redis(at("redis", p, "/0", port), "t", **FAST),
    "postgres": lambda p, port: sn.sinks.Postgres(at("postgresql", p, "/db", port), "t", **FAST),
    "postgres words": lambda p, port: sn.sinks.Postgres(
        f"host=127.0.0.1 port={port or free_port()} user=u password={p}", "t", **FAST
    ),
    "delta": lambda p, port: sn.sinks.Delta(
        "s3://bucket/t",
        storage_options={
            "AWS_ACCESS_KEY_ID": p, "AWS_SECRET_ACCESS_KEY": p, "AWS_REGION": "x", "AWS_ALLOW_HTTP": "true",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port or free_port()}", "max_retries": "0", "retry_timeout": "1s",
        },
        timeout="2 seconds",
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _ended() -> Iterator[None]:
    yield
    for query in sn.queries():
        query.stop()


def script_of(frame: sn.StreamFrame) -> str:
    try:
        return frame.to_pyspark_source()
    except sn.PlanError as error:
        return str(error)


def told(query: sn.Query, frame: sn.StreamFrame, folder: Path) -> list[str]:
    """Return all that a query and its frame say, and what they have written down."""
    seen = [query, query.sources, query.trace, query.progress, query.explain(), query.findings]
    seen += [
        failure(query.why_no_output),
        frame,
        frame.explain(),
        sn.doctor(frame),
        sn.plan(frame),
        sn.recover(folder),
        script_of(frame),
    ]
    seen += [[vars(query._delivery._sink)] if query._delivery._sink else []]
    files = [path.read_bytes() for path in folder.parent.rglob("*") if path.is_file()]
    return [*map(repr, seen), *(content.decode(errors="replace") for content in files), *map(str, seen)]


def failure(action: Callable[[], Any]) -> str:
    """Return how an action fails, with everything behind it, as a notebook prints it; nothing if it goes well."""
    try:
        action()
    except Exception as error:  # noqa: BLE001  whatever it is, it is printed
        return "".join(traceback.format_exception(error)) + repr(error.args)
    return ""


def assert_hidden(texts: list[str]) -> None:
    for text in texts:
        for secret in (SECRET, ESCAPED):
            assert secret not in text, text[max(0, text.index(secret) - 300) : text.index(secret) + 100]


@pytest.mark.parametrize("password", [SECRET, ESCAPED])
@pytest.mark.parametrize("name", SOURCES)
def test_of_a_source_that_cannot_be_reached(name, password, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if name.startswith("postgres"):  # the table's columns are asked at once
        said = failure(lambda: SOURCES[name](password, None))
        assert "from_sql: postgresql://127.0.0.1:" in said
        assert_hidden([said])
        return
    frame = SOURCES[name](password, None)
    query = frame.query(checkpoint=tmp_path / "checkpoint")
    said = failure(query.step)
    assert_hidden([said, *told(query, frame, tmp_path / "checkpoint"), failure(lambda: sn.peek(frame))])
    assert said or name in {"websocket", "websocket headers", "sse", "sse headers", "mqtt"}


@pytest.mark.parametrize("password", [SECRET, ESCAPED])
@pytest.mark.parametrize("name", SINKS)
def test_of_a_sink_that_cannot_be_reached(name, password, tmp_path):
    source = sn.MemorySource(SCHEMA)
    source.add([{"n": 1}])
    frame = sn.stream(source)
    query = frame.query(checkpoint=tmp_path / "checkpoint", sink=SINKS[name](password, None), sink_retries=0)
    said = failure(query.step)
    assert said
    assert_hidden([said, *told(query, frame, tmp_path / "checkpoint")])


URLS = ("redis", "nats", "postgres", "websocket", "sse")


@pytest.mark.parametrize("port", ["no-port", "99999999"])
@pytest.mark.parametrize("name", URLS)
def test_of_an_address_that_cannot_be_read(name, port):
    def open_it() -> None:
        SOURCES[name](SECRET, port).query().step()

    said = failure(open_it)
    assert said
    assert_hidden([said])


@pytest.mark.parametrize("name", ["redis", "postgres"])
def test_of_a_sink_whose_address_cannot_be_read(name):
    source = sn.MemorySource(SCHEMA)
    source.add([{"n": 1}])

    def open_it() -> None:
        sn.stream(source).query(sink=SINKS[name](SECRET, "no-port"), sink_retries=0).step()

    said = failure(open_it)
    assert said
    assert_hidden([said])
