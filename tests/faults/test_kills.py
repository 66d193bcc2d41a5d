"""A query that is killed, wherever and however often, gives its sink every row once. Mutants test the tests."""

from __future__ import annotations

import pytest

from streamnb.points import POINTS
from tests.faults.kills import Story, campaign
from tests.faults.mutants import MUTANTS
from tests.faults.programs import PROGRAMS


@pytest.fixture(scope="module")
def stories() -> list[Story]:
    return campaign(100)


def test_nothing_is_lost_or_doubled(stories):
    assert [str(story) for story in stories if not story.exact] == []


def test_it_is_killed_at_every_point(stories):
    assert {point for story in stories for point in story.kills} >= set(POINTS)


def test_every_program_is_killed(stories):
    assert {story.program for story in stories if story.kills} == set(PROGRAMS)


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_broken_rule_is_noticed(mutant):
    assert not campaign(100, mutant)[-1].exact
