"""from_kafka, against librdkafka's own brokers: what a row holds, where it begins, what is said of all that fails."""

from __future__ import annotations

import datetime as dt
import io
import json
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

import streamnb as sn
from streamnb.errors import DataError, MissingError, PlanError
from streamnb.ops.read import Read
from streamnb.patience import asking
from streamnb.sources.kafka_place import begin_of, next_ends
from tests.servers.kafka_log import KafkaLog
from tests.servers.kafka_mock import FETCH, MockKafka
from tests.servers.process import free_port

SCHEMA = {"ts": "datetime", "k": "string", "v": "int64"}
UNKNOWN_TOPIC, NOT_LEADER = 3, 6


class Topic:
    """A topic of a cluster, written to by hand."""

    def __init__(self, cluster: MockKafka, name: str = "clicks", partitions: int = 2) -> None:
        import confluent_kafka

        self.cluster, self.name = cluster, name
        cluster.topic(name, partitions)
        self.producer = confluent_kafka.Producer(
            {"bootstrap.servers": cluster.bootstrap, "log_level": 0, "message.max.bytes": 20_000_000, "linger.ms": 0}
        )

    def write(self, *values: Any, partition: int = 0, **options: Any) -> None:
        for value in values:
            payload = value if value is None or isinstance(value, bytes) else json.dumps(value).encode()
            self.producer.produce(self.name, payload, partition=partition, **options)
        assert self.producer.flush(20) == 0

    def read(self, schema: Any = SCHEMA, **options: Any) -> sn.StreamFrame:
        return sn.from_kafka(self.name, self.cluster.bootstrap, schema, **{"timeout": "5 seconds", **options})


@pytest.fixture
def topic(kafka: MockKafka) -> Topic:
    return Topic(kafka)


def row(v: int, **more: Any) -> dict[str, Any]:
    return {"ts": f"2026-01-01T00:00:{v % 60:02}", "k": "a", "v": v, **more}


def values(query: sn.Query) -> list[list[int]]:
    return [list(rows["v"]) for rows in query.run().emitted]


def source_of(frame: sn.StreamFrame) -> Any:
    (read,) = [node for node in frame.node.walk() if isinstance(node, Read)]
    return read.source


def dead(query: sn.Query) -> list[tuple[str, str]]:
    return list(query.dead_letters[["offset", "reason"]].itertuples(index=False, name=None))


def status(frame: sn.StreamFrame) -> str:
    return str(source_of(frame).status)


# -- what a row holds


def test_a_message_is_a_row_with_its_key_place_time_and_headers(topic):
    topic.write(row(7), partition=1, key="ann", headers=[("from", b"web"), ("n", None)], timestamp=1_767_225_600_000)
    (found,) = topic.read().collect().to_dict("records")
    assert found["ts"] == dt.datetime(2026, 1, 1, 0, 0, 7)
    assert (found["k"], found["v"], found["key"], found["partition"], found["offset"]) == ("a", 7, "ann", 1, 0)
    assert found["timestamp"] == dt.datetime(2026, 1, 1)
    assert list(found["headers"]) == [{"key": "from", "value": b"web"}, {"key": "n", "value": None}]


def test_tombstones_and_empty_values_are_rows(topic):
    topic.write(None, b"", row(1), None, key="ann")
    query = topic.read().query().run()
    assert query.result["v"].isna().tolist() == [True, True, False, True]
    assert query.result["offset"].tolist() == [0, 1, 2, 3]


def test_raw_keeps_a_tombstone_and_an_empty_value_apart(topic):
    topic.write(None, b"", b"\xff")
    assert topic.read(None, format="raw", metadata=()).collect()["value"].tolist() == [None, b"", b"\xff"]


def test_text_is_text(topic):
    topic.write("grüße 🙂".encode())
    assert topic.read(None, format="text", metadata=()).collect()["value"].tolist() == ["grüße 🙂"]


