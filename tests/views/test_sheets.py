"""What the views of state, late rows and metrics lay out: words and shapes as plain data."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from itertools import combinations

import pandas as pd
import polars as pl
import pytest

import streamnb as sn
from streamnb.views.chart import Frame, big, byte_count, round_ticks
from streamnb.views.delay import Delay
from streamnb.views.doctor import Doctor
from streamnb.views.labels import box_of, meet
from streamnb.views.late import Late
from streamnb.views.metrics import Metrics, holders
from streamnb.views.plan import Plan
from streamnb.views.shapes import Figure, Grid, Sheet, Slider
from streamnb.views.sheet import Paper
from streamnb.views.sheet_svg import sheet_html, sheet_svg
from streamnb.views.sources import Sources
from streamnb.views.state import State, sizes
from streamnb.views.state_rows import PAGE

EVIL = "<img src=x onerror=alert(1)>"
VIEWS = [State, Late, Metrics, Delay, Plan, Sources, Doctor]


@pytest.fixture(scope="module")
def stormy():
    flights = sn.data.landings("JFK", "2013-02-08")
    frame = flights.with_watermark("dep", "3 hours").group_by(sn.window("dep", "1 hour")).agg(n=sn.count())
    query = frame.query(name="test-sheets")
    for _ in range(22):
        query.step()
    yield query
    query.stop()


@pytest.fixture
def evil():
    """A query whose column names, keys and values all try to be markup."""
    source = sn.MemorySource({"at": "datetime", EVIL: "string"})
    frame = sn.stream(source).with_watermark("at", "1 minute").group_by(sn.window("at", "1 minute"), EVIL)
    query = frame.agg(n=sn.count()).query("update", name="test-sheets-evil")
    for minute in (1, 9, 9, 1, 1):
        source.add([{"at": f"2024-01-01 09:0{minute}:00", EVIL: EVIL}])
        query.step()
    yield query
    query.stop()


def grids(sheet: Sheet) -> list[Grid]:
    return [part for part in sheet.parts if isinstance(part, Grid)]


def figures(sheet: Sheet) -> list[Figure]:
    return [part for part in sheet.parts if isinstance(part, Figure)]


def texts(sheet: Sheet) -> list[str]:
    return [s["text"] for figure in figures(sheet) for s in figure.shapes if s["kind"] == "text"]


def over_each_other(sheet: Sheet) -> list[tuple[str, str]]:
    """The pairs of words that lie over each other in some figure, as well as can be told without a browser."""
    upright = [[s for s in f.shapes if s["kind"] == "text" and not s.get("turn")] for f in figures(sheet)]
    pairs = (pair for words in upright for pair in combinations(words, 2))
    return [(a["text"], b["text"]) for a, b in pairs if meet(box_of(a), box_of(b))]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("at", [-1, 0, 12, 21])
def test_a_sheet_is_plain_json_and_says_itself(view, at, stormy):
    sheet = view(stormy).sheet(at)
    assert json.loads(json.dumps(sheet.to_json()))["title"] == sheet.title
    assert sheet.spoken or at < 0


@pytest.mark.parametrize("view", VIEWS)
def test_behind_every_figure_is_a_table(view, stormy):
    assert all(figure.table and figure.table.rows for figure in figures(view(stormy).sheet(21)))


@pytest.mark.parametrize("view", VIEWS)
def test_no_words_lie_over_others(view, stormy):
    seen = [view(stormy).sheet(at) for at in (0, 9, 21)]
    assert [pair for sheet in seen for pair in over_each_other(sheet)] == []


@pytest.mark.parametrize("size", ["10 minutes", "3 hours"])
def test_whatever_row_is_asked_about_no_words_of_its_ruler_lie_over_others(size):
    flights = sn.data.landings("JFK", "2013-02-08")
    frame = flights.with_watermark("dep", "20 minutes").group_by(sn.window("dep", size)).agg(n=sn.count())
    query = frame.query(name="test-sheets-ruler").run()
    view = Late(query)
    for trace in query.trace:
        for place in range(0, len(trace.rows), 4):
            view.cursor.pick((trace.batch_id, place))
            assert over_each_other(view.sheet(len(query.trace) - 1)) == []
    query.stop()


def test_of_very_long_keys_no_words_leave_the_figure():
    source = sn.MemorySource({"at": "datetime", "key": "string"})
    frame = sn.stream(source).with_watermark("at", "1 minute").group_by(sn.window("at", "1 minute"), "key")
    query = frame.agg(n=sn.count()).query("update", name="test-sheets-long")
    for minute in (1, 9, 9, 1, 12):
        source.add([{"at": f"2024-01-01 09:{minute:02}", "key": f"{n} and a long tail of words" * 4} for n in range(4)])
        query.step()
    for figure in figures(Late(query).sheet(4)):
        upright = [s for s in figure.shapes if s["kind"] == "text" and not s.get("turn")]
        assert [s["text"] for s in upright if box_of(s)[0] < 0 or box_of(s)[2] > figure.width] == []
    assert over_each_other(Late(query).sheet(4)) == []
    query.stop()


@pytest.mark.parametrize("view", VIEWS)
def test_pictures_and_tables_are_inert_whatever_the_data_says(view, evil):
    sheet = view(evil).sheet(4)
    tags = {element.tag.split("}")[1] for element in ET.fromstring(sheet_svg(sheet)).iter()}  # noqa: S314  our own
    assert tags <= {"svg", "defs", "pattern", "path", "rect", "g", "text", "title", "circle"}
    assert EVIL not in sheet_html(sheet)


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_that_looks_back_shows_what_was_there_then(view, stormy):
    made = view(stormy)
    then = made.sheet(9)
    made.sheet(21)
    assert made.sheet(9) == then


# State


def test_state_says_what_changed_and_when_each_key_ends(stormy):
    sheet = State(stormy).sheet(21)
    assert sheet.title == "State holds 4 keys: 3 changed in this batch."
    first = grids(sheet)[0].rows[0]
    assert first.cells[:4] == ("Feb 8 12:00", "Feb 8 13:00", "5", "the watermark reaches Feb 8 13:00")
    assert (first.mark, first.was) == ("changed", ((2, "4"),))


def test_state_marks_the_new_the_leaving_and_the_gone(stormy):
    marks = {at: [row.mark for row in grids(State(stormy).sheet(at))[0].rows] for at in (0, 19, 20)}
    assert marks[0] == ["new"]
    assert marks[19][:2] == ["leaving", "leaving"]
    assert marks[20][-2:] == ["gone", "gone"]


def test_an_evicted_key_says_by_which_watermark(stormy):
    gone = grids(State(stormy).sheet(20))[0].rows[-1]
    assert gone.cells[-2] == "evicted: the watermark was Feb 8 12:17"


def test_state_shows_only_what_changed_or_what_leaves(stormy):
    view = State(stormy)
    view.hear("only", "changed")
    assert {row.mark for row in grids(view.sheet(21))[0].rows} == {"changed"}
    view.hear("only", "leaving")
    assert {row.mark for row in grids(view.sheet(19))[0].rows} == {"leaving"}


def test_a_long_name_of_the_newest_row_ends_before_the_watermark():
    source = sn.MemorySource({"at": "datetime", "name": "string"})
    frame = sn.stream(source).with_watermark("at", "1 minute").group_by(sn.window("at", "1 minute"))
    query = frame.agg(n=sn.count()).query(name="test-sheets-long")
    for minute in (0, 6, 7, 0):
        source.add([{"at": f"2024-01-01 09:{minute:02}:10", "name": f"a name that is {'very ' * 9}long"}])
        query.run()
    ruler, *_ = figures(Late(query).sheet(len(query.trace) - 1))
    (x,) = [shape["points"][0][0] for shape in ruler.shapes if shape.get("id") == "watermark"]
    (newest,) = [s for s in ruler.shapes if s["kind"] == "text" and s["text"].endswith("the newest heard of")]
    assert box_of(newest)[2] < x
    query.stop()


def test_a_longer_time_to_live_is_tried_and_the_query_left_alone(stormy):
    view, at = State(stormy), 20
    before = len(stormy.state)
    (figure,) = figures(view.sheet(at))
    (grip,) = [shape for shape in figure.shapes if shape.get("drag") == "ttl"]
    view.hear("drag", ["ttl", grip["x"] + 5 + 140, 0.0])
    sheet = view.sheet(at)
    assert [part.shown for part in sheet.parts if isinstance(part, Slider) and part.name == "ttl"] == ["6 hours"]
    (figure,) = figures(sheet)
    assert figure.table is not None
    patient = stormy.plans[0].inputs[0].inputs[0]
    other = sn.StreamFrame(patient).with_watermark("dep", "6 hours").group_by(sn.window("dep", "1 hour"))
    twin = other.agg(n=sn.count()).query(name="test-sheets-patient")
    while (done := twin.step()) is not None and done.timestamp <= stormy.progress[at].timestamp:
        held = done.state_operators[0].num_rows_total
    assert figure.table.rows[-1].cells[-1] == f"{held}"
    assert (len(stormy.state), view.lifetime.own) == (before, 3 * 3.6e6)
    view.hear("ttl", 3 * 3.6e6)
    (figure,) = figures(view.sheet(at))
    assert figure.table is not None
    assert figure.table.columns[-1].name == "bytes"
    twin.stop()


def test_without_eviction_state_would_hold_more(stormy):
    size = sizes(stormy.progress, stormy.trace)[-1]
    assert (size.rows, size.kept) == (4, 11)
    assert "11 without eviction" in texts(State(stormy).sheet(21))


@pytest.fixture(scope="module")
def keyed():
    frame = pd.DataFrame({"key": [f"user-{n:05}" for n in range(5_000)], "v": range(5_000)})
    query = sn.from_pandas(frame).group_by("key").agg(n=sn.sum("v")).query("update", name="test-sheets-keyed").run()
    yield query
    query.stop()


def test_of_many_keys_one_page_travels(keyed):
    view = State(keyed)
    sheet = view.sheet(0)
    assert len(grids(sheet)[0].rows) == PAGE
    assert len(json.dumps(sheet.to_json())) < 20_000
    view.hear("page", "3")
    assert grids(view.sheet(0))[0].rows[0].cells[0] == "user-00090"


def test_the_whole_state_is_never_asked_for(keyed, monkeypatch):
    monkeypatch.setattr(type(keyed), "state_at", None)
    view = State(keyed)
    for name, value in (("page", "2"), ("sort", "n"), ("find", "user-04"), ("only", "changed")):
        view.hear(name, value)
        assert len(grids(view.sheet(0))[0].rows) == PAGE


def test_of_several_operators_one_is_shown():
    source = sn.MemorySource({"at": "datetime", "key": "string"})
    fresh = sn.stream(source).with_watermark("at", "1 minute").drop_duplicates(["at", "key"])
    counts = fresh.group_by(sn.window("at", "1 minute"), "key").agg(n=sn.count())
    query = counts.query("update", name="test-sheets-several")
    source.add([{"at": "2024-01-01 09:00:00", "key": key} for key in ("a", "a", "b")])
    query.run()
    view = State(query)
    assert view.sheet(0).title.startswith("State holds 2 keys")
    heads = [[column.name for column in grids(view.sheet(0))[0].columns]]
    view.hear("operator", "group_by")
    heads.append([column.name for column in grids(view.sheet(0))[0].columns])
    assert [names[:2] for names in heads] == [["at", "key"], ["window_start", "window_end"]]
    query.stop()


def test_keys_are_found_and_sorted_in_the_kernel(keyed):
    view = State(keyed)
    view.hear("find", "USER-0499")
    assert [row.cells[0] for row in grids(view.sheet(0))[0].rows] == [f"user-0499{n}" for n in range(10)]
    view.hear("find", "")
    view.hear("sort", "n")
    view.hear("sort", "n")
    assert grids(view.sheet(0))[0].rows[0].cells[1] == "4,999"


def test_without_a_watermark_state_is_for_ever_and_says_so(keyed):
    sheet = State(keyed).sheet(0)
    assert "grows with the number of keys" in sheet.lead
    assert grids(sheet)[0].rows[0].cells[2] == "never: no watermark ends it"


# Late


def test_a_dropped_row_says_why_and_what_would_have_saved_it(stormy):
    why, saved, every = grids(Late(stormy).sheet(21))
    assert [row.cells[0] for row in why.rows] == ["✓", "✓", "✓", "✕", "✕"]
    assert why.rows[3].cells[2] == "12:00 ≤ 12:17, so the row is late"
    assert why.rows[2].cells[2] == "12:17, set by MQ 4146 02-08 (15:17) minus 3 h"
    assert saved.rows[0].cells == ("A longer delay", "more than 3 hours 17 minutes")
    assert saved.rows[1].cells == ("An earlier arrival", "20 min sooner")
    assert len(every.rows) == len(stormy.late) == 21


def test_the_delay_that_saves_a_row_does_save_it():
    flights = sn.data.landings("JFK", "2013-02-08")
    for delay, late in (("3 hours 17 minutes", True), ("3 hours 18 minutes", False)):
        frame = flights.with_watermark("dep", delay).group_by(sn.window("dep", "1 hour")).agg(n=sn.count())
        query = frame.query(name="test-sheets-saved").run()
        assert ("B6 673 02-08" in set(query.late["flight_id"])) is late
        query.stop()


def test_a_click_on_a_line_asks_about_its_row_in_all_views(stormy):
    view = Late(stormy)
    view.hear("pick", grids(view.sheet(21))[2].rows[0].pick)
    try:
        sheet = view.sheet(21)
        assert sheet.title.startswith("DL 1415 02-08 was dropped")
        assert grids(sheet)[2].rows[0].mark == "picked"
        assert view.cursor.picked is not None
        assert view.sheet(3).parts[0].kind == "words"
    finally:
        view.cursor.pick(view.cursor.picked)


def test_a_counted_row_can_be_asked_about_too(stormy):
    view = Late(stormy)
    view.cursor.pick((0, 0))
    try:
        assert view.sheet(21).title.endswith("was counted.")
        assert len(grids(view.sheet(21))) == 2
    finally:
        view.cursor.pick(None)


def test_the_view_of_late_rows_and_why_say_the_same(stormy):
    told = str(sn.why(stormy, {"flight_id": "B6 673 02-08"}))
    assert "12:17" in told
    assert "3 hours 17 minutes" in told


def test_without_event_time_nothing_is_late(keyed):
    assert Late(keyed).sheet(0).title == "No column is declared as event time, so no row can come too late."


# Metrics


def test_metrics_tell_of_the_batch_looked_at(stormy):
    sheet = Metrics(stormy).sheet(12)
    assert sheet.title.startswith("Batch 12 took ")
    assert {"rows read", "lag of the watermark", "rows dropped"} <= set(texts(sheet))


def test_with_two_inputs_one_holds_the_watermark_back():
    clicks, views = (sn.MemorySource({"at": "datetime", "id": "string"}) for _ in range(2))
    left, right = (sn.stream(source).with_watermark("at", "1 minute") for source in (clicks, views))
    query = left.union(right).group_by(sn.window("at", "1 minute")).agg(n=sn.count()).query(name="test-sheets-two")
    for source, minute in ((clicks, 9), (views, 3)):
        source.add([{"at": f"2024-01-01 09:0{minute}:00", "id": "a"}])
    query.run()
    trace = query.trace[0]
    grid = holders(trace.marks, trace.watermark_after, "min")
    assert [row.cells[3] for row in grid.rows] == ["Jan 1 09:08", "Jan 1 09:02"]
    assert [row.cells[4] for row in grid.rows] == ["", "holds the watermark back"]
    assert grid.title == "Who holds the watermark back? The query's stands at Jan 1 09:02."
    query.stop()


def test_an_input_without_rows_holds_the_watermark_back():
    clicks, views = (sn.MemorySource({"at": "datetime"}) for _ in range(2))
    left, right = (sn.stream(source).with_watermark("at", "1 minute") for source in (clicks, views))
    query = left.union(right).query(name="test-sheets-silent")
    clicks.add([{"at": "2024-01-01 09:00:00"}])
    query.step()
    rows = holders(query.trace[0].marks, None, "min").rows
    assert [row.cells[3:5] for row in rows] == [("Jan 1 08:59", ""), ("no row yet", "holds the watermark back")]
    query.stop()


def test_every_operator_tells_its_work(stormy):
    work = stormy.trace[21].work
    assert [w.verb for w in work] == ["read", "with_watermark", "group_by"]
    assert [(w.rows_in, w.rows_out) for w in work] == [(4, 4), (4, 4), (4, 0)]
    assert all(w.ms >= 0 for w in work)


# Shapes


@pytest.mark.parametrize(
    ("value", "words"), [(0, "0"), (2385.4, "2,385"), (12_000, "12 k"), (3.4e6, "3.4 M"), (0.25, "0.25")]
)
def test_numbers_are_short(value, words):
    assert big(value) == words


def test_bytes_are_told_in_units():
    assert [byte_count(n) for n in (12, 2_380, 5e9)] == ["12 B", "2.38 kB", "5 GB"]


def test_ticks_are_round():
    assert round_ticks(0, 11, 4) == [0, 5, 10]


def test_a_logarithmic_frame_starts_at_one():
    frame = Frame(0, 0, 100, 100, 0, 1, 0, 1000, log=True)
    assert [round(frame.y(value)) for value in (0, 1, 10, 1000)] == [100, 100, 67, 0]


# Paper


def test_the_same_sheet_is_sent_once(stormy):
    paper = Paper(lambda *_: None)
    sheet = Metrics(stormy).sheet(3)
    assert [paper.show(sheet), paper.show(sheet)] == [True, False]
    assert not paper.ready()
    paper.hear({"type": "receipt", "number": 1}, [])
    assert paper.ready()
    paper.close()


def test_a_gesture_goes_to_the_view():
    heard = []
    paper = Paper(lambda *told: heard.append(told))
    paper.hear({"type": "gesture", "name": "page", "value": "2"}, [])
    assert heard == [("page", "2")]
    paper.close()


def test_nested_values_are_found_too():
    source = sn.MemorySource({"tags": "list[string]"})
    source.add([{"tags": ["a", "b"]}, {"tags": None}])
    query = sn.stream(source).drop_duplicates(["tags"]).query(name="test-sheets-nested").run()
    view = State(query)
    view.hear("find", "b")
    assert len(grids(view.sheet(0))[0].rows) == 1
    query.stop()


def test_the_polars_frame_of_state_keeps_its_types(stormy):
    assert pl.from_pandas(stormy.state_at(21)).schema["n"].is_integer()
