"""DuckDB: what is its own beside the rules of every transactional sink."""

from __future__ import annotations

import subprocess
import sys

import polars as pl
import pytest

import streamnb as sn
from streamnb.errors import MissingError
from tests.sinks.odd import odd
from tests.sources.waiting import eventually, seconds_to_stop


def ask(path, sql):
    import duckdb

    with duckdb.connect(path) as db:
        return db.execute(sql).fetchall()


def write(path, rows, mode="append", **options):
    sn.sinks.DuckDB(path, "t", **options).write_polars(0, rows, mode)


def test_odd_values_keep_their_types(tmp_path):
    write(tmp_path / "db", odd())
    types = dict(ask(tmp_path / "db", "SELECT column_name, column_type FROM (DESCRIBE t)"))
    assert (types["list"], types["money"], types["seoul"]) == ("VARCHAR[]", "DECIMAL(38,2)", "TIMESTAMP WITH TIME ZONE")
    zoned = "* REPLACE (seoul AT TIME ZONE 'UTC' AS seoul)"
    first, second = ask(tmp_path / "db", f"SELECT {zoned} FROM t ORDER BY id")  # noqa: S608  no user's text
    utc = pl.col("seoul").dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    assert [first, second] == odd().with_columns(utc).rows()
    assert str(first[odd().columns.index("zero")]) == "-0.0"


def test_nan_and_null_are_two_keys(tmp_path):
    sink = sn.sinks.DuckDB(tmp_path / "db", "t", key="x")
    sink.open("q", 0)
    for batch in range(2):
        rows = pl.DataFrame({"x": [float("nan"), None, 1.0], "n": [batch] * 3})
        sink.write_polars(batch, rows, "update")
    assert ask(tmp_path / "db", "SELECT count(*), count(x), sum(n) FROM t") == [(3, 2, 3)]


def test_unsigned_numbers_have_room(tmp_path):
    write(tmp_path / "db", pl.DataFrame({"n": [2**64 - 1]}, schema={"n": pl.UInt64}))
    assert ask(tmp_path / "db", "SELECT n FROM t") == [(2**64 - 1,)]
    with pytest.raises(sn.QueryError, match=r"takes no Int128 as in column 'n'; cast it"):
        write(tmp_path / "other", pl.DataFrame({"n": [1]}, schema={"n": pl.Int128}))


def test_a_table_of_the_users_with_a_primary_key(tmp_path):
    ask(tmp_path / "db", "CREATE TABLE t (l BIGINT[], k VARCHAR PRIMARY KEY, more INT DEFAULT 7)")
    sink = sn.sinks.DuckDB(tmp_path / "db", "t", key="k")
    sink.open("q", 0)
    for batch in range(3):
        sink.write_polars(batch, pl.DataFrame({"k": ["a", "b"], "l": [[batch], [0]]}), "update")
    assert ask(tmp_path / "db", "SELECT * FROM t ORDER BY k") == [([2], "a", 7), ([0], "b", 7)]


def test_a_table_that_lacks_the_key_is_named(tmp_path):
    ask(tmp_path / "db", "CREATE TABLE t (n BIGINT)")
    with pytest.raises(sn.QueryError, match=r"table 't' has no columns \['k'\]; add them"):
        write(tmp_path / "db", pl.DataFrame({"k": ["a"], "n": [1]}), "update", key="k")


def test_a_file_that_another_process_holds_is_one_line_and_a_stop_does_not_wait_for_it(tmp_path):
    hold = f"import duckdb; db = duckdb.connect({str(tmp_path / 'db')!r}); print('held', flush=True); input()"
    source = sn.MemorySource({"k": "string"})
    source.add([{"k": "a"}])
    frame, pipe = sn.stream(source), subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", hold], stdin=pipe, stdout=pipe, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        query = frame.query(sink=sn.sinks.DuckDB(tmp_path / "db", "t"), sink_retries=0)
        with pytest.raises(sn.QueryError, match=r"^sink: DuckDB\([^\n]*lock[^\n]*$"):
            query.step()
        waits = frame.query(sink=sn.sinks.DuckDB(tmp_path / "db", "t"), sink_retries=99).play()
        eventually(lambda: waits.troubles)
        assert seconds_to_stop(waits) < 1
        other.communicate("go\n")
    query.run()
    assert ask(tmp_path / "db", "SELECT k FROM t") == [("a",)]


def test_a_missing_library_is_named_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(MissingError, match=r'^sinks\.DuckDB needs duckdb: pip install "streamnb\[duckdb\]"$'):
        sn.sinks.DuckDB("db", "t")
