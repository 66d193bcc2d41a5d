"""A few kills of each transactional sink; ``make faults`` has sixty of each."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tests.sinks import kills
from tests.sinks.kinds import KINDS, LEAST_ONCE, MUTANT


@pytest.fixture
def folder():
    with kills.scratch() as name:
        yield Path(name)


@pytest.mark.parametrize("kind", KINDS)
def test_a_writer_that_is_killed_loses_and_doubles_nothing(kind, request, folder):
    server, count = KINDS[kind].server, itertools.count()
    on_server = None if server is None else request.getfixturevalue(server)
    new_place = (
        (lambda: on_server.place(f"kills{next(count)}")) if on_server else lambda: str(folder / str(next(count)))
    )
    result = kills.kill(kind, new_place, len(kills.POINTS))
    assert result.wrong == []
    assert set(result.kills) >= {"sink.begin", "sink.rows", "sink.ledger", "sink.end"}


def test_messages_with_one_id_counted_once_are_exact_after_kills(kafka):
    count = itertools.count()
    result = kills.kill(LEAST_ONCE, lambda: kafka.place(f"kills{next(count)}"), 4)
    assert result.wrong == []
    assert result.kills["sink.rows"] >= 1


def test_a_sink_without_a_ledger_is_caught(folder):
    count = itertools.count()
    result = kills.kill(MUTANT, lambda: str(folder / str(next(count))), kills.KILLS_A_ROUND)
    assert len(result.wrong) == 1
    assert "0 lost, " in result.wrong[0]
