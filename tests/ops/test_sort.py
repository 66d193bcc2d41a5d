"""sort: the complete table in order; limit above it."""

from __future__ import annotations

import pytest

import streamnb as sn
from tests.play import Play

SCHEMA = {"id": "string", "v": "int64"}


def rows():
    return sn.stream(sn.MemorySource(SCHEMA))


def counts(*keys):
    return rows().group_by(*keys or ("id",)).agg(n=sn.count())


def ordered(play):
    return play.query.trace[-1].emitted.rows()


def test_the_whole_table_is_in_order_in_every_batch():
    play = Play(counts().sort("n", "id"), "complete").give("id v\nb 1\nb 1\nc 1\na 1")
    assert ordered(play) == [("a", 1), ("c", 1), ("b", 2)]
    play.give("id v\nc 1\nc 1")
    assert ordered(play) == [("a", 1), ("b", 2), ("c", 3)]


def test_descending_for_all_or_for_each():
    play = Play(counts().sort("n", "id", descending=True), "complete").give("id v\nb 1\nb 1\nc 1\na 1")
    assert ordered(play) == [("b", 2), ("c", 1), ("a", 1)]
    play = Play(counts().sort("n", "id", descending=[True, False]), "complete").give("id v\nb 1\nb 1\nc 1\na 1")
    assert ordered(play) == [("b", 2), ("a", 1), ("c", 1)]


def test_nulls_come_first_and_in_descending_order_last():
    given = "id v\na 1\nb -\n- 2"
    assert ordered(Play(counts("v").sort("v"), "complete").give(given)) == [(None, 1), (1, 1), (2, 1)]
    assert ordered(Play(counts("v").sort("v", descending=True), "complete").give(given)) == [(2, 1), (1, 1), (None, 1)]


def test_by_an_expression():
    play = Play(counts().sort(sn.col("n") * -1, "id"), "complete").give("id v\nb 1\na 1\nb 1")
    assert ordered(play) == [("b", 2), ("a", 1)]


def test_equal_rows_keep_their_order():
    play = Play(counts().sort("n"), "complete").give("id v\nb 1\na 1\nc 1")
    assert ordered(play) == [("b", 1), ("a", 1), ("c", 1)]


def test_limit_takes_the_top_of_the_sorted_table_anew_in_every_batch():
    play = Play(counts().sort("n", descending=True).limit(2), "complete").give("id v\na 1\nb 1\nb 1\nc 1")
    assert ordered(play) == [("b", 2), ("a", 1)]
    play.give("id v\nc 1\nc 1")
    assert ordered(play) == [("c", 3), ("b", 2)]


def test_limit_below_a_complete_aggregation_counts_over_the_life_of_the_query():
    play = Play(rows().limit(3).group_by("id").agg(n=sn.count()), "complete")
    play.give("id v\na 1\na 1").give("id v\nb 1\nb 1").expect("id n\na 2\nb 1").give("id v\nc 1").expect(
        "id n\na 2\nb 1"
    )


def test_the_rows_that_a_filter_or_a_deduplication_leaves_are_in_order():
    play = Play(counts().drop_duplicates(["n"]).sort("n"), "complete").give("id v\nb 1\nb 1\nc 1\na 1")
    assert ordered(play) == [("c", 1), ("b", 2)]
    play = Play(counts().sort("id", descending=True).filter(sn.col("n") < 2), "complete").give(
        "id v\nb 1\nb 1\nc 1\na 1"
    )
    assert ordered(play) == [("c", 1), ("a", 1)]


def test_collect_sorts_any_table():
    source = sn.MemorySource(SCHEMA)
    source.add([{"id": "b"}, {"id": "a"}])
    source.add([{"id": None}])
    assert sn.stream(source).sort("id").collect()["id"].fillna("-").tolist() == ["-", "a", "b"]


@pytest.mark.parametrize(
    ("frame", "mode"),
    [
        (rows().sort("id"), "append"),
        (rows().sort("id"), "update"),
        (counts().sort("n"), "update"),
        (rows().sort("id").group_by("id").agg(n=sn.count()), "complete"),
    ],
)
def test_anything_but_a_complete_aggregation_is_refused(frame, mode):
    with pytest.raises(sn.PlanError, match="sort above an aggregation with output_mode='complete'") as refused:
        frame.query(mode)
    assert refused.value.code == "SORT_WITHOUT_COMPLETE"


@pytest.mark.parametrize("mode", ["append", "complete"])
def test_a_sort_in_complete_mode_without_an_aggregation_is_refused(mode):
    with pytest.raises(sn.PlanError):
        rows().distinct().sort("id").query(mode)


def test_columns_and_ways_must_go_together():
    for wrong in (lambda: counts().sort(), lambda: counts().sort("n", "id", descending=[True])):
        with pytest.raises(sn.PlanError, match="one way or as many ways as columns"):
            wrong()
    with pytest.raises(sn.ColumnNotFoundError, match=r"sort: no column 'm'"):
        counts().sort("m")
