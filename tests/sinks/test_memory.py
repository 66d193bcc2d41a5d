"""Memory: every batch by its number, and the table they make."""

from __future__ import annotations

import polars as pl

from streamnb.sinks import Memory
from streamnb.sinks.memory import latest


def rows(**columns: list[object]) -> pl.DataFrame:
    return pl.DataFrame(columns)


def test_appended_batches_are_one_table() -> None:
    sink = Memory()
    sink.write_polars(0, rows(n=[1]), "append")
    sink.write_polars(1, rows(n=[2, 3]), "append")
    table = sink.table(None)
    assert table is not None
    assert table["n"].to_list() == [1, 2, 3]


def test_updated_rows_stand_once_where_they_came_first() -> None:
    sink = Memory()
    sink.write_polars(0, rows(k=["a", "b"], n=[1, 1]), "update")
    sink.write_polars(1, rows(k=["b", None], n=[2, 1]), "update")
    table = sink.table(("k",))
    assert table is not None
    assert table.rows() == [("a", 1), ("b", 2), (None, 1)]


def test_a_complete_table_is_the_last_one() -> None:
    sink = Memory()
    sink.write_polars(0, rows(n=[1]), "complete")
    sink.write_polars(1, rows(n=[2, 3]), "complete")
    table = sink.table(("k",))
    assert table is not None
    assert table["n"].to_list() == [2, 3]


def test_a_batch_that_comes_again_replaces_itself() -> None:
    sink = Memory()
    sink.write_polars(0, rows(n=[1]), "append")
    sink.write_polars(0, rows(n=[2]), "append")
    assert [batch["n"].to_list() for batch in sink.batches()] == [[2]]


def test_batches_can_be_forgotten_and_the_past_looked_at() -> None:
    sink = Memory()
    for i in range(4):
        sink.write_polars(i, rows(n=[i]), "append")
    past = sink.table(None, up_to=1)
    assert past is not None
    assert past["n"].to_list() == [0, 1]
    sink.forget_after(2)
    assert len(sink.batches()) == 3
    assert Memory().table(None) is None


def test_a_key_of_no_columns_is_one_row() -> None:
    assert latest([rows(n=[1]), rows(n=[2]), rows(n=[])], ()).rows() == [(2,)]


def test_a_key_may_have_many_rows_in_a_batch() -> None:
    batches = [rows(k=["a", "a", "b"], n=[1, 2, 3]), rows(k=["a", "a", "a"], n=[4, 5, 6])]
    assert latest(batches, ("k",)).rows() == [("a", 4), ("a", 5), ("a", 6), ("b", 3)]
