"""join_asof: every row beside the row of a table that was the newest at its time."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pytest

import streamnb as sn
from tests.play import Play, at, rows

SCHEMA = {"at": "datetime", "k": "string", "v": "int64"}
PRICES = rows(
    "at k price\n10 a 1\n30 a 3\n20 b 2\n20 a 2", {"at": pl.Datetime("us"), "k": pl.String, "price": pl.Int64}
)


def stream(schema=SCHEMA):
    return sn.stream(sn.MemorySource(schema))


def priced(table=PRICES, **options):
    return stream().join_asof(table, on="at", **options)


def test_the_newest_row_at_or_before_counts():
    play = Play(priced(PRICES.drop("k"))).give("at k\n09 a\n10 a\n19 a\n29 a\n40 a")
    play.expect("at price\n09 -\n10 1\n19 1\n29 2\n40 3")


def test_rows_come_out_once_and_in_order_of_input():
    play = Play(priced(by="k")).give("at k v\n40 a 1\n10 b 2\n20 b 3\n11 a 4")
    assert play.query.emitted[0]["v"].tolist() == [1, 2, 3, 4]
    play.expect("at k v price\n40 a 1 3\n10 b 2 -\n20 b 3 2\n11 a 4 1")


def test_forward_and_nearest():
    table = PRICES.drop("k")
    Play(priced(table, strategy="forward")).give("at\n11\n30\n31").expect("at price\n11 2\n30 3\n31 -")
    Play(priced(table, strategy="nearest")).give("at\n11\n26\n59").expect("at price\n11 1\n26 3\n59 3")


def test_of_equal_times_the_last_row_of_the_table_counts():
    table = rows("at price\n10 1\n10 2\n05 0", {"at": pl.Datetime("us"), "price": pl.Int64})
    Play(priced(table)).give("at\n12").expect("at price\n12 2")


@pytest.mark.parametrize("tolerance", ["5s", dt.timedelta(seconds=5), pd.Timedelta("5s")])
def test_a_match_is_at_most_the_tolerance_away(tolerance):
    play = Play(priced(PRICES.drop("k"), tolerance=tolerance)).give("at\n15\n16\n36")
    play.expect("at price\n15 1\n16 -\n36 -")


def test_a_null_time_or_key_matches_nothing():
    table = pl.concat([PRICES, rows("at k price\n01 - 9\n- a 8", PRICES.schema)])
    Play(priced(table, by=["k"])).give("at k\n- a\n15 -\n15 a").expect("at k price\n- a -\n15 - -\n15 a 1")


def test_two_names_both_stand_and_equal_names_get_a_suffix():
    table = PRICES.rename({"at": "since", "price": "v"})
    frame = stream().join_asof(table, left_on="at", right_on="since", by="k")
    assert list(frame.schema) == ["at", "k", "v", "since", "v_right"]
    Play(frame).give("at k v\n25 a 7").expect("at k v since v_right\n25 a 7 20 2")


def test_numbers_may_be_the_time():
    table = {"n": [1.0, 2.5], "x": ["one", "more"]}
    frame = stream().join_asof(table, left_on="v", right_on="n", tolerance=1)
    Play(frame).give("v\n2\n3\n9").expect("v x\n2 one\n3 more\n9 -")


def test_a_function_is_asked_anew_for_every_batch():
    tables = iter([PRICES, PRICES, PRICES.with_columns(price=pl.lit(7, pl.Int64))])
    play = Play(priced(lambda: next(tables), by="k")).give("at k\n15 a").expect("at price\n15 1")
    play.give("at k\n15 a").expect("at price\n15 7")


def test_event_time_goes_through():
    frame = stream().with_watermark("at", "1s").join_asof(PRICES, on="at", by="k")
    play = Play(frame.group_by(sn.window("at", "10s"), "price").agg(n=sn.count()))
    play.give("at k\n15 a\n16 a\n35 a").idle().expect("window_start price n\n10 1 2")


def test_an_empty_batch_and_an_empty_table():
    Play(priced()).give().expect()
    Play(priced(PRICES.clear())).give("at\n15").expect("at price\n15 -")


def test_it_agrees_with_pandas_on_many_rows():
    rng = np.random.default_rng(3)
    start = np.datetime64(at("00"), "us")
    left = pl.DataFrame(
        {"at": start + rng.integers(0, 9999, 400), "k": rng.choice(["a", "b"], 400), "v": np.arange(400)}
    )
    right = pl.DataFrame(
        {"at": start + rng.permutation(9999)[:99], "k": rng.choice(["a", "b"], 99), "w": np.arange(99)}
    )
    source = sn.MemorySource(left.schema)
    source.add(left)
    ours = sn.stream(source).join_asof(right, on="at", by="k").collect().sort_values("v")
    ours_first, theirs_first = (side.to_pandas().sort_values("at") for side in (left, right))
    theirs = pd.merge_asof(ours_first, theirs_first, on="at", by="k").sort_values("v").reset_index(drop=True)
    pd.testing.assert_frame_equal(ours, theirs)


# -- refused


def test_a_stream_on_the_right_is_refused_with_the_way_out():
    with pytest.raises(sn.PlanError, match=r"give a table .* or use join\(…, within=sn.between\(…\)\)") as refused:
        stream().join_asof(stream(), on="at")
    assert refused.value.code == "JOIN_ASOF_STREAM"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "no time is named"),
        ({"left_on": "at"}, "no time is named"),
        ({"on": "k"}, "has no before and after"),
        ({"on": "at", "strategy": "back"}, "strategy='back' is not known"),
        ({"on": "at", "tolerance": 5}, "tolerance=5 is no distance"),
        ({"on": "at", "tolerance": "-5s"}, "tolerance='-5s' is no distance"),
        ({"on": "att"}, "no column 'att'"),
        ({"on": "at", "by": "v"}, "the table: no column 'v'"),
        ({"left_on": "at", "right_on": "price"}, "cannot be compared"),
    ],
)
def test_what_makes_no_sense_is_refused(options, words):
    with pytest.raises(sn.PlanError, match=words):
        stream().join_asof(PRICES, **options)


def test_a_zone_on_one_side_only_is_refused():
    with pytest.raises(sn.PlanError, match="cannot be compared; cast one of them"):
        stream({"at": "datetime[UTC]"}).join_asof(PRICES, on="at")
