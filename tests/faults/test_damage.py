"""A checkpoint with a damaged file is refused by name, or does no harm: it is never wrong in silence."""

from __future__ import annotations

import pytest

from tests.faults.damage import damage


@pytest.mark.parametrize(
    ("name", "stop_at"), [("window append", "sink.end"), ("window update", None), ("join", "sink.begin")]
)
def test_no_damage_is_silently_wrong(name, stop_at):
    found = damage(name, 1, stop_at, flips=40, cuts=20)
    assert found.tried > 100
    assert found.silent == []


def test_damage_is_refused_by_name():
    found = damage("dedup", 1, None, flips=20, cuts=5)
    assert found.outcomes["CheckpointError"] > found.tried / 2
