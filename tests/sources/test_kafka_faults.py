"""from_kafka under a few kills and broker faults; ``make faults`` has many."""

from __future__ import annotations

from tests.sources.kafka_faults import play


def test_kills_and_broker_faults_lose_and_double_nothing():
    outcome = play(kills=3, broker_faults=3, count=600, seed=1)
    assert (outcome.kills, outcome.faults, outcome.wrong) == (3, 3, [])
