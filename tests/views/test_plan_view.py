"""The plan as boxes, modes side by side, window shapes and join buffers: what is laid out, as plain data."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from itertools import combinations, pairwise

import pandas as pd
import pytest

import streamnb as sn
from streamnb.optimize import optimize
from streamnb.views.joins import Buffered, Buffers, Joins, Match, joins_sheet
from streamnb.views.labels import box_of, meet
from streamnb.views.ladder import rungs, told
from streamnb.views.modes import CHANGED, FINAL, FIRST, SAME, Modes, columns_of
from streamnb.views.plan import Plan, WrittenPlan
from streamnb.views.plan_nodes import boxes, differences
from streamnb.views.shapes import Choice, Figure, Grid, Sheet
from streamnb.views.together import Together
from streamnb.views.window_shapes import WindowShapes, sessions, shapes_of, sliding, tumbling


def grids(sheet: Sheet) -> list[Grid]:
    return [part for part in sheet.parts if isinstance(part, Grid)]


def behind(sheet: Sheet) -> list[tuple[str, ...]]:
    """The rows of the table behind the first figure."""
    figure = next(part for part in sheet.parts if isinstance(part, Figure))
    return [row.cells for row in figure.table.rows] if figure.table else []


def texts(sheet: Sheet) -> list[str]:
    return [s["text"] for f in sheet.parts if isinstance(f, Figure) for s in f.shapes if s["kind"] == "text"]


def events() -> sn.MemorySource:
    return sn.MemorySource({"at": "datetime", "key": "string", "v": "int64"})


def add(source: sn.MemorySource, *told: str) -> None:
    """Add rows as ``"3 a 5"``: minute, key, value; all in one unit."""
    parts = [line.split() for line in told]
    source.add([{"at": f"2024-01-01 09:{int(m):02}:00", "key": k, "v": int(v)} for m, k, v in parts])


# Plan


def test_words_of_a_plan_lie_over_no_box_and_no_other_words(query_of_two: sn.Query):
    view = Plan(query_of_two)
    figure = next(part for part in view.sheet(len(query_of_two.trace) - 1).parts if isinstance(part, Figure))
    words = [box_of(s) for s in figure.shapes if s["kind"] == "text" and s["size"] == 11.5]
    boxes = [(s["x"], s["y"], s["x"] + s["w"], s["y"] + s["h"]) for s in figure.shapes if s["kind"] == "rect"]
    assert len(words) > 8
    assert not any(meet(word, box) for word in words for box in boxes)
    assert not any(meet(one, other) for one, other in combinations(words, 2))
    assert all(right <= 768 for _, _, right, _ in words)


def test_a_page_has_the_sheets_of_every_rung_but_the_one_shown(query_of_two: sn.Query):
    view = Plan(query_of_two)
    (told,) = view.choices(range(len(query_of_two.trace))).values()
    assert list(told) == [str(n) for n in range(1, len(view.ladder.rungs) + 1)]
    assert {len(sheets) for sheets in told.values()} == {1, len(query_of_two.trace)}
    assert [sheets[0].title[:6] for sheets in told.values()] == [f"Rule {n}" for n in told]
    assert view.ladder.on == 0


@pytest.fixture
def query_of_two() -> Iterator[sn.Query]:
    """A join whose filter goes below it, with two batches."""
    sources = [sn.MemorySource({"at": "datetime", "ad": "string"}) for _ in range(2)]
    left, right = (sn.stream(source).with_watermark("at", "2 minutes") for source in sources)
    seen = sn.between("seen", after="0s", before="5 minutes", of="at")
    clicks = left.join(right.rename({"at": "seen"}), on="ad", within=seen).filter(sn.col("ad") != "x")
    query = clicks.query()
    for minute in (1, 2):
        sn.add({source: [{"at": f"2024-01-01 09:0{minute}", "ad": "a"}] for source in sources})
        query.step()
    yield query
    query.stop()


def test_a_chain_of_operators_stands_below_one_another():
    frame = sn.stream(events()).with_watermark("at", "1 minute").filter(sn.col("v") > 3)
    assert [(b.verb, b.row, b.inputs) for b in boxes(frame.node)] == [
        ("read", 0, ()), ("with_watermark", 1, (1,)), ("filter", 2, (2,)),
    ]  # fmt: skip


def test_two_inputs_stand_beside_each_other():
    left, right = sn.stream(events()), sn.stream(events()).with_watermark("at", "1 minute")
    found = boxes(left.union(right).node)
    assert [(b.verb, b.row, b.column) for b in found] == [
        ("read", 0, 0.25), ("read", 0, 0.75), ("with_watermark", 1, 0.75), ("union", 2, 0.5),
    ]  # fmt: skip


def test_a_moved_filter_is_found_with_its_rule():
    frame = sn.stream(events()).with_watermark("at", "1 minute").filter(sn.col("v") > 3)
    (moved,) = differences(frame.node)
    assert (moved.number, moved.written, moved.what) == (2, 3, "moved")
    assert moved.rule == "a filter goes below what it does not depend on"


def test_what_the_planner_adds_is_found_with_its_rule():
    left = sn.stream(events()).with_watermark("at", "1 minute").rename({"v": "w"})
    frame = left.join(sn.stream(events()).rename({"at": "seen"}), on="key")
    added = differences(frame.node)
    assert {d.what for d in added} == {"new"}
    assert "a row that can match nothing goes before the join" in {d.rule for d in added}


def test_a_plan_that_runs_as_written_is_drawn_once():
    sheet = WrittenPlan(sn.stream(events()).select("v").node).sheet()
    assert sheet.title == "2 operators run, as they are written."
    assert texts(sheet).count("read") == 1
    assert grids(sheet) == []


def test_operators_tell_their_rows_late_rows_keys_and_time():
    source = events()
    frame = sn.stream(source).with_watermark("at", "1 minute").group_by(sn.window("at", "1 minute")).agg(n=sn.count())
    query = frame.query("update", name="test-plan")
    for rows in (["1 a 1", "9 a 1"], ["9 b 1"], ["1 c 1", "9 d 1"]):
        add(source, *rows)
        query.step()
    view = Plan(query)
    assert any(t.startswith("2 → 1 row, 1 late, 1 key, ") for t in texts(view.sheet(2)))
    assert behind(view.sheet(2))[-1][2:6] == ("5", "4", "1", "1")
    then = view.sheet(0)
    view.sheet(2)
    assert view.sheet(0) == then
    query.rewind(0)
    assert view.sheet(0).title == then.title
    query.stop()


# Modes


@pytest.fixture
def together():
    source = events()
    frame = sn.stream(source).with_watermark("at", "1 minute").group_by(sn.window("at", "1 minute")).agg(n=sn.count())
    made = Together(frame)
    for rows in (["1 a 1"], ["1 b 1", "5 a 1"], ["5 b 1"], ["1 late 1", "6 c 1"]):
        add(source, *rows)
    while made.step():
        pass
    yield made
    made.stop()


def test_each_mode_writes_its_own_way(together):
    kinds = {
        c.mode: [[cell.kind for cell in cells] for cells in c.cells]
        for c in columns_of(together.rounds, together.outline)
    }
    assert kinds["append"][:4] == [[], [], [FINAL], []]
    assert kinds["update"][:4] == [[FIRST], [CHANGED, FIRST], [CHANGED], [FIRST]]
    assert [sorted(kinds) for kinds in kinds["complete"][:4]] == [
        [FIRST], [CHANGED, FIRST], [CHANGED, SAME], [CHANGED, FIRST, SAME],
    ]  # fmt: skip


def test_late_rows_are_lost_in_two_modes_only(together):
    assert {c.mode: c.late for c in columns_of(together.rounds, together.outline)} == {
        "append": 1,
        "update": 1,
        "complete": 0,
    }


def test_a_round_is_looked_back_at_and_gone_back_to(together):
    view = Modes(together)
    then = view.sheet(1)
    assert json.loads(json.dumps(then.to_json()))["title"] == "The same query, the same batches, three output modes"
    together.rewind(together.trace[1].batch_id)
    assert (len(together.rounds), view.sheet(1)) == (2, then)
    assert together.step()


def test_a_mode_that_is_refused_says_why():
    made = Together(sn.stream(events()).group_by("key").agg(n=sn.count()))
    assert list(made.queries) == ["update", "complete"]
    assert "append" in made.refused
    made.stop()


def test_rows_of_a_query_without_groups_are_counted():
    source = events()
    made = Together(sn.stream(source).filter(sn.col("v") > 1))
    add(source, "1 a 1", "2 b 2", "3 c 3")
    made.step()
    assert [c.cells[0][0].words for c in columns_of(made.rounds, made.outline)] == ["2"] * len(made.queries)
    made.stop()


# Windows


def test_windows_hold_the_times_they_should():
    assert tumbling([1, 9, 12], 10) == [(0, 10, 2), (10, 20, 1)]
    assert sliding([12], 10, 5) == [(5, 15, 1), (10, 20, 1)]
    assert sessions([0, 4, 9, 30], 5) == [(0, 9, 2), (9, 14, 1), (30, 35, 1)]


def test_drawn_windows_are_those_of_the_engine():
    times = pd.to_datetime(["2024-01-01 09:01", "2024-01-01 09:13", "2024-01-01 09:14", "2024-01-01 10:00"])
    frame = sn.from_pandas(pd.DataFrame({"at": times}))
    engine = frame.group_by(sn.window("at", "20 minutes", slide="10 minutes")).agg(n=sn.count()).collect()
    shapes = shapes_of("20 minutes", "10 minutes", "5 minutes", "0s", times=times, column=None)
    drawn = sliding(shapes.times, shapes.size, shapes.slide)
    starts = engine["window_start"].astype("datetime64[ms]").astype("int64")
    expected = set(zip(starts, engine["n"], strict=True))
    assert {(start, number) for start, _, number in drawn} == expected
    keyed = frame.with_columns(k=sn.lit(1)).with_watermark("at", "1 day")
    ends = keyed.group_by(sn.session_window("at", gap="5 minutes"), "k").agg(n=sn.count()).collect()
    assert sorted(n for _, _, n in sessions(shapes.times, shapes.gap)) == sorted(ends["n"])


def test_a_longer_gap_merges_sessions_and_a_mark_can_be_pulled():
    shown = WindowShapes(shapes_of("10 minutes", None, None, "0s", times=None, column=None))
    assert shown.sheet().title == "9 rows: 3 tumbling, 7 sliding, 4 session windows."
    shown.hear("gap", 600_000)
    assert "1 session" in shown.sheet().title
    before = shown.shapes.times[0]
    shown.hear("drag", ["0", 400.0])
    assert shown.shapes.times[0] > before
    shown.hear("size", 60_000)
    assert shown.shapes.slide <= shown.shapes.size


def test_times_may_be_a_column_and_what_is_no_time_is_refused():
    table = pd.DataFrame({"t": [dt.datetime(2024, 1, 1, 9), None]})
    assert len(shapes_of("1 hour", None, None, "0s", times=table, column="t").times) == 1
    with pytest.raises(sn.DataError, match="holds no datetimes"):
        shapes_of("1 hour", None, None, "0s", times=pd.DataFrame({"t": [1]}), column="t")


# Joins


@pytest.fixture
def joined():
    shown, clicked = (sn.MemorySource({name: "datetime", "ad": "string"}) for name in ("at", "seen"))
    left, right = (
        sn.stream(shown).with_watermark("at", "2 minutes"),
        sn.stream(clicked).with_watermark("seen", "2 minutes"),
    )
    within = sn.between("seen", after="0s", before="5 minutes", of="at")
    query = left.join(right, on="ad", how="left", within=within).query(name="test-joins")
    for minute in range(14):
        seen = [{"seen": f"2024-01-01 09:{minute:02}:40", "ad": f"ad{minute}"}] if minute % 3 else []
        sn.add({shown: [{"at": f"2024-01-01 09:{minute:02}:00", "ad": f"ad{minute}"}], clicked: seen})
        query.step()
    yield query
    query.stop()


def test_both_sides_of_a_join_are_told(joined):
    sheet = Joins(joined).sheet(13)
    held = joined.state
    left, right = (int((held["side"] == side).sum()) for side in ("left", "right"))
    assert sheet.title == f"The join keeps {left} on the left, {right} on the right; 9 pairs in sight."
    fates = {cells[1]: cells[4] for cells in behind(sheet) if cells[0] == "left"}
    assert (fates["ad0"], fates["ad1"], fates["ad13"]) == ("null", "forgotten", "kept")


def test_a_row_is_kept_until_nothing_can_match_it(joined):
    rows = {cells[1]: cells for cells in behind(Joins(joined).sheet(13)) if cells[0] == "left"}
    assert rows["ad13"][2:4] == ("09:13:00", "09:18:00")


def test_of_many_rows_the_newest_pairs_are_among_those_shown():
    kept = [Buffered("left", f"l{n}", float(n), None, "kept", (n,)) for n in range(200)]
    kept += [Buffered("right", f"r{n}", float(n), None, "kept", (n,)) for n in range(30)]
    met = tuple(Match(float(n), float(n), (n,)) for n in range(20))
    sheet = joins_sheet(Buffers(tuple(kept), met, 5.0, {"left": 200, "right": 30}, "inner"), None)
    (figure,) = (part for part in sheet.parts if isinstance(part, Figure))
    lines = {s["tip"] for s in figure.shapes if "met" in s.get("tip", "")}
    assert lines == {f"met: {n}" for n in range(8, 20)}
    assert figure.table is not None
    assert [row.cells[1] for row in figure.table.rows][-1] == "r29"
    assert len(figure.table.rows) == 48


def test_a_dashboard_has_the_tab_of_joins_where_streams_are_joined(joined):
    assert Joins.fits(joined)
    query = sn.stream(events()).query(name="test-joins-none")
    assert not Joins.fits(query)
    assert Joins(query).sheet(-1).title == "No two streams are joined in this query."
    query.stop()


def test_rows_that_met_are_joined_by_a_line_wherever_the_join_stands(joined):
    frame = sn.StreamFrame(joined.plan).filter(sn.col("ad") != "ad13").select("at", "seen", "ad")
    query = frame.group_by(sn.window("at", "1 minute")).agg(n=sn.count()).query(name="test-joins-below").run()
    sheet, at = Joins(query).sheet(len(query.trace) - 1), Joins(joined)
    lines = [
        s["tip"] for part in sheet.parts if isinstance(part, Figure) for s in part.shapes if "met" in s.get("tip", "")
    ]
    assert lines
    assert set(lines) <= {f"met: ad{minute}" for minute in range(14) if minute % 3}
    assert at.sheet(13).title.endswith("pairs in sight.")
    query.stop()


def test_rows_with_one_time_are_joined_by_a_line_too():
    left, right = events(), events()
    frames = [sn.stream(source).with_watermark("at", "1 minute") for source in (left, right)]
    query = (
        frames[0].join(frames[1], on=["at", "key"], where=sn.col("v") < sn.col("v_right")).query(name="test-joins-time")
    )
    sn.add({left: [{"at": "2024-01-01", "key": k, "v": 1} for k in "abc"],
            right: [{"at": "2024-01-01", "key": k, "v": v} for k, v in (("a", 2), ("b", 0), ("d", 5))]})  # fmt: skip
    query.step()
    assert Joins(query).sheet(0).title == "The join keeps 3 on the left, 3 on the right; 1 pair in sight."
    query.stop()


# The ladder


def chain() -> sn.StreamFrame:
    left = sn.stream(events()).with_watermark("at", "1 minute").rename({"v": "w"})
    right = sn.stream(events()).rename({"at": "seen"})
    return left.join(right, on="key", how="left").filter(~sn.col("seen").is_null()).filter(sn.col("w") > 3)


def test_the_rungs_lead_from_the_written_plan_to_the_one_that_runs():
    frame = chain()
    found = rungs(frame.node)
    assert [rung.rule for rung in found] == [
        "a row that can match nothing goes before the join",
        "a filter goes below what it does not depend on",
    ]
    assert told(found[0].before) == told(frame.node)
    assert told(found[-1].after) == told(optimize(frame.node))
    assert all(told(a.after) == told(b.before) for a, b in pairwise(found))


def test_a_plan_that_no_rule_changes_has_no_rungs():
    frame = sn.stream(events()).select("v")
    assert rungs(frame.node) == []
    assert not any(isinstance(part, Choice) for part in WrittenPlan(frame.node).sheet().parts)


def test_the_reader_steps_through_the_rules_and_what_moved_is_marked():
    subject = WrittenPlan(chain().node)
    assert subject.sheet().title == "9 operators run, 2 of them not where they were written."
    subject.hear("rung", "2")
    sheet = subject.sheet()
    assert sheet.title == "Rule 2 of 2: a filter goes below what it does not depend on."
    assert {"before this rule", "after it", "1"} <= set(texts(sheet))
    (rules,) = grids(sheet)
    assert [(row.cells[2], row.cells[3]) for row in rules.rows] == [("moved", "filter w > 3")]
    subject.hear("rung", "9")
    assert subject.sheet() == sheet


def test_the_last_rung_of_a_query_tells_the_numbers_of_the_batch():
    source = events()
    frame = sn.stream(source).with_watermark("at", "1 minute").filter(sn.col("v") > 3)
    query = frame.query(name="test-rungs")
    add(source, "1 a 5", "2 b 1")
    query.step()
    view = Plan(query)
    assert any(t.startswith("2 → 1 row, ") for t in texts(view.sheet(0)))
    view.hear("rung", "1")
    assert any(t.startswith("2 → 1 row, ") for t in texts(view.sheet(0)))
    query.stop()
