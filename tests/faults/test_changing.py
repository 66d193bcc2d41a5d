"""Killed around a change of logic, rules or params: each batch wholly by the old or new, nothing lost or doubled."""

from __future__ import annotations

import pytest

from tests.faults.changing import AT_THE_CHANGE, CHANGING, Life, lives
from tests.faults.kills import Nursery


@pytest.fixture(scope="module")
def found() -> list[Life]:
    with Nursery() as nursery:
        return lives(nursery.change, 44)


def test_nothing_is_lost_doubled_or_decided_by_both(found):
    assert [str(life) for life in found if life.wrong] == []


def test_it_is_killed_at_every_moment_of_the_change(found):
    points = {point for life in found for point in life.kills}
    assert points >= set(AT_THE_CHANGE)
    assert {point.partition(".")[0] for point in points} >= {"switch", "rules"}


def test_every_way_of_changing_is_killed(found):
    assert {life.program for life in found} == set(CHANGING)
