"""from_nats, against the system's NATS server with JetStream."""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from collections.abc import Callable
from typing import Any

import pytest

import streamnb as sn
from streamnb.errors import DataError, MissingError, PlanError
from tests.servers.nats import PASSWORD, Nats
from tests.servers.process import free_port
from tests.sources.waiting import eventually, status

SCHEMA = {"v": "int64"}


class Stream:
    """A stream of its own for a test."""

    def __init__(self, server: Nats, **settings: Any) -> None:
        self.server, self.name = server, uuid.uuid4().hex
        self.do(lambda js: js.add_stream(name=self.name, subjects=[f"{self.name}.*"], **settings))

    def do(self, call: Callable[[Any], Any]) -> Any:
        import nats

        async def connected() -> Any:
            link = await nats.connect(self.server.url)
            try:
                return await call(link.jetstream())
            finally:
                await link.close()

        return asyncio.run(connected())

    def add(self, *payloads: Any) -> None:
        async def publish(js: Any) -> None:
            for payload in payloads:
                body = payload if isinstance(payload, bytes) else json.dumps({"v": payload}).encode()
                await js.publish(f"{self.name}.a", body)

        self.do(publish)

    def read(self, schema: Any = SCHEMA, **options: Any) -> sn.StreamFrame:
        return sn.from_nats(self.name, self.server.url, schema, **{"metadata": (), **options})


@pytest.fixture
def stream(nats_server: Nats) -> Stream:
    return Stream(nats_server)


def values(query: sn.Query) -> list[list[int]]:
    return [list(rows["v"]) for rows in query.run().emitted]


def test_a_message_is_a_row_with_its_subject_number_and_time(stream):
    stream.add(7, b"")
    rows = stream.read(metadata={"subject": "on", "sequence": "n", "timestamp": "at"}).query().run().result
    assert rows["v"].isna().tolist() == [False, True]
    assert rows["n"].tolist() == [1, 2]
    assert rows["on"].tolist() == [f"{stream.name}.a"] * 2
    assert rows["at"].is_monotonic_increasing


def test_a_query_rewinds_and_goes_on_from_its_checkpoint(stream, tmp_path):
    stream.add(*range(5))
    query = stream.read(rows_per_batch=2).query(checkpoint=tmp_path)
    assert values(query) == [[0, 1], [2, 3], [4]]
    assert values(query.rewind(0)) == [[0, 1], [2, 3], [4]]
    query.stop()
    stream.add(5)
    assert values(stream.read().query(checkpoint=tmp_path)) == [[5]]


def test_more_than_one_fetch(stream):
    stream.add(*range(1200))
    assert stream.read().collect()["v"].tolist() == list(range(1200))


def test_messages_that_were_deleted_one_by_one_are_stepped_over(stream):
    stream.add(*range(5))
    for number in 2, 5:
        stream.do(lambda js, number=number: js.delete_msg(stream.name, number))
    assert values(stream.read().query()) == [[0, 2, 3]]


def test_what_was_dropped_behind_a_query_is_said(nats_server):
    stream = Stream(nats_server, max_msgs=3)
    stream.add(*range(3))
    query = stream.read(rows_per_batch=1).query()
    query.step()
    stream.add(3, 4, 5)
    with pytest.raises(DataError, match=r"message 2 of .* is gone, 4 is the first"):
        query.step()
    assert values(stream.read().query()) == [[3, 4, 5]]


def test_a_stream_made_anew_is_refused(stream, tmp_path):
    stream.add(1, 2)
    stream.read().query(checkpoint=tmp_path).run().stop()
    stream.do(lambda js: js.delete_stream(stream.name))
    stream.do(lambda js: js.add_stream(name=stream.name, subjects=[f"{stream.name}.*"]))
    stream.add(1)
    with pytest.raises(DataError, match="ends at 1 and 2 was read: it is a new one"):
        stream.read().query(checkpoint=tmp_path).step()


def test_columns_are_guessed(stream):
    with pytest.raises(DataError, match="holds no message to guess its columns from"):
        stream.read(None)
    stream.add(b'{"at": "2026-01-01 00:00:07", "v": 1}')
    assert list(stream.read(None).schema) == ["at", "v"]


def test_a_record_that_does_not_fit_is_named_by_its_number(stream):
    stream.add(1, b'{"v": "\xff"}')
    query = stream.read().query().run()
    assert values(query) == [[1]]
    assert query.dead_letters[["offset", "reason"]].to_numpy().tolist() == [["message 2", "byte 7 of 10 is not UTF-8"]]


def test_ten_megabytes(stream):
    stream.add(b'{"k": "' + b"x" * 10_000_000 + b'"}')
    assert stream.read({"k": "string"}, timeout="20 seconds").collect()["k"].str.len().tolist() == [10_000_000]


def test_an_unknown_stream_is_one_line(stream):
    said = r"^from_nats: nats://127\.0\.0\.1:\d+ has no stream "
    with pytest.raises(DataError, match=said + rf"'no-such'; make it first; the streams there are \[.*{stream.name}"):
        sn.from_nats("no-such", stream.server.url, SCHEMA).query().step()
    with pytest.raises(DataError, match=said + f"'{stream.name[1:]}'; did you mean '{stream.name}'\\?"):
        sn.from_nats(stream.name[1:], stream.server.url, SCHEMA).query().step()


def test_an_absent_server_and_a_wrong_password_are_one_line_without_it(stream):
    absent = f"nats://ann:hunter2@127.0.0.1:{free_port()}"
    wrong = stream.server.url.replace(PASSWORD, "hunter2")
    for url, said in (absent, "Connect(ion refused| call failed)"), (wrong, "Authorization Violation"):
        frame = sn.from_nats("s", url, SCHEMA, timeout="1 second")
        with pytest.raises(DataError, match=rf"from_nats: 's' at nats://127\.0\.0\.1:\d+: .*{said}") as caught:
            frame.query().step()
        assert "hunter2" not in f"{caught.value} {frame!r} {status(frame)}"


def test_a_restarted_server_is_found_again(stream):
    stream.add(1)
    frame = stream.read(timeout="1 second")
    query = frame.query()
    assert values(query) == [[1]]
    stream.server.stop()
    assert query.step() is None
    assert status(frame).startswith("trying again: ")
    stream.server.start()
    stream.add(2)
    eventually(lambda: query.step() is not None)
    assert values(query) == [[1], [2]]
    assert status(frame) == "connected"


@pytest.mark.parametrize("options", [{"rows_per_batch": 0}, {"metadata": ["nope"]}, {"metadata": {"subject": "v"}}])
def test_an_option_that_is_none_is_refused(stream, options):
    with pytest.raises(PlanError):
        stream.read(**options)


def test_a_missing_library_is_one_line_to_type(monkeypatch):
    monkeypatch.setitem(sys.modules, "nats", None)
    with pytest.raises(MissingError) as caught:
        sn.from_nats("s", "nats://127.0.0.1", SCHEMA)
    assert str(caught.value) == 'from_nats needs nats-py: pip install "streamnb[nats]"'
