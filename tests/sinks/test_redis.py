"""Redis: what is its own beside the rules of every transactional sink, and what a network does."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import sys
import time
import traceback

import polars as pl
import pytest

import streamnb as sn
from streamnb.errors import MissingError
from tests.servers.process import free_port
from tests.servers.redis import PASSWORD
from tests.sinks.odd import odd


@pytest.fixture
def name(tmp_path):
    return tmp_path.name


@pytest.fixture
def link(redis_server):
    import redis

    with redis.Redis.from_url(redis_server.url, decode_responses=True) as link:
        yield link


def write(server, name, rows, mode="append", **options):
    sn.sinks.Redis(server.url, name, **options).write_polars(0, rows, mode)


def test_keys_are_json_so_that_none_is_taken_for_another(redis_server, link, name):
    rows = pl.DataFrame({"k": ["a", "null", None, "", "7"], "n": range(5)})
    write(redis_server, name, rows, "update", key="k")
    assert set(link.hkeys(name)) == {'"a"', '"null"', "null", '""', '"7"'}
    assert json.loads(link.hget(name, "null")) == {"k": None, "n": 2}


def test_a_key_of_two_columns_is_a_list(redis_server, link, name):
    write(redis_server, name, pl.DataFrame({"a": ["x"], "b": [1], "n": [2]}), "update", key=["a", "b"])
    assert link.hgetall(name) == {'["x",1]': '{"a":"x","b":1,"n":2}'}


def test_without_a_key_rows_are_entries_of_a_stream_in_their_order(redis_server, link, name):
    write(redis_server, name, pl.DataFrame({"n": range(1000)}))
    assert [json.loads(entry["row"])["n"] for _, entry in link.xrange(name)] == list(range(1000))


def test_odd_values_come_back_as_json_can_say_them(redis_server, link, name):
    write(redis_server, name, odd(), key="id")
    row = json.loads(link.hget(name, "1"))
    same = ("id", "text", "empty", "big", "small", "tiny", "single", "zero", "yes", "list", "struct", "nothing", "kind")
    assert {name: row.pop(name) for name in same} == odd().select(same).row(0, named=True)
    assert row == {
        "at": "2026-01-01 00:00:00.000001",
        "seoul": "2026-01-01 00:00:00+00:00",
        "day": "0001-01-01",
        "hour": "23:59:59.999999",
        "gap": -86399.5,
        "bytes": "AP8=",
        "money": "12345678901234567890.01",
        "inf": None,
    }


def test_what_is_odd_within_lists_and_structs_is_said_too(redis_server, link, name):
    value = {"at": [dt.datetime(2026, 1, 1)], "bytes": b"\x00\xff", "x": float("nan")}
    write(redis_server, name, pl.DataFrame({"id": [1], "s": [value]}), key="id")
    row = json.loads(link.hget(name, "1"))
    assert row == {"id": 1, "s": {"at": ["2026-01-01 00:00:00"], "bytes": "AP8=", "x": None}}


def test_a_later_time_is_a_newer_version(redis_server, link, name):
    sink = sn.sinks.Redis(redis_server.url, name, key="k", version="at")
    sink.open("q", 0)
    for batch, day in enumerate([5, 3, 10, 9]):
        rows = pl.DataFrame({"k": ["a"], "at": [f"2026-01-{day:02d}"]}).with_columns(pl.col("at").str.to_datetime())
        sink.write_polars(batch, rows, "append")
    assert json.loads(link.hget(name, '"a"'))["at"] == "2026-01-10 00:00:00"


def test_a_name_of_another_kind_is_one_line(redis_server, link, name):
    link.set(name, "text")
    with pytest.raises(sn.QueryError, match=r"^Redis: .*wrong kind of value.*write under another name than"):
        write(redis_server, name, pl.DataFrame({"n": [1]}))


def test_a_wrong_password_is_one_line_and_is_not_shown(redis_server, name):
    sink = sn.sinks.Redis(redis_server.url.replace(PASSWORD, "wr0ng-pass"), name)
    with pytest.raises(sn.QueryError, match=r"^Redis: 127\.0\.0\.1:\d+ refuses: .*mend the url\.$") as caught:
        sink.write_polars(0, odd(), "append")
    assert "wr0ng" not in f"{sink!r} {vars(sink)!r}" + "".join(traceback.format_exception(caught.value))


def test_a_url_that_cannot_be_read_is_not_shown():
    url = "s3cret"  # a traceback shows lines of code, so not where it is handed over
    with pytest.raises(sn.PlanError, match=r"the url cannot be read; write redis://") as caught:
        sn.sinks.Redis(url, "t")
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


def test_a_server_that_is_absent_is_one_line(name):
    with pytest.raises(ConnectionError, match=r"^127\.0\.0\.1:\d+: [^\n]*refused[^\n]*$"):
        sn.sinks.Redis(f"redis://127.0.0.1:{free_port()}", name).write_polars(0, odd(), "append")


def test_a_server_that_restarts_in_the_middle_loses_and_doubles_nothing(redis_server, link, name, tmp_path):
    source = sn.MemorySource({"n": "int64"})
    query = sn.stream(source).query(sink=sn.sinks.Redis(redis_server.url, name), checkpoint=tmp_path / "ckpt")
    source.add([{"n": 1}])
    query.run()
    redis_server.stop()
    source.add([{"n": 2}])
    with pytest.raises(sn.QueryError, match=r"ConnectionError"):
        query.run()
    redis_server.start()
    query.run()
    assert [entry["row"] for _, entry in link.xrange(name)] == ['{"n":1}', '{"n":2}']


@pytest.fixture
def frozen(redis_server):
    os.kill(redis_server.server.pid, signal.SIGSTOP)
    yield redis_server
    os.kill(redis_server.server.pid, signal.SIGCONT)


def test_a_server_that_says_nothing_is_given_up(frozen, name):
    sink = sn.sinks.Redis(frozen.url, name, timeout="200 ms")
    with pytest.raises((TimeoutError, ConnectionError), match=r"[Tt]imeout|no answer"):
        sink.write_polars(0, odd(), "append")


def test_a_stop_does_not_wait_for_the_server(frozen, name):
    source = sn.MemorySource({"k": "string"})
    query = sn.stream(source).query(sink=sn.sinks.Redis(frozen.url, name)).play(every="1 ms")
    source.add([{"k": "a"}])
    query.await_termination(0.5)
    started = time.monotonic()
    query.stop()
    assert time.monotonic() - started < 1


def test_a_missing_library_is_named_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(MissingError, match=r'^sinks\.Redis needs redis: pip install "streamnb\[redis\]"$'):
        sn.sinks.Redis("", "t")


def test_what_is_written_is_a_source_again(redis_server, name):
    rows = pl.DataFrame({"k": ["a", None], "n": [2**53 + 1, None], "x": [0.1, -1e300]})
    write(redis_server, name, rows)
    schema = {"k": "string", "n": "int64", "x": "float64"}
    back = sn.from_redis(name, redis_server.url, schema, field="row", id=None).query().run()._memory.table(None)
    assert back is not None
    assert back.rows() == rows.rows()
