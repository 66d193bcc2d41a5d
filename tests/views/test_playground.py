"""The watermark playground: a setting is one line, gestures change it, and the engine judges the challenges."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

import streamnb as sn
from streamnb.views.chart import Frame
from streamnb.views.plane_shapes import frame_of
from streamnb.views.playground import Playground
from streamnb.views.playground_world import LIMITS, PRESETS, Setting, challenges, parsed, ran
from streamnb.views.shapes import Figure, Grid, Words

ONE_LATE = "10m 5m 5m append 1-2 14-15 16-20 20-24 3-29 30-31"
OPEN = Setting(10, 5, 5, "append", ((1, 2), (4, 5), (6, 9)))


def figure(play: Playground) -> Figure:
    return next(part for part in play.sheet().parts if isinstance(part, Figure))


def marks(play: Playground) -> dict[str, tuple[float, float]]:
    return {s["drag"]: (s["x"], s["y"]) for s in figure(play).shapes if "drag" in s}


@pytest.mark.parametrize("setting", PRESETS.values(), ids=PRESETS)
def test_a_setting_is_one_line_and_back(setting):
    assert parsed(setting.preset()) == setting


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("", "it ends before its rows"),
        ("10m 5m 5m append", "it ends before its rows"),
        ("10m 5m 5m apend 1-2", "'apend' is no mode"),
        ("10 5m 5m append 1-2", "'10' is no window"),
        ("10m 5m 5m append 1-2 3", "'3' is no row"),
        ("99m 5m 5m append 1-2", "a window of 99 minutes"),
        ("10m 5m 0m update 1-2", "a trigger of 0 minutes in '10m 5m 0m update 1-2'; give a window of 1 to 60"),
        ("10m 5m 5m append 1-999", "the rows in"),
    ],
)
def test_a_line_that_is_none_is_refused_for_what_is_wrong_with_it(line, wrong):
    with pytest.raises(sn.PlanError, match=f"^playground: {wrong}"):
        parsed(line)


def test_exactly_one_dropped_row_is_the_first_challenge():
    none, one = (challenges(parsed(line))[0] for line in (ONE_LATE.replace("3-29", "21-29"), ONE_LATE))
    assert (none.done, none.stands) == (False, "no row is dropped")
    assert (one.done, one.stands) == (True, "1 row is dropped")
    assert ran(parsed(ONE_LATE)).late["at"].dt.strftime("%H:%M").tolist() == ["09:03"]


def test_append_is_never_before_update_and_may_be_as_early():
    same = parsed("10m 0m 5m append 1-2 75-9 11-12 14-15 18-19")
    assert challenges(same)[1].done
    assert challenges(same)[1].stands.endswith("before cannot be")
    later = challenges(PRESETS["a calm morning"])[1]
    assert (later.done, later.stands) == (False, "09:00: 20 minutes later")
    assert challenges(replace(OPEN, window=60))[1].stands == "append has printed nothing yet"


def test_a_fast_clock_stops_the_watermark():
    assert challenges(PRESETS["one clock an hour fast"])[2].done
    moving = challenges(PRESETS["a calm morning"])[2]
    assert (moving.done, moving.stands) == (False, "it moves to the end")


def test_a_pulled_mark_is_where_it_was_let_go_and_the_engine_ran_again():
    play = Playground("a calm morning")
    frame: Frame = frame_of(play._layout())
    place = marks(play)["5"]
    assert play.setting.rows[5] == (8, 16)
    play.hear("drag", ["5", place[0], frame.top])
    assert play.setting.rows[5][0] == 8
    assert play.setting.rows[5][1] >= 34
    assert "drops" in play.sheet().title


@pytest.mark.parametrize("name", LIMITS)
def test_a_length_stays_within_its_limits(name):
    play = Playground()
    for value, kept in ((7, 7), (-3, LIMITS[name][0]), (10_000, LIMITS[name][1])):
        play.hear(name, value)
        assert getattr(play.setting, name) == kept


def test_a_row_moves_without_a_mouse_too():
    play = Playground()
    play.hear("at", 3)
    assert play.setting == PRESETS["a calm morning"]
    play.hear("pick", "2")
    play.hear("at", 0)
    play.hear("heard", 30)
    assert play.setting.rows[2] == (0, 30)
    assert play.sheet().parts[0].kind == "slider"


def test_rows_come_and_go():
    play = Playground()
    play.hear("pick", "11")
    play.hear("rows", 3)
    assert play.setting.rows == PRESETS["a calm morning"].rows[:3]
    play.hear("rows", 5)
    assert len(marks(play)) == 5
    assert play.setting.rows[4][1] > play.setting.rows[2][1]


def test_a_batch_can_be_looked_at_and_then_the_sink_holds_less():
    play = Playground()
    handed = [part for part in play.sheet().parts if isinstance(part, Grid)][1]
    play.hear("batch", 2)
    before = [part for part in play.sheet().parts if isinstance(part, Grid)][1]
    assert len(before.rows) < len(handed.rows)
    assert len(marks(play)) < 12


def test_what_the_browser_makes_up_changes_nothing():
    play = Playground()
    for name, value in (("mode", "loud"), ("preset", "none"), ("pick", "99"), ("sort", "x")):
        play.hear(name, value)
    assert play.setting == PRESETS["a calm morning"]


@pytest.mark.parametrize("mode", ["append", "update", "complete"])
def test_the_line_to_share_gives_the_same_playground(mode):
    play = Playground()
    play.hear("mode", mode)
    sheet = play.sheet()
    line = next(part.text for part in sheet.parts if isinstance(part, Words)).split('"')[1]
    assert json.dumps(Playground(line).sheet().to_json()) == json.dumps(sheet.to_json())
