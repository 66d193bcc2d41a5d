"""SQLite: what is its own beside the rules of every transactional sink."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing

import polars as pl
import pytest

import streamnb as sn
from tests.sinks.odd import odd


def ask(path, sql="SELECT * FROM t"):
    with closing(sqlite3.connect(path)) as db, db:
        return db.execute(sql).fetchall()


def write(path, rows, mode="append", table="t", **options):
    sn.sinks.SQLite(path, table, **options).write_polars(0, rows, mode)


def test_odd_values_come_back_as_sqlite_can_say_them(tmp_path):
    write(tmp_path / "db", odd(), table='odd "name"')
    first, second = ask(tmp_path / "db", 'SELECT * FROM "odd ""name"""')
    assert dict(zip(odd().columns, first, strict=True)) == {
        "id": 1,
        "at": "2026-01-01 00:00:00.000001",
        "seoul": "2026-01-01 00:00:00+00:00",
        "day": "0001-01-01",
        "hour": "23:59:59.999999",
        "gap": -86399.5,
        "text": "π '\"; --\n\u202e🐍",
        "empty": "",
        "bytes": b"\x00\xff",
        "money": "12345678901234567890.01",
        "big": 2**63 - 1,
        "small": -(2**63),
        "tiny": -128,
        "single": 0.5,
        "inf": float("-inf"),
        "zero": -0.0,
        "yes": 1,
        "list": '["a",null]',
        "struct": '{"x":1,"y":[0.5]}',
        "nothing": None,
        "kind": "low",
    }
    assert second == (2, *[None] * 20)


def test_nan_is_null(tmp_path):
    write(tmp_path / "db", pl.DataFrame({"x": [float("nan"), 1.0]}))
    assert ask(tmp_path / "db") == [(None,), (1.0,)]


def test_nan_in_a_key_is_refused(tmp_path):
    rows = pl.DataFrame({"x": [float("nan"), None], "n": [1, 2]})
    with pytest.raises(sn.QueryError, match=r"the key 'x' holds NaN, which SQLite takes for null; fill it"):
        write(tmp_path / "db", rows, "update", key="x")


@pytest.mark.parametrize("dtype", [pl.UInt64, pl.Int128])
def test_a_number_of_more_than_64_bits_is_refused_by_name(tmp_path, dtype):
    write(tmp_path / "fits", pl.DataFrame({"n": [2**63 - 1]}, schema={"n": dtype}))
    with pytest.raises(sn.QueryError, match=r"'n' holds 9223372036854775808, more than its 64 bits; cast it"):
        write(tmp_path / "db", pl.DataFrame({"n": [2**63]}, schema={"n": dtype}))


def test_a_table_without_the_key_is_named_with_the_way_out(tmp_path):
    ask(tmp_path / "db", "CREATE TABLE t (k TEXT, n INTEGER)")
    rows = pl.DataFrame({"k": ["a"], "n": [1]})
    with pytest.raises(sn.QueryError, match=r"'t' has no unique index on its key \['k'\]; CREATE UNIQUE INDEX …"):
        write(tmp_path / "db", rows, "update", key="k")
    ask(tmp_path / "db", "CREATE UNIQUE INDEX i ON t (k)")
    write(tmp_path / "db", rows, "update", key="k")
    assert ask(tmp_path / "db") == [("a", 1)]


def test_a_primary_key_of_two_columns_will_do(tmp_path):
    ask(tmp_path / "db", "CREATE TABLE t (n INTEGER, b TEXT, a TEXT, more TEXT DEFAULT 'x', PRIMARY KEY (b, a))")
    write(tmp_path / "db", pl.DataFrame({"a": ["a"], "b": ["b"], "n": [1]}), "update", key=["a", "b"])
    assert ask(tmp_path / "db") == [(1, "b", "a", "x")]


def test_a_table_that_lacks_a_column_is_named(tmp_path):
    ask(tmp_path / "db", "CREATE TABLE t (k TEXT)")
    with pytest.raises(sn.QueryError, match=r"table 't' has no columns \['n'\]; add them"):
        write(tmp_path / "db", pl.DataFrame({"k": ["a"], "n": [1]}))


def test_a_key_alone_is_a_set(tmp_path):
    write(tmp_path / "db", pl.DataFrame({"k": ["a", "b", "a"]}), "update", key="k")
    assert sorted(ask(tmp_path / "db")) == [("a",), ("b",)]


def test_a_version_without_a_key_is_refused():
    with pytest.raises(sn.PlanError, match=r"version='at' needs a key"):
        sn.sinks.SQLite("db", "t", version="at")


@pytest.fixture
def locked(tmp_path):
    """Return a file that somebody writes."""
    with closing(sqlite3.connect(tmp_path / "db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield tmp_path / "db"


def test_a_locked_file_is_one_line_and_the_batch_comes_again(tmp_path):
    source = sn.MemorySource({"k": "string"})
    source.add([{"k": "a"}])
    query = sn.stream(source).query(sink=sn.sinks.SQLite(tmp_path / "db", "t", timeout="1 ms"), sink_retries=0)
    with closing(sqlite3.connect(tmp_path / "db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(sn.QueryError, match=r"sink: SQLite\(.*\) failed on batch 0, 1 rows: .*locked"):
            query.step()
    query.run()
    assert ask(tmp_path / "db") == [("a",)]


def mode(path) -> str:
    with closing(sqlite3.connect(path)) as db:
        return str(db.execute("PRAGMA journal_mode").fetchone()[0])


def test_after_the_query_the_file_is_one_file_again(tmp_path):
    path = tmp_path / "db"
    source = sn.MemorySource({"k": "int64"})
    source.add([{"k": 1}])
    query = sn.stream(source).query(sink=sn.sinks.SQLite(path, "t")).run()
    assert mode(path) == "wal"
    query.stop()
    assert mode(path) == "delete"
    assert [file.name for file in tmp_path.iterdir()] == ["db"]


def test_a_file_that_is_moved_away_is_written_no_more(tmp_path):
    path = tmp_path / "db"
    sink = sn.sinks.SQLite(path, "t")
    sink.write_polars(0, pl.DataFrame({"k": [1]}), "append")
    for file in tmp_path.iterdir():
        file.rename(tmp_path / f"old {file.name}")
    sink.write_polars(0, pl.DataFrame({"k": [2]}), "append")
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT k FROM t").fetchall() == [(2,)]
    sink.close()


def test_a_stop_does_not_wait_for_the_file(locked):
    source = sn.MemorySource({"k": "string"})
    query = sn.stream(source).query(sink=sn.sinks.SQLite(locked, "t")).play(every="1 ms")
    source.add([{"k": "a"}])
    query.await_termination(0.5)
    started = time.monotonic()
    query.stop()
    assert time.monotonic() - started < 1