AVRO = {
    "type": "record", "name": "click",
    "fields": [
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "user", "type": ["null", "string"]},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
        {"name": "v", "type": "long"},
    ],
}  # fmt: skip
CLICK = {"at": dt.datetime(2026, 1, 1, tzinfo=dt.UTC), "user": None, "tags": ["x"], "v": 3}


def avro(record: dict[str, Any], header: bytes = b"") -> bytes:
    import fastavro

    body = io.BytesIO()
    fastavro.schemaless_writer(body, AVRO, record)
    return header + body.getvalue()


@pytest.mark.parametrize(("format", "header"), [("avro", b""), ("avro-registry", b"\0\0\0\0\x07")])
def test_avro_is_read_by_its_schema(topic, format, header):
    topic.write(avro(CLICK, header), None)
    rows = topic.read(json.dumps(AVRO), format=format, metadata=()).query().run().result
    assert rows["at"][0] == CLICK["at"]
    assert rows["user"].isna().tolist() == [True, True]
    assert (list(rows["tags"][0]), rows["v"].tolist()[0]) == (["x"], 3)
    assert rows["v"].isna().tolist() == [False, True]


def test_avro_of_another_schema_is_named_by_its_place(topic):
    topic.write(avro(CLICK), b"\0")
    query = topic.read(AVRO, format="avro").query().run()
    assert len(query.result) == 1
    assert dead(query) == [("partition 0, offset 1", "it was not written by this Avro schema: EOFError()")]


def test_the_columns_are_guessed_from_what_is_there(topic):
    topic.write(row(1, ok=True, x=1.5, at="2026-01-01T00:00:00Z", tags=[1]))
    assert [str(d) for d in topic.read(None, metadata=()).schema.dtypes()] == [
        "Datetime(time_unit='us', time_zone=None)", "String", "Int64", "Boolean", "Float64",
        "Datetime(time_unit='us', time_zone='UTC')", "List(Int64)",
    ]  # fmt: skip


def test_an_empty_topic_has_nothing_to_guess_from(topic):
    with pytest.raises(DataError, match="holds no message to guess its columns from"):
        topic.read(None)
    assert topic.read().query().step() is None


def test_a_field_that_is_also_metadata_is_renamed_on_request(topic):
    topic.write({"key": 5}, key="ann")
    with pytest.raises(PlanError, match=r"metadata={'key': 'kafka_key'}"):
        topic.read({"key": "int64"})
    rows = topic.read({"key": "int64"}, metadata={"key": "kafka_key"}).collect()
    assert rows.to_dict("records") == [{"key": 5, "kafka_key": "ann"}]


def test_fields_that_the_schema_lacks_are_left_out_and_absent_ones_are_null(topic):
    topic.write({"v": 1, "new": 1}, {"k": "a"})
    rows = topic.read(metadata=()).query().run().result
    assert list(rows.columns) == ["ts", "k", "v"]
    assert rows["v"].isna().tolist() == [False, True]


def test_a_message_of_ten_megabytes(topic):
    topic.write(row(1, k="x" * 10_000_000))
    assert topic.read().collect()["k"].str.len().tolist() == [10_000_000]


# -- where it begins, and again


def test_batches_share_rows_out_among_partitions(topic):
    topic.write(*map(row, range(6)), partition=0)
    topic.write(*map(row, range(10, 12)), partition=1)
    assert values(topic.read(rows_per_batch=4).query()) == [[0, 1, 2, 10], [3, 4, 5, 11]]


@pytest.mark.parametrize(("most", "ends"), [(100, {0: 9, 1: 3}), (6, {0: 4, 1: 1}), (1, {0: 1, 1: 1})])
def test_no_partition_that_has_rows_is_passed_over(most, ends):
    assert next_ends({}, {0: (0, 9), 1: (0, 3)}, most) == ends


