"""SQLite: each batch is in the table once, whatever happens between the sink and the log."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

import streamnb as sn


def read(path, sql="SELECT * FROM t"):
    with closing(sqlite3.connect(path)) as db:
        return db.execute(sql).fetchall()


@pytest.fixture
def source():
    return sn.MemorySource({"key": "string", "value": "int64"})


def counted(source):
    return sn.stream(source).group_by("key").agg(n=sn.count(), total=sn.sum("value"))


def test_append_inserts(source, tmp_path):
    source.add([{"key": "a", "value": 1}, {"key": None, "value": None}])
    sn.stream(source).query(sink=sn.sinks.SQLite(tmp_path / "db", "t")).run()
    assert read(tmp_path / "db") == [("a", 1), (None, None)]


def test_update_replaces_the_row_of_a_key(source, tmp_path):
    sink = sn.sinks.SQLite(tmp_path / "db", "t", key="key")
    query = counted(source).query("update", sink=sink)
    for value in (1, 2, 3):
        source.add([{"key": "a", "value": value}])
        query.run()
    assert read(tmp_path / "db") == [("a", 3, 6)]


def test_update_without_a_key_is_refused(source, tmp_path):
    source.add([{"key": "a", "value": 1}])
    with pytest.raises(sn.PlanError, match=r"key="):
        counted(source).query("update", sink=sn.sinks.SQLite(tmp_path / "db", "t")).run()


def test_complete_replaces_the_table(source, tmp_path):
    query = counted(source).query("complete", sink=sn.sinks.SQLite(tmp_path / "db", "t"))
    for key in "ab":
        source.add([{"key": key, "value": 1}])
        query.run()
    assert sorted(read(tmp_path / "db")) == [("a", 1, 1), ("b", 1, 1)]


def test_an_older_version_does_not_overwrite_a_newer(source, tmp_path):
    sink = sn.sinks.SQLite(tmp_path / "db", "t", key="key", version="value")
    query = sn.stream(source).query(sink=sink)
    for value in (5, 3, 7, 6):
        source.add([{"key": "a", "value": value}])
    query.run()
    assert read(tmp_path / "db") == [("a", 7)]


def test_a_batch_that_comes_again_is_there_once(source, tmp_path):
    source.add([{"key": "a", "value": 1}])
    sink = sn.sinks.SQLite(tmp_path / "db", "t")
    sn.stream(source).query(sink=sink, checkpoint=tmp_path / "ckpt").run().stop()
    (tmp_path / "ckpt" / "commits" / "0").unlink()
    source.add([{"key": "b", "value": 2}])
    sn.stream(source).query(sink=sink, checkpoint=tmp_path / "ckpt").run()
    assert read(tmp_path / "db") == [("a", 1), ("b", 2)]


def test_a_sink_that_was_wiped_is_noticed(source, tmp_path):
    source.add([{"key": "a", "value": 1}])
    sink = sn.sinks.SQLite(tmp_path / "db", "t")
    sn.stream(source).query(sink=sink, checkpoint=tmp_path / "ckpt").run().stop()
    (tmp_path / "db").unlink()
    source.add([{"key": "b", "value": 2}])
    with pytest.raises(sn.QueryError, match=r"holds nothing"):
        sn.stream(source).query(sink=sink, checkpoint=tmp_path / "ckpt").run()


def test_an_older_run_is_fenced(source, tmp_path):
    sink = sn.sinks.SQLite(tmp_path / "db", "t")
    source.add([{"key": "a", "value": 1}])
    sn.stream(source).query(sink=sink, checkpoint=tmp_path / "ckpt").run().stop()
    source.add([{"key": "b", "value": 2}])
    sn.stream(source).query(sink=sink, checkpoint=tmp_path / "ckpt").run().stop()
    zombie = sn.sinks.SQLite(tmp_path / "db", "t")
    zombie.open(read(tmp_path / "db", "SELECT query FROM _streamnb_ledger")[0][0], 0)
    source.add([{"key": "c", "value": 3}])
    with pytest.raises(sn.QueryError, match=r"run 1 of this query writes here now"):
        zombie.write_polars(2, source.read(2, 3), "append")
    assert len(read(tmp_path / "db")) == 2


def test_odd_values_come_back_as_they_went(tmp_path):
    source = sn.MemorySource({"at": "datetime", "text": "string", "list": "list[int64]", "x": "float64"})
    source.add([{"at": "2026-01-01 00:00:00.000001", "text": "π '\"; --", "list": [1, 2], "x": 1e300}])
    sn.stream(source).query(sink=sn.sinks.SQLite(tmp_path / "db", 'odd "name"')).run()
    assert read(tmp_path / "db", 'SELECT * FROM "odd ""name"""') == [
        ("2026-01-01 00:00:00.000001", "π '\"; --", "[1, 2]", 1e300)
    ]
