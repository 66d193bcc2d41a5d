"""sn.bars, sn.line, sn.table, sn.flags: what a query gives out as a picture that follows it, and goes back with it."""

from __future__ import annotations

import threading
from typing import Any, cast

import comm
import nbformat
import pytest
from ipywidgets.widgets import widget
from nbclient import NotebookClient

import streamnb as sn
from streamnb.errors import ColumnNotFoundError, PlanError
from streamnb.views import display, still
from streamnb.views.cursor import cursor_of
from streamnb.views.sheet_svg import sheet_html, sheet_svg

CLICKS = {"at": "datetime", "page": "string", "ms": "int64"}
EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
def clicks():
    return sn.MemorySource(CLICKS)


def counted(clicks: sn.MemorySource) -> sn.StreamFrame:
    rows = sn.stream(clicks).with_watermark("at", "0s")
    return rows.group_by(sn.window("at", "1 minute"), "page").agg(n=sn.count())


def row(minute: int, page: str = "a", ms: int = 1) -> dict[str, Any]:
    return {"at": f"2026-01-01 09:{minute:02}:00", "page": page, "ms": ms}


def give(query: sn.Query, clicks: sn.MemorySource, *rows: dict[str, Any]) -> None:
    clicks.add(list(rows))
    query.run()


def last(sink: Any) -> Any:
    """Return the figure or the table."""
    return sink.sheet().parts[-1]


def heights(sink: Any) -> list[tuple[str, bool]]:
    """Return what every bar says, and whether it is solid."""
    shapes = last(sink).shapes
    return [(shape["tip"], "fill" in shape) for shape in shapes if "tip" in shape]


def values(sink: Any) -> list[str]:
    return [tip.rsplit(": ", 1)[1] for tip, _ in heights(sink)]


def cells(sink: Any) -> list[tuple[str, ...]]:
    """Return the table behind a picture."""
    return [row.cells for row in last(sink).table.rows]


def test_in_update_mode_a_bar_follows_its_key_and_is_solid_once_it_is_final(clicks):
    chart = sn.bars("window_start", "n", "page")
    query = counted(clicks).query("update", sink=chart)
    give(query, clicks, row(1), row(1, "b"))
    assert heights(chart) == [
        ("window_start 2026-01-01 09:01:00, page a: n 1, provisional", False),
        ("window_start 2026-01-01 09:01:00, page b: n 1, provisional", False),
    ]
    give(query, clicks, row(1), row(5))
    assert [(tip.split(": ")[1], solid) for tip, solid in heights(chart)] == [
        ("n 2, final", True), ("n 1, final", True), ("n 1, provisional", False)
    ]  # fmt: skip
    assert chart.sheet().title == "n by window_start and page: 3 bars, 2 of them final"
    assert [cell[-1] for cell in cells(chart)] == ["final", "final", "provisional"]


def test_a_final_bar_never_changes(clicks):
    chart = sn.bars("window_start", "n", "page")
    query = counted(clicks).query("update", sink=chart)
    final: dict[str, str] = {}
    for minute in (1, 3, 2, 2, 5, 1, 4, 8, 5, 7, 6, 9, 20, 9):
        clicks.add([row(minute)])
        while query.step() is not None:
            solid = [tip.split(": n ") for tip, is_solid in heights(chart) if is_solid]
            now = dict(solid)
            assert now.items() >= final.items()
            final = now
    assert len(final) == 5


def test_in_append_mode_bars_are_added_and_are_final(clicks):
    chart = sn.bars("window_start", "n")
    query = counted(clicks).query("append", sink=chart)
    give(query, clicks, row(1), row(1))
    assert heights(chart) == []
    give(query, clicks, row(5))
    give(query, clicks, row(9))
    assert values(chart) == ["n 2, final", "n 1, final"]


def test_in_complete_mode_the_last_table_is_drawn_and_nothing_is_called_final(clicks):
    chart = sn.bars("page", "n")
    query = sn.stream(clicks).group_by("page").agg(n=sn.count()).query("complete", sink=chart)
    give(query, clicks, row(1), row(1, "b"))
    give(query, clicks, row(2, "b"))
    assert sorted(heights(chart)) == [("page a: n 1", True), ("page b: n 2", True)]


