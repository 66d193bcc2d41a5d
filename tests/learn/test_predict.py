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
    assert repr(sn.predict("How many?").guess(10).compare(np.int64(15))) == "you said 10; it is 15"
    assert repr(sn.predict("All?", ["all", "some"]).guess("some").compare("some")) == "you said some: right"


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
