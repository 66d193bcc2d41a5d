"""join with a table: every row of the stream beside the rows of the table that belong to it."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import streamnb as sn
from tests.play import Play

SCHEMA = {"at": "datetime", "k": "string", "v": "int64"}
PEOPLE = {"dk": ["a", "b", "b", "z", None], "name": ["Ann", "Bob", "Bea", "Zed", "Nil"]}
GIVEN = "k v\na 1\nb 2\nc 3\n- 4"


def stream(schema=SCHEMA):
    return sn.stream(sn.MemorySource(schema))


def values():
    return stream({"k": "string", "v": "int64"})


def joined(how="inner", table=PEOPLE, **options):
    return values().join(table, left_on="k", right_on="dk", how=how, **options)


# -- the four kinds


def test_inner_gives_every_match_in_the_order_of_stream_and_table():
    play = Play(joined()).give("k v\nb 2\na 1\nb 3\nc 4\n- 5")
    names = ["Bob", "Bea", "Ann", "Bob", "Bea"]
    assert play.query.emitted[0]["name"].tolist() == names
    play.expect("k v dk name\nb 2 b Bob\nb 2 b Bea\na 1 a Ann\nb 3 b Bob\nb 3 b Bea")


def test_left_gives_unmatched_rows_of_the_stream_with_nulls_at_once():
    play = Play(joined("left")).give(GIVEN)
    play.expect("k v dk name\na 1 a Ann\nb 2 b Bob\nb 2 b Bea\nc 3 - -\n- 4 - -")
    assert play.query.emitted[0]["v"].tolist() == [1, 2, 2, 3, 4]


def test_semi_gives_matched_rows_once_and_anti_the_others():
    Play(joined("semi")).give(GIVEN).expect("k v\na 1\nb 2")
    Play(joined("anti")).give(GIVEN).expect("k v\nc 3\n- 4")


@pytest.mark.parametrize("how", ["right", "full"])
def test_the_unmatched_rows_of_the_table_cannot_come_out(how):
    with pytest.raises(sn.PlanError, match="nothing is ever the last word on that; use how='left'") as refused:
        joined(how)
    assert refused.value.code == "JOIN_STATIC_SIDE"


def test_null_never_matches_null():
    Play(values().join({"k": [None, "a"], "x": [1, 2]}, on="k")).give("k v\n- 1\na 2").expect("k v x\na 2 2")


def test_within_is_refused():
    with pytest.raises(sn.PlanError, match="join: within= bounds the state of two streams"):
        stream().join({"t": [1]}, left_on="v", right_on="t", within=sn.between("t", after="1s", of="at"))


# -- names


def test_keys_named_by_on_stand_once_and_equal_names_get_a_suffix():
    play = Play(values().join({"v": [7], "k": ["a"], "w": [8]}, on=["k"])).give(GIVEN)
    play.expect("k v v_right w\na 1 7 8")
    assert list(play.query.result) == ["k", "v", "v_right", "w"]


def test_keys_of_two_names_both_stand():
    assert list(joined().schema) == ["k", "v", "dk", "name"]
    crossed = values().join({"v": ["a"], "k": [1]}, left_on=["k", "v"], right_on=["v", "k"])
    Play(crossed).give(GIVEN).expect("k v v_right k_right\na 1 a 1")


def test_a_name_that_would_stand_twice_is_refused():
    with pytest.raises(sn.PlanError, match=r"two columns would be called \['v_right'\]; rename one") as refused:
        values().join({"k": ["a"], "v": [1], "v_right": [2]}, on="k")
    assert refused.value.code == "COLUMN_DUPLICATE"


def test_event_time_goes_through():
    frame = stream().with_watermark("at", "10s").join(PEOPLE, left_on="k", right_on="dk")
    play = Play(frame.group_by(sn.window("at", "10s"), "name").agg(n=sn.count()))
    play.give("at k\n01 a\n02 b\n25 z").idle().expect("window_start name n\n00 Ann 1\n00 Bob 1\n00 Bea 1")


# -- where


def test_where_is_part_of_the_match():
    where = (sn.col("name") != "Bob") & (sn.col("v") > 1)
    Play(joined(where=where)).give("k v\na 1\nb 2").expect("k v name\nb 2 Bea")
    Play(joined("left", where=where)).give("k v\na 1\nb 2").expect("k v name\na 1 -\nb 2 Bea")
    Play(joined("semi", where=where)).give("k v\na 1\nb 2").expect("k v\nb 2")
    Play(joined("anti", where=where)).give("k v\na 1\nb 2").expect("k v\na 1")


def test_where_alone_joins_by_a_range():
    bands = {"lo": [0, 10, 50], "hi": [10, 100, 1000], "band": ["low", "mid", "high"]}
    frame = values().join(bands, where=(sn.col("v") >= sn.col("lo")) & (sn.col("v") < sn.col("hi")))
    play = Play(frame.select("k", "v", "band"))
    play.give("k v\na 5\nb 10\nc 60\nd -1\ne -").expect("k v band\na 5 low\nb 10 mid\nc 60 mid\nc 60 high")


def test_a_range_over_many_rows_is_tried_in_pieces():
    table = {"n": np.arange(2_000)}
    source = sn.MemorySource({"m": "int64"})
    source.add({"m": np.arange(3_000)})
    result = sn.stream(source).join(table, where=sn.col("m") == sn.col("n")).collect()
    assert result["n"].tolist() == list(range(2_000))


def test_a_null_condition_is_no_match():
    Play(joined("anti", where=sn.col("v") > 0)).give("k v\na -\nb 1").expect("k v\na -")


def test_where_that_is_not_true_or_false_is_refused():
    with pytest.raises(sn.PlanError, match=r"join: where= gives Int64, not true or false"):
        joined(where=sn.col("v") + 1)


def test_nothing_to_match_by_is_refused():
    with pytest.raises(sn.PlanError, match="nothing says which rows belong together"):
        values().join(PEOPLE)
    with pytest.raises(sn.PlanError, match="are not as many"):
        values().join(PEOPLE, left_on=["k", "v"], right_on=["dk"])


# -- what moves the watermark


def marked():
    return stream().with_watermark("at", "1s")


@pytest.mark.parametrize(("how", "second"), [("inner", "09"), ("semi", "09"), ("left", "39"), ("anti", "39")])
def test_rows_that_cannot_match_do_not_move_the_watermark_of_inner_and_semi(how, second):
    Play(marked().join(PEOPLE, left_on="k", right_on="dk", how=how)).give("at k\n10 a\n40 -").watermark(second)


@pytest.mark.parametrize(("how", "second"), [("inner", "09"), ("semi", "09"), ("left", "39"), ("anti", "39")])
def test_nor_do_rows_that_fail_a_condition_on_the_stream_alone(how, second):
    where = (sn.col("v") < 5) & (sn.col("name") != "Bob")
    frame = marked().join(PEOPLE, left_on="k", right_on="dk", how=how, where=where)
    Play(frame).give("at k v\n10 a 1\n40 b 9").watermark(second)


def outer():
    return marked().join(PEOPLE, left_on="k", right_on="dk", how="left")


def test_a_filter_on_the_stream_goes_below_the_join_and_the_watermark():
    Play(outer().filter(sn.col("v") < 5)).give("at k v\n10 a 1\n40 b 9").watermark("09")


def test_a_left_join_whose_unmatched_rows_are_filtered_out_is_an_inner_one():
    frame = outer().filter(sn.col("name") == "Ann")
    assert "inner join with a table" in frame.explain()
    Play(frame).give("at k v\n10 a 1\n30 z 1\n40 - 1").watermark("29").expect("k v\na 1")


# -- tables


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table, dict, lambda t: pl.DataFrame(t).to_dicts()])
def test_any_table_will_do(make):
    Play(joined(table=make(PEOPLE))).give("k v\na 1").expect("k v dk name\na 1 a Ann")


def test_a_function_is_asked_anew_for_every_batch():
    names = {"dk": ["a"], "name": ["Ann"]}
    play = Play(joined(table=lambda: names)).give("k v\na 1").expect("k v name\na 1 Ann")
    names["name"] = ["Anna"]
    play.give("k v\na 2").expect("k v name\na 2 Anna")


def test_a_source_is_read_anew_for_every_batch():
    people = sn.MemorySource({"dk": "string", "name": "string"})
    play = Play(joined("left", table=people)).give("k v\na 1").expect("k v name\na 1 -")
    people.add([{"dk": "a", "name": "Ann"}])
    play.give("k v\na 2").expect("k v name\na 2 Ann")
    people.add([{"dk": "a", "name": "Al"}])
    play.give("k v\na 3").expect("k v name\na 3 Ann\na 3 Al")


def test_a_fixed_table_stays_as_it_was():
    people = pd.DataFrame(PEOPLE)
    frame = joined(table=people)
    people.loc[0, "name"] = "Anna"
    Play(frame).give("k v\na 1").expect("k v name\na 1 Ann")


def test_a_table_of_keys_alone_adds_no_column():
    for how in ("inner", "left"):
        given = Play(values().join({"k": ["a", "a"]}, on="k", how=how)).give("k v\na 1\nb 2")
        given.expect("k v\na 1\na 1" + ("\nb 2" if how == "left" else ""))


def test_an_empty_table_matches_nothing():
    empty = pl.DataFrame(schema={"dk": pl.String, "name": pl.String})
    Play(joined("left", table=empty)).give("k v\na 1").expect("k v name\na 1 -")
    Play(joined("anti", table=empty)).give("k v\na 1").expect("k v\na 1")
    Play(joined(table=empty)).give("k v\na 1").expect().give().expect()
    bands = pl.DataFrame(schema={"lo": pl.Int64})
    Play(values().join(bands, where=sn.col("v") > sn.col("lo"))).give("k v\na 1").expect()


def test_a_function_that_fails_is_named_with_its_batch():
    tables = iter([PEOPLE])
    play = Play(joined(table=lambda: next(tables))).add("k v\na 1")
    play.fails(sn.QueryError, "join (node 3) failed on batch 0, 1 rows: StopIteration")


def test_a_table_that_changes_its_columns_is_an_error():
    tables = iter([PEOPLE, {"dk": ["a"], "nom": ["Ann"]}])
    Play(joined(table=lambda: next(tables))).add("k v\na 1").fails(sn.DataError, "join: columns ['nom']")


def test_missing_columns_and_types_that_do_not_compare_are_refused():
    with pytest.raises(sn.ColumnNotFoundError, match=r"join: the table: no column 'd'; did you mean 'dk'\?"):
        values().join(PEOPLE, left_on="k", right_on="d")
    with pytest.raises(sn.ColumnNotFoundError, match=r"join: no column 'kk'"):
        values().join(PEOPLE, left_on="kk", right_on="dk")
    with pytest.raises(sn.PlanError, match="'v' is Int64 and 'dk' is String, which cannot be compared") as refused:
        values().join(PEOPLE, left_on="v", right_on="dk")
    assert refused.value.code == "SCHEMA_MISMATCH"


def test_numbers_of_different_types_are_compared_as_numbers():
    table = pl.DataFrame({"i": [1, 2], "x": ["one", "two"]}, schema={"i": pl.Int16, "x": pl.String})
    Play(values().join(table, left_on="v", right_on="i")).give("k v\na 1\nb 70000").expect("k v x\na 1 one")
    halves = pd.DataFrame({"f": [1.0, 1.5, math.nan], "x": ["one", "half", "nan"]})
    Play(values().join(halves, left_on="v", right_on="f")).give("k v\na 1\nb 2").expect("k v x\na 1 one")


def test_times_of_pandas_match_ours():
    table = pd.DataFrame({"at": pd.to_datetime(["2026-01-01 00:00:07"]), "x": [1]})
    Play(stream().join(table, on="at")).give("at k\n07 a\n08 b").expect("at k x\n07 a 1")


# -- in other modes


def counts():
    return values().group_by("k").agg(n=sn.count())


def test_above_an_aggregation_in_update_mode_the_result_has_the_latest_rows():
    play = Play(counts().join({"k": ["a", "b"], "x": [1, 2]}, on="k", how="left"), "update")
    play.give(GIVEN).give("k v\na 1").expect("k n x\na 2 1").result("k n x\na 2 1\nb 1 2\nc 1 -\n- 1 -")
    play = Play(counts().join(PEOPLE, left_on="k", right_on="dk"), "update").give(GIVEN).give("k v\nb 1")
    play.result("k n name\na 1 Ann\nb 2 Bob\nb 2 Bea")


def test_above_an_aggregation_in_complete_mode():
    frame = counts().join(PEOPLE, left_on="k", right_on="dk", how="semi")
    Play(frame, "complete").give(GIVEN).expect("k n\na 1\nb 1").give("k v\na 1").expect("k n\na 2\nb 1")


def test_collect_joins_the_whole_stream():
    source = sn.MemorySource({"k": "string"})
    source.add([{"k": "a"}, {"k": "c"}])
    source.add([{"k": "b"}])
    names = sn.stream(source).join(PEOPLE, left_on="k", right_on="dk").collect()["name"].tolist()
    assert names == ["Ann", "Bob", "Bea"]


@pytest.mark.parametrize("how", ["inner", "left", "semi", "anti"])
def test_it_agrees_with_polars_on_many_rows(how):
    rng = np.random.default_rng(7)
    left = pl.DataFrame({"a": rng.integers(0, 40, 500), "b": rng.choice(["x", "y", "z"], 500), "n": np.arange(500)})
    right = pl.DataFrame({"a": rng.integers(0, 40, 90), "b": rng.choice(["x", "y"], 90), "m": np.arange(90)})
    source = sn.MemorySource(left.schema)
    source.add(left)
    ours = sn.stream(source).join(right, on=["a", "b"], how=how).collect()
    theirs = left.join(right, on=["a", "b"], how=how, maintain_order="left_right").to_pandas()
    pd.testing.assert_frame_equal(ours, theirs)
