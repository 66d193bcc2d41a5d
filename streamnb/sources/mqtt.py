"""from_mqtt: the messages of MQTT topics."""

from __future__ import annotations

import re
import time
from typing import Any

from streamnb.connect import Source
from streamnb.errors import PlanError
from streamnb.patience import GLANCE, library
from streamnb.schema import Schema
from streamnb.sources.records import format_of
from streamnb.sources.spool import RefusedError
from streamnb.sources.spooled import AnySpool, Reception, Spooled
from streamnb.time import SECOND, Duration, duration


def from_mqtt(
    topic: str,
    host: str,
    port: int = 1883,
    schema: Schema | None = None,
    *,
    format: str = "json",
    user: str | None = None,
    password: str | None = None,
    tls: bool = False,
    qos: int = 1,
    client_id: str | None = None,
    spool: AnySpool = None,
    received: str | None = "received",
    rows_per_batch: int = 10_000,
    timeout: Duration = "5 seconds",
) -> Source:
    """Take every message of MQTT topics for a row; its topic is in the column ``topic``.

    Messages are kept in a spool, so that a query can rewind and go on from its checkpoint. A message of ``qos`` 1 is
    acknowledged when it is in the spool: after a fault it may come twice, and it is not lost if ``client_id`` is given,
    for then the broker keeps what comes while nobody is connected.

    Parameters
    ----------
    topic
        With ``+`` and ``#`` for parts that may differ, such as ``"house/+/temperature"``.
    user, password
        Such as ``os.environ["MQTT_PASSWORD"]``; never shown.
    client_id
        A name of this client alone.
    schema, format, spool, received, rows_per_batch, timeout
        As in ``from_tcp``.

    >>> sn.from_mqtt("sensors/#", "localhost", schema={"n": "int64"})
      1  read from_mqtt(sensors/# at localhost:1883)
    """
    levels = topic.split("/")
    if not topic or any("#" in name and (name, n) != ("#", len(levels)) for n, name in enumerate(levels, 1)):
        raise PlanError(f"from_mqtt: topic={topic!r} is none; a # stands alone, at the end.", code="OPTION_INVALID")
    if not str(port).isdigit() or re.search(r"[/@\s]|^[^:]*:[^:]*$", host):
        way_out = "host is a name such as 'localhost', port a number; user= and password= stand by themselves"
        raise PlanError(f"from_mqtt: the address cannot be read; {way_out}.", code="OPTION_INVALID")
    paho = library("from_mqtt", "paho.mqtt.client", "paho-mqtt", "mqtt")
    seconds = duration(timeout, "from_mqtt") / SECOND

    def receive(reception: Reception) -> bool:
        client = paho.Client(
            paho.CallbackAPIVersion.VERSION2,
            client_id=client_id or "",
            clean_session=client_id is None,
            manual_ack=True,
        )
        client.connect_timeout = seconds
        client.suppress_exceptions = False
        if user is not None:
            client.username_pw_set(user, password)
        if tls:
            client.tls_set()
        client.on_connect = _greet(topic, qos)
        client.on_subscribe = _check_subscription(reception, topic)
        client.on_message = _keep(reception)
        client.connect(host, port)
        until = time.monotonic() + seconds
        try:
            while (problem := client.loop(GLANCE)) == paho.MQTT_ERR_SUCCESS:
                reception.check()
                if not client.is_connected() and time.monotonic() > until:
                    raise TimeoutError(f"the broker says nothing for {seconds:g} s")
        finally:
            client.disconnect()
        raise ConnectionError(paho.error_string(problem))

    return Spooled(
        "from_mqtt",
        f"{topic} at {host}:{port}",
        format_of("from_mqtt", format, schema),
        receive,
        spool=spool,
        received=received,
        tag="topic",
        rows_per_batch=rows_per_batch,
        timeout=seconds,
        secrets=(password,),
    )


def _greet(topic: str, qos: int) -> Any:
    def on_connect(client: Any, _: Any, __: Any, reason: Any, ___: Any) -> None:
        if not reason.is_failure:
            client.subscribe(topic, qos)
        elif reason.getName() in {
            "Bad user name or password",
            "Not authorized",
            "Banned",
            "Client identifier not valid",
        }:
            raise RefusedError(f"from_mqtt: the broker answers {reason.getName()!r}; mend user= and password=.")
        else:
            raise ConnectionError(reason.getName())

    return on_connect


def _check_subscription(reception: Reception, topic: str) -> Any:
    def on_subscribe(_: Any, __: Any, ___: Any, reasons: Any, ____: Any) -> None:
        if any(reason.is_failure for reason in reasons):
            raise RefusedError(f"from_mqtt: the broker does not let this user read {topic!r}; mend user=, or topic=.")
        reception.connected()

    return on_subscribe


def _keep(reception: Reception) -> Any:
    def on_message(client: Any, _: Any, message: Any) -> None:
        reception.give(message.payload, message.topic)
        if message.qos:
            reception.spool.sync()
            client.ack(message.mid, message.qos)

    return on_message