def test_earliest_latest_and_offsets(topic):
    topic.write(*map(row, range(4)))
    now = topic.read(start="latest").query()
    assert now.step() is None
    topic.write(row(4))
    assert values(now) == [[4]]
    assert values(topic.read(start={0: 3}).query()) == [[3, 4]]


def test_a_time_begins_where_the_servers_say():
    asked = []
    edges = {0: (0, 9), 1: (2, 5)}

    def since(milliseconds: int, _: Any) -> dict[int, int]:
        asked.append(milliseconds)
        return {0: 4, 1: 5}

    assert begin_of("2026-01-01 00:00:02", edges, since) == {0: 4, 1: 5}
    assert begin_of(dt.datetime(2026, 1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1))), edges, since) == {0: 4, 1: 5}
    assert asked == [1_767_225_602_000, 1_767_225_600_000]


NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


@pytest.fixture
def log() -> Iterator[KafkaLog]:
    """Two partitions with a message a second; the second one begins five seconds later."""
    noon = int(NOON.timestamp() * 1000)
    lines = [[(noon + 1000 * (n + late), json.dumps({"v": n + late}).encode()) for n in range(10)] for late in (0, 5)]
    log = KafkaLog("clicks", lines)
    yield log
    log.close()


@pytest.mark.parametrize(
    ("start", "first"),
    [
        ("2026-01-01 12:00:07", (7, 7)),
        ("2026-01-01 12:00:06.5", (7, 7)),
        (NOON + dt.timedelta(seconds=3), (3, 5)),
        ("2026-01-01 21:00:12+09:00", (10, 12)),
        ("2020-01-01", (0, 5)),
        ("2099-01-01", (10, 15)),
    ],
)
def test_a_time_begins_at_the_first_message_that_came_then_or_later(log, start, first):
    query = sn.from_kafka("clicks", log.bootstrap, {"v": "int64"}, start=start, metadata=["partition"]).query().run()
    rows = [tuple(row) for row in query.result[["partition", "v"]].to_numpy().tolist()]
    ends = 10, 15
    assert rows == [(n, v) for n in (0, 1) for v in range(first[n], ends[n])]
    at = dt.datetime.fromisoformat(start) if isinstance(start, str) else start
    assert set(log.asked) == {round((at if at.tzinfo else at.replace(tzinfo=dt.UTC)).timestamp() * 1000)}
    query.rewind(-1).run()
    assert len(query.result) == len(rows)


def test_a_time_after_all_messages_begins_behind_them(topic):
    topic.write(row(1))
    query = topic.read(start="2099-01-01 00:00").query()
    assert query.step() is None
    topic.write(row(2))
    assert values(query) == [[2]]


def test_a_start_that_is_none_is_refused(topic):
    with pytest.raises(PlanError, match="start='soon' is not known"):
        topic.read(start="soon").query().step()


def test_a_rewound_query_reads_the_same_rows(topic):
    topic.write(*map(row, range(5)))
    topic.write(*map(row, range(10, 15)), partition=1)
    query = topic.read(rows_per_batch=4).query()
    before = values(query)
    assert sorted(v for batch in before for v in batch) == [*range(5), *range(10, 15)]
    for to in 0, -1:
        assert values(query.rewind(to)) == before


def test_a_query_goes_on_from_its_checkpoint_where_latest_was(topic, tmp_path):
    topic.write(row(0))
    first = topic.read(start="latest", rows_per_batch=2).query(checkpoint=tmp_path)
    first.run()
    topic.write(*map(row, range(1, 6)))
    first.step()
    first.stop()
    assert values(topic.read(start="latest", rows_per_batch=2).query(checkpoint=tmp_path)) == [[3, 4], [5]]


def test_a_topic_made_anew_is_refused(topic, tmp_path):
    topic.write(*map(row, range(5)))
    topic.read().query(checkpoint=tmp_path).run().stop()
    with MockKafka() as other:
        again = Topic(other)
        again.write(row(1))
        with pytest.raises(DataError, match=r"offset 5 of partition 0 of 'clicks' is behind its end 1: it is new"):
            again.read().query(checkpoint=tmp_path).step()


