"""time: durations, windows, clocks, and the rule of the watermark."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import streamnb as sn
from streamnb.errors import PlanError
from streamnb.time import DAY, SECOND, Watermark, Window, duration, instant, moment, spell
from tests import laws  # noqa: F401  its settings of hypothesis
from tests.oracle import Windows

MINUTE = 60 * SECOND


# -- durations


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("10 minutes", 10 * MINUTE),
        ("90s", 90 * SECOND),
        ("1h30m", 90 * MINUTE),
        ("1h 30m", 90 * MINUTE),
        ("1 hour, 30 minutes", 90 * MINUTE),
        ("INTERVAL 5 Seconds", 5 * SECOND),
        ("1.5 s", SECOND * 3 // 2),
        ("-5 seconds", -5 * SECOND),
        ("- 5 seconds", -5 * SECOND),
        ("1 hour -30 minutes", 30 * MINUTE),
        ("250ms", SECOND // 4),
        ("7us", 7),
        ("7 µs", 7),
        ("2 weeks 1 day", 15 * DAY),
        ("1d", DAY),
        ("0s", 0),
        (dt.timedelta(minutes=3), 3 * MINUTE),
        (pd.Timedelta("3 min"), 3 * MINUTE),
        (pd.Timedelta("1500ns"), 1),
    ],
)
def test_a_duration_is_written_in_many_ways(written: Any, meant: int) -> None:
    assert duration(written, "verb") == meant


@pytest.mark.parametrize(
    "written", ["", " ", "5", "s", "soon", "5 parsecs", "5s and more", "1:30", "5e3 s", 5, 5.0, None, b"5s"]
)
def test_a_duration_that_cannot_be_read(written: Any) -> None:
    with pytest.raises(
        PlanError, match=r"verb: cannot read the duration .*; write it like '10 minutes', '90s' or '1h30m'."
    ) as error:
        duration(written, "verb")
    assert error.value.code == "DURATION_INVALID"


@pytest.mark.parametrize("written", ["1 month", "2 years", "1 day 1 month"])
def test_months_have_no_length_unless_they_are_asked_for(written: str) -> None:
    with pytest.raises(
        PlanError, match=r"verb: .* has months, and a month has no fixed length; write it in days"
    ) as error:
        duration(written, "verb")
    assert error.value.code == "DURATION_INVALID"
    assert duration("1 month", "verb", months=True) == 31 * DAY
    assert duration("1 year", "verb", months=True) == 372 * DAY


@given(st.integers(-(10**15), 10**15))
def test_what_is_spelled_can_be_read(microseconds: int) -> None:
    text = spell(microseconds)
    back = duration(text.removeprefix("-"), "verb")
    assert (-back if text.startswith("-") else back) == microseconds


# -- windows


@given(
    st.integers(-(10**12), 10**15),
    st.integers(1, 100_000),
    st.integers(1, 100_000),
    st.integers(-100_000, 100_000),
)
def test_the_last_window_of_a_time_is_the_last_that_holds_it(time: int, size: int, slide: int, start: int) -> None:
    slide = min(slide, size)
    start = start % slide
    window = Window(size, slide, start)
    last = pl.select(window.last_start(pl.lit(time))).item()
    micro = [f"{value} us" for value in (size, slide, start)]
    starts = [instant(start) for start, _ in Windows("", *micro).of(pd.Timestamp(time, unit="us"))]
    assert last == max(starts, default=last)
    assert (last - start) % slide == 0
    assert len(starts) <= window.overlap


def test_a_window_says_what_it_is() -> None:
    assert str(Window(10 * MINUTE, 10 * MINUTE)) == "10 minutes"
    assert str(Window(10 * MINUTE, 5 * MINUTE)) == "10 minutes every 5 minutes"


# -- clocks and moments


@given(st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31)))
def test_a_moment_and_its_instant_are_one(time: dt.datetime) -> None:
    assert moment(instant(time)) == time


def test_an_instant_of_zoned_time_is_utc() -> None:
    assert instant(pd.Timestamp("2026-01-01 01:00", tz="Europe/Berlin")) == instant(dt.datetime(2026, 1, 1))


def test_a_clock_goes_forward_only() -> None:
    clock = sn.ManualClock("2026-01-01")
    clock.advance("90s")
    assert moment(clock.now()) == dt.datetime(2026, 1, 1, 0, 1, 30)
    with pytest.raises(PlanError, match=r"ManualClock.advance: '-1s' goes back; a clock only advances.") as error:
        clock.advance("-1s")
    assert error.value.code == "DURATION_INVALID"
    assert sn.ManualClock().now() == 0


# -- the watermark


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 2), st.integers(-(10**6), 10**9)), max_size=4), max_size=8),
    st.tuples(*[st.integers(0, 10**6)] * 3),
    st.sampled_from(["min", "max"]),
)
def test_it_is_the_policy_over_the_largest_of_each_input(
    batches: list[list[tuple[int, int]]], delays: tuple[int, int, int], policy: str
) -> None:
    watermark = Watermark(policy)
    inputs = [watermark.add_input() for _ in delays]
    largest: list[int | None] = [None] * 3
    current = 0
    for batch in batches:
        assert watermark.current == current
        late = current
        for number, time in batch:
            watermark.observe(inputs[number], time, delays[number])
            largest[number] = max(time, largest[number] or time)
        candidates = [
            0 if top is None else top // 1000 * 1000 - d // 1000 * 1000 for top, d in zip(largest, delays, strict=True)
        ]
        current = max(current, {"min": min, "max": max}[policy](candidates))
        watermark.advance()
        assert watermark.late == late


def test_the_watermark_of_a_table_makes_nothing_late() -> None:
    watermark = Watermark.of_a_table()
    assert watermark.late < instant(dt.datetime(1, 1, 1)) < instant(dt.datetime(9999, 1, 1)) < watermark.current
