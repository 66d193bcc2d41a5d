"""The palette: every mark can be seen, every word can be read, and no two roles look alike to anyone."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from bokeh.core.properties import value
from bokeh.plotting import figure

from streamnb.views import paint, theme

THEMES = sorted(theme.PALETTE)
MARKS = ("ontime", "late", "dropped", "watermark", "second")
WORDS = ("ink", "muted", "ontime_text", "late_text", "dropped_text", "watermark_text", "second_text")

# Machado, Oliveira, Fernandes 2009, severity 1.0, on linear RGB.
SIGHT = {
    "normal": np.eye(3),
    "protan": np.array([[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]),
    "deutan": np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]),
    "tritan": np.array([[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]]),
}
TO_CONES = np.array([[0.4122, 0.5363, 0.0514], [0.2119, 0.6807, 0.1074], [0.0883, 0.2817, 0.6300]])
TO_LAB = np.array([[0.2105, 0.7936, -0.0041], [1.9780, -2.4286, 0.4506], [0.0259, 0.7828, -0.8087]])


def linear(colour: str):
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    low, high = sorted(float(linear(colour) @ [0.2126, 0.7152, 0.0722]) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def oklab(colour: str, sight):
    return TO_LAB @ np.cbrt(TO_CONES @ np.clip(sight @ linear(colour), 0, 1))


@pytest.mark.parametrize("name", THEMES)
def test_every_mark_stands_out_from_the_ground(name):
    palette = theme.PALETTE[name]
    assert min(contrast(palette[role], palette["ground"]) for role in MARKS) >= 3


@pytest.mark.parametrize("name", THEMES)
@pytest.mark.parametrize("behind", ["ground", "strip"])
def test_every_word_can_be_read(name, behind):
    palette = theme.PALETTE[name]
    assert min(contrast(palette[role], palette[behind]) for role in WORDS) >= 4.5


@pytest.mark.parametrize("name", THEMES)
@pytest.mark.parametrize("sight", SIGHT)
def test_no_two_marks_look_alike_to_anyone(name, sight):
    seen = [oklab(theme.PALETTE[name][role], SIGHT[sight]) for role in MARKS]
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > 0.08  # two neighbours of a 12-hue wheel: 0.08


def test_both_themes_have_the_same_roles():
    assert theme.PALETTE["light"].keys() == theme.PALETTE["dark"].keys()


def test_a_painted_property_has_the_light_colour_and_keeps_its_role():
    ground = figure()
    paint.paint(ground, background_fill_color="ground")
    assert ground.background_fill_color == theme.PALETTE["light"]["ground"]
    assert paint.roles(ground) == [(ground.id, "background_fill_color", "ground")]


def test_a_glyph_is_painted_by_value_not_by_a_column_of_that_name():
    glyph = figure().scatter([1], [2]).glyph
    paint.paint(glyph, fill_color="ontime", line_color="ground")
    assert glyph.fill_color == value(theme.PALETTE["light"]["ontime"])
    painted = {name: role for _, name, role in paint.roles(glyph)}
    assert painted == {"fill_color": "ontime", "line_color": "ground"}


def test_a_role_that_does_not_exist_is_refused():
    with pytest.raises(KeyError):
        paint.paint(figure(), background_fill_color="red")


def test_html_gets_every_role_as_a_variable_in_both_themes():
    css = theme.css_variables()
    for role in theme.PALETTE["light"]:
        assert css.count(f"--sn-{role.replace('_', '-')}:") == 3


def test_motion_can_be_switched_off():
    theme.set_motion(False)
    try:
        assert not theme.motion()
    finally:
        theme.set_motion(True)
