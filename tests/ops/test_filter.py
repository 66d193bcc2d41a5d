"""filter: which rows stay, and where in the plan it stands."""

from __future__ import annotations

import datetime as dt

import narwhals as nw
import pytest

import streamnb as sn
from streamnb.errors import ColumnNotFoundError, PlanError
from tests.play import Play

CLICKS = {"at": "datetime", "user": "string", "n": "int64", "ok": "bool"}


def clicks() -> sn.StreamFrame:
    return sn.stream(sn.MemorySource(CLICKS))


def counted(frame: sn.StreamFrame) -> sn.StreamFrame:
    return frame.group_by(sn.window("at", "5s"), "user").agg(rows=sn.count())


def test_null_counts_as_false() -> None:
    Play(clicks().filter(sn.col("n") > 1)).give("n \n 1 \n 2 \n -").expect("n \n 2")


def test_a_name_stands_for_a_column_of_truth() -> None:
    Play(clicks().filter("ok")).give("n ok \n 1 true \n 2 false \n 3 -").expect("n \n 1")


def test_filters_can_follow_each_other() -> None:
    frame = clicks().filter(sn.col("n") > 1).filter(sn.col("user") == "ann")
    Play(frame).give("n user \n 1 ann \n 2 ann \n 2 bob").expect("n user \n 2 ann")


@pytest.mark.parametrize("condition", [sn.lit(False), sn.lit(1) > 2])
def test_a_constant_condition_is_a_condition(condition: nw.Expr) -> None:
    Play(clicks().filter(condition)).give("n \n 1").expect()
    total = clicks().group_by().agg(rows=sn.count()).filter(condition)
    Play(total, "update").give("n \n 1").expect()


def test_a_condition_over_all_columns_is_a_condition() -> None:
    everything_known = nw.all_horizontal(~nw.all().is_null(), ignore_nulls=False)
    frame = clicks().with_watermark("at", "0s").filter(everything_known)
    Play(frame).give("at user n ok \n 00:01 ann 1 true \n 00:02 ann - true").expect("n \n 1")


def test_rows_that_it_removes_do_not_move_the_watermark() -> None:
    frame = counted(clicks().with_watermark("at", "0s").filter(sn.col("n") > 0))
    Play(frame).give("at n \n 00:10 1 \n 00:50 0").watermark("00:10")


def test_a_filter_of_the_event_time_does_not_hold_the_watermark_back() -> None:
    early = sn.col("at") < dt.datetime(2026, 1, 1, 0, 0, 40)
    Play(counted(clicks().with_watermark("at", "0s").filter(early))).give("at \n 00:10 \n 00:50").watermark("00:50")


def test_of_a_condition_in_two_parts_each_goes_where_it_can() -> None:
    early = sn.col("at") < dt.datetime(2026, 1, 1, 0, 0, 40)
    frame = counted(clicks().with_watermark("at", "0s").filter(early & (sn.col("n") > 0)))
    Play(frame).give("at n \n 00:10 1 \n 00:50 1 \n 00:55 0").watermark("00:50").idle().expect("rows \n 1")


def test_a_filter_of_a_key_is_moved_below_the_watermark_too() -> None:
    frame = counted(clicks().with_watermark("at", "0s")).filter(sn.col("user") == "ann")
    Play(frame).give("at user \n 00:10 ann \n 00:50 bob").watermark("00:10")


def test_a_filter_of_a_result_stays_above() -> None:
    frame = counted(clicks().with_watermark("at", "0s")).filter(sn.col("rows") > 1)
    play = Play(frame).give("at user \n 00:10 ann \n 00:11 ann \n 00:12 bob").give("at \n 00:50").idle()
    play.watermark("00:50").expect("user rows \n ann 2")


MOVED = {
    "rename": (lambda f: f.rename({"n": "m"}).filter(sn.col("m") > 0), "m \n 1 \n 2 \n 3"),
    "select": (lambda f: f.select("at", m=sn.col("n")).filter(sn.col("m") > 0), "m \n 1 \n 2 \n 3"),
    "with_columns": (lambda f: f.with_columns(n=-sn.col("n")).filter(sn.col("n") < 0), "n \n -1 \n -2 \n -3"),
    "drop": (lambda f: f.drop("ok").filter(sn.col("n") > 0), "n \n 1 \n 2 \n 3"),
    "union": (lambda f: f.union(f).filter(sn.col("n") > 1), "n \n 2 \n 3 \n 2 \n 3"),
    "limit": (lambda f: f.limit(3).filter(sn.col("n") > 0), "n \n 1 \n 2"),
    "map_batches": (lambda f: f.map_batches(lambda t: -t[["n"]], {"n": "int64"}).filter(sn.col("n") == 0), "n \n 0"),
    "filter": (lambda f: f.filter(sn.col("n") > 0).filter("ok"), "n \n 1 \n 3"),
}


@pytest.mark.parametrize("below", MOVED)
def test_wherever_it_is_moved_the_rows_are_the_same(below: str) -> None:
    frame, expected = MOVED[below]
    given = "at user n ok \n 00:01 ann 0 true \n 00:02 bob 1 true \n 00:03 eve 2 false \n 00:04 joe 3 true"
    Play(frame(clicks())).give(given).expect(expected)


def test_a_column_that_is_not_there() -> None:
    with pytest.raises(ColumnNotFoundError, match=r"filter: no column 'usr'; did you mean 'user'?"):
        clicks().filter(sn.col("usr") == "ann")


def test_a_condition_that_is_not_true_or_false() -> None:
    with pytest.raises(PlanError, match=r"filter: the condition gives Int64, not true or false; ") as error:
        clicks().filter(sn.col("n") + 1)
    assert error.value.code == "EXPRESSION_INVALID"


def test_an_expression_that_does_not_fit_its_column() -> None:
    with pytest.raises(PlanError, match=r"filter: the expression fails on columns ") as error:
        clicks().filter(sn.col("user").dt.year() == 2026)
    assert error.value.code == "EXPRESSION_INVALID"


def test_something_that_is_no_expression() -> None:
    with pytest.raises(PlanError, match=r"expression: 5 is not one; write sn.col") as error:
        clicks().filter(5)  # type: ignore[arg-type]
    assert error.value.code == "EXPRESSION_INVALID"
