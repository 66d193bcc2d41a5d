"""drop_duplicates_within_watermark: the first row of a key passes; those that follow within the delay do not."""

from __future__ import annotations

import pytest

import streamnb as sn
from tests.play import Play

SCHEMA = {"at": "datetime", "id": "string", "v": "int64"}


def events():
    return sn.stream(sn.MemorySource(SCHEMA))


def once(delay="10s", columns=("id",)):
    return events().with_watermark("at", delay).drop_duplicates_within_watermark(list(columns))


def test_a_key_is_remembered_for_the_delay_after_its_first_row():
    play = Play(once()).give("at id\n20 a").idle().watermark("10")
    assert play.query.state["expires_at"].dt.second.tolist() == [30]
    play.give("at id\n39 b").idle().watermark("29").state("id\na\nb")
    play.give("at id\n40 c").idle().watermark("30").state("id\nb\nc")
    play.give("at id\n41 a").expect("at id\n41 a")


def test_a_duplicate_does_not_prolong():
    Play(once()).give("at id\n20 a").give("at id\n29 a").expect().give("at id\n40 b").idle().state("id\nb")


def test_a_key_in_state_is_a_duplicate_however_far_its_time_is():
    Play(once()).give("at id\n20 a").give("at id\n50:00 a").expect()


def test_the_first_row_in_input_order_wins_though_a_later_one_is_older():
    Play(once()).give("at id\n20 a\n11 a\n30 a").expect("at id\n20 a")


def test_late_rows_are_dropped_and_counted_apart_from_duplicates():
    play = Play(once()).give("at id\n30 a").idle().give("at id\n20 b\n21 c\n21 c").expect("at id\n21 c")
    play.late("at id\n20 b")
    (operator,) = play.query.progress[-1].state_operators
    assert operator.custom_metrics == {"num_dropped_duplicate_rows": 1}
    assert operator.num_rows_dropped_by_watermark == 1


def test_a_row_is_late_even_if_its_time_is_not_read_above():
    Play(once().select("id")).give("at id\n30 a").idle().give("at id\n20 b").expect().late("at id\n20 b")


def test_a_null_time_counts_as_1970():
    play = Play(once()).give("at id\n- a").give("at id\n- a\n20 b").expect("at id\n20 b").idle().state("id\nb")
    play.give("at id\n- a").expect("at id\n- a").state("id\nb")


def test_null_is_one_key():
    Play(once()).give("at id v\n20 - 1\n20 - 2").expect("id v\n- 1")


def test_all_columns_if_none_are_named():
    Play(once(columns=())).give("at id v\n20 a 1\n20 a 2\n20 a 1").expect("at id v\n20 a 1\n20 a 2")


def test_above_windows_the_key_is_kept_for_the_delay_after_the_window():
    windows = events().with_watermark("at", "10s").group_by(sn.window("at", "10s"), "id").agg(n=sn.count())
    play = Play(windows.drop_duplicates_within_watermark(["id"])).give("at id\n01 a").give("at id\n25 b").idle()
    play.expect("window_end id\n10 a").state("operator id\ngroup_by b\ndrop_duplicates_within_watermark a")
    assert play.query.state["expires_at"].dt.second.tolist() == [30, 20]
    play.give("at id\n30 b").idle().state("operator id\ngroup_by b\ngroup_by b")


def test_below_a_complete_aggregation():
    play = Play(once("5s").group_by("id").agg(n=sn.count()), "complete")
    play.give("at id\n01 a\n01 a\n02 b").expect("id n\na 1\nb 1")
    play.give("at id\n20 a").expect("id n\na 1\nb 1").idle().give("at id\n21 a").expect("id n\na 2\nb 1")


def test_update_mode_gives_the_same_rows():
    Play(once(), "update").give("at id\n20 a\n21 a").expect("at id\n20 a")


@pytest.mark.parametrize(
    "frame",
    [events(), events().with_watermark("at", "10s").select("id", "v"), events().with_watermark("at", "1s").drop("at")],
)
def test_without_a_watermark_it_is_refused_by_the_query(frame):
    deduplicated = frame.drop_duplicates_within_watermark(["id"])
    with pytest.raises(sn.PlanError, match="declare with_watermark before it and keep that column") as refused:
        deduplicated.query()
    assert refused.value.code == "DEDUP_WITHOUT_WATERMARK"


@pytest.mark.parametrize("mode", ["update", "complete"])
def test_above_an_aggregation_it_runs_in_append_mode_only(mode):
    windows = events().with_watermark("at", "10s").group_by(sn.window("at", "10s")).agg(n=sn.count())
    with pytest.raises(sn.PlanError) as refused:
        windows.drop_duplicates_within_watermark(["n"]).query(mode)
    assert refused.value.code == "TWO_AGGREGATIONS"


def test_collect_keeps_the_first_row_of_every_key():
    source = sn.MemorySource(SCHEMA)
    source.add([{"at": "2026-01-01 10:00", "id": "a", "v": 1}])
    source.add([{"at": "2026-01-01 00:00", "id": "b", "v": 2}, {"at": "2026-01-02", "id": "a", "v": 3}])
    frame = sn.stream(source).with_watermark("at", "1s").drop_duplicates_within_watermark(["id"])
    assert frame.collect()["v"].tolist() == [1, 2]


def test_rewinding_brings_the_keys_and_their_ends_back():
    play = Play(once()).give("at id\n20 a").give("at id\n59 b").idle().state("id\nb")
    play.rewind(1).state("id\na\nb").step().state("id\nb")
