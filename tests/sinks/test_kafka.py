"""Kafka as a sink: each row a message, at least once, with an id that stays the same."""

from __future__ import annotations

import json
import sys
import threading
import time
import traceback
from collections import Counter

import polars as pl
import pytest

import streamnb as sn
from streamnb.errors import MissingError
from tests.lost import lose_commits
from tests.servers.kafka_mock import PRODUCE
from tests.servers.process import free_port


@pytest.fixture
def topic(kafka):
    kafka.topic("t", partitions=2)
    return kafka


def messages(cluster, count, topic="t"):
    """Return so many messages, and prove that there is none more."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": "g", "log_level": 0})
    try:
        consumer.assign([TopicPartition(topic, p, 0) for p in range(2)])
        found = consumer.consume(count, timeout=20)
        return [*found, *consumer.consume(1, timeout=0.2)]
    finally:
        consumer.close()


def values(found):
    return sorted((json.loads(message.value()) for message in found), key=repr)


def ids(found):
    return [dict(message.headers())["streamnb-id"].decode() for message in found]


def rows(*numbers):
    return pl.DataFrame({"k": [f"k{n % 3}" for n in numbers], "n": numbers}, {"k": pl.String, "n": pl.Int64})


def test_every_row_is_a_message_of_json_with_its_key(topic):
    sn.sinks.Kafka("t", topic.bootstrap, key="k").write_polars(0, rows(*range(100)), "append")
    found = messages(topic, 100)
    assert values(found) == sorted(rows(*range(100)).to_dicts(), key=repr)
    assert {(m.key().decode(), json.loads(m.value())["k"]) for m in found} == {(k, k) for k in ("k0", "k1", "k2")}
    assert len({(m.key(), m.partition()) for m in found}) == 3


def test_a_key_of_null_is_none_and_a_key_of_two_is_json(topic):
    data = pl.DataFrame({"a": [None, "x"], "b": [None, 1]})
    sn.sinks.Kafka("t", topic.bootstrap, key=["a", "b"]).write_polars(0, data, "append")
    assert {message.key() for message in messages(topic, 2)} == {None, b'["x",1]'}


def test_ids_are_the_same_when_a_batch_comes_again_in_another_order(topic):
    for order in ((1, 2, 2, 3), (2, 3, 1, 2)):
        sink = sn.sinks.Kafka("t", topic.bootstrap)
        sink.open("q", 0)
        sink.write_polars(7, rows(*order), "append")
    found = messages(topic, 8)
    assert set(Counter(ids(found)).values()) == {2}
    once = {id: json.loads(message.value())["n"] for id, message in zip(ids(found), found, strict=True)}
    assert sorted(once.values()) == [1, 2, 2, 3]


def test_other_batches_and_other_queries_have_other_ids(topic):
    sink = sn.sinks.Kafka("t", topic.bootstrap)
    for query, batch in (("p", 0), ("p", 1), ("q", 0)):
        sink.open(query, 0)
        sink.write_polars(batch, rows(1), "append")
    assert len(set(ids(messages(topic, 3)))) == 3


def test_a_killed_batch_comes_again_with_the_same_ids(topic, tmp_path):
    source = sn.MemorySource({"k": "string", "n": "int64"})
    source.add(rows(1, 2))
    for _ in range(2):
        sink = sn.sinks.Kafka("t", topic.bootstrap)
        sn.stream(source).query(sink=sink, checkpoint=tmp_path).run().stop()
        lose_commits(tmp_path)
    assert len(set(ids(messages(topic, 4)))) == 2


def test_brokers_that_are_away_for_a_while_lose_nothing(topic):
    sink = sn.sinks.Kafka("t", topic.bootstrap)
    sink.write_polars(0, rows(1), "append")
    for broker in (1, 2, 3):
        topic.down(broker)
        threading.Timer(0.3, topic.up, [broker]).start()
    sink.write_polars(1, rows(2, 3), "append")
    assert len(set(ids(messages(topic, 3)))) == 3


def test_another_leader_and_errors_of_a_broker_lose_nothing(topic):
    sink = sn.sinks.Kafka("t", topic.bootstrap)
    sink.write_polars(0, rows(1), "append")
    for partition in range(2):
        topic.lead("t", partition, 3)
    topic.fail(PRODUCE, 6, 7, 6)
    sink.write_polars(1, rows(2, 3), "append")
    assert len(set(ids(messages(topic, 3)))) == 3


def test_servers_that_are_absent_are_one_line():
    sink = sn.sinks.Kafka("t", f"127.0.0.1:{free_port()}", timeout="1 second")
    with pytest.raises((TimeoutError, ConnectionError), match=r"^127\.0\.0\.1:\d+[^\n]*$"):
        sink.write_polars(0, rows(1), "append")


def test_an_unknown_topic_is_one_line(topic):
    topic.break_topic("t", 3)
    sink = sn.sinks.Kafka("t", topic.bootstrap, timeout="5 seconds", config={"topic.metadata.propagation.max.ms": 100})
    with pytest.raises(sn.QueryError, match=r"has no topic 't'; make it first"):
        sink.write_polars(0, rows(1), "append")


def test_a_row_that_is_too_large_is_one_line(topic):
    big = pl.DataFrame({"text": ["x" * 10_000_000]})
    with pytest.raises(sn.QueryError, match=r"a row is too large: .* raise config=\{'message\.max\.bytes'"):
        sn.sinks.Kafka("t", topic.bootstrap).write_polars(0, big, "append")
    sn.sinks.Kafka("t", topic.bootstrap, config={"message.max.bytes": 20_000_000}).write_polars(0, big, "append")
    assert len(messages(topic, 1)[0].value()) > 10_000_000


def test_a_key_that_is_no_column_is_named(topic):
    with pytest.raises(sn.ColumnNotFoundError, match=r"Kafka: no column 'kk'; did you mean 'k'"):
        sn.sinks.Kafka("t", topic.bootstrap, key="kk").write_polars(0, rows(1), "append")


def test_a_wrong_setting_is_one_line_and_a_password_is_not_shown():
    config = {"sasl.password": "s3cret", "no.such.thing": 1}
    sink = sn.sinks.Kafka("t", "h:1", config=config)
    with pytest.raises(sn.PlanError, match=r"^Kafka: .*no\.such\.thing.*; mend config=\.$") as caught:
        sink.write_polars(0, rows(1), "append")
    assert "s3cret" not in f"{sink!r} {vars(sink)!r}" + "".join(traceback.format_exception(caught.value))


def test_servers_that_refuse_the_password_are_one_line_without_it(topic):
    config = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "sasl.username": "u"}
    sink = sn.sinks.Kafka("t", topic.bootstrap, timeout="1 second", config={**config, "sasl.password": "s3cret"})
    with pytest.raises((TimeoutError, ConnectionError), match=r"^127\.0\.0\.1:\d+[^\n]*$") as caught:
        sink.write_polars(0, rows(1), "append")
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


def test_a_stop_does_not_wait_for_the_servers(topic):
    topic.slow(60_000, 1)
    topic.slow(60_000, 2)
    topic.slow(60_000, 3)
    source = sn.MemorySource({"k": "string"})
    query = sn.stream(source).query(sink=sn.sinks.Kafka("t", topic.bootstrap)).play(every="1 ms")
    source.add([{"k": "a"}])
    query.await_termination(0.5)
    started = time.monotonic()
    query.stop()
    assert time.monotonic() - started < 1


def test_a_missing_library_is_named_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(MissingError, match=r'^sinks\.Kafka needs confluent-kafka: pip install "streamnb\[kafka\]"$'):
        sn.sinks.Kafka("t", "h:1")


def test_what_is_written_is_a_source_again(topic):
    data = pl.DataFrame({"k": ["a", None], "n": [2**53 + 1, None], "x": [0.1, -1e300]})
    sn.sinks.Kafka("t", topic.bootstrap).write_polars(0, data, "append")
    schema = {"k": "string", "n": "int64", "x": "float64"}
    back = sn.from_kafka("t", topic.bootstrap, schema, metadata=()).query().run()._memory.table(None)
    assert back is not None
    assert sorted(back.rows(), key=repr) == sorted(data.rows(), key=repr)
