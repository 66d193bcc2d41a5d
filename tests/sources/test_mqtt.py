"""from_mqtt, against mosquitto."""

from __future__ import annotations

import sys
from typing import Any

import pytest

import streamnb as sn
from streamnb.errors import DataError, MissingError, PlanError
from tests.servers.mosquitto import PASSWORD, USER, Mosquitto
from tests.servers.process import free_port
from tests.sources.waiting import eventually, seconds_to_stop, source_of, source_threads, status, step_until

SCHEMA = {"v": "int64"}


@pytest.fixture
def broker(mosquitto: Mosquitto) -> Mosquitto:
    return mosquitto


def read(broker: Mosquitto, schema: Any = SCHEMA, **options: Any) -> sn.StreamFrame:
    options = {"user": USER, "password": PASSWORD, **options}
    return sn.from_mqtt("house/+/t", "127.0.0.1", broker.port, schema, **options)


def publish(broker: Mosquitto, *payloads: str | bytes, topic: str = "house/hall/t") -> None:
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    client = Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set(USER, PASSWORD)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    for payload in payloads:
        client.publish(topic, payload, qos=1).wait_for_publish(10)
    client.disconnect()
    client.loop_stop()


def test_a_message_is_a_row_with_its_topic(broker):
    query = read(broker).query()
    query.step()
    publish(broker, '{"v": 1}')
    publish(broker, '{"v": 2}', topic="house/attic/t")
    publish(broker, '{"v": 3}', topic="garden/t")
    step_until(query, 2)
    assert query.result[["topic", "v"]].to_numpy().tolist() == [["house/hall/t", 1], ["house/attic/t", 2]]
    query.rewind(-1).run()
    assert query.result["v"].tolist() == [1, 2]


def test_a_restarted_broker_is_found_again_and_what_it_kept_comes(broker):
    frame = read(broker, client_id="nb")
    query = frame.query()
    query.step()
    publish(broker, '{"v": 1}')
    step_until(query, 1)
    query.stop()
    eventually(lambda: not source_threads())
    publish(broker, '{"v": 2}')
    again = frame.query()
    step_until(again, 2)
    broker.stop()
    eventually(lambda: status(frame).startswith("trying again"))
    broker.start()
    eventually(lambda: status(frame) == "connected")
    publish(broker, '{"v": 3}')
    step_until(again, 3)
    assert again.result["v"].tolist() == [1, 2, 3]


def test_a_message_of_ten_megabytes(broker):
    query = read(broker, {"k": "string"}).query()
    query.step()
    publish(broker, '{"k": "' + "x" * 10_000_000 + '"}')
    step_until(query, 1)
    assert query.result["k"].str.len().tolist() == [10_000_000]


def test_invalid_utf8_is_set_aside(broker):
    query = read(broker).query()
    query.step()
    publish(broker, b'{"v": "\xff"}', '{"v": 1}')
    step_until(query, 1)
    assert query.dead_letters["reason"].tolist() == ["byte 7 of 10 is not UTF-8"]


def test_a_wrong_password_is_one_line_without_it(broker):
    frame = read(broker, password="wrong-but-secret")
    with pytest.raises(DataError, match="from_mqtt: the broker answers 'Not authorized'; mend user= and") as caught:
        frame.query().step()
    assert "wrong-but-secret" not in f"{caught.value} {frame!r} {status(frame)} {source_of(frame)!r}"


def test_an_absent_broker_is_one_line():
    with pytest.raises(DataError, match=r"from_mqtt: cannot reach house at 127.0.0.1:.*refused"):
        sn.from_mqtt("house", "127.0.0.1", free_port(), SCHEMA).query().step()


@pytest.mark.parametrize("topic", ["", "house/#/t", "house#"])
def test_a_topic_that_is_none_is_refused(topic):
    with pytest.raises(PlanError, match="a # stands alone, at the end"):
        sn.from_mqtt(topic, "127.0.0.1", schema=SCHEMA)


def test_a_query_stops_within_a_second_and_its_thread_ends(broker):
    frame = read(broker)
    query = frame.start()
    eventually(lambda: status(frame) == "connected")
    assert seconds_to_stop(query) < 1
    eventually(lambda: not source_threads(), 5)


def test_a_missing_library_is_one_line_to_type(monkeypatch):
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    with pytest.raises(MissingError) as caught:
        sn.from_mqtt("t", "127.0.0.1", schema=SCHEMA)
    assert str(caught.value) == 'from_mqtt needs paho-mqtt: pip install "streamnb[mqtt]"'
