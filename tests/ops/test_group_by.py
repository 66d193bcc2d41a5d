"""group_by: windows, keys, the three output modes, and what is refused."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

import streamnb as sn
from streamnb.errors import ColumnNotFoundError, PlanError
from tests.play import Play

CLICKS = {"at": "datetime", "user": "string", "n": "int64", "x": "float64"}


def clicks(delay: str | None = "10s") -> sn.StreamFrame:
    frame = sn.stream(sn.MemorySource(CLICKS))
    return frame if delay is None else frame.with_watermark("at", delay)


def counts(*keys: Any, delay: str | None = "10s") -> sn.StreamFrame:
    return clicks(delay).group_by(*keys).agg(n=sn.count())


# -- windows


def test_a_window_holds_its_start_and_not_its_end() -> None:
    play = Play(counts(sn.window("at", "10s")), "update").give("at \n 00:10 \n 00:19.999999 \n 00:20")
    play.expect("window_start window_end n \n 00:10 00:20 2 \n 00:20 00:30 1")


def test_windows_before_1970_are_counted_downwards() -> None:
    play = Play(counts(sn.window("at", "10s"), delay=None), "update")
    play.give("at \n 1969-12-31T23:59:59.999999 \n 1969-12-31T23:59:50")
    play.expect("window_start window_end n \n 1969-12-31T23:59:50 1970-01-01 2")


def test_a_start_shifts_all_windows() -> None:
    play = Play(counts(sn.window("at", "10s", start="3s")), "update").give("at \n 00:12 \n 00:13")
    play.expect("window_start n \n 00:03 1 \n 00:13 1")


def test_a_start_may_be_negative() -> None:
    play = Play(counts(sn.window("at", "10s", start="-3s")), "update").give("at \n 00:06 \n 00:07")
    play.expect("window_start n \n 2025-12-31T23:59:57 1 \n 00:07 1")


def test_a_row_is_in_every_window_that_slides_over_it() -> None:
    play = Play(counts(sn.window("at", "10s", slide="5s")), "update").give("at \n 00:12")
    play.expect("window_start n \n 00:05 1 \n 00:10 1")


def test_a_slide_need_not_divide_the_size() -> None:
    play = Play(counts(sn.window("at", "10s", slide="4s"), delay=None), "update")
    play.give("at \n 1970-01-01T00:00:08").expect(
        "window_start n \n 1970-01-01 1 \n 1970-01-01T00:00:04 1 \n 1970-01-01T00:00:08 1"
    )
    play.give("at \n 1970-01-01T00:00:11").expect("window_start n \n 1970-01-01T00:00:04 2 \n 1970-01-01T00:00:08 2")


def test_a_row_can_be_late_for_some_of_its_windows_and_counted_in_others() -> None:
    play = Play(counts(sn.window("at", "10s", slide="5s"), delay="0s")).give("at \n 00:20").idle()
    play.give("at \n 00:12").late("at window_start \n 00:12 00:05 \n 00:12 00:10")
    play = Play(counts(sn.window("at", "10s", slide="5s"), delay="0s")).give("at \n 00:17").idle()
    play.give("at \n 00:12").late("at window_start \n 00:12 00:05").state("window_start n \n 00:10 2 \n 00:15 1")


def test_a_day_is_24_hours_from_midnight_utc() -> None:
    source = sn.MemorySource({"at": "datetime[America/New_York]"})
    query = sn.stream(source).group_by(sn.window("at", "1 day")).agg(n=sn.count()).query("update")
    source.add({"at": pd.to_datetime(["2026-03-08T23:59Z", "2026-03-09T00:00Z", "2026-03-09T23:59Z"])})
    query.run()
    assert list(query.result["n"]) == [1, 2]
    assert set(query.result["window_end"] - query.result["window_start"]) == {pd.Timedelta("24h")}


def test_a_week_starts_on_thursday_unless_it_is_told_to() -> None:
    play = Play(counts(sn.window("at", "1 week"), delay=None), "update").give("at \n 2026-01-07")
    play.expect("window_start n \n 2026-01-01 1")
    play = Play(counts(sn.window("at", "1 week", start="4 days"), delay=None), "update").give("at \n 2026-01-07")
    play.expect("window_start n \n 2026-01-05 1")


def test_windows_can_be_as_small_as_a_microsecond() -> None:
    play = Play(counts(sn.window("at", "1us"), delay=None), "update").give("at \n 00:01.000001 \n 00:01.000002")
    play.expect("window_start n \n 00:01.000001 1 \n 00:01.000002 1")


def test_a_null_time_is_in_no_window() -> None:
    Play(counts(sn.window("at", "10s")), "update").give("at user \n - ann \n 00:10 bob").expect("n \n 1").late()


def test_the_window_stands_where_it_is_named() -> None:
    frame = clicks().group_by("user", sn.window("at", "10s"), "n").agg(rows=sn.count())
    assert list(frame.schema) == ["user", "window_start", "window_end", "n", "rows"]


def test_a_window_is_taken_of_an_expression() -> None:
    frame = clicks(None).group_by(sn.window(sn.col("at").dt.truncate("1m"), "10s")).agg(n=sn.count())
    Play(frame, "update").give("at \n 00:59 \n 01:59").expect("window_start n \n 00:00 1 \n 01:00 1")


# -- keys


def test_null_is_a_key() -> None:
    play = Play(counts("user", delay=None), "update").give("user \n - \n ann").give("user \n -")
    play.expect("user n \n - 2").result("user n \n - 2 \n ann 1")


def test_all_nan_are_one_key_and_minus_zero_is_zero() -> None:
    play = Play(counts("x", delay=None), "complete").give("x \n nan \n 0.0").give("x \n nan \n -0.0")
    play.expect("n \n 2 \n 2")


def test_names_of_any_alphabet_are_keys() -> None:
    Play(counts("user", delay=None), "complete").give("user \n é \n 日本 \n é").expect("user n \n é 2 \n 日本 1")


def test_a_list_is_a_key() -> None:
    frame = sn.stream(sn.MemorySource({"l": "list[int64]"})).group_by("l").agg(n=sn.count())
    Play(frame, "complete").give("l \n 1,2 \n [] \n -").give("l \n 1,2 \n []").expect("l n \n 1,2 2 \n [] 2 \n - 1")


def test_an_expression_is_a_key() -> None:
    frame = clicks(None).group_by(sn.col("n") % 2, parity=sn.col("n") % 2 == 0).agg(rows=sn.count())
    Play(frame, "update").give("n \n 3 \n 4 \n 5").expect("n parity rows \n 1 false 2 \n 0 true 1")


def test_an_event_time_key_can_have_another_name() -> None:
    frame = clicks("0s").group_by(sn.col("at").alias("time")).agg(n=sn.count())
    play = Play(frame).give("at \n 00:10").idle().expect("time n \n 00:10 1")
    play.give("at \n 00:09").late("at \n 00:09")


def test_without_keys_there_is_one_group_that_is_told_in_every_batch() -> None:
    play = Play(clicks(None).group_by().agg(rows=sn.count(), total=sn.sum("n")), "update")
    play.give("n").expect("rows total \n 0 -").give("n \n 4").expect("rows total \n 1 4")
    play.give("n").expect("rows total \n 1 4").result("rows total \n 1 4")


# -- output modes


def test_append_gives_a_group_once_when_the_watermark_has_passed_it() -> None:
    play = Play(counts(sn.window("at", "10s"), "user")).give("at user \n 00:12 ann \n 00:14 bob").expect()
    play.give("at user \n 00:31 ann").expect().idle().expect("window_start user n \n 00:10 ann 1 \n 00:10 bob 1")
    play.state("window_start user n \n 00:30 ann 1")


def test_update_gives_what_a_batch_touched_and_forgets_in_silence() -> None:
    play = Play(counts(sn.window("at", "10s"), "user"), "update").give("at user \n 00:12 ann \n 00:14 bob")
    play.expect("user n \n ann 1 \n bob 1").give("at user \n 00:15 ann").expect("user n \n ann 2")
    play.give("at user \n 00:31 ann").expect("window_start n \n 00:30 1").idle().expect().state(
        "window_start n \n 00:30 1"
    )
    play.result("window_start user n \n 00:10 ann 2 \n 00:10 bob 1 \n 00:30 ann 1")


def test_a_group_can_be_updated_and_forgotten_in_one_batch() -> None:
    play = Play(counts(sn.window("at", "10s"), delay="0s"), "update").give("at \n 00:12").give("at \n 00:25")
    play.give("at \n 00:13").expect("window_start n \n 00:10 2").late().state_rows(1)


def test_complete_gives_everything_every_time_and_forgets_nothing() -> None:
    play = Play(counts(sn.window("at", "10s"), delay="0s"), "complete").give("at \n 00:12").give("at \n 00:55")
    play.idle().batches(2).give("at \n 00:13").late().expect("window_start n \n 00:10 2 \n 00:50 1").watermark("00:55")
    play.give("at").expect("window_start n \n 00:10 2 \n 00:50 1")


def test_a_filter_above_sees_only_what_is_given_out() -> None:
    frame = counts("user", delay=None).filter(sn.col("n") % 2 == 0)
    play = Play(frame, "update").give("user \n ann").expect().give("user \n ann").expect("user n \n ann 2")
    play.give("user \n ann").expect().result("user n \n ann 2")


def test_other_keys_below_a_watermark_are_never_late() -> None:
    play = Play(counts("user", delay="0s"), "update").give("at user \n 00:59 ann").idle().give("at user \n 00:01 ann")
    play.late().expect("user n \n ann 2").state_rows(1)


def test_a_batch_without_input_runs_when_the_watermark_moved_whatever_the_keys() -> None:
    play = Play(counts("user", delay="0s"), "update").give("at user \n 00:10 ann").step().expect().nothing_to_do()
    play.give("at user \n 00:09 ann").nothing_to_do()


def test_batches_without_input_can_be_switched_off() -> None:
    play = (
        Play(counts(sn.window("at", "10s"), delay="0s"), no_data_batches=False).give("at \n 00:12").give("at \n 00:25")
    )
    play.nothing_to_do().give("at \n 00:26").expect("window_start n \n 00:10 1")


# -- an aggregation over an aggregation


def test_windows_are_gathered_into_larger_windows_in_the_same_batch() -> None:
    lower = counts(sn.window("at", "5s"), "user", delay="0s")
    frame = lower.group_by(sn.window(sn.window_time(), "15s")).agg(groups=sn.count(), n=sn.sum("n"))
    play = Play(frame).give("at user \n 00:01 ann \n 00:02 ann \n 00:03 bob \n 00:06 ann").give("at \n 00:16").idle()
    play.expect("window_start window_end groups n \n 00:00 00:15 3 4").late().state_rows(1)


def test_the_time_of_a_window_is_its_last_microsecond() -> None:
    frame = counts(sn.window("at", "5s"), delay="0s").with_columns(t=sn.window_time())
    Play(frame).give("at \n 00:01").give("at \n 00:07").idle().expect("t n \n 00:04.999999 1")


def test_the_time_of_a_window_can_be_a_column_first() -> None:
    lower = counts(sn.window("at", "5s"), delay="0s").with_columns(t=sn.window_time())
    frame = lower.group_by(sn.window("t", "10s")).agg(n=sn.sum("n"))
    Play(frame).give("at \n 00:01 \n 00:07").give("at \n 00:11").idle().expect("window_start n \n 00:00 2")


def test_windows_that_end_together_are_grouped_by_their_end() -> None:
    frame = counts(sn.window("at", "5s"), "user", delay="0s").group_by("window_end").agg(users=sn.count())
    play = Play(frame).give("at user \n 00:01 ann \n 00:02 bob").give("at \n 00:06").idle()
    play.expect("window_end users \n 00:05 2")


def test_both_bounds_of_a_window_are_keys_again() -> None:
    lower = counts(sn.window("at", "5s"), "user", delay="0s")
    frame = lower.group_by("window_start", "window_end").agg(users=sn.count())
    play = Play(frame).give("at user \n 00:01 ann \n 00:02 bob").give("at \n 00:06").idle()
    play.expect("window_start window_end users \n 00:00 00:05 2")


# -- state


def test_the_state_shows_when_a_group_ends() -> None:
    play = Play(counts(sn.window("at", "10s"), "user")).give("at user \n 00:12 ann")
    play.state("operator window_start window_end user n expires_at \n group_by 00:10 00:20 ann 1 00:20")


# -- refused


@pytest.mark.parametrize(
    ("window", "words"),
    [
        ({"size": "0s"}, "window: a size of 0 seconds holds no row; "),
        ({"size": "-5s"}, "window: a size of -5 seconds holds no row; "),
        ({"size": "10s", "slide": "20s"}, "window: a slide of 20 seconds with a size of 10 seconds; "),
        ({"size": "10s", "slide": "0s"}, "window: a slide of 0 seconds with a size of 10 seconds; "),
        ({"size": "10s", "start": "10s"}, "window: a start of 10 seconds with a slide of 10 seconds; "),
        ({"size": "10s", "slide": "5s", "start": "-5s"}, "window: a start of -5 seconds with a slide of 5 seconds; "),
    ],
)
def test_a_window_that_does_not_fit_together(window: dict[str, str], words: str) -> None:
    with pytest.raises(PlanError, match=words) as error:
        sn.window("at", **window)
    assert error.value.code == "WINDOW_INVALID"


@pytest.mark.parametrize("size", ["1 month", "2 years"])
def test_a_window_of_months(size: str) -> None:
    with pytest.raises(PlanError, match=rf"window: '{size}' has months, and a month has no fixed length; ") as error:
        sn.window("at", size)
    assert error.value.code == "DURATION_INVALID"


def test_a_window_of_something_that_is_no_time() -> None:
    with pytest.raises(PlanError, match=r"window: 'user' is String, and windows are of datetimes; ") as error:
        counts(sn.window("user", "10s"))
    assert error.value.code == "EVENT_TIME_TYPE"


def test_two_windows() -> None:
    with pytest.raises(PlanError, match=r"two windows in one group_by; ") as error:
        counts(sn.window("at", "10s"), sn.window("at", "20s"))
    assert error.value.code == "TWO_WINDOWS"


def test_a_key_that_is_not_there() -> None:
    with pytest.raises(ColumnNotFoundError, match=r"group_by: no column 'usr'; did you mean 'user'?"):
        counts("usr")


def test_a_time_that_is_not_there() -> None:
    with pytest.raises(ColumnNotFoundError, match=r"window: no column 'att'; did you mean 'at'?"):
        counts(sn.window("att", "10s"))


def test_one_name_twice() -> None:
    for frame in (
        lambda: counts("user", "user"),
        lambda: counts("n"),
        lambda: counts(sn.window("at", "1s"), "window_end"),
    ):
        with pytest.raises(PlanError, match=r"group_by: the names .* stand twice; rename one.") as error:
            frame()
        assert error.value.code == "COLUMN_DUPLICATE"


def test_nothing_to_compute() -> None:
    with pytest.raises(PlanError, match=r"agg: nothing to compute; ") as error:
        clicks().group_by("user").agg()
    assert error.value.code == "AGGREGATE_INVALID"


def test_something_that_is_no_aggregate() -> None:
    with pytest.raises(PlanError, match=r"agg: n='user' is not an aggregate; ") as error:
        clicks().group_by("user").agg(n="user")
    assert error.value.code == "AGGREGATE_INVALID"


@pytest.mark.parametrize("keys", [("user",), (), (sn.window("at", "5s"),)])
def test_append_mode_without_a_watermark(keys: tuple[object, ...]) -> None:
    with pytest.raises(PlanError, match=r"query: append mode gives .* nothing ever makes it so; ") as error:
        counts(*keys, delay=None).query()
    assert error.value.code == "APPEND_WITHOUT_WATERMARK"


def test_append_mode_with_a_watermark_on_no_key() -> None:
    with pytest.raises(PlanError, match=r"query: append mode") as error:
        counts("user").query()
    assert error.value.code == "APPEND_WITHOUT_WATERMARK"


@pytest.mark.parametrize("mode", ["update", "complete"])
def test_an_aggregation_over_one_that_changes(mode: str) -> None:
    frame = counts(sn.window("at", "5s"), "user").group_by(sn.window(sn.window_time(), "10s")).agg(n=sn.count())
    with pytest.raises(PlanError, match=r"query: an aggregation over an aggregation") as error:
        frame.query(mode)
    assert error.value.code == "TWO_AGGREGATIONS"


def test_complete_mode_without_an_aggregation() -> None:
    with pytest.raises(PlanError, match=r"query: complete mode gives out the whole table") as error:
        clicks().query("complete")
    assert error.value.code == "COMPLETE_WITHOUT_AGGREGATION"
