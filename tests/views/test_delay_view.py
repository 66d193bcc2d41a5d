"""The view of another delay: it drops what a query with that delay drops, and shows which rows fare otherwise."""

from __future__ import annotations

import json

import pytest

import streamnb as sn
from streamnb.views.delay import Delay
from streamnb.views.display import dashboard_of
from streamnb.views.shapes import Figure, Sheet, Slider, Words

HOUR = 3_600_000


def hourly(delay: str = "3 hours") -> sn.StreamFrame:
    flights = sn.data.landings("JFK", "2013-02-08")
    return flights.with_watermark("dep", delay).group_by(sn.window("dep", "1 hour")).agg(n=sn.count())


@pytest.fixture(scope="module")
def stormy():
    query = hourly().query(name="test-delay").run()
    yield query
    query.stop()


def figure(sheet: Sheet) -> Figure:
    return next(part for part in sheet.parts if isinstance(part, Figure))


def ringed(sheet: Sheet, words: str) -> int:
    return sum(s.get("tip", "").startswith(words) for s in figure(sheet).shapes)


@pytest.mark.parametrize("hours", [0, 1, 4, 6, 12])
def test_it_drops_what_a_query_with_that_delay_drops(stormy, hours):
    view = Delay(stormy)
    view.hear("delay", hours * HOUR)
    sheet = view.sheet(len(stormy.trace) - 1)
    late = len(hourly(f"{hours} hours").query(name="test-delay-real").run().late)
    lost = f"{late} of 145 rows" if late else "none of 145 rows"
    name = f"{hours} hour{'' if hours == 1 else 's'}" if hours else "0 seconds"
    assert sheet.title == f"A delay of {name} would drop {lost}, where 3 hours drops 23."
    assert ringed(sheet, "would be dropped") - ringed(sheet, "would be counted") == late - 23


def test_with_its_own_delay_nothing_fares_otherwise(stormy):
    sheet = Delay(stormy).sheet(len(stormy.trace) - 1)
    assert sheet.title == "A delay of 3 hours drops 23 of 145 rows."
    assert ringed(sheet, "would be") == 0


def test_it_is_right_where_batches_without_input_come_between():
    rows = sn.MemorySource({"ts": "datetime"})
    window = sn.window("ts", "1 min")
    query = sn.stream(rows).with_watermark("ts", "0s").group_by(window).agg(n=sn.count()).query(name="test-delay-idle")
    for at in ("00:00", "00:05", "00:04", "00:01"):
        rows.add([{"ts": f"2024-01-01 {at}"}])
        query.run()
    view = Delay(query)
    for minutes, words in ((2, "1 of 4 rows"), (60, "none of 4 rows")):
        view.hear("delay", minutes * 60_000)
        sheet = view.sheet(len(query.trace) - 1)
        assert sheet.title.endswith(f"would drop {words}, where 0 seconds drops 2.")
    assert ringed(sheet, "would be counted") == 2
    query.stop()


def test_the_line_is_pulled_and_the_slider_follows(stormy):
    view = Delay(stormy)
    at = len(stormy.trace) - 1
    line = next(s for s in figure(view.sheet(at)).shapes if s.get("drag") == "delay" and s["kind"] == "rect")
    view.hear("drag", ["delay", line["x"] + line["w"] / 2])
    assert view.delay == pytest.approx(3 * HOUR, abs=HOUR / 4)
    view.hear("drag", ["delay", line["x"] + line["w"] / 2 - 40])
    sheet = view.sheet(at)
    assert view.delay > 3 * HOUR
    slider = next(part for part in sheet.parts if isinstance(part, Slider))
    assert slider.value == view.delay
    moved = next(s for s in figure(sheet).shapes if s.get("drag") == "delay" and s["kind"] == "rect")
    assert moved["x"] == pytest.approx(line["x"] - 40, abs=3)
    view.hear("drag", ["delay", 1e6])
    assert view.delay == 0


def test_it_goes_back_in_time_and_is_plain_json(stormy):
    view = Delay(stormy)
    view.hear("delay", HOUR)
    then = view.sheet(12)
    assert json.loads(json.dumps(then.to_json()))["title"] == then.title
    view.sheet(30)
    assert view.sheet(12) == then
    assert view.sheet(-1).title == "No batch has run, so there is no watermark yet."


def test_a_filter_before_the_watermark_is_said():
    flights = sn.data.landings("JFK", "2013-02-08").filter(sn.col("carrier") != "B6").with_watermark("dep", "3 hours")
    query = flights.group_by(sn.window("dep", "1 hour")).agg(n=sn.count()).query(name="test-delay-filter").run()
    view = Delay(query)
    view.hear("delay", HOUR)
    sheet = view.sheet(len(query.trace) - 1)
    assert any(isinstance(part, Words) and "hides where the others lie" in part.text for part in sheet.parts)
    query.stop()


def test_the_tab_is_there_where_one_watermark_judges():
    frame = hourly()
    append, complete = frame.query(name="test-delay-tab"), frame.query("complete", name="test-delay-tab-2")
    assert "delay" in dashboard_of(append).tabs.names
    assert "delay" not in dashboard_of(complete).tabs.names
    assert Delay(complete).sheet(-1).title == "There is not one watermark here whose delay could be tried."
    for query in (append, complete):
        dashboard_of(query).close()
        query.stop()


def test_many_rows_are_not_run_again(monkeypatch, stormy):
    monkeypatch.setattr("streamnb.views.delay.MOST_ROWS", 100)
    assert Delay(stormy).sheet(30).title == "A delay of 3 hours is the one that runs."


def test_many_batches_are_run_again_picture_by_picture(monkeypatch, stormy):
    whole = Delay(stormy)
    whole.hear("delay", HOUR)
    monkeypatch.setattr("streamnb.views.delay.SECONDS", 0.0)
    view, at, asked = Delay(stormy), len(stormy.trace) - 1, []
    unwatch = view.cursor.watch(lambda: asked.append(1))
    view.hear("delay", HOUR)
    first = view.sheet(at)
    assert first.title == "A delay of 1 hour."
    assert first.parts[-1] == Words("The batches are run again: 1 of 64 are done.")
    while (sheet := view.sheet(at)).title == first.title:
        pass
    assert 20 < len(asked) < 64
    monkeypatch.undo()
    assert sheet == whole.sheet(at)
    assert view.sheet(12) == whole.sheet(12)
    unwatch()