def test_a_rewound_query_takes_its_bars_with_it(clicks):
    chart = sn.bars("window_start", "n", "page")
    query = counted(clicks).query("update", sink=chart)
    told = {}
    for minute in (1, 1, 2, 1, 4):
        clicks.add([row(minute)])
        while query.step() is not None:
            told[query.trace[-1].batch_id] = heights(chart)
    for batch in (max(told) - 1, 2, 0):
        query.rewind(batch)
        assert heights(chart) == told[batch]
    query.run()
    assert [int(value.split()[1].rstrip(",")) for value in values(chart)] == query.result["n"].tolist()


def test_it_looks_where_the_other_views_of_its_query_look(clicks):
    chart = sn.bars("window_start", "n", "page")
    query = counted(clicks).query("update", sink=chart)
    for minute in (1, 1, 1):
        give(query, clicks, row(minute))
    assert [trace.no_data for trace in query.trace] == [False, True, False, False]
    cursor_of(query).move(2, 3)
    assert values(chart) == ["n 2, provisional"]


def test_every_batch_merged_by_itself_is_what_the_query_holds(clicks):
    chart = sn.table(limit=500)
    query = counted(clicks).query("update", sink=chart)
    for number in range(40):
        clicks.add([row(number * 7 % 11, page) for page in "abc"[: 1 + number % 3]])
        query.step()
        chart.sheet()
    rows: Any = chart.rows(query.trace[-1].batch_id)
    assert rows.drop("\0final").to_pandas().equals(query.result)


def test_a_line_goes_along_its_places(clicks):
    chart = sn.line("at", "ms", "page", title="load time")
    query = sn.stream(clicks).query(sink=chart)
    give(query, clicks, row(3, ms=30), row(1, ms=10), row(2, ms=20), row(1, "b"))
    lines = [shape for shape in last(chart).shapes if shape["kind"] == "line" and "group" in shape]
    (line,) = lines
    across = [x for x, _ in line["points"]]
    assert (len(across), across) == (3, sorted(across))
    assert chart.sheet().title == "load time: 4 points"


def test_a_table_marks_what_the_last_batch_did(clicks):
    chart = sn.table(["page", "n"])
    query = sn.stream(clicks).group_by("page").agg(n=sn.count()).query("update", sink=chart)
    give(query, clicks, row(1), row(1, "c"))
    give(query, clicks, row(1), row(1, "b"))
    rows = last(chart).rows
    assert [(row.cells, row.mark, row.was) for row in rows] == [
        (("a", "2"), "changed", ((1, "1"),)), (("c", "1"), "", ()), (("b", "1"), "new", ())
    ]  # fmt: skip


def test_flags_stand_in_the_lane_of_their_value(clicks):
    chart = sn.flags("page")
    give(sn.stream(clicks).query(sink=chart), clicks, row(1), row(2, "b"), row(3))
    shapes = last(chart).shapes
    assert [shape["tip"] for shape in shapes if shape["kind"] == "area"] == [
        "at 09:01:00, page a, ms 1", "at 09:02:00, page b, ms 1", "at 09:03:00, page a, ms 1"
    ]  # fmt: skip
    assert [shape["text"] for shape in shapes if shape.get("role") == "ink" and shape["kind"] == "text"] == ["a", "b"]


@pytest.mark.parametrize(
    "chart", [lambda: sn.bars("page", "ms"), lambda: sn.line("at", "ms"), lambda: sn.flags("page")]
)
def test_nulls_empty_batches_and_one_row_are_drawn(clicks, chart):
    sink = chart()
    query = sn.stream(clicks).query(sink=sink)
    assert sink.sheet().title.endswith("no batch has given anything out yet.")
    give(query, clicks)
    sheet_svg(sink.sheet())
    give(query, clicks, {"at": None, "page": None, "ms": None}, row(1))
    assert "at 09:01" in sheet_svg(sink.sheet()) or "ms 1" in sheet_svg(sink.sheet())


