"""What the plane draws for a trace: marks and words, not pixels."""

from __future__ import annotations

import datetime as dt
import json
import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl
import pytest
from bokeh.document import Document
from bokeh.document.events import ColumnsPatchedEvent, ColumnsStreamedEvent

import streamnb as sn
from streamnb.progress import Outline, Playable, StepTrace, Trace, Work
from streamnb.time import Window
from streamnb.views import plane_rows
from streamnb.views.paint import roles
from streamnb.views.plane import Note, PlaneLayout, lay_out, plane
from streamnb.views.plane_axis import count_axis, spell_clock, time_axis
from streamnb.views.plane_figure import Plane
from streamnb.views.plane_rows import Story
from streamnb.views.plane_shapes import plane_table
from streamnb.views.plane_svg import svg
from streamnb.views.theme import PALETTE

MINUTE = 60 * 10**6
HOUR = 60 * MINUTE
ROWS: dict[str, Any] = {"who": pl.String, "at": pl.Datetime("us"), "arr": pl.Datetime("us")}
RESULT: dict[str, Any] = {"window_start": pl.Datetime("us"), "window_end": pl.Datetime("us"), "n": pl.Int64}
HOURLY = Outline(
    "q", "append", event_time="at", arrival="arr", delay=dt.timedelta(hours=1), window=Window(HOUR, HOUR), values=("n",)
)


def at(clock: str) -> dt.datetime:
    return dt.datetime(2024, 1, 1, int(clock[:2]), int(clock[3:]))


def ms(clock: str) -> float:
    return (at(clock) - dt.datetime(1970, 1, 1)) / dt.timedelta(milliseconds=1)


def rows(*told: str) -> pl.DataFrame:
    """Rows as ``"ann 10:05 10:20"``: who, event time, arrival; ``-`` is null."""
    parts = [line.split() for line in told]
    return pl.DataFrame(
        [[w, *(None if c == "-" else at(c) for c in clocks)] for w, *clocks in parts], ROWS, orient="row"
    )


def windows(*told: str) -> pl.DataFrame:
    """Results as ``"10:00 11:00 3"``."""
    parts = [line.split() for line in told]
    return pl.DataFrame([[at(start), at(end), int(n)] for start, end, n in parts], RESULT, orient="row")


NOTHING = windows()


def batch(
    n: int, time: str, read: pl.DataFrame, marks: tuple[str | None, str | None] = (None, None), *,
    late: pl.DataFrame | None = None, changed: pl.DataFrame = NOTHING, removed: pl.DataFrame = NOTHING,
    emitted: pl.DataFrame | None = None, reached: pl.DataFrame | None = None,
) -> Trace:  # fmt: skip
    before, after = (at(m) if m else None for m in marks)
    step = StepTrace("group_by", read if reached is None else reached, late, lambda: changed, lambda: removed)
    return Trace(
        n, at(time), read.is_empty(), before, after, None, read, (step,), removed if emitted is None else emitted
    )


def ended(late: pl.DataFrame, *ends: str) -> pl.DataFrame:
    """Dropped rows, each with the end of the window it missed."""
    return late.with_columns(pl.Series("window_end", [at(e) for e in ends]), late_by=pl.lit(dt.timedelta(minutes=5)))


STORY = [
    batch(0, "10:30", rows("ann 10:05 10:20", "bob 10:10 10:25"), (None, "09:10"), changed=windows("10:00 11:00 2")),
    batch(
        1, "12:30", rows("cat 12:20 12:25", "dan 10:50 12:10"), ("09:10", "11:20"),
        changed=windows("10:00 11:00 3", "12:00 13:00 1"),
    ),
    batch(
        2, "13:00", rows("eve 11:05 12:45", "fay 10:15 12:50"), ("11:20", "11:20"),
        late=ended(rows("fay 10:15 12:50"), "11:00"),
        changed=windows("11:00 12:00 1"), removed=windows("10:00 11:00 3"),
    ),
]  # fmt: skip
TO_COME = rows("gus 13:10 13:40")


