"""Clocks: the same rows in windows by event time or by processing time, and what a click on one tells."""

from __future__ import annotations

import pandas as pd
import pytest

import streamnb as sn
from streamnb.views.recorded import recorded

ROWS = pd.DataFrame({
    "flight": ["A 1", "B 2", "C 3", "D 4"],
    "dep": pd.to_datetime(["2013-02-08 06:10", "2013-02-08 06:50", "2013-02-08 07:20", "NaT"]),
    "arr": pd.to_datetime(["2013-02-08 06:40", "2013-02-08 09:05", "2013-02-08 09:30", "2013-02-08 10:00"]),
})  # fmt: skip


@pytest.fixture
def clocks():
    return sn.clocks(ROWS, "dep", "arr").subject


def figure(subject):
    return next(part for part in subject.sheet().parts if part.kind == "figure")


def boxes(subject):
    return [shape for shape in figure(subject).shapes if shape["kind"] == "rect"]


def test_strips_stand_and_bands_lie(clocks):
    strips = boxes(clocks)
    assert [(box["tip"], box["h"]) for box in strips] == [
        ("06:00–07:00: 2 rows", 420.0),
        ("07:00–08:00: 1 row", 420.0),
    ]
    clocks.hear("by", "processing")
    bands = boxes(clocks)
    assert [box["tip"] for box in bands] == ["06:00–07:00: 1 row", "09:00–10:00: 2 rows"]
    assert all(box["w"] == 600.0 for box in bands)
    assert clocks.sheet().title == "By arr, 3 rows lie in 2 windows of 1 hour."


def test_a_row_stays_where_it_is_whatever_the_clock(clocks):
    def places():
        return [(s["x"], s["y"]) for s in figure(clocks).shapes if s["kind"] == "dot"]

    before = places()
    clocks.hear("by", "processing")
    assert places() == before


def test_a_clicked_row_tells_its_windows(clocks):
    clocks.hear("pick", "1")
    told = clocks.sheet().parts[-1].text
    assert told == (
        "B 2, dep 06:50, arr 09:05: it counts by dep in the window of 06:00 and by arr in the window of 09:00."
    )


def test_the_lead_counts_rows_that_no_clock_moves(clocks):
    assert "1 row of these lie in the same window" in clocks.sheet().lead


def test_rows_without_a_time_have_no_place(clocks):
    assert sum(shape["kind"] == "dot" for shape in figure(clocks).shapes) == 3


def test_a_page_keeps_every_row_that_may_be_clicked_under_either_clock(clocks):
    kept = recorded(clocks)
    assert kept.stops == {"by": ["event", "processing"], "pick": ["", "0", "1", "2"]}
    assert (len(kept.sheets), kept.left_out) == (8, "")
    clocks.hear("by", "processing")
    clocks.hear("pick", "1")
    assert kept.sheets[kept.settings.index({"by": "processing", "pick": "1"})] == clocks.sheet()


@pytest.mark.parametrize(
    ("rows", "columns", "said"),
    [(ROWS, ("dap", "arr"), "did you mean 'dep'"), (ROWS.tail(1), ("dep", "arr"), "no row has both"),
     (ROWS, ("flight", "arr"), "no row has both")],
)  # fmt: skip
def test_what_cannot_be_drawn_says_why(rows, columns, said):
    with pytest.raises(sn.StreamnbError, match=said):
        sn.clocks(rows, *columns)
