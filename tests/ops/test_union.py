"""union: two streams as one, each with its own watermark."""

from __future__ import annotations

import pytest

import streamnb as sn
from streamnb.errors import PlanError
from tests.play import Play

SCHEMA = {"at": "datetime", "k": "string"}


class Two:
    """Two sources, and the frame of both."""

    def __init__(self, left: str | None = "0s", right: str | None = "0s", **options: str) -> None:
        self.left, self.right = sn.MemorySource(SCHEMA), sn.MemorySource(SCHEMA)
        both = self._marked(self.left, left).union(self._marked(self.right, right))
        frame = both.group_by(sn.window("at", "5s"), "k").agg(n=sn.count())
        self.play = Play(frame, **options)

    def _marked(self, source: sn.MemorySource, delay: str | None) -> sn.StreamFrame:
        frame = sn.stream(source)
        return frame if delay is None else frame.with_watermark("at", delay)


def test_the_rows_of_both_come_out() -> None:
    left, right = sn.MemorySource(SCHEMA), sn.MemorySource(SCHEMA)
    play = Play(sn.stream(left).union(sn.stream(right)))
    play.give_all({left: "k \n a", right: "k \n b"}).expect("k \n a \n b")
    play.give("k \n c", to=right).expect("k \n c")


def test_columns_are_matched_by_name() -> None:
    left, right = sn.MemorySource({"a": "int64", "b": "int64"}), sn.MemorySource({"b": "int64", "a": "int64"})
    play = Play(sn.stream(left).union(sn.stream(right)))
    play.give_all({left: "a b \n 1 2", right: "b a \n 2 1"}).expect("a b \n 1 2 \n 1 2")


def test_the_smaller_watermark_counts() -> None:
    two = Two()
    two.play.give_all({two.left: "at \n 00:30", two.right: "at \n 00:10"}).watermark("00:10")
    two.play.give("at \n 00:20", to=two.right).watermark("00:20")
    two.play.give("at \n 00:50", to=two.right).watermark("00:30")


def test_the_larger_watermark_counts_if_asked_to() -> None:
    two = Two(watermark_policy="max")
    two.play.give_all({two.left: "at k \n 00:30 a", two.right: "at k \n 00:10 b"}).watermark("00:30").idle()
    two.play.give("at k \n 00:11 c", to=two.right).late("at k \n 00:11 c")


def test_a_stream_without_rows_holds_the_watermark_at_1970() -> None:
    two = Two()
    two.play.give("at \n 00:30", to=two.left).watermark("1970-01-01").nothing_to_do()
    two.play.give("at \n 00:40", to=two.right).watermark("00:30")


def test_a_quiet_stream_holds_the_watermark_where_it_was() -> None:
    two = Two()
    two.play.give_all({two.left: "at \n 00:30", two.right: "at \n 00:10"}).give("at \n 05:00", to=two.left)
    two.play.watermark("00:10")


def test_each_stream_has_its_own_delay() -> None:
    two = Two("10s", "25s")
    two.play.give_all({two.left: "at \n 01:00", two.right: "at \n 01:00"}).watermark("00:35")


def test_a_stream_without_a_watermark_takes_no_part() -> None:
    two = Two("0s", None)
    two.play.give("at k \n 00:30 a", to=two.left).watermark("00:30").idle()
    two.play.give("at k \n 00:12 b", to=two.right).late("at k \n 00:12 b")


def test_one_source_in_two_branches_is_read_twice() -> None:
    source = sn.MemorySource(SCHEMA)
    rows = sn.stream(source)
    play = Play(rows.filter(sn.col("k") == "a").union(rows.with_columns(k=sn.lit("b"))))
    play.give("k \n a \n c").expect("k \n a \n b \n b")
    assert play.query.last_progress is not None
    assert play.query.last_progress.num_input_rows == 4


def test_rows_added_together_are_in_one_batch() -> None:
    left, right = sn.MemorySource(SCHEMA), sn.MemorySource(SCHEMA)
    play = Play(sn.stream(left).union(sn.stream(right)))
    play.add("k \n a", to=left)
    play.give_all({left: "k \n b", right: "k \n c"}).expect("k \n a").step().expect("k \n b \n c").nothing_to_do()


@pytest.mark.parametrize("other", [{"at": "datetime"}, {"at": "datetime", "k": "int64"}, {**SCHEMA, "more": "bool"}])
def test_streams_with_other_columns(other: dict[str, str]) -> None:
    left, right = sn.stream(sn.MemorySource(SCHEMA)), sn.stream(sn.MemorySource(other))
    with pytest.raises(
        PlanError, match=r"union: the two streams differ in columns .*; select the same columns"
    ) as error:
        left.union(right)
    assert error.value.code == "SCHEMA_MISMATCH"


def test_a_policy_that_does_not_exist() -> None:
    with pytest.raises(PlanError, match=r"query: watermark_policy='mean' is not known; ") as error:
        sn.stream(sn.MemorySource(SCHEMA)).query(watermark_policy="mean")
    assert error.value.code == "OPTION_INVALID"
