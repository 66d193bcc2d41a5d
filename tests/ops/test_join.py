"""join: two streams, each pair once, unmatched rows when nothing can match them any more."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

import streamnb as sn
from streamnb.bag import ID, Bag
from streamnb.errors import ColumnNotFoundError, PlanError
from streamnb.state import EXPIRES
from tests.play import HOUR, Play

LEFT = {"lt": "datetime", "k": "string", "v": "int64"}
RIGHT = {"rt": "datetime", "k": "string", "w": "int64"}
SOON = sn.between("rt", after="0s", before="10s", of="lt")


class Two:
    """Two sources, and the join of both within ten seconds."""

    def __init__(self, how: str = "inner", delay: str | None = "0s", mode: str = "append", **options) -> None:
        self.left, self.right = sn.MemorySource(LEFT), sn.MemorySource(RIGHT)
        left, right = sn.stream(self.left), sn.stream(self.right)
        if delay is not None:
            left, right = left.with_watermark("lt", delay), right.with_watermark("rt", delay)
        self.frame = left.join(right, **{"on": "k", "how": how, "within": SOON, **options})
        self.play = Play(self.frame, mode)

    def give(self, left: str = "", right: str = "") -> Play:
        if not right:
            return self.play.give(left, to=self.left)
        if not left:
            return self.play.give(right, to=self.right)
        return self.play.give_all({self.left: left, self.right: right})


def test_rows_of_one_batch_meet():
    Two().give("lt k v \n 00:10 a 1", "rt k w \n 00:15 a 2").expect("lt k v rt w \n 00:10 a 1 00:15 2")


@pytest.mark.parametrize("first", ["left", "right"])
def test_a_pair_comes_out_with_its_second_row_once(first):
    two = Two()
    rows = {"left": ("lt k v \n 00:10 a 1", ""), "right": ("", "rt k w \n 00:15 a 2")}
    second = "right" if first == "left" else "left"
    two.give(*rows[first]).expect()
    two.give(*rows[second]).expect("k v w \n a 1 2")


def test_equal_rows_are_as_many_pairs():
    two = Two()
    two.give("lt k v \n 00:10 a 1 \n 00:10 a 1").expect()
    two.give("", "rt k w \n 00:10 a 2 \n 00:10 a 2").expect("v w \n 1 2 \n 1 2 \n 1 2 \n 1 2")


@pytest.mark.parametrize(
    ("closed", "matches"),
    [("both", "00:10 00:20"), ("left", "00:10"), ("right", "00:20"), ("none", "")],
)
def test_the_bounds_of_the_range(closed, matches):
    within = sn.between("rt", after="0s", before="10s", of="lt", closed=closed)
    two = Two(within=within)
    right = "rt k \n 00:09 a \n 00:10 a \n 00:20 a \n 00:21 a"
    two.give("lt k \n 00:10 a", right).expect("rt \n" + "\n".join(matches.split()))


def test_a_range_may_be_written_from_either_side():
    within = sn.between("lt", after="-10s", before="0s", of="rt")
    Two(within=within).give("lt k \n 00:10 a", "rt k \n 00:10 a \n 00:20 a \n 00:21 a").expect("rt \n 00:10 \n 00:20")


def test_null_keys_never_match():
    Two().give("lt k \n 00:10 -", "rt k \n 00:10 -").expect()


def test_null_keys_match_in_a_full_join_as_in_spark():
    Two("full").give("lt k v \n 00:10 - 1", "rt k w \n 00:10 - 2").expect("k v w \n - 1 2")


def test_state_ends_when_no_row_can_match_any_more():
    two = Two()
    two.give("lt k \n 00:10 a", "rt k \n 00:10 b").state_rows(2)
    two.give("lt k \n 00:30 c", "rt k \n 00:20 d").watermark("00:20").idle().state_rows(3)
    two.give("lt k \n 00:30 e", "rt k \n 00:21 f").watermark("00:21").idle().state_rows(3)


def test_late_rows_are_dropped_on_either_side():
    two = Two()
    two.give("lt k \n 00:30 a", "rt k \n 00:30 a").idle()
    two.give("lt k v \n 00:30 b 1").late("lt k v \n 00:30 b 1")
    two.give("", "rt k w \n 00:29 b 1").late("rt k_right w \n 00:29 b 1")


@pytest.mark.parametrize(
    ("how", "out"),
    [
        ("inner", ""),
        ("left", "k v w \n a 1 -"),
        ("right", "k v w \n b - 2"),
        ("full", "k v w \n a 1 - \n b - 2"),
        ("semi", ""),
        ("anti", "k v \n a 1"),
    ],
)
def test_an_unmatched_row_comes_out_when_the_watermark_proves_it(how, out):
    two = Two(how)
    two.give("lt k v \n 00:10 a 1", "rt k w \n 00:10 b 2").expect()
    two.give("lt k v \n 00:50 y 3", "rt k w \n 00:50 z 4").expect()
    two.play.step().expect(out)


def test_both_watermarks_must_move_for_an_unmatched_row():
    two = Two("left")
    two.give("lt k \n 00:10 a", "rt k \n 00:10 b")
    two.give("lt k \n 00:50 c").expect()
    two.play.idle().expect()
    two.give("", "rt k \n 00:50 d").idle().expect("lt k rt \n 00:10 a -")


def test_a_row_that_has_matched_is_never_unmatched():
    two = Two("left")
    two.give("lt k \n 00:10 a", "rt k \n 00:10 a").expect("k rt \n a 00:10")
    two.give("lt k \n 00:50 y", "rt k \n 00:50 z").idle().expect()


def test_a_semi_join_gives_a_row_at_its_first_match_and_forgets_it():
    two = Two("semi")
    two.give("lt k v \n 00:10 a 1").expect().state_rows(1)
    two.give("", "rt k \n 00:11 a \n 00:12 a").expect("k v \n a 1").state_rows(2)
    two.give("", "rt k \n 00:13 a").expect()


def test_an_anti_join_gives_what_never_matched():
    two = Two("anti")
    two.give("lt k v \n 00:10 a 1 \n 00:10 b 2", "rt k \n 00:12 b").expect()
    two.give("lt k v \n 00:50 y 3", "rt k \n 00:50 z").idle().expect("k v \n a 1")


def test_a_condition_on_one_side_keeps_rows_out_of_state():
    two = Two("left", where=(sn.col("v") > 5) & (sn.col("w") < 5))
    two.give("lt k v \n 00:10 a 1").expect("k v w \n a 1 -").state_rows(0)
    two.give("", "rt k w \n 00:10 a 9").state_rows(0)


def test_a_condition_on_both_sides_decides_a_match():
    two = Two(where=sn.col("v") < sn.col("w"))
    two.give("lt k v \n 00:10 a 5", "rt k w \n 00:10 a 5 \n 00:11 a 6").expect("v w \n 5 6")


def test_a_null_time_is_never_late_and_never_unmatched():
    two = Two("left")
    two.give("lt k \n - a", "rt k \n 00:10 b").expect()
    two.give("lt k \n 00:50 y", "rt k \n 00:50 z").idle().state_rows(3)
    assert two.play.query.result.empty


def test_without_a_watermark_an_inner_join_keeps_everything():
    two = Two(delay=None)
    two.give("lt k \n 00:10 a", "rt k \n 59:00 b").state_rows(2)
    two.give("lt k \n 59:59 c").idle().state_rows(3)


def test_an_inner_join_runs_in_update_mode():
    Two(mode="update").give("lt k \n 00:10 a", "rt k \n 00:10 a").expect("k \n a")


def test_windows_can_be_keys():
    left, right = sn.MemorySource(LEFT), sn.MemorySource(RIGHT)
    frames = [
        sn.stream(source).with_watermark(at, "0s").with_columns(sn.window(at, "10s")).drop(at)
        for source, at in ((left, "lt"), (right, "rt"))
    ]
    frame = frames[0].join(frames[1], on=["window_start", "window_end", "k"], how="left")
    play = Play(frame)
    play.give_all({left: "lt k v \n 00:01 a 1 \n 00:01 b 2", right: "rt k w \n 00:09 a 3"}).expect("k v w \n a 1 3")
    play.give_all({left: "lt k v \n 00:30 z 9", right: "rt k w \n 00:30 z 9"}).idle()
    play.result("k v w \n a 1 3 \n z 9 9 \n b 2 -")


def test_equal_names_on_the_right_get_a_suffix():
    two = Two(on=None, left_on="k", right_on="k")
    assert list(two.frame.schema) == ["lt", "k", "v", "rt", "k_right", "w"]


def test_an_aggregation_above_a_join_waits_for_the_join():
    two = Two()
    counted = two.frame.drop("rt").group_by(sn.window("lt", "10s")).agg(n=sn.count())
    play = Play(counted)
    left, right = play.sources
    play.give_all({left: "lt k \n 00:01 a", right: "rt k \n 00:02 a"})
    play.give_all({left: "lt k \n 00:15 b", right: "rt k \n 00:15 b"}).idle().batches(3)
    play.result()
    play.give_all({left: "lt k \n 00:21 c", right: "rt k \n 00:21 c"}).idle()
    play.result("window_start n \n 00:00 1")


def test_collect_is_the_plain_join():
    two = Two("full")
    sn.add({two.left: [{"lt": None, "k": "a", "v": 1}], two.right: [{"rt": None, "k": "b", "w": 2}]})
    assert len(two.frame.collect()) == 2


def test_state_does_not_grow():
    two = Two("left", delay="5s")
    sizes = []
    for n in range(1_500):
        at = HOUR + dt.timedelta(seconds=n)
        sn.add({two.left: {"lt": [at], "k": [str(n)], "v": [n]}, two.right: {"rt": [at], "k": [str(n % 7)], "w": [n]}})
        two.play.query.step()
        sizes.append((len(two.play.query._tables[0]), two.play.query._tables[0].nbytes))
    assert max(sizes[750:])[0] <= max(sizes[:750])[0] + 1
    assert max(size for _, size in sizes[750:]) <= 2 * max(size for _, size in sizes[:750])


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"on": None}, "JOIN_WITHOUT_EQUALITY"),
        ({"how": "cross"}, "OPTION_INVALID"),
        ({"how": "left", "within": None}, "OUTER_JOIN_WITHOUT_BOUND"),
        ({"how": "semi", "delay": None}, "OUTER_JOIN_WITHOUT_BOUND"),
        ({"how": "left", "mode": "update"}, "JOIN_OUTPUT_MODE"),
        ({"mode": "complete"}, "COMPLETE_WITHOUT_AGGREGATION"),
        ({"on": None, "left_on": "k", "right_on": "w"}, "SCHEMA_MISMATCH"),
    ],
)
def test_a_join_that_cannot_be_is_refused(options, code):
    with pytest.raises(PlanError) as raised:
        Two(**options)
    assert raised.value.code == code


def test_an_unknown_column_is_named():
    with pytest.raises(ColumnNotFoundError, match="'kk'; did you mean 'k'"):
        Two(on="kk")
    with pytest.raises(ColumnNotFoundError, match="'rtt'"):
        Two(within=sn.between("rtt", before="1s", of="lt"))


def test_a_range_without_bounds_is_refused():
    with pytest.raises(PlanError, match="no bound"):
        sn.between("rt", of="lt")


def test_a_bag_keeps_equal_rows_apart_and_can_be_replayed():
    bag = Bag({"k": pl.String(), "v": pl.Int64()}, ["k"])
    rows = pl.DataFrame({"k": ["a", "a", None], "v": [1, 1, 2], EXPIRES: pl.Series([None] * 3, dtype=pl.Int64)})
    bag.add(rows)
    first = bag.commit()
    bag.remove(bag.find(pl.DataFrame({ID: [0]})))
    second = bag.commit()
    again = bag.like()
    for changes in (first, second):
        again.apply(changes)
    positions, slots = again.of(pl.DataFrame({"k": ["b", "a"]}))
    assert positions.tolist() == [1]
    assert again.rows(slots)["v"].to_list() == [1]
    again.add(rows[:1])
    assert len(again) == 3