def test_every_partition_has_a_watermark_and_a_silent_one_is_not_waited_for(topic):
    clock = sn.ManualClock("2026-01-01 12:00")
    rows = topic.read().with_watermark("ts", "1 second", per="partition", idle_after="1 minute")
    query = rows.group_by(sn.window("ts", "5 seconds")).agg(n=sn.count()).query(clock=clock)
    topic.write(row(50), partition=0)
    topic.write(row(10), row(12), partition=1)
    assert str(query.run().watermark) == "2026-01-01 00:00:11"
    clock.advance("1 minute")
    topic.write(row(55), partition=0)
    assert str(query.run().watermark) == "2026-01-01 00:00:54"
    assert query.result["n"].tolist() == [2]


# -- what fails, and how it is said


def test_invalid_utf8_is_named_by_its_place(topic):
    topic.write(row(1), b'{"k": "\xff"}')
    topic.write(row(2), key=b"\xfe")
    topic.write(row(3), partition=1)
    query = topic.read().query().run()
    assert values(query) == [[1, 3]]
    assert query.result["offset"].tolist() == [0, 0]
    assert dead(query) == [
        ("partition 0, offset 1", "byte 7 of 10 is not UTF-8"),
        ("partition 0, offset 2", "byte 0 of 1 is not UTF-8"),
    ]
    with pytest.raises(DataError, match=r"partition 0, offset 1: byte 7 of 10 is not UTF-8; leave it out"):
        topic.read().query(on_bad_record="fail").step()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"{", "it is not JSON: Expecting property name"),
        (b"[1]", "it is JSON but no object: list"),
        (b'{"v": "many"}', "conversion from `str` to `i64` failed"),
        (b'{"v": 99999999999999999999}', "99999999999999999999"),
        (b'{"k": "\\ud800"}', "surrogates not allowed"),
        (b'{"ts": "noon"}', "column 'ts' holds 'noon'"),
    ],
)
def test_a_record_that_does_not_fit_is_named_by_its_place(topic, value, said):
    topic.write(row(1), value, row(2))
    query = topic.read().query().run()
    assert values(query) == [[1, 2]]
    ((place, reason),) = dead(query)
    assert place == "partition 0, offset 1"
    assert said in reason


def test_an_unknown_topic_is_named_with_what_is_there(topic):
    topic.cluster.topic("clickz")
    topic.cluster.break_topic("clickz", UNKNOWN_TOPIC)
    with pytest.raises(DataError, match=r"has no topic 'clickz'; did you mean 'clicks'\?"):
        sn.from_kafka("clickz", topic.cluster.bootstrap, SCHEMA).query().step()


def test_a_partition_that_is_not_there_is_named(topic):
    with pytest.raises(DataError, match=r"has no partitions \[7\], only 2"):
        topic.read(partitions=[7]).query().step()


SECRET = {
    "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "sasl.username": "u", "sasl.password": "hunter2",
}  # fmt: skip


def test_an_absent_server_is_one_line_and_no_secret_is_in_it():
    frame = sn.from_kafka("t", f"127.0.0.1:{free_port()}", SCHEMA, timeout="500 ms", config=SECRET)
    with pytest.raises(
        DataError, match=r"no answer from 127\.0\.0\.1:\d+ about 't' within 0\.5 s: .*refused"
    ) as caught:
        frame.query().step()
    told = f"{caught.value} {frame!r} {status(frame)}"
    assert "hunter2" not in told
    assert "\n" not in str(caught.value)


def test_a_server_that_refuses_the_password_is_one_line(kafka):
    frame = sn.from_kafka("t", kafka.bootstrap, SCHEMA, timeout="1 second", config=SECRET)
    with pytest.raises(DataError, match="mend servers= and config=") as caught:
        frame.query().step()
    assert "hunter2" not in str(caught.value)


