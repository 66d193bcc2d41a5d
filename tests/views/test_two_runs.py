"""Two runs from one offset as a figure: dots and diamonds, a cross where they differ, and why."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import streamnb as sn
from streamnb.views.shapes import Figure, Grid, Sheet
from streamnb.views.sheet_svg import sheet_html, sheet_svg
from streamnb.views.shown import subject_of
from streamnb.views.two_runs import TwoRuns
from tests.evolving.rows import source, windows


def sheet(least: int) -> Sheet:
    src = source(8)
    query = windows(src).query(name="<old>").run()
    subject = subject_of(sn.diff(query, query.fork(at_batch=-1, query=windows(src, least=least)).run()))
    assert isinstance(subject, TwoRuns)
    return subject.sheet()


def kinds(found: Sheet) -> list[str]:
    return [shape["kind"] for part in found.parts if isinstance(part, Figure) for shape in part.shapes]


def test_the_second_run_is_diamonds():
    found = sheet(5)
    assert kinds(found).count("dot") == kinds(found).count("diamond") == 10
    assert "differ in" in found.title


def test_a_batch_that_differs_is_crossed_and_its_rows_are_listed_with_the_cause():
    found = sheet(5)
    assert kinds(found).count("cross") > 1
    causes, rows = (part for part in found.parts if isinstance(part, Grid))
    assert "filter v >= 5" in causes.rows[0].cells[1]
    assert len(rows.rows) >= 1


def test_of_a_row_that_differs_only_what_differs_is_told():
    src = source(8)
    query = windows(src).query(name="old").run()
    frame = windows(src).with_columns(n=sn.col("n") + 1)
    found = TwoRuns(sn.diff(query, query.fork(at_batch=-1, query=frame).run())).sheet()
    *_, rows = (part for part in found.parts if isinstance(part, Grid))
    assert [column.name for column in rows.columns] == ["batch", "row", "a", "b", "cause"]
    assert {row.cells[2:4] for row in rows.rows} == {("n=2", "n=3")}
    assert all("card=" in row.cells[1] and "n=" not in row.cells[1] for row in rows.rows)


def test_runs_that_agree_have_no_cross():
    found = sheet(0)
    assert kinds(found).count("cross") == 1
    assert "agree" in found.title


def test_it_is_the_same_as_json_as_a_picture_and_as_html():
    found = sheet(5)
    json.dumps(found.to_json())
    ET.fromstring(sheet_svg(found))  # noqa: S314  our own
    assert "&lt;old&gt;" in sheet_svg(found)
    assert "left out by filter" in sheet_html(found)
