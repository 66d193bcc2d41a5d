"""The servers of the tests: they start, they answer, they come back."""

from __future__ import annotations

import pytest

from tests.servers.kafka_mock import METADATA, MockKafka
from tests.servers.process import Server


def test_postgres_answers_and_keeps_its_rows_over_a_restart(postgres_server):
    import psycopg

    with psycopg.connect(postgres_server.dsn, connect_timeout=10) as link:
        link.execute("CREATE TABLE servers AS SELECT 7 AS n")
    postgres_server.stop()
    postgres_server.start()
    with psycopg.connect(postgres_server.dsn, connect_timeout=10) as link:
        assert link.execute("SELECT n FROM servers").fetchall() == [(7,)]


def test_redis_answers_and_keeps_its_rows_over_a_restart(redis_server):
    import redis

    redis.Redis.from_url(redis_server.url).set("servers", "7")
    redis_server.stop()
    redis_server.start()
    assert redis.Redis.from_url(redis_server.url).get("servers") == b"7"


def test_kafka_takes_and_gives(kafka: MockKafka):
    from confluent_kafka import Consumer, Producer, TopicPartition

    kafka.topic("t", partitions=2)
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "log_level": 0})
    kafka.fail(METADATA, 7)
    kafka.lead("t", 1, 2)
    producer.produce("t", b"value", partition=1)
    assert producer.flush(10) == 0
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "g", "log_level": 0})
    consumer.assign([TopicPartition("t", 1, 0)])
    message = consumer.poll(10)
    consumer.close()
    assert message is not None
    assert message.value() == b"value"


def test_what_does_not_start_says_why():
    with pytest.raises(RuntimeError, match=r"did not start:\nno such thing"):
        Server(["sh", "-c", "echo no such thing"], "ready").start()
