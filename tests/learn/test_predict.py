"""A prediction keeps its guess, and is compared with what happened."""

from __future__ import annotations

import numpy as np
import pytest

import streamnb as sn


def test_nobody_is_kept_waiting():
    asked = sn.predict("How many?")
    assert repr(asked) == "no guess yet"
    assert repr(asked.compare(15)) == "no guess yet; it is 15"
    assert asked.right is None


def test_the_guess_is_compared():
    assert repr(sn.predict("How many?").guess(10).compare(np.int64(15))) == "you said 10; it is 15, 5 too low"
    assert repr(sn.predict("All?", ["all", "some"]).guess("some").compare("some")) == "you said some: right"


@pytest.mark.parametrize(
    ("guess", "actual", "told", "mark"),
    [
        (93_000, 92_228, "you said 93000: close, within 1 %; it is 92228", "≈"),
        (14, 15, "you said 14: close, within 7 %; it is 15", "≈"),
        (135, 150, "you said 135: close, within 10 %; it is 150", "≈"),
        (134, 150, "you said 134; it is 150, 16 too low", "✕"),
        (5_000, 92_228, "you said 5000; it is 92228, 18 times too low", "✕"),
        (23, 5, "you said 23; it is 5, 4.6 times too high", "✕"),
        (1, 92_228, "you said 1; it is 92228, 92228 times too low", "✕"),
        (0, 322, "you said 0; it is 322, 322 too low", "✕"),
        (2, 0, "you said 2; it is 0, 2 too high", "✕"),
        (0, 0, "you said 0: right", "✓"),
        (-10, -10.5, "you said -10: close, within 5 %; it is -10.5", "≈"),
        (-3, 3, "you said -3; it is 3, 6 too low", "✕"),
    ],
)
def test_a_number_is_told_how_near_it_is(guess, actual, told, mark):
    asked = sn.predict("How many?").guess(guess).compare(actual)
    assert repr(asked) == told
    assert f"<b>{mark}</b>" in asked._repr_html_()
    assert (asked.right, asked.close) == (mark == "✓", mark != "✕")


def test_how_near_is_near_is_the_asker_s_to_say():
    assert sn.predict("How many?", near=0.5).guess(10).compare(15).close
    assert not sn.predict("How many?", near=0).guess(14).compare(15).close


def test_a_number_that_is_chosen_is_right_or_wrong():
    asked = sn.predict("How many?", [9, 10]).guess(9).compare(10)
    assert repr(asked) == "you said 9; it is 10"
    assert asked.close is False


def test_nothing_is_close_before_the_guess_or_the_answer():
    assert sn.predict("How many?").compare(15).close is None
    assert sn.predict("How many?").guess(15).close is None


def test_a_guess_is_made_once():
    assert sn.predict("How many?").guess(10).guess(15).value == 10


def test_a_guess_is_one_of_the_choices():
    with pytest.raises(sn.PlanError, match=r"guess='none' is not known; use 'all' . 'some'"):
        sn.predict("All?", ["all", "some"]).guess("none")


def test_the_question_is_escaped():
    assert "<img" not in sn.predict("<img src=x onerror=alert(1)>")._repr_html_()


def test_the_figure_comes_after_the_guess():
    shown = []

    def figure():
        shown.append(1)
        return "the figure"

    asked = sn.predict("How many?", then=figure)
    bundle = asked._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert bundle["text/plain"] == "no guess yet"
    assert shown == []
    field, send = asked._box.children[1].children
    field.value = 4
    send.click()
    assert (asked.value, shown) == (4, [1])
    assert "you said 4" in asked._box.children[0].value
    asked.compare(4)
    assert "right" in asked._box.children[0].value
    assert asked._box.children[1].outputs[0]["data"]["text/plain"] == "'the figure'"
