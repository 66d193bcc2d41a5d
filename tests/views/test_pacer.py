"""The pacer: how often a picture is drawn."""

from __future__ import annotations

import pytest

from streamnb.views.pacer import FRAME, SHARE, pause


@pytest.mark.parametrize("used", [0.0, 0.01, 0.05])
def test_light_frames_come_ten_times_a_second(used):
    assert pause(used) == FRAME


@pytest.mark.parametrize("used", [0.06, 0.25, 1.0])
def test_heavy_frames_have_their_share_of_the_time_and_no_more(used):
    assert used / pause(used) == pytest.approx(SHARE)
