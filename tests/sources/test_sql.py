"""from_sql, against SQLite and Postgres."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

import streamnb as sn
from streamnb.errors import ColumnNotFoundError, DataError, MissingError, PlanError
from tests.servers.postgres import PASSWORD
from tests.servers.process import free_port
from tests.sources.waiting import eventually, seconds_to_stop, status

COLUMNS = "id {key}, at TIMESTAMP, k TEXT, v DOUBLE PRECISION, ok BOOLEAN"
ROW = ("2026-01-01 00:00:07", "grüße %", 1.5, True)


class Database:
    """A table of its own for a test, in one database or the other."""

    def __init__(self, where: str, key: str, mark: str) -> None:
        self.where, self.mark, self.name = where, mark, f"t {uuid.uuid4().hex}"
        self.run(f'CREATE TABLE "{self.name}" ({COLUMNS.format(key=key)})')

    def run(self, statement: str, values: Any = ()) -> None:
        if "postgres" not in self.where:
            with closing(sqlite3.connect(self.where)) as link, link:
                link.execute(statement, values)
            return
        import psycopg

        with psycopg.connect(self.where) as server:
            server.execute(statement, values)

    def add(self, *ids: int, row: Any = ROW) -> None:
        for number in ids:
            marks = ", ".join([self.mark] * 5)
            self.run(f'INSERT INTO "{self.name}" VALUES ({marks})', (number, *row))  # noqa: S608

    def read(self, by: str = "id", schema: Any = None, **options: Any) -> sn.StreamFrame:
        return sn.from_sql(self.name, self.where, by, schema, **options)


def postgres_address(server: Any) -> str:
    from urllib.parse import quote

    return f"postgresql://postgres:{quote(PASSWORD, safe='')}@127.0.0.1:{server.port}/postgres"


@pytest.fixture(params=["sqlite", "postgres"])
def table(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[Database]:
    if request.param == "sqlite":
        yield Database(str(tmp_path / "shop.db"), "INTEGER PRIMARY KEY", "?")
    else:
        yield Database(postgres_address(request.getfixturevalue("postgres_server")), "BIGINT PRIMARY KEY", "%s")


def ids(query: sn.Query) -> list[list[int]]:
    return [list(rows["id"]) for rows in query.run().emitted]


def test_a_row_is_a_row_in_the_tables_types(table):
    table.add(1)
    (row,) = table.read().collect().to_dict("records")
    assert (str(row["at"]), row["k"], row["v"], row["ok"]) == (ROW[0], *ROW[1:])
    assert list(table.read(schema={"k": "string"}).schema) == ["k"]


def test_new_rows_are_those_with_a_greater_value(table, tmp_path):
    frame = table.read(rows_per_batch=2)
    query = frame.query(checkpoint=tmp_path / "c")
    assert query.step() is None
    table.add(1, 2, 3)
    assert ids(query) == [[1, 2], [3]]
    table.add(7)
    assert ids(query) == [[1, 2], [3], [7]]
    assert ids(query.rewind(0)) == [[1, 2], [3], [7]]
    query.stop()
    table.add(8)
    assert ids(table.read().query(checkpoint=tmp_path / "c")) == [[8]]


def test_times_and_text_can_grow_too(table):
    for second in range(3):
        table.add(second, row=(f"2026-01-01 00:00:0{second}", f"k{second}", 1.0, None))
    for by in "at", "k":
        assert ids(table.read(by, rows_per_batch=2).query()) == [[0, 1], [2]]


def test_rows_of_one_value_stay_together(table):
    table.add(1, 2, 3)
    assert ids(table.read("at", rows_per_batch=2).query()) == [[1, 2, 3]]


def test_a_column_that_is_not_there_is_named(table):
    with pytest.raises(ColumnNotFoundError, match="no column 'idd'; did you mean 'id'"):
        table.read("idd")
    with pytest.raises(ColumnNotFoundError, match="no column 'kk'; did you mean 'k'"):
        table.read(schema={"kk": "string"})


def test_a_table_that_is_not_there_is_one_line(table):
    with pytest.raises(DataError, match=r"from_sql: .*(no such table|does not exist)") as caught:
        sn.from_sql("nope", table.where, "id")
    assert "\n" not in str(caught.value)
    assert PASSWORD not in str(caught.value)


def test_a_table_whose_columns_have_changed_is_seen(table):
    table.add(1)
    frame = table.read()
    query = frame.query().run()
    table.run(f'ALTER TABLE "{table.name}" RENAME COLUMN k TO kk')
    table.add(2)
    with pytest.raises(DataError, match=r"from_sql: .*\"?k\"?"):
        query.step()


def test_a_locked_sqlite_is_waited_for_and_left_within_a_second(tmp_path):
    table = Database(str(tmp_path / "shop.db"), "INTEGER PRIMARY KEY", "?")
    table.add(1)
    query = table.read(timeout="1 minute").query().run()
    with closing(sqlite3.connect(table.where, isolation_level=None)) as link:
        link.execute("BEGIN EXCLUSIVE")
        query.play()
        eventually(query._inputs.sources[0]._database.answers._lock.locked)  # type: ignore[attr-defined]
        assert seconds_to_stop(query) < 1


def test_a_restarted_postgres_is_found_again(postgres_server):
    table = Database(postgres_address(postgres_server), "BIGINT PRIMARY KEY", "%s")
    table.add(1)
    frame = table.read()
    query = frame.query()
    assert ids(query) == [[1]]
    postgres_server.stop()
    assert query.step() is None
    assert status(frame).startswith("trying again: ")
    postgres_server.start()
    table.add(2)
    eventually(lambda: query.step() is not None)
    assert ids(query) == [[1], [2]]
    assert status(frame) == "connected"


@pytest.mark.parametrize("words", [False, True])
def test_what_the_address_says_of_the_session_holds(postgres_server, words):
    import psycopg

    name = f"sql_{int(words)}"
    place = postgres_server.place(name)
    with psycopg.connect(place) as link:
        link.execute("CREATE TABLE orders (id INT PRIMARY KEY)")
        link.execute("INSERT INTO orders VALUES (7)")
    path = f"?options=-csearch_path%3D{name}"
    where = place if words else f"{postgres_address(postgres_server)}{path}"
    assert sn.from_sql("orders", where, "id").query().run().result["id"].tolist() == [7]


def test_an_absent_server_and_a_wrong_password_are_one_line_without_it(postgres_server):
    absent = f"postgresql://u:hunter2@127.0.0.1:{free_port()}/d"
    wrong = f"postgresql://postgres:hunter2@127.0.0.1:{postgres_server.port}/postgres"
    for where in absent, wrong:
        with pytest.raises(DataError, match=r"from_sql: postgresql://127\.0\.0\.1:\d+/\w+: \S+") as caught:
            sn.from_sql("t", where, "id")
        assert "hunter2" not in str(caught.value)
        assert "\n" not in str(caught.value)


def test_ten_megabytes(table):
    table.add(1, row=(None, "x" * 10_000_000, None, None))
    assert table.read(timeout="20 seconds").collect()["k"].str.len().tolist() == [10_000_000]


def test_a_text_that_is_no_utf8_is_set_aside_alone(tmp_path):
    table = Database(str(tmp_path / "shop.db"), "INTEGER PRIMARY KEY", "?")
    table.add(1, 3)
    table.run(f"INSERT INTO \"{table.name}\" (id, k) VALUES (2, CAST(x'61ff' AS TEXT))")  # noqa: S608
    query = table.read().query().run()
    assert ids(query) == [[1, 3]]
    assert query.dead_letters["reason"].tolist() == ["byte 1 of 2 is not UTF-8"]


def test_a_query_stops_within_a_second_while_postgres_says_nothing(postgres_server):
    table = Database(postgres_address(postgres_server), "BIGINT PRIMARY KEY", "%s")
    table.add(1)
    query = table.read(timeout="1 minute").query().run()
    os.kill(postgres_server.server.pid, signal.SIGSTOP)
    try:
        query.play()
        eventually(query._inputs.sources[0]._database.answers._lock.locked)  # type: ignore[attr-defined]
        assert seconds_to_stop(query) < 1
    finally:
        os.kill(postgres_server.server.pid, signal.SIGCONT)


def test_a_file_that_is_not_there_is_not_made(tmp_path):
    path = tmp_path / "none.db"
    with pytest.raises(DataError, match="unable to open database file"):
        sn.from_sql("t", str(path), "id")
    assert not path.exists()


def test_options_that_are_none_are_refused(tmp_path):
    with pytest.raises(PlanError, match="rows_per_batch=0"):
        sn.from_sql("t", str(tmp_path / "x.db"), "id", rows_per_batch=0)
    with pytest.raises(PlanError, match="the address cannot be read"):
        sn.from_sql("t", "postgresql://[", "id")


def test_a_missing_library_is_one_line_to_type(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingError) as caught:
        sn.from_sql("t", "postgresql://x/y", "id")
    assert str(caught.value) == 'from_sql needs psycopg: pip install "streamnb[postgres]"'
