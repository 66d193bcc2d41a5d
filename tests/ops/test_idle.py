"""with_watermark(per=, idle_after=): every value has a time of its own, and who is silent is not waited for."""

from __future__ import annotations

from typing import Any

import pytest

import streamnb as sn
from streamnb.errors import ColumnNotFoundError, PlanError
from streamnb.views.metrics import holders
from tests.play import Play

ROWS = {"at": "datetime", "part": "int64"}
NOON = "2026-01-01 12:00"


def split(idle_after: str | None = "1 minute", **options: Any) -> Play:
    frame = sn.stream(sn.MemorySource(ROWS)).with_watermark("at", "0s", per="part", idle_after=idle_after)
    return Play(frame.group_by(sn.window("at", "10s")).agg(n=sn.count()), **options)


def two(clock: sn.ManualClock, idle_after: str | None = "1 minute") -> tuple[Play, sn.MemorySource, sn.MemorySource]:
    left, right = sn.MemorySource(ROWS), sn.MemorySource(ROWS)
    frames = [sn.stream(source).with_watermark("at", "0s", idle_after=idle_after) for source in (left, right)]
    counts = frames[0].union(frames[1]).group_by(sn.window("at", "10s")).agg(n=sn.count())
    return Play(counts, clock=clock), left, right


# -- every value has a time of its own


def test_the_slowest_value_counts() -> None:
    play = split(None).give("at part \n 00:50 0 \n 00:12 1").watermark("00:12")
    play.give("at part \n 00:30 1").watermark("00:30").give("at part \n 01:00 1").watermark("00:50")


def test_a_value_that_comes_later_holds_from_then_on() -> None:
    play = split(None).give("at part \n 00:20 0").watermark("00:20")
    play.give("at part \n 00:25 1 \n 00:40 0").watermark("00:25").give("at part \n 00:55 0").watermark("00:25")


def test_rows_without_a_time_say_nothing_and_null_is_a_value() -> None:
    play = split(None).give("at part \n 00:20 0 \n - 1").watermark("00:20")
    play.give("at part \n 00:30 0 \n 00:22 -").watermark("00:22")


def test_without_it_the_largest_of_all_counts_as_in_spark() -> None:
    plain = sn.stream(sn.MemorySource(ROWS)).with_watermark("at", "0s")
    Play(plain.group_by("at").agg(n=sn.count())).give("at part \n 00:50 0 \n 00:12 1").watermark("00:50")


def test_the_row_that_set_the_watermark_is_that_of_the_slowest_value() -> None:
    play = split(None).give("at part \n 00:50 0 \n 00:22 1").idle().give("at part \n 00:05 0")
    assert list(play.query.late["set_by"]) == ["part=1, at=2026-01-01 00:00:22"]


# -- who is silent


def test_a_silent_value_is_not_waited_for() -> None:
    clock = sn.ManualClock(NOON)
    play = split(clock=clock).give("at part \n 00:50 0 \n 00:12 1").watermark("00:12")
    clock.advance("59 seconds")
    play.give("at part \n 00:52 0").watermark("00:12")
    clock.advance("1 second")
    play.give("at part \n 00:55 0").watermark("00:55")


def test_a_batch_without_input_moves_the_watermark_once_a_value_falls_silent() -> None:
    clock = sn.ManualClock(NOON)
    play = split(clock=clock).give("at part \n 00:50 0 \n 00:12 1").idle()
    clock.advance("30 seconds")
    play.give("at part \n 00:51 0").nothing_to_do()
    clock.advance("30 seconds")
    play.step().watermark("00:51").step().expect("window_start n \n 00:10 1").nothing_to_do()
    assert play.query.trace[-2].no_data


def test_a_value_that_speaks_again_holds_again_and_may_be_late() -> None:
    clock = sn.ManualClock(NOON)
    play = split(clock=clock).give("at part \n 00:50 0 \n 00:12 1")
    clock.advance("1 minute")
    play.give("at part \n 00:55 0").idle().watermark("00:55")
    play.give("at part \n 00:13 1 \n 01:10 0").late("at part \n 00:13 1").watermark("00:55")
    play.give("at part \n 01:05 1").watermark("01:05")


def test_if_all_are_silent_the_one_furthest_ahead_counts() -> None:
    clock = sn.ManualClock(NOON)
    play = split(clock=clock).give("at part \n 00:50 0 \n 00:12 1").idle().watermark("00:12")
    clock.advance("1 minute")
    play.idle().watermark("00:50").nothing_to_do()


def test_without_idle_after_a_silent_value_holds_for_ever() -> None:
    clock = sn.ManualClock(NOON)
    play = split(None, clock=clock).give("at part \n 00:50 0 \n 00:12 1").idle()
    clock.advance("99 days")
    play.nothing_to_do().give("at part \n 00:55 0").watermark("00:12")


def test_a_silent_stream_is_not_waited_for() -> None:
    clock = sn.ManualClock(NOON)
    play, left, right = two(clock)
    play.give_all({left: "at part \n 00:50 0", right: "at part \n 00:12 0"}).idle().watermark("00:12")
    clock.advance("1 minute")
    play.give("at part \n 00:55 0", left).watermark("00:55")
    assert [mark.idle for mark in play.query.trace[-1].marks] == [False, True]
    assert list(play.query.watermarks["holds"]) == [True, False]


def test_a_stream_that_never_had_a_row_is_waited_for_from_the_first_batch_on() -> None:
    clock = sn.ManualClock(NOON)
    play, left, _ = two(clock)
    play.give("at part \n 00:50 0", left).watermark("1970-01-01")
    clock.advance("1 minute")
    play.idle().watermark("00:50")


