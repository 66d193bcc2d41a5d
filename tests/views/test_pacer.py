"""The pacer: how often a picture is drawn."""

from __future__ import annotations

import pytest

from streamnb.views.pacer import BUSY, SHARE, may_go_on


@pytest.mark.parametrize("used", [0.005, 0.05, 1.0])
@pytest.mark.parametrize("load", [1.0, 0.4])
def test_frames_have_their_share_of_a_busy_process_and_no_more(used, load):
    enough = used * (1 / SHARE - 1)
    assert used / (used + enough) == pytest.approx(SHARE)
    assert not may_go_on(used, 0.99 * enough, 0.99 * enough / load)
    assert may_go_on(used, 1.01 * enough, 1.01 * enough / load)


def test_a_process_that_mostly_waits_is_drawn_as_it_changes():
    assert may_go_on(1.0, 0.0, 0.1)
    assert may_go_on(1.0, 0.9 * BUSY, 1.0)
    assert not may_go_on(1.0, 1.1 * BUSY, 1.0)
