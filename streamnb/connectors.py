"""Connectors: every ``from_…`` that needs a server, as a frame."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec

from streamnb.connect import Source
from streamnb.frame import StreamFrame, stream
from streamnb.sources import generator, kafka, mqtt, nats, redis_streams, sql, sse, tcp, websocket

Options = ParamSpec("Options")


def _framed(make: Callable[Options, Source]) -> Callable[Options, StreamFrame]:
    """Return a function that gives the frame of a source."""

    @functools.wraps(make)
    def framed(*args: Options.args, **options: Options.kwargs) -> StreamFrame:
        return stream(make(*args, **options))

    framed.__annotations__ = {**make.__annotations__, "return": "StreamFrame"}
    return framed


from_generator = _framed(generator.from_generator)
from_kafka = _framed(kafka.from_kafka)
from_mqtt = _framed(mqtt.from_mqtt)
from_nats = _framed(nats.from_nats)
from_redis = _framed(redis_streams.from_redis)
from_sql = _framed(sql.from_sql)
from_sse = _framed(sse.from_sse)
from_tcp = _framed(tcp.from_tcp)
from_websocket = _framed(websocket.from_websocket)
