"""Postgres: what is its own beside the rules of every transactional sink, and what a network does."""

from __future__ import annotations

import datetime as dt
import os
import signal
import sys
import time
import traceback
from decimal import Decimal

import polars as pl
import pytest

import streamnb as sn
from streamnb.errors import MissingError
from tests.servers.postgres import PASSWORD
from tests.servers.process import free_port
from tests.sinks.kinds import ask_postgres
from tests.sinks.odd import odd


@pytest.fixture
def place(postgres_server, tmp_path):
    return postgres_server.place(tmp_path.name)


def write(place, rows, mode="append", **options):
    sn.sinks.Postgres(place, "t", **options).write_polars(0, rows, mode)


def rows_of(place, sql="SELECT * FROM t"):
    return [tuple(row.values()) for row in ask_postgres(place, sql).fetchall()]


def test_odd_values_keep_their_meaning(place):
    write(place, odd())
    names = ", ".join(set(odd().columns) - {"gap", "day"})
    (first, second) = ask_postgres(place, f"SELECT {names}, gap::text, day::text FROM t ORDER BY id").fetchall()  # noqa: S608  no user's text
    assert first == {
        **odd().row(0, named=True),
        "seoul": dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        "gap": "-23:59:59.5",
        "day": "0001-01-01",
        "money": Decimal("12345678901234567890.01"),
    }
    assert str(first["zero"]) == "-0.0"
    assert {value for name, value in second.items() if name != "id"} == {None}


def test_nan_infinity_and_wide_numbers(place):
    wide = pl.Series("n", [2**64 - 1, 0], pl.UInt64)
    write(place, pl.DataFrame([wide, pl.Series("x", [float("nan"), float("inf")])]))
    assert rows_of(place, "SELECT n::text, x::text FROM t") == [("18446744073709551615", "NaN"), ("0", "Infinity")]


def test_a_table_without_the_key_is_named_with_the_way_out(place):
    ask_postgres(place, "CREATE TABLE t (k TEXT, n BIGINT)")
    rows = pl.DataFrame({"k": ["a"], "n": [1]})
    with pytest.raises(sn.QueryError, match=r"'t' has no unique index on its key \['k'\]; CREATE UNIQUE INDEX ON"):
        write(place, rows, "update", key="k")
    ask_postgres(place, "CREATE UNIQUE INDEX ON t (k)")
    write(place, rows, "update", key="k")
    sink = sn.sinks.Postgres(place, "t", key="k")
    sink.open("q", 0)
    with pytest.raises(sn.QueryError, match=r"has a null, and every null is another .* NULLS NOT DISTINCT"):
        sink.write_polars(0, pl.DataFrame({"k": [None], "n": [1]}), "update")
    assert rows_of(place) == [("a", 1)]


def test_a_table_of_the_users_in_a_schema(place):
    ask_postgres(place, 'CREATE SCHEMA IF NOT EXISTS "odd schema"')
    ask_postgres(place, """CREATE TABLE "odd schema".c (n INT, "k 'y" CHAR(1) PRIMARY KEY, more INT DEFAULT 7)""")
    sink = sn.sinks.Postgres(place, "odd schema.c", key="k 'y")
    sink.open("q", 0)
    for batch in range(3):
        sink.write_polars(batch, pl.DataFrame({"k 'y": ["a", "b"], "n": [batch, 0]}), "update")
    assert rows_of(place, 'SELECT * FROM "odd schema".c ORDER BY 2') == [(2, "a", 7), (0, "b", 7)]
    ask_postgres(place, 'DROP SCHEMA "odd schema" CASCADE')


def test_what_the_table_does_not_take_is_one_line(place):
    ask_postgres(place, "CREATE TABLE t (k INT)")
    with pytest.raises(sn.QueryError, match=r"^Postgres: invalid input syntax .* mend the table 't'\.$"):
        write(place, pl.DataFrame({"k": ["a"]}))


def test_many_rows_take_one_copy(place):
    write(place, pl.DataFrame({"n": range(100_000)}).with_columns(s=pl.col("n").cast(pl.String)))
    assert rows_of(place, "SELECT count(*), sum(n) FROM t") == [(100_000, Decimal(4_999_950_000))]


