"""Controls: the numbers of a batch as words, errors as text, buttons as commands."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

import streamnb as sn
from streamnb.views.controls import Controls, numbers, report, short_duration, short_time, status


@pytest.fixture
def query():
    clock = sn.ManualClock("2024-01-01 10:00")
    source = sn.MemorySource({"at": "datetime", "v": "int64"})
    windows = sn.stream(source).with_watermark("at", "10 minutes").group_by(sn.window("at", "10 minutes"))
    made = windows.agg(n=sn.count()).query(output_mode="update", clock=clock, name="test-controls")
    for rows in (["09:55", "09:30"], ["09:58"], ["09:31"]):
        source.add([{"at": f"2024-01-01 {clock_time}:00", "v": 1} for clock_time in rows])
    yield made
    made.stop()


def told(query: sn.Query, at: int) -> dict[str, str]:
    return {number.label: number.text for number in numbers(query, at)}


def test_before_the_first_batch_every_number_is_a_dash(query):
    assert set(told(query, -1).values()) == {"–"}


def test_the_numbers_are_those_of_the_batch_looked_at(query):
    query.run()
    first = told(query, 0)
    assert (first["batch"], first["rows"], first["watermark"], first["lag"]) == ("0", "2", "09:45", "15 min")
    assert first["dropped"] == "0"
    assert told(query, 1)["watermark"] == "09:48"


def test_dropped_counts_all_so_far_and_those_of_this_batch(query):
    query.run()
    assert [told(query, at)["dropped"] for at in range(3)] == ["0", "0", "1 (+1)"]


def test_without_a_watermark_there_is_no_lag():
    source = sn.MemorySource({"v": "int64"})
    query = sn.stream(source).query(name="test-no-watermark")
    source.add([{"v": 1}])
    query.run()
    assert (told(query, 0)["watermark"], told(query, 0)["lag"]) == ("–", "–")
    query.stop()


def test_a_rate_that_is_no_number_is_a_dash(query):
    query.run()
    query.progress[0] = replace(query.progress[0], processed_rows_per_second=float("nan"))
    assert told(query, 0)["rows/s"] == "–"


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (None, "–"),
        (dt.datetime(2013, 2, 8, 10, 31), "10:31"),
        (dt.datetime(2013, 2, 8, 10, 31, 5), "10:31:05"),
        (dt.datetime(2013, 2, 9, 0, 5), "Feb 9 00:05"),
    ],
)
def test_a_time_is_as_short_as_the_day_allows(time, text):
    assert short_time(time, dt.datetime(2013, 2, 8)) == text


@pytest.mark.parametrize(
    ("length", "text"),
    [
        ({"seconds": 0}, "0 s"),
        ({"seconds": 0.2}, "200 ms"),
        ({"seconds": 90}, "1 min 30 s"),
        ({"hours": 5, "minutes": 59, "seconds": 10}, "5 h 59 min"),
        ({"days": 3, "minutes": 5}, "3 d 5 min"),
        ({"minutes": -90}, "-1 h 30 min"),
    ],
)
def test_a_duration_has_its_two_largest_units(length, text):
    assert short_duration(dt.timedelta(**length)) == text


def test_an_error_is_one_line_and_its_traceback():
    assert report(None) is None
    told_error = report(ValueError("<b>no</b>"))
    assert told_error == {"title": "ValueError: <b>no</b>", "trace": "ValueError: <b>no</b>\n"}


def test_a_query_at_rest_is_ready_until_it_has_run(query):
    assert status(query) == "ready"
    query.step()
    assert status(query) == "paused"
    query.run()
    assert status(query) == "done"


def test_a_pressed_button_becomes_a_command():
    heard = []
    controls = Controls(lambda command, value: heard.append((command, value)))
    controls.hear({"command": "step"}, [])
    controls.hear({"command": "jump", "value": 3}, [])
    assert heard == [("step", None), ("jump", 3)]
    controls.close()


def test_an_error_of_the_picture_leaves_the_rest_as_it_was(query):
    controls = Controls(print)
    controls.show(query, -1, 2.0)
    controls.complain(ValueError("no ink"))
    assert controls.shown["error"]["title"] == "ValueError: no ink"
    assert controls.shown["name"] == "test-controls"
    controls.close()
