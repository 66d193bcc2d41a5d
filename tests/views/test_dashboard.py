"""Dashboard: one cursor a query, drawn at the reader's pace, kept as a still, and gone when it is closed."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from typing import Any

import comm
import nbformat
import pytest
from ipywidgets.widgets import widget
from nbclient import NotebookClient

import streamnb as sn
from streamnb.views import display, pacer, still
from streamnb.views.cursor import cursor_of
from streamnb.views.dashboard import Dashboard
from streamnb.views.late import Late
from streamnb.views.pacer import Pacer
from streamnb.views.plane_panel import PlanePanel
from streamnb.views.state import State


class Posted(list[tuple[str, dict[str, Any]]]):
    """What was asked of a query, instead of doing it."""

    def __call__(self, command, **arguments):
        self.append((command, arguments))


@pytest.fixture
def source():
    return sn.MemorySource({"at": "datetime", "v": "int64"})


@pytest.fixture
def query(source, monkeypatch):
    made = sn.stream(source).with_watermark("at", "10 minutes").query(name="test-dashboard")
    for minute in range(4):
        source.add([{"at": f"2024-01-01 09:0{minute}:00", "v": minute}])
    made.step(), made.step(), made.step()
    monkeypatch.setattr(made, "post", Posted())
    yield made
    made.stop()


@pytest.fixture
def dashboard(query):
    made = Dashboard(query)
    yield made
    made.close()


def drawn(dashboard: Dashboard) -> tuple[int, str]:
    dashboard._draw(0.0)
    return dashboard.controls.shown["at"], dashboard.table.shown["title"]


def test_it_shows_the_newest_batch(dashboard):
    assert drawn(dashboard) == (2, "Result after batch 2: 3 rows, append mode")
    assert [row.mark for row in dashboard.table.shown["rows"]] == ["", "", "new"]


def test_the_batch_is_told_in_words_too(dashboard, query):
    query.step()
    dashboard._draw(0.0)
    panel = dashboard.panel
    assert isinstance(panel, PlanePanel)
    assert panel.live.caption == panel.plane.describe(3)


def test_it_follows_new_batches(dashboard, query):
    query.step()
    assert drawn(dashboard)[0] == 3


def test_a_query_that_runs_is_drawn_roughly_until_it_rests(dashboard, source, query, monkeypatch):
    drawn: list[bool] = []
    draw = dashboard.panel.draw
    dashboard._pacer.stop()

    def noted(at: int, since: float, *, playing: bool) -> None:
        drawn.append(playing)
        draw(at, since, playing=playing)

    monkeypatch.setattr(dashboard.panel, "draw", noted)
    for minute in range(4, 8):
        source.add([{"at": f"2024-01-01 09:0{minute}:00", "v": minute}])
    query.run()
    dashboard._draw(0.0)
    dashboard._rest()
    assert drawn == [True, False]


def test_moved_back_it_stays_while_the_query_goes_on(dashboard, query):
    dashboard.obey("back")
    query.step()
    assert drawn(dashboard) == (1, "Result after batch 1: 2 rows, append mode")
    dashboard.obey("last")
    assert drawn(dashboard)[0] == 3


def test_a_step_in_the_past_moves_on_and_at_the_newest_asks_the_query(dashboard, query):
    dashboard.obey("first")
    dashboard.obey("step")
    assert (drawn(dashboard)[0], query.post) == (1, [])
    dashboard.obey("jump", 2)
    dashboard.obey("step")
    assert query.post == [("step", {})]


def test_rewind_goes_to_the_batch_looked_at(dashboard, query):
    dashboard.obey("back")
    dashboard.obey("rewind")
    assert query.post == [("rewind", {"to": 1})]


def test_play_follows_the_newest_at_the_chosen_speed(dashboard, query):
    dashboard.obey("back")
    dashboard.obey("speed", 10)
    dashboard.obey("play")
    assert query.post == [("play", {"every": "100ms"})]
    assert drawn(dashboard)[0] == 2


def test_to_look_back_pauses_a_query_that_plays(dashboard, query, monkeypatch):
    monkeypatch.setattr(type(query), "playing", True)
    dashboard.obey("back")
    assert query.post == [("pause", {})]


def test_two_dashboards_of_a_query_look_at_the_same_batch(dashboard, query):
    other = Dashboard(query)
    dashboard.obey("first")
    assert drawn(other)[0] == drawn(dashboard)[0] == 0
    other.close()


def test_after_a_rewind_the_cursor_is_where_the_query_is(dashboard, query):
    dashboard.obey("back")
    query.rewind(to=0)
    assert drawn(dashboard)[0] == 0


def test_before_the_first_batch_there_is_no_table(source):
    query = sn.stream(source).query(name="test-dashboard-empty")
    shown = Dashboard(query)
    assert (shown.controls.shown["at"], shown.table.shown) == (-1, {})
    shown.close()
    query.stop()


def test_a_picture_that_fails_says_so_and_leaves_the_query_alone(dashboard, query, monkeypatch):
    monkeypatch.setattr(dashboard.panel.plane, "refresh", lambda *_, **__: 1 / 0)
    query.step()
    dashboard._draw(0.0)
    assert dashboard.controls.shown["error"]["title"] == "ZeroDivisionError: division by zero"
    assert query.exception is None


def test_closing_ends_the_thread_and_leaves_the_query_as_it_is(query):
    shown = Dashboard(query)
    (thread,) = [t for t in threading.enumerate() if t.name == "streamnb view of test-dashboard"]
    shown.close()
    thread.join(5)
    assert not thread.is_alive()
    assert shown.panel.widget.comm is None
    assert query.step() is not None


def test_a_closed_dashboard_leaves_no_subscription(query):
    before = len(query._listeners)
    Dashboard(query).close()
    assert len(query._listeners) == before


def test_the_cursor_does_not_keep_a_query_alive(source):
    query = sn.stream(source).query(name="test-dashboard-forgotten")
    cursor_of(query).move(0, 3)
    query.stop()
    gone = weakref.ref(query)
    sn.stream(source).query(name="test-dashboard-forgotten").stop()
    del query
    gc.collect()
    assert gone() is None


# -- display


@pytest.fixture
def cells(monkeypatch):
    """Run "cells": whatever is displayed is listed, and the first item says which cell of which run it is."""
    running = ["cell-1", "run-1"]
    monkeypatch.setattr(display, "_open", {})
    monkeypatch.setattr(display, "_cells", {})
    monkeypatch.setattr(display, "_running_cell", lambda: tuple(running))
    monkeypatch.setattr(still, "display", lambda *_, **__: None)
    yield running
    for shown in display._open.values():
        shown.close()


@pytest.mark.usefixtures("cells")
def test_a_query_has_one_dashboard_however_often_it_is_shown(query):
    display.show(query)
    display.show(query)
    assert display.dashboard_of(query) is display.dashboard_of(query)


@pytest.mark.usefixtures("cells")
def test_a_query_of_the_same_name_closes_the_dashboard_of_the_one_before(query, source):
    display.show(query)
    before = display.dashboard_of(query)
    display.show(sn.stream(source).query(name=query.name))
    assert before.closed


def test_a_cell_that_runs_again_closes_what_stands_nowhere_else(cells, query, source):
    display.show(query)
    before, other = display.dashboard_of(query), sn.stream(source).query(name="test-dashboard-other")
    cells[1] = "run-2"
    display.show(other)
    assert before.closed
    cells[:] = ["cell-2", "run-3"]
    display.show(other)
    cells[:] = ["cell-1", "run-4"]
    display.show(query)
    assert not display.dashboard_of(other).closed
    other.stop()


@pytest.mark.usefixtures("cells")
def test_two_queries_in_one_cell_both_stay(query, source):
    other = sn.stream(source).query(name="test-dashboard-other")
    display.show(query)
    display.show(other)
    assert not display.dashboard_of(query).closed
    other.stop()


def test_where_there_are_no_widgets_a_query_is_its_line_of_text(query, monkeypatch):
    shown = []
    monkeypatch.setattr(still, "display", lambda bundle, **_: shown.append(bundle))
    display.show(query)
    assert shown == [{"text/plain": repr(query)}]


def test_the_output_has_the_live_view_and_stills_that_every_reader_knows(dashboard, query, monkeypatch):
    shown = []
    monkeypatch.setattr(still, "display", lambda bundle, **_: shown.append(bundle))
    dashboard.show()
    live, picture, table = shown
    assert live["text/plain"] == repr(query)
    assert live["application/vnd.jupyter.widget-view+json"]["model_id"] == dashboard.box.model_id
    assert picture["image/svg+xml"].startswith("<svg")
    assert "Result after batch 2" in table["text/html"]


def test_a_still_is_replaced_once_the_picture_has_come_to_rest(dashboard, query, monkeypatch):
    shown = []
    monkeypatch.setattr(still, "display", lambda *_, **__: None)
    monkeypatch.setattr(still, "update_display", lambda bundle, **_: shown.extend(bundle))
    dashboard.show()
    query.step()
    dashboard._refresh_still()
    dashboard._refresh_still()
    assert shown == ["image/svg+xml", "text/html"]


def test_a_notebook_run_from_end_to_end_is_saved_with_its_last_picture():
    first = """