def test_many_places_and_many_names_are_cut_and_that_is_said(clicks):
    chart = sn.bars("ms", "n", "page")
    query = sn.stream(clicks).group_by("ms", "page").agg(n=sn.count()).query("update", sink=chart)
    give(query, clicks, *[row(1, str(number % 9), number) for number in range(300)])
    assert chart.sheet().lead == (
        "The last 60 of 300 places are drawn. 6 of 9 values of page are drawn; all stand in the table."
    )
    assert last(chart).table.note == "The last 200 of 300 rows."


def test_words_of_the_data_are_text(clicks):
    for chart in (sn.bars("page", "ms", "page"), sn.table(), sn.flags("page")):
        give(sn.stream(clicks).query(sink=chart), clicks, row(1, EVIL))
        assert EVIL not in sheet_svg(chart.sheet()) + sheet_html(chart.sheet())


@pytest.mark.parametrize(
    ("chart", "error", "said"),
    [
        (lambda: sn.bars("window_strt", "n"), ColumnNotFoundError, "did you mean 'window_start'"),
        (lambda: sn.bars("window_start", "page"), PlanError, "a height is a number"),
        (lambda: sn.line("page", "n"), PlanError, "sn.bars takes names"),
        (lambda: sn.table(["m"]), ColumnNotFoundError, "no column 'm'"),
        (lambda: sn.flags("page", "n"), PlanError, "is no time of the rows"),
    ],
)
def test_columns_that_do_not_fit_are_refused_before_anything_runs(clicks, chart, error, said):
    with pytest.raises(error, match=said):
        counted(clicks).query("update", sink=chart(), name="refused")
    assert "refused" not in [query.name for query in sn.queries()]


def test_a_query_that_failed_is_said_above_the_picture(clicks):
    chart = sn.bars("page", "ms")

    def fails_on_two(rows: Any) -> Any:
        return rows if len(rows) < 2 else 1 / 0

    query = sn.stream(clicks).map_batches(fails_on_two, CLICKS).query(sink=chart)
    give(query, clicks, row(1))
    with pytest.raises(sn.QueryError):
        give(query, clicks, row(1), row(2))
    words, figure = cast("Any", chart.sheet().parts)
    assert words.text.startswith("The query has failed: map_batches")
    assert len(figure.table.rows) == 1


# -- in a notebook


@pytest.fixture
def cells_run(monkeypatch):
    """Displays go nowhere; every run is one of the same cell."""
    run = ["cell", "run-0"]
    monkeypatch.setattr(display, "_running_cell", lambda: (run[0], run[1]))
    monkeypatch.setattr(still, "display", lambda *_, **__: None)
    monkeypatch.setattr(still, "update_display", lambda *_, **__: None)
    monkeypatch.setattr(display, "_cells", {})
    return run


def left_behind(query: sn.Query) -> tuple[int, int, int, int]:
    threads = [t for t in threading.enumerate() if t.name == f"streamnb view of {query.name}"]
    for ended in threads[:-1]:
        ended.join(5)
    comms = len(comm.get_comm_manager().comms)
    return len(widget._instances), comms, len(query._listeners), len([t for t in threads if t.is_alive()])


def test_fifty_runs_of_a_cell_leave_nothing_behind(cells_run, clicks):
    clicks.add([row(1)])
    counts = []
    for run in range(50):
        cells_run[1] = f"run-{run}"
        query = counted(clicks).query("update", sink=sn.bars("window_start", "n"), name="test-reports-again")
        query.step()
        if run in {1, 49}:
            counts.append(left_behind(query))
    assert counts[0] == counts[1]
    query.stop()


def test_a_notebook_shows_it_where_the_query_is_opened_and_keeps_a_still():
    code = """
import streamnb as sn
pages = sn.MemorySource({"page": "string", "n": "int64"})
pages.add([{"page": "a", "n": 1}, {"page": "b", "n": 2}])
chart = sn.bars("page", "n")
query = sn.stream(pages).query(sink=chart)
query.run()
chart
"""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code), nbformat.v4.new_code_cell("chart")])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    first, again = ([output["data"] for output in cell.outputs] for cell in notebook.cells)
    assert ["application/vnd.jupyter.widget-view+json" in data for data in first].count(True) == 1
    assert "n by page: 2 bars" in first[1]["image/svg+xml"]
    assert ">b<" in first[2]["text/html"]
    assert "application/vnd.jupyter.widget-view+json" in again[0]
