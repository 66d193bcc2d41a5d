"""Producers whose clocks differ: a fast one makes nobody else's rows late unseen, and what it does is said."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

import streamnb as sn
from tests.servers.kafka_mock import MockKafka
from tests.sources.test_kafka import SCHEMA, Topic

FAST, HONEST = "2026-01-02T12:00:00", [f"2026-01-01T12:{minute:02}:00" for minute in range(0, 50, 10)]
NOW = "2026-01-01 12:50"


def of(frame: sn.StreamFrame, **how: Any) -> sn.StreamFrame:
    return frame.with_watermark("ts", "10 minutes", **how).group_by(sn.window("ts", "1 hour")).agg(n=sn.count())


def fed(topic: Topic, frame: sn.StreamFrame, **options: Any) -> sn.Query:
    """Let one producer whose clock is a day ahead write to partition 0, and honest ones to partition 1."""
    query = frame.query("update", clock=sn.ManualClock(NOW), **options)
    topic.write({"ts": FAST, "k": "fast", "v": 0}, partition=0)
    query.run()
    for v, at in enumerate(HONEST, 1):
        topic.write({"ts": at, "k": "honest", "v": v}, partition=1)
        query.run()
    return query


@pytest.fixture
def topic(kafka: MockKafka) -> Topic:
    return Topic(kafka)


def honest(query: sn.Query) -> int:
    rows = query.result
    return int(rows.loc[rows["window_start"] == pd.Timestamp("2026-01-01 12:00"), "n"].sum())


def test_one_watermark_for_all_drops_honest_rows_and_says_whose_clock_it_was(topic: Topic) -> None:
    query = fed(topic, of(topic.read()))
    assert (honest(query), len(query.late)) == (0, 5)
    assert query.last_progress.state_operators[0].num_rows_dropped_by_watermark == 1  # type: ignore[union-attr]
    (finding,) = (f for f in query.findings if f.code == "FUTURE_CLOCK")
    assert "k=fast" in finding.what
    assert "guard_future=" in finding.way_out
    assert "per=" in finding.way_out
    why = query.why({"v": 3})
    assert why.fate == "late"
    assert "fast" in repr(why)


def test_a_watermark_for_each_partition_keeps_their_clocks_apart(topic: Topic) -> None:
    slow = topic.read()
    topic.write({"ts": HONEST[0], "k": "honest", "v": 9}, partition=1)
    query = fed(topic, of(slow, per="partition"))
    assert (honest(query), len(query.late)) == (6, 0)
    assert query.watermark == pd.Timestamp("2026-01-01 12:30")
    assert query.watermarks["partition" if "partition" in query.watermarks else "input"].notna().all()


def test_a_time_that_cannot_be_yet_is_a_dead_letter_and_moves_nothing(topic: Topic) -> None:
    query = fed(topic, of(topic.read()), guard_future="5 minutes")
    assert (honest(query), len(query.late)) == (5, 0)
    (letter,) = query.dead_letters.to_dict("records")
    assert letter["reason"] == "ts is 2026-01-02 12:00:00, more than 5 minutes beyond the clock"
    assert '"fast"' in letter["raw"]


def test_of_two_sources_the_slower_clock_counts(topic: Topic) -> None:
    sensor = sn.MemorySource(SCHEMA)
    sensor.add([{"ts": FAST, "k": "fast", "v": 0}])
    marked = [frame.with_watermark("ts", "10 minutes") for frame in (topic.read(metadata=()), sn.stream(sensor))]
    both = marked[0].union(marked[1]).group_by(sn.window("ts", "1 hour")).agg(n=sn.count())
    query = both.query("update", clock=sn.ManualClock(NOW))
    for v, at in enumerate(HONEST):
        topic.write({"ts": at, "k": "honest", "v": v})
        query.run()
    assert (honest(query), len(query.late)) == (5, 0)
    assert query.watermark == pd.Timestamp("2026-01-01 12:30")


def test_a_look_before_any_query_tells_of_a_clock_that_is_ahead(topic: Topic) -> None:
    topic.write({"ts": "2099-01-01T00:00:00", "k": "fast", "v": 0}, {"ts": HONEST[0], "k": "honest", "v": 1})
    look = sn.peek(topic.read(), n=2)
    assert (look.event_time, look.arrival) == ("ts", "timestamp")
    (note,) = look.notes
    assert note.startswith("1 rows happened after they arrived, by up to ")