import streamnb as sn
from streamnb.views.display import show
source = sn.MemorySource({"v": "int64"})
query = sn.stream(source).query(name="saved")
show(query)"""
    cells = [first, "source.add([{'v': 41}, {'v': 42}])\nquery.run()\nNone"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    live, picture, table = (output["data"] for output in notebook.cells[0].outputs)
    assert "application/vnd.jupyter.widget-view+json" in live
    assert "2 rows" in picture["image/svg+xml"]
    assert ">42<" in table["text/html"]
    assert notebook.cells[1].outputs == []


@pytest.mark.usefixtures("cells")
@pytest.mark.parametrize("names", [(), ("late",)])
def test_fifty_runs_of_a_cell_leave_nothing_behind(cells, names, source):
    source.add([{"at": "2024-01-01 09:00:00", "v": 1}])
    counts = []
    for run in range(50):
        cells[1] = f"run-{run}"
        query = sn.stream(source).with_watermark("at", "1 minute").query(name="test-dashboard-again")
        query.step()
        display.show(query, names)
        if run in {1, 49}:
            counts.append(left_behind(query))
    assert counts[0] == counts[1]
    query.stop()


def left_behind(query) -> tuple[int, int, int, int]:
    """Count the models, comms, subscriptions and threads of views."""
    threads = [t for t in threading.enumerate() if t.name == f"streamnb view of {query.name}"]
    for ended in threads[:-1]:
        ended.join(5)
    return (
        len(widget._instances),
        len(comm.get_comm_manager().comms),
        len(query._listeners) + len(cursor_of(query)._watchers),
        sum(t.is_alive() for t in threads),
    )


def test_a_tab_that_was_never_open_costs_nothing(query):
    shown = Dashboard(query, [State, Late])
    assert list(shown.panels) == ["plane"]
    shown.choose("state")
    assert list(shown.panels) == ["plane", "state"]
    displayed = {name: panel.widget.layout.display for name, panel in shown.panels.items()}
    assert displayed == {"plane": "none", "state": None}
    assert {panel.widget for panel in shown.panels.values()} <= set(shown.box.children)
    shown.close()


def test_only_the_open_tab_is_drawn(query, monkeypatch):
    shown = Dashboard(query, [State])
    shown._pacer.stop()
    plane = shown.panel
    shown.choose("state")
    monkeypatch.setattr(plane, "draw", lambda *_, **__: pytest.fail("drawn behind another tab"))
    query.step()
    shown._draw(0.0)
    shown.choose("plane")
    monkeypatch.undo()
    shown._draw(0.0)
    shown.close()


def test_a_tab_that_fails_says_so_and_the_query_runs_on(query, monkeypatch):
    shown = Dashboard(query, [State])
    monkeypatch.setattr(State, "sheet", lambda *_: 1 / 0)
    shown.choose("state")
    shown._draw(0.0)
    assert shown.controls.shown["error"]["title"] == "ZeroDivisionError: division by zero"
    assert query.step() is not None
    shown.close()


def test_a_clicked_mark_is_the_row_asked_about(dashboard):
    panel = dashboard.panel
    assert isinstance(panel, PlanePanel)
    panel.plane._sources["counted"].selected.indices = [1]
    assert dashboard.cursor.picked == (1, 0)
    dashboard._draw(0.0)
    ring = panel.plane._sources["picked"].data
    assert ring["x"][0] == panel.plane._sources["counted"].data["x"][1]
    dashboard.cursor.pick((1, 0))
    dashboard._draw(0.0)
    assert len(panel.plane._sources["picked"].data["x"]) == 0


# -- pacer


class Drawing:
    """Counts frames; ``drawn`` and ``rested`` tell a test that it may go on."""

    def __init__(self) -> None:
        self.frames: list[float] = []
        self.ready = True
        self.drawn, self.rested = threading.Event(), threading.Event()
        self.pacer = Pacer("test", self.draw, self.rested.set, lambda: self.ready)

    def draw(self, since: float) -> bool:
        self.frames.append(since)
        self.drawn.set()
        return True


@pytest.fixture
def drawing(monkeypatch):
    monkeypatch.setattr(pacer, "CALM", 0.01)
    made = Drawing()
    yield made
    made.pacer.stop()


def test_many_changes_are_one_frame_told_from_the_first_of_them(drawing):
    drawing.ready = False
    start = time.monotonic()
    for _ in range(100):
        drawing.pacer.mark()
    end = time.monotonic()
    drawing.ready = True
    assert drawing.drawn.wait(5)
    assert drawing.rested.wait(5)
    assert len(drawing.frames) == 1
    assert start <= drawing.frames[0] <= end


def test_after_a_change_it_comes_to_rest_once(drawing):
    drawing.pacer.mark()
    assert drawing.rested.wait(5)
    drawing.rested.clear()
    assert not drawing.rested.wait(0.1)


def test_however_many_changes_there_are_ten_frames_a_second_at_most(drawing):
    times: list[float] = []
    while len(times) < 4:
        drawing.drawn.clear()
        drawing.pacer.mark()
        assert drawing.drawn.wait(5)
        times.append(time.monotonic())
    assert times[-1] - times[0] >= 0.29


def test_the_table_behind_the_marks_is_made_while_it_is_open(dashboard: Dashboard):
    panel = dashboard.panels["plane"]
    assert isinstance(panel, PlanePanel)
    drawn(dashboard)
    assert panel.live.behind == {}
    panel.live.hear({"type": "table", "value": True}, [])
    drawn(dashboard)
    (first, *more) = panel.live.behind["rows"]
    assert (first["pick"], len(more)) == ("0.0", 2)
    panel.live.hear({"type": "pick", "value": "1.0"}, [])
    assert cursor_of(dashboard.query).picked == (1, 0)
    panel.live.hear({"type": "table", "value": False}, [])
    dashboard.obey("first")
    drawn(dashboard)
    assert len(panel.live.behind["rows"]) == 3