@dataclass(eq=False)
class Recorded:
    """A query that has already run."""

    trace: Sequence[Trace]
    outline: Outline = HOURLY
    rest: pl.DataFrame | None = field(default_factory=lambda: TO_COME)
    name: str = "q"

    def upcoming(self) -> pl.DataFrame | None:
        return self.rest


def playable(trace: Sequence[Trace] = STORY, **told: Any) -> Playable:
    return Recorded(trace, **told)  # type: ignore[return-value]


def story(cursor: int = 2) -> PlaneLayout:
    return plane(STORY, HOURLY, TO_COME, cursor)


def fates(layout: PlaneLayout) -> dict[str, str]:
    return {re.findall(r"who: (.*)", mark.tip)[0]: mark.fate for mark in layout.rows}


def said(note: Note | None) -> str | None:
    return note.text if note else None


# Rows


def test_a_row_lies_where_it_happened_and_arrived():
    ann = story().rows[0]
    assert (ann.x, ann.y) == (ms("10:05"), ms("10:20"))
    assert ann.tip == "counted\nwho: ann\nat: 2024-01-01 10:05:00\narr: 2024-01-01 10:20:00"


def test_each_row_has_the_mark_of_its_fate():
    assert fates(story()) == {
        "ann": "counted", "bob": "counted", "dan": "counted", "cat": "counted", "eve": "late", "fay": "dropped",
        "gus": "upcoming",
    }  # fmt: skip


def test_looking_back_the_rows_of_later_batches_have_not_arrived():
    assert Counter(fates(story(0)).values()) == {"counted": 2, "upcoming": 5}


def test_rows_keep_their_order_so_that_a_step_changes_little():
    assert list(fates(story(-1))) == list(fates(story(2)))


def test_equal_rows_of_a_batch_are_dropped_together():
    twice = rows("fay 10:15 12:50", "fay 10:15 12:50")
    last = batch(2, "13:00", twice, ("11:20", "11:20"), late=ended(twice, "11:00", "11:00"))
    assert [m.fate for m in plane([*STORY[:2], last], HOURLY, None, 2).rows][-2:] == ["dropped", "dropped"]