def test_a_wrong_password_is_one_line_and_is_not_shown(postgres_server):
    wrong = postgres_server.dsn.replace(PASSWORD, "wr0ng-pa:ss")
    source = sn.MemorySource({"k": "string"})
    source.add([{"k": "a"}])
    query = sn.stream(source).query(sink=sn.sinks.Postgres(wrong, "t"))
    with pytest.raises(sn.QueryError, match=r"127\.0\.0\.1:\d+/postgres refuses: .*authentication failed") as caught:
        query.step()
    assert "wr0ng" not in "".join(traceback.format_exception(caught.value))


def test_a_database_or_a_schema_that_is_not_there_is_one_line(place, postgres_server):
    rows = pl.DataFrame({"n": [1]})
    with pytest.raises(sn.QueryError, match=r'^Postgres: [^\n]* refuses: [^\n]*"nope" does not exist; mend the dsn\.$'):
        write(postgres_server.dsn.replace("dbname=postgres", "dbname=nope"), rows)
    with pytest.raises(sn.QueryError, match=r"^Postgres: schema \"nope\" does not exist[^\n]*; mend the table"):
        sn.sinks.Postgres(place, "nope.t").write_polars(0, rows, "append")


def test_a_text_with_a_zero_in_it_is_one_line(place):
    with pytest.raises(sn.QueryError, match=r"^Postgres: invalid byte sequence [^\n]*; mend the table 't'\.$"):
        write(place, pl.DataFrame({"k": ["a\0b"]}))


def test_a_server_that_is_absent_is_one_line():
    sink = sn.sinks.Postgres(f"host=127.0.0.1 port={free_port()} user=u password=s3cret", "t")
    with pytest.raises(ConnectionError, match=r"^127\.0\.0\.1:\d+/: .*refused[^\n]*$") as caught:
        sink.write_polars(0, odd(), "append")
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("dsn", ["postgresql://u:s3cret@h:5432:6/x%zz", "s3cret"])
def test_a_dsn_that_cannot_be_read_is_not_shown(dsn):
    with pytest.raises(sn.PlanError, match=r"the dsn cannot be read; write postgresql://") as caught:
        sn.sinks.Postgres(dsn, "t")
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


def test_a_password_is_in_no_repr():
    sink = sn.sinks.Postgres("postgresql://u:s3cret@db.example:5433/shop", "t")
    assert repr(sink) == "Postgres('db.example:5433/shop', 't')"
    assert "s3cret" not in f"{sink!r} {vars(sink)!r}"


def test_a_server_that_restarts_in_the_middle_loses_and_doubles_nothing(postgres_server, place, tmp_path):
    source = sn.MemorySource({"k": "string", "n": "int64"})
    query = sn.stream(source).query(sink=sn.sinks.Postgres(place, "t"), checkpoint=tmp_path / "ckpt")
    source.add([{"k": "a", "n": 1}])
    query.run()
    postgres_server.stop()
    source.add([{"k": "b", "n": 2}])
    with pytest.raises(sn.QueryError, match=r"ConnectionError"):
        query.run()
    postgres_server.start()
    query.run()
    assert rows_of(place) == [("a", 1), ("b", 2)]


@pytest.fixture
def frozen(postgres_server, place):
    """Return a place on a server that takes connections and says nothing."""
    os.kill(postgres_server.server.pid, signal.SIGSTOP)
    yield place
    os.kill(postgres_server.server.pid, signal.SIGCONT)


def test_a_server_that_says_nothing_is_given_up(frozen):
    sink = sn.sinks.Postgres(frozen, "t", timeout="200 ms")
    with pytest.raises(TimeoutError, match=r"no answer within 0\.2 s"):
        sink.write_polars(0, odd(), "append")


def test_a_stop_does_not_wait_for_the_server(frozen):
    source = sn.MemorySource({"k": "string"})
    query = sn.stream(source).query(sink=sn.sinks.Postgres(frozen, "t")).play(every="1 ms")
    source.add([{"k": "a"}])
    query.await_termination(0.5)
    started = time.monotonic()
    query.stop()
    assert time.monotonic() - started < 1


def test_a_missing_library_is_named_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingError, match=r'^sinks\.Postgres needs psycopg: pip install "streamnb\[postgres\]"$'):
        sn.sinks.Postgres("", "t")
