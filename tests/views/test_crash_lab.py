"""The crash lab: a cell is empty until it is tried, and says what the engine did."""

from __future__ import annotations

import json

import pytest

import streamnb as sn
from streamnb.views.crash_lab import MOMENTS, CrashLab
from streamnb.views.shapes import Figure, Sheet


@pytest.fixture(scope="module")
def lab():
    rows = [{"id": f"r{n}", "v": n} for n in range(12)]
    source = sn.MemorySource({"id": "string", "v": "int64"})
    for n in range(0, 12, 4):
        source.add(rows[n : n + 4])
    return CrashLab(sn.stream(source), batch=1)


@pytest.fixture(autouse=True)
def _as_new(lab):
    lab._uncovered.clear()
    lab._picked, lab.moment = None, ""


def figures(sheet: Sheet) -> list[Figure]:
    return [part for part in sheet.parts if isinstance(part, Figure)]


def texts(sheet: Sheet) -> list[str]:
    return [s["text"] for figure in figures(sheet) for s in figure.shapes if s["kind"] == "text"]


def test_nothing_is_told_before_it_is_tried(lab):
    assert texts(lab.sheet()).count("?") == 20
    assert lab.sheet().title.startswith("One batch, four moments")


def test_the_list_uncovers_all_ways_at_one_moment(lab):
    lab.hear("moment", "before commit")
    assert [cell.outcome.verdict for cell in lab.cells] == ["exact", "4 twice", "4 twice", "exact", "exact"]
    assert lab.sheet().title == "5 crashes tried: 2 of them left a table that is wrong."


def test_the_diamond_falls_to_the_nearest_moment(lab):
    lab.hear("drag", ["star", 700.0, 48.0])
    assert lab.moment == "after commit"
    assert [cell.outcome.lost for cell in lab.cells] == [4, 0, 0, 0, 0]


def test_a_clicked_cell_shows_its_logs(lab):
    lab.hear("pick", "append rows|halfway")
    sheet = lab.sheet()
    assert [(c.strategy.name, c.moment) for c in lab.cells] == [("append rows", "halfway")]
    said = texts(sheet)
    assert "append rows, dead halfway: 2 twice" in said
    assert "14 of 12" in said
    assert [row.cells for row in figures(sheet)[1].table.rows] == [  # type: ignore[union-attr]
        ("at the crash", "1", "0", "6"),
        ("after the restart", "2", "2", "14"),
    ]


def test_what_the_browser_says_beside_the_figure_changes_nothing(lab):
    for name, value in (("moment", "never"), ("size", 3), ("moment", "")):
        lab.hear(name, value)
    assert lab.cells == []


def test_a_page_without_a_kernel_steps_from_moment_to_moment(lab):
    labels, sheets = zip(*lab.frames(), strict=True)
    assert labels == ("nothing tried", *MOMENTS)
    assert [texts(sheet).count("?") for sheet in sheets] == [20, 15, 10, 5, 0]
    assert sheets[-1].title == "Exactly once is decided at the sink: 2 of 5 ways are right at every moment."
    assert lab.cells == []


def test_a_way_of_the_users_own_is_tried():
    def careless(rows, _batch_id, db):
        db.execute("create table if not exists mine (id, v)")
        db.executemany("insert into mine values (?, ?)", rows.to_numpy().tolist())

    source = sn.MemorySource({"id": "string", "v": "int64"})
    source.add([{"id": "a", "v": 1}])
    own = CrashLab(sn.stream(source), batch=0, sinks=careless)
    own.hear("moment", "before commit")
    assert [(c.strategy.name, c.outcome.verdict) for c in own.cells] == [("careless", "1 twice")]


def test_the_sheet_is_plain_json_with_a_table_behind_every_figure(lab):
    lab.hear("pick", "overwrite by key|halfway")
    sheet = lab.sheet()
    assert json.loads(json.dumps(sheet.to_json()))["title"] == sheet.title
    assert all(figure.table and figure.table.rows for figure in figures(sheet))
