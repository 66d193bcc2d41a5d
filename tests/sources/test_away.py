"""A server that is away: every question to the query is answered, with why, since when, and how often it was tried."""

from __future__ import annotations

import datetime as dt
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import streamnb as sn
from streamnb.contact import Contact
from streamnb.views.dashboard import Dashboard
from tests.servers.process import free_port
from tests.sources.test_sql import Database, postgres_address
from tests.sources.waiting import eventually, seconds_to_stop
from tests.sources.wires import Wire, wire

SCHEMA = {"v": "int64"}
FAST: dict[str, Any] = {"timeout": "300 ms"}
NOWHERE: dict[str, Callable[[int], sn.StreamFrame]] = {
    "kafka": lambda port: sn.from_kafka("t", f"127.0.0.1:{port}", SCHEMA, **FAST),
    "redis": lambda port: sn.from_redis("s", f"redis://127.0.0.1:{port}/0", SCHEMA, **FAST),
    "nats": lambda port: sn.from_nats("s", f"nats://127.0.0.1:{port}", SCHEMA, **FAST),
    "tcp": lambda port: sn.from_tcp("127.0.0.1", port, SCHEMA, **FAST),
    "websocket": lambda port: sn.from_websocket(f"ws://127.0.0.1:{port}", SCHEMA, **FAST),
    "sse": lambda port: sn.from_sse(f"http://127.0.0.1:{port}", SCHEMA, **FAST),
    "mqtt": lambda port: sn.from_mqtt("t", "127.0.0.1", port, SCHEMA, **FAST),
}
SAID = re.compile(r"cannot be read: .+ \(since (?P<since>[\d-]+ [\d:]+) UTC, tried (?P<tries>\d+) times?\)")


def told(query: sn.Query) -> tuple[dt.datetime, int]:
    """Return since when, and how often, as the query answers."""
    answer = query.why_no_output()
    assert answer.reason == "away"
    (need,) = answer.needs
    assert need.text.startswith("start the server")
    found = SAID.search(answer.finding)
    assert found is not None, answer.finding
    return dt.datetime.fromisoformat(found["since"]), int(found["tries"])


@pytest.mark.parametrize("name", NOWHERE)
def test_a_server_that_was_never_there_is_told_of_before_and_after_a_step(name: str) -> None:
    query = NOWHERE[name](free_port()).query()
    before = dt.datetime.now(dt.UTC).replace(tzinfo=None, microsecond=0)
    since, tries = told(query)
    assert before <= since <= dt.datetime.now(dt.UTC).replace(tzinfo=None)
    with pytest.raises(sn.DataError):
        query.step()
    eventually(lambda: told(query)[1] > tries)
    assert told(query)[0] == since
    query.play(every="10 ms")
    eventually(lambda: query.status == "failed")
    assert told(query)[0] == since


def test_a_server_that_went_away_is_told_of_while_the_query_plays(redis_server: Any, request: Any, tmp_path: Path):
    with wire("redis", request, tmp_path, SCHEMA) as one:
        went_away_and_back(one, redis_server.stop, redis_server.start)


def test_so_it_is_with_brokers(kafka: Any, request: Any, tmp_path: Path) -> None:
    with wire("kafka", request, tmp_path, SCHEMA) as one:
        went_away_and_back(one, lambda: [kafka.down(n) for n in (1, 2, 3)], lambda: [kafka.up(n) for n in (1, 2, 3)])


def went_away_and_back(one: Wire, stop: Callable[[], object], start: Callable[[], object]) -> None:
    query = one.frame.query()
    one.tell(query, {"v": 1})
    one.drive(query, 1)
    assert query.troubles == []
    board = Dashboard(query)
    stop()
    query.play(every="10 ms")
    eventually(lambda: query.troubles)
    since, _ = told(query)
    eventually(lambda: board.controls.shown["waits"] != [])
    assert "cannot be read: " in board.controls.shown["waits"][0]
    assert query.exception is None
    eventually(lambda: told(query)[1] > 1)
    assert told(query)[0] == since
    start()
    eventually(lambda: query.troubles == [])
    one.say({"v": 2})
    eventually(lambda: query.result["v"].tolist() == [1, 2])
    eventually(lambda: board.controls.shown["waits"] == [])
    assert query.why_no_output().reason != "away"
    board.close()
    assert seconds_to_stop(query) < 1


def test_rows_that_are_here_are_read_though_the_server_is_away(request: Any, tmp_path: Path) -> None:
    with wire("tcp", request, tmp_path, SCHEMA) as one:
        query = one.frame.query()
        one.tell(query, {"v": 1}, {"v": 2})
        eventually(lambda: query._inputs.sources[0]._spool.end == 2)  # type: ignore[attr-defined]
    eventually(lambda: query.troubles)
    assert query.why_no_output().reason == "input waits"
    assert len(query.run().result) == 2
    assert told(query)[1] > 0


def test_a_table_whose_server_went_away(postgres_server: Any) -> None:
    table = Database(postgres_address(postgres_server), "BIGINT PRIMARY KEY", "%s")
    table.add(1)
    query = table.read().query().run()
    postgres_server.stop()
    told(query)
    postgres_server.start()
    assert query.run().why_no_output().reason != "away"


def test_a_sink_that_is_tried_again_is_told_of_meanwhile() -> None:
    source, tried, mended = sn.MemorySource(SCHEMA), threading.Event(), threading.Event()
    source.add([{"v": 1}])

    class Sink:
        def write(self, batch_id: int, rows: Any, mode: str) -> None:
            tried.set()
            if not mended.is_set():
                raise ConnectionError("no route to the warehouse.")

        def __repr__(self) -> str:
            return "Warehouse()"

    query = sn.stream(source).query(sink=Sink(), sink_retries=9)
    board = Dashboard(query)
    query.play(every="10 ms")
    eventually(lambda: query.troubles)
    said = (
        r"^Warehouse\(\) cannot be written: ConnectionError no route to the warehouse \(since .*, tried \d+ times?\)$"
    )
    assert re.match(said, query.troubles[0])
    eventually(lambda: board.controls.shown["waits"] != [])
    answer = query.why_no_output()
    assert (answer.reason, answer.needs[0].text.endswith("the query tries again by itself")) == ("away", True)
    mended.set()
    eventually(lambda: query.troubles == [] and len(query.result))
    board.close()


def test_since_when_stays_and_the_tries_are_counted() -> None:
    clock = sn.ManualClock("2026-01-01 12:00")
    contact = Contact(clock)
    assert contact.status == "not connected yet"
    contact.failed("refused.")
    clock.advance("1 minute")
    contact.failed("a hint in between", tries=0)
    contact.failed("refused")
    assert contact.status == "trying again: refused (since 2026-01-01 12:00:00 UTC, tried 2 times)"
    contact.made()
    assert contact.status == "connected"
    clock.advance("1 minute")
    contact.failed("closed")
    assert str(contact.trouble) == "closed (since 2026-01-01 12:02:00 UTC, tried 1 time)"