def test_two_streams_that_stand_at_one_time_fall_silent_together() -> None:
    clock = sn.ManualClock(NOON)
    third = sn.MemorySource(ROWS)
    ahead = sn.stream(third).with_watermark("at", "0s")
    left, right = sn.MemorySource(ROWS), sn.MemorySource(ROWS)
    frames = [sn.stream(source).with_watermark("at", "0s", idle_after="1 minute") for source in (left, right)]
    play = Play(frames[0].union(frames[1]).union(ahead).group_by("at").agg(n=sn.count()), clock=clock)
    play.give_all({left: "at \n 00:10", right: "at \n 00:10", third: "at \n 00:30"}).idle().watermark("00:10")
    clock.advance("1 minute")
    play.idle().watermark("00:30")


def test_of_streams_without_idle_after_the_one_behind_is_waited_for_as_in_spark() -> None:
    clock = sn.ManualClock(NOON)
    play, left, right = two(clock, None)
    play.give_all({left: "at part \n 00:50 0", right: "at part \n 00:12 0"}).idle()
    clock.advance("99 days")
    play.give("at part \n 00:55 0", left).watermark("00:12")


# -- what is said


def test_what_is_missing_for_a_result_is_a_row_of_every_value_that_is_behind() -> None:
    play = split(None).give("at part \n 00:50 0 \n 00:12 1 \n 00:13 2").idle()
    needs = play.query.why_no_output().needs
    assert [need.values for need in needs] == [{"part": 1}, {"part": 2}]
    play.give("at part \n 00:20 1").give("at part \n 00:20 2").idle().expect("window_start n \n 00:10 2")


def test_of_an_idle_stream_no_row_is_asked() -> None:
    clock = sn.ManualClock(NOON)
    play, left, right = two(clock)
    play.give_all({left: "at part \n 00:50 0", right: "at part \n 00:12 0"})
    clock.advance("1 minute")
    play.give("at part \n 00:55 0", left).idle()
    assert [need.source for need in play.query.why_no_output().needs] == [1]


def test_the_view_says_who_is_idle() -> None:
    clock = sn.ManualClock(NOON)
    play, left, right = two(clock)
    play.give_all({left: "at part \n 00:50 0", right: "at part \n 00:12 0"})
    clock.advance("1 minute")
    play.give("at part \n 00:55 0", left)
    trace = play.query.trace[-1]
    rows = holders(trace.marks, trace.watermark_after, "min").rows
    assert [(row.cells[4], row.mark) for row in rows] == [
        ("holds the watermark back", "picked"),
        ("idle, not waited for", ""),
    ]


def test_spark_has_no_equal() -> None:
    frame = sn.stream(sn.MemorySource(ROWS)).with_watermark("at", "0s", per="part")
    with pytest.raises(PlanError, match="it waits for the largest time of all; leave them out"):
        frame.to_pyspark_source()


# -- what is kept


def test_silent_values_are_forgotten_so_that_the_state_is_bounded() -> None:
    clock = sn.ManualClock(NOON)
    play = split(clock=clock)
    for part in range(100):
        clock.advance("10 seconds")
        play.give(f"at part \n 00:50 {part}")
    assert len(play.query._graph.watermark_steps[0].tables[0]) == 1 + 6


def test_a_rewound_query_sees_the_same_watermarks() -> None:
    clock = sn.ManualClock(NOON)
    play = split(clock=clock).give("at part \n 00:50 0 \n 00:12 1")
    clock.advance("40 seconds")
    play.give("at part \n 00:51 0").idle().rewind(1).watermark("00:12")
    clock.advance("20 seconds")
    play.step().watermark("00:51")


def test_a_recovered_query_sees_the_same_watermarks(tmp_path: Any) -> None:
    def told(crash_after: int | None) -> list[str]:
        clock, source = sn.ManualClock(NOON), sn.MemorySource(ROWS)
        frame = sn.stream(source).with_watermark("at", "0s", per="part", idle_after="1 minute")
        frame = frame.group_by(sn.window("at", "10s")).agg(n=sn.count())
        folder, marks = tmp_path / str(crash_after), []
        query = frame.query(checkpoint=folder, clock=clock)
        for number, rows in enumerate([((20, 0), (12, 1)), ((30, 0),), ((40, 0),), ((50, 0),), ((59, 0), (55, 1))]):
            source.add([{"at": f"2026-01-01 00:00:{second}", "part": part} for second, part in rows])
            query.step()
            if number == crash_after:
                query.stop()
                query = frame.query(checkpoint=folder, clock=clock)
            marks.append(str(query.watermark))
            clock.advance("25 seconds")
        query.stop()
        return marks

    whole = told(None)
    assert whole[2:] == [f"2026-01-01 00:00:{second}" for second in (12, 50, 55)]
    assert [told(number) for number in range(4)] == [whole] * 4


# -- what is refused


def test_a_column_that_is_not_there_is_refused() -> None:
    with pytest.raises(ColumnNotFoundError, match="no column 'prt'; did you mean 'part'"):
        sn.stream(sn.MemorySource(ROWS)).with_watermark("at", "0s", per="prt")


def test_a_wait_for_nobody_is_refused() -> None:
    with pytest.raises(PlanError, match="idle_after='0 seconds' waits for nobody"):
        sn.stream(sn.MemorySource(ROWS)).with_watermark("at", "0s", idle_after="0s")


def test_it_is_told_in_the_plan() -> None:
    frame = sn.stream(sn.MemorySource(ROWS)).with_watermark("at", "5s", per="part", idle_after="1 minute")
    assert "with_watermark at − 5 seconds per part, idle after 1 minute" in frame.explain()