def test_a_setting_that_librdkafka_does_not_know_is_refused(topic):
    with pytest.raises(PlanError, match=r"No such configuration property.*mend config="):
        topic.read(config={"no.such": 1}).query().step()


def test_servers_that_go_away_are_waited_for_and_that_is_seen(topic):
    topic.write(row(1))
    frame = topic.read(timeout="1 second")
    query = frame.query()
    assert values(query) == [[1]]
    assert status(frame) == "connected"
    for broker in 1, 2, 3:
        topic.cluster.down(broker)
    assert query.step() is None
    assert status(frame).startswith("trying again: ")
    assert query.sources == [f"Kafka('clicks' at {topic.cluster.bootstrap}): {status(frame)}"]
    for broker in 1, 2, 3:
        topic.cluster.up(broker)
    topic.write(row(2))
    eventually(lambda: stepped(query))
    assert values(query) == [[1], [2]]
    assert status(frame) == "connected"
    assert query.last_progress.sources[0].description.endswith("connected")


def eventually(check: Any, seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < until, "it has not come"


def test_rows_that_do_not_come_fail_the_batch_and_come_with_the_next(topic):
    topic.write(row(1))
    frame = topic.read(timeout="1 second")
    query = frame.query()
    topic.cluster.fail(FETCH, *[NOT_LEADER] * 6)
    with pytest.raises(DataError, match=r"sent nothing of partitions \[0\]"):
        query.step()
    eventually(lambda: stepped(query))
    assert values(query) == [[1]]


def stepped(query: sn.Query) -> bool:
    try:
        return query.step() is not None
    except DataError:
        return False


@pytest.mark.parametrize("trouble", ["slow", "down"])
def test_a_query_that_waits_stops_within_a_second(topic, trouble):
    topic.write(row(1))
    query = topic.read(timeout="1 minute").query()
    query.step()
    for broker in 1, 2, 3:
        topic.cluster.slow(30_000, broker) if trouble == "slow" else topic.cluster.down(broker)
    query.play()
    eventually(lambda: is_asking(query))
    began = time.monotonic()
    query.stop()
    assert time.monotonic() - began < 1
    assert query.exception is None


def is_asking(query: sn.Query) -> bool:
    """Tell whether the query's thread waits for the servers now."""
    lock = query._inputs.sources[0]._topic._lock  # type: ignore[attr-defined]
    free = lock.acquire(blocking=False)
    if free:
        lock.release()
    return not free


def test_an_interrupted_wait_leaves_the_query_as_it_was(topic):
    topic.write(row(1))
    source = source_of(topic.read())
    end = source.latest()
    ended = threading.Event()
    ended.set()
    with pytest.raises(sn.QueryError, match="stopped while it waited"):
        asking(ended, lambda: source.read(None, end))
    assert len(source.read(None, end).rows) == 1


def test_a_missing_library_is_one_line_to_type(monkeypatch):
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(MissingError, match=r'^from_kafka needs confluent-kafka: pip install "streamnb\[kafka\]"$'):
        sn.from_kafka("t", "localhost:9092", SCHEMA)


def test_a_missing_library_for_avro_is_one_line_to_type(monkeypatch):
    monkeypatch.setitem(sys.modules, "fastavro", None)
    with pytest.raises(MissingError, match=r'^from_kafka needs fastavro: pip install "streamnb\[kafka\]"$'):
        sn.from_kafka("t", "localhost:9092", AVRO, format="avro")


@pytest.mark.parametrize(
    "options", [{"format": "xml"}, {"rows_per_batch": 0}, {"metadata": ["nope"]}, {"key": "int"}, {"timeout": "soon"}]
)
def test_an_option_that_is_none_is_refused_at_once(options):
    with pytest.raises(PlanError):
        sn.from_kafka("t", "localhost:9092", SCHEMA, **options)
