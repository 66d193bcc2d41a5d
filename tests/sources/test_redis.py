"""from_redis, against the system's Redis."""

from __future__ import annotations

import os
import signal
import sys
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

import streamnb as sn
from streamnb.errors import DataError, MissingError, PlanError
from tests.servers.process import free_port
from tests.servers.redis import PASSWORD, Redis
from tests.sources.waiting import eventually, seconds_to_stop, source_of, status

SCHEMA = {"v": "int64", "k": "string"}


class Stream:
    """A stream of its own for a test."""

    def __init__(self, server: Redis) -> None:
        import redis

        self.server, self.name = server, uuid.uuid4().hex
        self.redis = redis.Redis.from_url(server.url)

    def add(self, *values: int) -> None:
        for v in values:
            self.redis.xadd(self.name, {"v": v, "k": "a"})

    def read(self, schema: Any = SCHEMA, **options: Any) -> sn.StreamFrame:
        return sn.from_redis(self.name, self.server.url, schema, **{"timeout": "2 seconds", **options})


@pytest.fixture
def stream(redis_server: Redis) -> Iterator[Stream]:
    stream = Stream(redis_server)
    yield stream
    stream.redis.delete(stream.name)


def values(query: sn.Query) -> list[list[int]]:
    return [list(rows["v"]) for rows in query.run().emitted]


def test_an_entry_is_a_row_with_its_id(stream):
    stream.redis.xadd(stream.name, {"v": 7, "k": "grüße"}, id="5-1")
    assert stream.read().collect().to_dict("records") == [{"v": 7, "k": "grüße", "id": "5-1"}]


def test_one_field_may_hold_the_row(stream):
    stream.redis.xadd(stream.name, {"data": '{"v": 1}'})
    stream.redis.xadd(stream.name, {"other": "x"})
    rows = stream.read(None, field="data", id=None).query().run().result
    assert rows["v"].isna().tolist() == [False, True]
    assert stream.read(None, field="data", format="raw", id=None).collect()["value"].tolist() == [b'{"v": 1}', None]


def test_columns_are_guessed_as_text(stream):
    stream.add(1)
    assert stream.read(None).collect()["v"].tolist() == ["1"]


def test_an_empty_stream_has_nothing_to_guess_from(stream):
    with pytest.raises(DataError, match="holds no entry to guess its columns from"):
        stream.read(None)
    query = stream.read().query()
    assert query.step() is None
    stream.add(1)
    assert values(query) == [[1]]


def test_a_query_rewinds_and_goes_on_from_its_checkpoint(stream, tmp_path):
    stream.add(*range(5))
    query = stream.read(rows_per_batch=2).query(checkpoint=tmp_path)
    assert values(query) == [[0, 1], [2, 3], [4]]
    assert values(query.rewind(0)) == [[0, 1], [2, 3], [4]]
    query.stop()
    stream.add(5)
    assert values(stream.read().query(checkpoint=tmp_path)) == [[5]]


def test_all_at_once_and_all_that_is_there(stream):
    stream.add(*range(5))
    assert values(stream.read(rows_per_batch=2).query(trigger="once")) == [[0, 1, 2, 3, 4]]


def test_what_was_trimmed_behind_a_query_is_said(stream):
    stream.add(*range(4))
    query = stream.read(rows_per_batch=2).query()
    query.step()
    stream.redis.xtrim(stream.name, maxlen=1, approximate=False)
    with pytest.raises(DataError, match=r"entries of .* at or behind .*, where the query stands, were"):
        query.step()
    stream.redis.delete(stream.name)
    with pytest.raises(DataError, match=r"the stream .* is gone"):
        query.step()
    stream.add(1)
    with pytest.raises(DataError, match=r"entries of .* up to .* are gone"):
        query.rewind(-1)._inputs.sources[0].read(None, {"from": [1, 0], "to": [9, 9]})


def test_what_was_trimmed_before_a_query_is_no_matter(stream):
    stream.add(*range(4))
    query = stream.read(rows_per_batch=2).query()
    query.step()
    stream.redis.xtrim(stream.name, maxlen=3, approximate=False)
    assert values(query) == [[0, 1], [2, 3]]
    stream.redis.xtrim(stream.name, maxlen=0, approximate=False)
    assert query.step() is None


def test_a_text_that_does_not_fit_is_named_by_its_entry(stream):
    stream.add(1)
    stream.redis.xadd(stream.name, {"v": "many"}, id="9999999999999-0")
    stream.redis.xadd(stream.name, {"k": b"\xff"}, id="9999999999999-1")
    query = stream.read().query().run()
    assert values(query) == [[1]]
    assert query.dead_letters["offset"].tolist() == ["entry 9999999999999-1", "entry 9999999999999-0"]
    assert query.dead_letters["reason"][0] == "byte 0 of 1 is not UTF-8"


def test_a_name_of_another_kind_is_one_line(stream):
    stream.redis.hset(stream.name, "v", "1")
    with pytest.raises(DataError, match=r"^from_redis: .*WRONGTYPE.*; mend the query's source\.$"):
        stream.read().query().step()


def test_ten_megabytes(stream):
    stream.redis.xadd(stream.name, {"v": 1, "k": "x" * 10_000_000})
    assert stream.read(timeout="10 seconds").collect()["k"].str.len().tolist() == [10_000_000]


def test_a_restarted_server_is_found_again(stream):
    stream.add(1)
    frame = stream.read()
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


def test_an_absent_server_and_a_wrong_password_are_one_line_without_it(stream):
    absent = f"redis://:hunter2@127.0.0.1:{free_port()}/0"
    wrong = stream.server.url.replace(PASSWORD, "hunter2")
    for url, said in (absent, "refused"), (wrong, "invalid username-password"):
        frame = sn.from_redis("s", url, SCHEMA)
        with pytest.raises(DataError, match=rf"from_redis: 's' at redis://127\.0\.0\.1:\d+/0: .*{said}") as caught:
            frame.query().step()
        assert "hunter2" not in f"{caught.value} {frame!r} {status(frame)}"


def test_a_query_stops_within_a_second_while_the_server_says_nothing(stream):
    stream.add(1)
    frame = stream.read(timeout="1 minute")
    query = frame.query().run()
    os.kill(stream.server.server.pid, signal.SIGSTOP)
    query.play()
    eventually(source_of(frame)._entries.answers._lock.locked)
    assert seconds_to_stop(query) < 1
    os.kill(stream.server.server.pid, signal.SIGCONT)


@pytest.mark.parametrize("options", [{"rows_per_batch": 0}, {"id": "v"}, {"field": "v", "format": "xml"}])
def test_an_option_that_is_none_is_refused(stream, options):
    with pytest.raises(PlanError):
        stream.read(**options)


def test_a_missing_library_is_one_line_to_type(monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(MissingError) as caught:
        sn.from_redis("s", "redis://127.0.0.1", SCHEMA)
    assert str(caught.value) == 'from_redis needs redis: pip install "streamnb[redis]"'
