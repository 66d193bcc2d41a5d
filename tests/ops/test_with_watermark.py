"""with_watermark: what moves it, what it judges, and when."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

import streamnb as sn
from streamnb.errors import ColumnNotFoundError, PlanError
from tests.play import Play

CLICKS = {"at": "datetime", "user": "string", "n": "int64"}


def clicks() -> sn.StreamFrame:
    return sn.stream(sn.MemorySource(CLICKS))


def per_window(delay: str = "10s", size: str = "5s") -> sn.StreamFrame:
    return clicks().with_watermark("at", delay).group_by(sn.window("at", size)).agg(n=sn.count())


def per_time(delay: str = "10s") -> sn.StreamFrame:
    return clicks().with_watermark("at", delay).group_by("at").agg(n=sn.count())


def test_it_is_the_largest_time_less_the_delay() -> None:
    Play(per_window()).give("at \n 00:15 \n 00:11").watermark("00:05").give("at \n 00:27").watermark("00:17")


def test_it_never_goes_back() -> None:
    Play(per_window()).give("at \n 00:30").watermark("00:20").give("at \n 00:22").watermark("00:20")


def test_it_stands_at_1970_before_any_row() -> None:
    play = Play(per_window())
    assert play.query.watermark == pd.Timestamp(0)
    play.give("at").watermark("1970-01-01")


def test_a_batch_runs_with_the_watermark_of_the_batches_before() -> None:
    play = Play(per_window()).give("at \n 00:15").give("at \n 00:40")
    assert [progress.event_time["watermark"].second for progress in play.query.progress] == [0, 5]


def test_a_row_is_not_late_because_of_its_neighbours() -> None:
    Play(per_window("0s")).give("at \n 00:59 \n 00:01").late().idle().expect("window_start n \n 00:00 1")


def test_a_row_is_judged_by_the_batch_before_last() -> None:
    play = Play(per_window("0s")).give("at \n 00:30").give("at \n 00:01").late()
    play.idle().give("at \n 00:01").late("at \n 00:01")


def test_a_window_that_ends_on_the_watermark_is_over() -> None:
    play = Play(per_window("0s")).give("at \n 00:12").give("at \n 00:15").idle().expect("window_start n \n 00:10 1")
    play.give("at \n 00:14.999999 \n 00:15").late("at \n 00:14.999999")


def test_a_time_on_the_watermark_is_late() -> None:
    play = Play(per_time()).give("at \n 00:20").idle().watermark("00:10")
    play.give("at \n 00:10 \n 00:10.000001").late("at \n 00:10").state("at n \n 00:20 1 \n 00:10.000001 1")


def test_it_is_cut_to_milliseconds() -> None:
    play = Play(per_time("0s")).give("at \n 00:10.123999").watermark("00:10.123").idle().expect()
    play.give("at \n 00:10.123 \n 00:10.1235").late("at \n 00:10.123")


def test_a_delay_is_cut_to_milliseconds_too() -> None:
    Play(per_time("1500 us")).give("at \n 00:10.002").watermark("00:10.001")


def test_null_times_move_nothing() -> None:
    Play(per_time()).give("at \n 00:20").give("at \n -").watermark("00:10").give("at \n - \n 00:30").watermark("00:20")


def test_a_null_time_is_never_late_and_never_forgotten() -> None:
    play = Play(per_time()).give("at \n 00:30").idle().give("at \n -").late().give("at \n 00:50").idle()
    play.give("at \n -").late().state("at n \n 00:50 1 \n - 2")


def test_times_before_1970_never_move_it() -> None:
    Play(per_time("0s")).give("at \n 1969-12-31").watermark("1970-01-01").nothing_to_do()


def test_a_delay_longer_than_time_itself_keeps_it_at_1970() -> None:
    Play(per_time("40000 days")).give("at \n 00:10").watermark("1970-01-01")


def test_times_at_or_before_1970_are_late_at_once() -> None:
    play = Play(per_time("0s")).give("at \n 1969-12-31 \n 1970-01-01 \n 1970-01-01T00:00:00.000001")
    play.late("at \n 1969-12-31 \n 1970-01-01").state("n \n 1")


def test_windows_before_1970_are_late_at_once() -> None:
    Play(per_window("0s")).give("at \n 1969-12-31T23:59:59 \n 1970-01-01").late("at \n 1969-12-31T23:59:59")


def test_one_moment_may_come_many_times() -> None:
    play = Play(per_time("0s")).give("at \n 00:10 \n 00:10").give("at \n 00:10").idle()
    play.result("at n \n 00:10 3")


def test_a_month_is_31_days_and_a_year_12_of_them() -> None:
    Play(per_window("1 month")).give("at \n 2026-03-01").watermark("2026-01-29")
    Play(per_window("1 year 2 months")).give("at \n 2027-03-11").watermark("2026-01-01")


@pytest.mark.parametrize(
    "delay", ["interval 10 seconds", "10s", "0.01 ms 9999990 us", dt.timedelta(seconds=10), pd.Timedelta("10s")]
)
def test_a_delay_is_spelled_in_many_ways(delay: str) -> None:
    Play(per_window(delay)).give("at \n 00:30").watermark("00:20")


# -- time zones


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York"])
def test_a_column_with_a_zone_has_a_watermark_in_that_zone(zone: str) -> None:
    source = sn.MemorySource({"at": f"datetime[{zone}]"})
    query = sn.stream(source).with_watermark("at", "10s").group_by(sn.window("at", "5s")).agg(n=sn.count()).query()
    source.add([{"at": "2026-01-01T00:00:30+00:00"}])
    query.step()
    assert query.watermark == pd.Timestamp("2026-01-01 00:00:20", tz="UTC")
    assert str(query.watermark.tz) == zone


def test_of_an_hour_that_comes_twice_the_later_one_counts() -> None:
    source = sn.MemorySource({"at": "datetime[Europe/Berlin]"})
    query = sn.stream(source).with_watermark("at", "0s").group_by("at").agg(n=sn.count()).query()
    source.add([{"at": "2026-10-25T00:30+00:00"}, {"at": "2026-10-25T01:30+00:00"}])
    query.step()
    assert query.watermark == pd.Timestamp("2026-10-25 01:30", tz="UTC")


def test_an_hour_that_comes_twice_in_autumn_is_two_hours() -> None:
    source = sn.MemorySource({"at": "datetime[Europe/Berlin]"})
    frame = sn.stream(source).with_watermark("at", "0s").group_by(sn.window("at", "1 hour")).agg(n=sn.count())
    query = frame.query("update")
    source.add(
        {
            "at": pd.date_range("2026-10-25T00:00", "2026-10-25T03:00", freq="20min", tz="UTC").tz_convert(
                "Europe/Berlin"
            )
        }
    )
    query.run()
    assert list(query.result["n"]) == [3, 3, 3, 1]
    assert [str(start) for start in query.result["window_start"]] == [
        "2026-10-25 02:00:00+02:00",
        "2026-10-25 02:00:00+01:00",
        "2026-10-25 03:00:00+01:00",
        "2026-10-25 04:00:00+01:00",
    ]


# -- refused


def test_a_column_that_is_not_there() -> None:
    with pytest.raises(ColumnNotFoundError, match=r"with_watermark: no column 'att'; did you mean 'at'?"):
        clicks().with_watermark("att", "1s")


def test_a_column_that_is_no_time() -> None:
    with pytest.raises(
        PlanError, match=r"with_watermark: 'user' is String, and event time must be a datetime; "
    ) as error:
        clicks().with_watermark("user", "1s")
    assert error.value.code == "EVENT_TIME_TYPE"


@pytest.mark.parametrize("delay", ["-1 seconds", dt.timedelta(seconds=-1)])
def test_a_negative_delay(delay: str) -> None:
    with pytest.raises(PlanError, match=r"with_watermark: a delay of -1 second is negative; ") as error:
        clicks().with_watermark("at", delay)
    assert error.value.code == "DURATION_INVALID"


@pytest.mark.parametrize("delay", ["", "soon", "5", "5 parsecs", "5s and more", 5, None])
def test_a_delay_that_cannot_be_read(delay: str) -> None:
    with pytest.raises(PlanError, match=r"with_watermark: cannot read the duration .*; write it like") as error:
        clicks().with_watermark("at", delay)
    assert error.value.code == "DURATION_INVALID"


def test_a_second_watermark_on_one_stream() -> None:
    twice = clicks().with_watermark("at", "1s").with_watermark("at", "2s")
    with pytest.raises(PlanError, match=r"query: with_watermark.'at'. stands above with_watermark.'at'.; ") as error:
        twice.query()
    assert error.value.code == "WATERMARK_REDEFINED"


OWN = {"at": "datetime", "window_start": "string", "window_end": "int64", "late_by": "int64"}
GROUPS = {
    "window": lambda rows: rows.group_by(sn.window("at", "5s")),
    "sliding": lambda rows: rows.group_by(sn.window("at", "10s", "10s")),
    "session": lambda rows: rows.group_by(sn.session_window("at", "5s"), "late_by"),
}


@pytest.mark.parametrize("name", GROUPS)
def test_columns_of_the_user_s_own_keep_their_values_in_late(name: str) -> None:
    source = sn.MemorySource(OWN)
    query = GROUPS[name](sn.stream(source).with_watermark("at", "0s")).agg(n=sn.count()).query()
    empty = query.late
    for n, second in enumerate((30, 1)):
        source.add([{"at": f"2024-01-01 00:00:{second:02}", "window_start": "xy"[n], "window_end": n, "late_by": n}])
        query.run()
    (row,) = query.late.to_dict("records")
    assert (row["window_start"], row["window_end"], row["late_by"]) == ("y", 1, 1)
    assert row["window_end_"] > row["window_start_"] >= pd.Timestamp("2024-01-01")
    assert row["late_by_"] == pd.Timestamp("2024-01-01 00:00:30") - row["window_end_"]
    assert query.why(query.late.iloc[0]).fate == "late"
    assert len(empty) == 0
    assert dict(empty.dtypes) == dict(query.late.dtypes)


def test_late_without_a_row_has_the_columns_of_the_rows() -> None:
    play = Play(per_window())
    assert play.query.late.dtypes["n"] == "int64"