def test_a_row_late_for_one_of_two_sliding_windows_is_counted():
    sliding = replace(HOURLY, window=Window(HOUR, HOUR // 2))
    read = rows("ann 10:15 12:50", "bob 10:45 12:51")
    last = batch(0, "13:00", read, ("11:10", "11:10"), late=ended(read[[0, 0, 1]], "10:30", "11:00", "11:00"))
    assert fates(plane([last], sliding, None, 0)) == {"ann": "dropped", "bob": "late"}


def test_a_row_that_a_filter_took_out_is_not_called_counted():
    read = rows("ann 10:05 10:20", "bob 10:10 10:25")
    layout = plane([batch(0, "10:30", read, reached=read.head(1))], HOURLY, None, 0)
    assert fates(layout) == {"ann": "counted", "bob": "aside"}
    assert ("aside", "filtered out") in layout.key


def test_a_row_without_event_time_is_told_and_not_drawn():
    layout = plane([batch(0, "10:30", rows("ann - 10:20", "bob 10:10 10:25"))], HOURLY, None, 0)
    assert fates(layout) == {"bob": "counted"}
    assert "1 row without event time, not drawn." in layout.spoken


def test_without_a_time_of_arrival_a_row_lies_at_its_batch():
    layout = plane(STORY, replace(HOURLY, arrival=None), None, 0)
    assert {m.y for m in layout.rows if m.fate == "counted"} == {ms("10:30")}
    assert layout.y.label == "processing time"


def test_of_many_rows_a_sample_is_drawn_and_every_dropped_one():
    many = pl.concat([rows("ann 10:05 10:20")] * 6000 + [rows("fay 08:15 10:21")] * 3)
    layout = plane([batch(0, "10:30", many, ("11:20", "11:20"), late=ended(many[-1:], "09:00"))], HOURLY, None, 0)
    drawn = Counter(m.fate for m in layout.rows)
    assert drawn["dropped"] == 3
    assert 1000 <= drawn["late"] <= 2000
    assert "1,503 of 6,003 rows shown; 1 late one in 4, every dropped one kept." in layout.caption
    assert "6,003 rows read" in layout.spoken


def test_of_a_hundred_thousand_rows_a_batch_few_are_kept_and_every_late_one():
    early = rows("fay 08:15 10:21")
    many = pl.concat([pl.concat([rows("ann 11:05 11:20")] * 1000)] * 100 + [early] * 50)
    story = Story(HOURLY)
    reading = story.follow([batch(0, "11:30", many, ("10:20", "10:20"), late=ended(early, "09:00"))])[0]
    assert len(reading.placed.x) < 5_000
    layout = lay_out([reading], HOURLY, None, 0)
    assert Counter(m.fate for m in layout.rows)["dropped"] == 50
    assert re.search(r"1,\d\d\d of 100,050 rows shown; every late one kept\.", layout.caption)
    assert "100,050 rows read: 100,000 counted, 50 dropped." in layout.spoken


def test_a_story_keeps_the_rows_of_the_newest_batches_only(monkeypatch):
    monkeypatch.setattr(plane_rows, "MOST_KEPT", 3)
    readings = Story(HOURLY).follow(STORY)
    assert [len(r.placed.x) for r in readings] == [0, 0, 2]
    assert [r.left_out.rows for r in readings] == [2, 2, 0]
    layout = lay_out(readings, HOURLY, None, 2)
    assert "2 of 6 rows shown" in layout.caption
    assert "6 rows read: 5 counted (1 of them behind the watermark), 1 dropped." in layout.spoken


def summarised(trace: Trace, read: int) -> Trace:
    """A trace whose rows were let go of: numbers and dropped rows stay."""
    work = (Work(2, "with_watermark", read, read, 0.1), Work(3, "group_by", read, 0, 0.1))
    step = replace(trace.steps[0], rows=trace.rows.clear(), changed=lambda: NOTHING, removed=lambda: NOTHING)
    return replace(trace, rows=trace.rows.clear(), steps=(step,), work=work, summarised=True)


def test_of_a_batch_whose_rows_are_gone_the_dropped_ones_are_drawn_and_all_are_counted():
    layout = plane([*STORY[:2], summarised(STORY[2], 2)], HOURLY, None, 2)
    assert fates(layout) == {"ann": "counted", "bob": "counted", "dan": "counted", "cat": "counted", "fay": "dropped"}
    assert layout.title.endswith("drops 1 of 6 rows so far.")
    assert "5 of 6 rows shown; every dropped one kept." in layout.caption


def test_windows_that_the_watermark_closed_unseen_are_open_no_more():
    last = batch(3, "13:10", rows("hal 13:05 13:09"), ("11:20", "12:00"), changed=windows("13:00 14:00 1"))
    reading = Story(HOURLY).follow([*STORY[:2], summarised(STORY[2], 2), last])[-1]
    assert [(interval.start, interval.text) for interval in reading.open] == [(ms("12:00"), "1"), (ms("13:00"), "1")]


def test_of_batches_that_come_all_at_once_a_picture_reads_a_few():
    story = Story(HOURLY)
    seen = [len(lay_out(story.follow(STORY, at_once), HOURLY, None, 2).rows) for at_once in (1, 1, None)]
    assert seen == [3, 5, 6]
    assert lay_out(Story(HOURLY).follow(STORY, 1), HOURLY, None, 2).stair == plane(STORY, HOURLY, None, 2).stair


def test_of_windows_long_ago_the_results_are_kept_without_their_words(monkeypatch):
    monkeypatch.setattr(plane_rows, "MOST_TOLD", 0)
    layout = plane(STORY, HOURLY, None, 2)
    assert [(bar.text, bar.tip) for bar in layout.bars] == [("3", "final\n")]
    assert layout.provisional == ()


# Watermark and now


def test_the_watermark_moves_when_a_batch_ends():
    assert story().stair == (
        (ms("09:10"), ms("10:30")), (ms("09:10"), ms("12:30")), (ms("11:20"), ms("12:30")), (ms("11:20"), ms("13:00")),
    )  # fmt: skip


def test_the_side_left_of_the_stair_is_closed():
    layout = story()
    assert layout.closed == ((layout.x.start, ms("10:30")), *layout.stair, (layout.x.start, ms("13:00")))


def test_in_complete_mode_nothing_is_closed():
    layout = plane(STORY[:2], replace(HOURLY, output_mode="complete"), None, 1)
    assert layout.closed == ()
    assert "closes nothing here" in layout.caption
    assert "dropped" not in dict(layout.key)


def test_watermark_and_now_say_their_times():
    layout = story()
    assert said(layout.watermark) == "watermark 11:20"
    assert layout.now == Note(layout.x.end, ms("13:00"), "now\n13:00", "left")


def test_a_watermark_out_of_sight_points_to_where_it_is():
    layout = story(0)
    assert said(layout.watermark) == "◂ watermark 09:10"


def test_the_watermark_of_1970_is_none_yet():
    epoch = replace(STORY[0], watermark=dt.datetime(1970, 1, 1), watermark_after=dt.datetime(1970, 1, 1))
    assert plane([epoch], HOURLY, None, 0).watermark is None


# Windows


def test_a_final_result_is_a_bar_where_it_was_emitted():
    (bar,) = story().bars
    assert (bar.y, bar.text) == (ms("13:00"), "3")
    assert ms("10:00") < bar.left < bar.right < ms("11:00")
    assert "n: 3" in bar.tip


def test_open_windows_ride_on_the_now_line():
    assert [(n.x, n.y, n.text) for n in story().provisional] == [
        (ms("11:30"), ms("13:00"), "1…"),
        (ms("12:30"), ms("13:00"), "1…"),
    ]


def test_in_update_mode_a_bar_stands_where_its_last_value_was_written():
    update = [replace(t, emitted=t.steps[0].changed()) for t in STORY]
    (bar,) = plane(update, replace(HOURLY, output_mode="update"), TO_COME, 2).bars
    assert (bar.y, bar.text) == (ms("12:30"), "3")


def test_in_complete_mode_no_result_is_final():
    kept = [replace(t, steps=(replace_removed(t.steps[0]),)) for t in STORY]
    layout = plane(kept, replace(HOURLY, output_mode="complete"), TO_COME, 2)
    assert layout.bars == ()
    assert [n.text for n in layout.provisional] == ["3…", "1…", "1…"]


def replace_removed(step: StepTrace) -> StepTrace:
    return replace(step, removed=lambda: NOTHING)


def test_a_window_with_several_keys_says_how_many():
    keyed = windows("10:00 11:00 3", "10:00 11:00 5").with_columns(k=pl.Series(["x", "y"]))
    layout = plane([batch(0, "10:30", STORY[2].rows, emitted=keyed)], replace(HOURLY, keys=("k",)), None, 0)
    assert [bar.text for bar in layout.bars] == ["2 keys"]


def test_sliding_windows_draw_under_their_last_slide():
    sliding = replace(HOURLY, window=Window(HOUR, HOUR // 2))
    bars = plane([batch(0, "10:30", TO_COME, emitted=windows("10:00 11:00 3", "10:30 11:30 4"))], sliding, None, 0).bars
    assert ms("10:30") < bars[0].left < bars[0].right < ms("11:00") < bars[1].left


def test_every_second_window_is_a_strip_whatever_is_in_sight():
    early, late = (set(plane(STORY, HOURLY, None, n).strips) for n in (0, 2))
    assert {end - start for start, end in early | late} == {3_600_000}
    assert early <= late or late <= early


def test_windows_too_narrow_to_see_are_not_drawn():
    layout = plane(STORY, replace(HOURLY, window=Window(MINUTE // 60, MINUTE // 60)), TO_COME, 2)
    assert layout.strips == ()


# Axes


def test_the_picture_does_not_jump_while_known_input_is_read():
    layouts = [story(n) for n in range(-1, 3)]
    assert len({(layout.x, layout.y) for layout in layouts}) == 1


def test_an_endless_input_moves_the_range_seldom():
    ann = rows("ann 09:55 09:58")
    readings = Story(HOURLY).follow([
        batch(n, f"{10 + n // 60}:{n % 60:02}", ann.with_columns(pl.col("at", "arr").dt.offset_by(f"{n}m")))
        for n in range(300)
    ])  # fmt: skip
    layouts = [lay_out(readings[: n + 1], HOURLY, None, n) for n in range(0, 300, 3)]
    assert len({layout.y for layout in layouts}) < 25
    assert max(len(layout.rows) for layout in layouts) <= 120


def test_ticks_are_round_in_the_zone_of_the_data():
    axis = time_axis("event time: t", ms("00:10"), ms("06:10"), "Asia/Kathmandu", 600)
    assert axis.label == "event time: t (Asia/Kathmandu)"
    assert axis.ticks[0] == (ms("00:15"), "06:00")
    assert all(words.endswith((":00", ":30")) for _, words in axis.ticks)


def test_midnight_is_named_by_its_day():
    assert (ms("00:00"), "1 Jan") in time_axis("t", ms("00:00") - 3.6e6, ms("02:00"), None, 600).ticks


@pytest.mark.parametrize(
    ("hours", "words"), [(100.0, "1 Jan 10:31"), (5.0, "10:31"), (0.1, "10:31:07"), (0.001, "10:31:07.250")]
)
def test_a_time_is_told_as_exactly_as_the_range_needs(hours: float, words: str):
    assert spell_clock(ms("10:31") + 7250, None, hours * 3.6e6) == words


def test_a_count_starts_at_zero():
    assert count_axis("rows", 0).ticks == ((0.0, "0"), (1.0, "1"))


def test_aware_times_are_shown_in_their_zone():
    seoul = [
        replace(t, rows=t.rows.with_columns(pl.col("at", "arr").dt.replace_time_zone("Asia/Seoul"))) for t in STORY
    ]
    utc = dt.timedelta(hours=-9)
    seoul = [replace(t, time=(t.time + utc).replace(tzinfo=dt.UTC), watermark_after=at("11:20") + utc) for t in seoul]
    layout = plane(seoul, HOURLY, None, 2)
    assert said(layout.now) == "now\n13:00"
    assert said(layout.watermark) == "watermark 11:20"
    assert layout.x.label == "event time: at (Asia/Seoul)"
    assert layout.rows[0].tip.endswith("arr: 2024-01-01 10:20:00")


def test_words_stand_where_they_hide_no_mark():
    low = [batch(0, "10:30", rows("ann 10:05 10:01", "bob 10:15 10:02"), (None, "09:10"))]
    layout = plane(low, HOURLY, rows("gus 13:10 13:40"), 0)
    assert layout.watermark is not None
    assert layout.watermark.y > layout.y.start
    free = plane(STORY, HOURLY, TO_COME, 2)
    assert free.watermark is not None
    assert free.watermark.y == free.y.start


def test_words_along_the_diagonal_go_where_fewest_marks_lie():
    prompt = [f"r{n} {10 + n // 60:02}:{n % 60:02} {10 + n // 60:02}:{n % 60:02}" for n in range(140, 240, 3)]
    crowded = plane([batch(0, "14:00", rows("ann 10:00 10:00", *prompt), (None, "09:10"))], HOURLY, None, 0)
    empty = plane([batch(0, "14:00", rows("ann 10:00 10:00", "bob 13:57 13:57"), (None, "09:10"))], HOURLY, None, 0)
    assert crowded.no_delay is not None
    assert empty.no_delay is not None
    assert crowded.no_delay.x != empty.no_delay.x


def test_the_line_of_no_delay_is_where_both_times_are_equal():
    layout = story()
    assert all(x == y for x, y in layout.diagonal)


# Words


def test_the_title_states_the_finding():
    assert story(-1).title == "Each row happens at one time and arrives at another."
    assert story(0).title == "A 1-hour watermark drops none of 2 rows so far."
    assert story(2).title == "A 1-hour watermark drops 1 of 6 rows so far."
    assert plane(STORY, HOURLY, TO_COME.clear(), 2).title == "A 1-hour watermark drops 1 of 6 rows."


@pytest.mark.parametrize(
    ("delay", "start"),
    [
        (dt.timedelta(hours=8), "An 8-hour watermark"),
        (dt.timedelta(minutes=90), "A watermark of 1 hour 30 minutes"),
        (dt.timedelta(0), "A 0-second watermark"),
    ],
)
def test_the_title_names_the_delay(delay: dt.timedelta, start: str):
    assert plane(STORY, replace(HOURLY, delay=delay), None, 2).title.startswith(start)


def test_it_says_itself_without_the_picture():
    assert story().spoken == (
        "Batch 2, 13:00. Watermark 11:20. 6 rows read: 5 counted (1 of them behind the watermark), 1 dropped. "
        "1 row not arrived yet. fay dropped: its window 10:00-11:00 closed at 13:00."
    )


def test_nothing_has_run():
    layout = story(-1)
    assert layout.spoken == "No batch has run. 7 rows not arrived yet."
    assert (layout.now, layout.watermark, layout.stair, layout.bars, layout.provisional) == (None, None, (), (), ())


def test_a_layout_is_plain_json():
    assert json.loads(json.dumps(story().to_json()))["rows"][0]["fate"] == "counted"


def test_behind_the_marks_stands_a_table_whose_lines_can_be_picked():
    grid = plane_table(story())
    assert [row.cells[0] for row in grid.rows].count("dropped") == 1
    assert len(grid.rows) == 6
    assert {row.pick for row in grid.rows} == {f"{mark.row[0]}.{mark.row[1]}" for mark in story().rows if mark.row}
    assert "fay" in next(row.cells[4] for row in grid.rows if row.cells[0] == "dropped")


def test_before_anything_is_known_the_plane_names_no_time():
    layout = plane([], HOURLY, rows(), -1)
    assert (layout.x.ticks, layout.y.ticks, layout.key, layout.strips, layout.diagonal) == ((), (), (), (), ())
    assert layout.x.label == "event time: at"


def test_of_an_old_batch_the_late_rows_that_are_only_a_number_are_counted():
    gone = replace(STORY[2], steps=tuple(replace(s, late=None, late_let_go=1) for s in STORY[2].steps))
    layout = plane([*STORY[:2], summarised(gone, 2)], HOURLY, TO_COME, 2)
    assert "1 dropped" in layout.spoken


# Other queries


def test_without_an_event_time_each_batch_is_a_stem():
    layout = plane(STORY, Outline("q", "append"), None, 1)
    assert [(stem.left, stem.y) for stem in layout.stems] == [(ms("10:30"), 2), (ms("12:30"), 2)]
    assert layout.title == "4 rows read in 2 batches so far."
    assert layout.rows == ()


def test_without_a_window_there_are_marks_and_the_watermark():
    stateless = [replace(trace, steps=(), emitted=trace.rows) for trace in STORY]
    outline = Outline("q", "append", event_time="at", arrival="arr", delay=HOURLY.delay)
    layout = plane(stateless, outline, TO_COME, 2)
    assert (layout.strips, layout.bars, layout.provisional) == ((), (), ())
    assert len(layout.stair) == 4
    assert dict(layout.key)["counted"] == "read"


@pytest.mark.parametrize(
    "traces",
    [
        [],
        [batch(0, "10:30", rows())],
        [batch(0, "10:30", rows("ann 10:05 10:30"))],
        [batch(0, "10:30", rows("ann 10:30 10:30", "bob 10:30 10:30"))],
        [batch(0, "10:30", rows("ann - 10:30"))],
        [batch(0, "10:30", pl.DataFrame({"other": [1]}))],
    ],
    ids=["nothing", "no rows", "one row", "one instant", "null", "no time column"],
)
@pytest.mark.parametrize("rest", [None, rows(), TO_COME], ids=["endless", "done", "to come"])
def test_small_traces_are_drawn(traces: list[Trace], rest: pl.DataFrame | None):
    for outline in (HOURLY, replace(HOURLY, window=None), Outline("q", "update")):
        query = playable(traces, outline=outline, rest=rest)
        picture = Plane(query)
        assert picture.describe(len(traces) - 1)
        assert parsed(svg(query, len(traces) - 1)).tag.endswith("svg")


def test_the_landings_of_a_stormy_morning():
    query = (
        sn.data.landings("JFK", "2013-02-08").with_watermark("dep", "3 hours")
        .group_by(sn.window("dep", "1 hour")).agg(n=sn.count()).query(output_mode="append").run()
    )  # fmt: skip
    layout = plane(query.trace, query.outline, query.upcoming(), len(query.trace) - 1)
    assert layout.title == "A 3-hour watermark drops 23 of 145 rows."
    assert Counter(m.fate for m in layout.rows)["dropped"] == 23
    assert [bar.text for bar in layout.bars] == [str(n) for n in query.result["n"]]


# The Bokeh figure


def watched(change: Callable[[], object], picture: Plane) -> list[Any]:
    document = picture.figure.document or Document()
    if picture.figure.document is None:
        document.add_root(picture.figure)
    events: list[Any] = []
    document.on_change(events.append)
    change()
    document.remove_on_change(events.append)
    return events


def test_a_step_patches_the_rows_that_changed():
    picture = Plane(playable())
    picture.refresh(1)
    events = watched(lambda: picture.refresh(2), picture)
    patched = [e for e in events if isinstance(e, ColumnsPatchedEvent) and "tip" in e.patches]
    assert [len(e.patches["tip"]) for e in patched] == [2]


def test_the_same_batch_again_sends_nothing():
    picture = Plane(playable())
    assert watched(lambda: picture.refresh(2), picture) == []


def test_of_an_endless_input_new_rows_are_streamed():
    query = playable(STORY[:2], rest=None)
    picture = Plane(query)
    query.trace = STORY  # type: ignore[misc]
    events = watched(lambda: picture.refresh(2), picture)
    (streamed,) = (e for e in events if isinstance(e, ColumnsStreamedEvent) and "tip" in e.data)
    assert len(streamed.data["tip"]) == 2


def test_looking_back_and_forth_ends_at_the_same_picture():
    there, walked = Plane(playable()), Plane(playable())
    for cursor in (0, 2, -1, 1, 2):
        walked.refresh(cursor)
    for name, source in there._sources.items():
        assert str(source.data) == str(walked._sources[name].data), name


def test_a_rewound_query_is_read_anew():
    query = playable()
    picture = Plane(query)
    query.trace = [STORY[0], replace(STORY[1], rows=rows("zoe 12:20 12:25"), serial=STORY[-1].serial + 1)]  # type: ignore[misc]
    assert picture.describe(1).startswith("Batch 1, 12:30. Watermark 11:20. 3 rows read")


def test_every_colour_of_a_glyph_follows_the_theme():
    picture = Plane(playable())
    painted = {(model, name): role for model, name, role in roles(picture.figure)}
    assert set(painted.values()) <= set(PALETTE["dark"])
    for renderer in picture.figure.renderers:
        glyph = renderer.glyph  # type: ignore[attr-defined]
        colour = {"Text": "text_color", "Patch": "fill_color", "VStrip": "fill_color"}.get(type(glyph).__name__)
        assert colour is None or (glyph.id, colour) in painted, glyph


# The SVG


def parsed(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314  our own


def test_the_svg_shows_what_the_layout_says():
    root = parsed(svg(playable(), 2))
    words = ["".join(e.itertext()) for e in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"A 1-hour watermark drops 1 of 6 rows so far.", "watermark 11:20", "now", "13:00", "3", "1…"} <= set(words)
    assert root.get("aria-label") == story().spoken


def test_the_svg_is_inert_whatever_the_data_says():
    evil = "</title><script>alert(1)</script>\x00\x1b"
    read = rows("ann 10:05 10:20").with_columns(who=pl.lit(evil))
    text = svg(playable([batch(0, "10:30", read.rename({"who": '<a href="x">'}))]), 0)
    assert not {"script", "a"} & {element.tag.split("}")[1] for element in parsed(text).iter()}


def test_two_svgs_share_no_id():
    first, second = (set(re.findall(r'id="([^"]+)"', svg(playable(), n))) for n in (1, 2))
    assert len(first) == len(second) == 2
    assert not first & second


def test_unicode_is_kept():
    read = rows("ann 10:05 10:20").with_columns(who=pl.lit("안나 🛬"))
    query = playable([batch(0, "10:30", read)], rest=None)
    assert "who: 안나 🛬" in svg(query, 0)
    assert plane(query.trace, HOURLY, None, 0).rows[0].tip.startswith("counted\nwho: 안나 🛬\n")
