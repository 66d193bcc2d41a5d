"""Kafka for tests: the mock cluster inside librdkafka, which speaks the real protocol on a port of this machine.

It is not usable for transactions: aborted records are visible, and a zombie producer is not fenced.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_POINTER, _TEXT, _INT = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
_FUNCTIONS: dict[str, tuple[Any, Sequence[Any]]] = {
    "rd_kafka_conf_new": (_POINTER, []),
    "rd_kafka_conf_set": (_INT, [_POINTER, _TEXT, _TEXT, _TEXT, ctypes.c_size_t]),
    "rd_kafka_new": (_POINTER, [_INT, _POINTER, _TEXT, ctypes.c_size_t]),
    "rd_kafka_destroy": (None, [_POINTER]),
    "rd_kafka_mock_cluster_new": (_POINTER, [_POINTER, _INT]),
    "rd_kafka_mock_cluster_destroy": (None, [_POINTER]),
    "rd_kafka_mock_cluster_bootstraps": (_TEXT, [_POINTER]),
    "rd_kafka_mock_topic_create": (_INT, [_POINTER, _TEXT, _INT, _INT]),
    "rd_kafka_mock_topic_set_error": (None, [_POINTER, _TEXT, _INT]),
    "rd_kafka_mock_partition_set_leader": (_INT, [_POINTER, _TEXT, ctypes.c_int32, ctypes.c_int32]),
    "rd_kafka_mock_broker_set_down": (_INT, [_POINTER, ctypes.c_int32]),
    "rd_kafka_mock_broker_set_up": (_INT, [_POINTER, ctypes.c_int32]),
    "rd_kafka_mock_broker_set_rtt": (_INT, [_POINTER, ctypes.c_int32, _INT]),
    "rd_kafka_mock_push_request_errors_array": (
        None,
        [_POINTER, ctypes.c_int16, ctypes.c_size_t, ctypes.POINTER(_INT)],
    ),
}
PRODUCE, FETCH, LIST_OFFSETS, METADATA = 0, 1, 2, 3
"""Numbers of requests in the protocol, for ``fail``."""


def _library() -> Any:
    import confluent_kafka

    folder = Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs"
    (path,) = folder.glob("librdkafka-*.so*")
    library = ctypes.CDLL(str(path))
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class MockKafka:
    """A cluster of ``brokers`` (numbered from 1) in this process; ``bootstrap`` is its address."""

    def __init__(self, brokers: int = 1) -> None:
        self._library, self.brokers = _library(), brokers
        message = ctypes.create_string_buffer(512)
        conf = self._library.rd_kafka_conf_new()
        self._library.rd_kafka_conf_set(conf, b"log_level", b"0", message, 512)
        self._handle = self._library.rd_kafka_new(0, conf, message, 512)
        self._cluster = self._library.rd_kafka_mock_cluster_new(self._handle, brokers)
        self.bootstrap: str = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()

    def topic(self, name: str, partitions: int = 1) -> None:
        """Make a topic; without this it comes into being with four partitions when it is first asked for."""
        self._checked(self._library.rd_kafka_mock_topic_create(self._cluster, name.encode(), partitions, 1))

    def break_topic(self, name: str, error: int) -> None:
        """Answer every question about a topic with an error; 3 is an unknown topic, 0 ends it."""
        self._library.rd_kafka_mock_topic_set_error(self._cluster, name.encode(), error)

    def down(self, broker: int = 1) -> None:
        """Let a broker refuse and drop connections."""
        self._checked(self._library.rd_kafka_mock_broker_set_down(self._cluster, broker))

    def up(self, broker: int = 1) -> None:
        """Let a broker answer again."""
        self._checked(self._library.rd_kafka_mock_broker_set_up(self._cluster, broker))

    def slow(self, milliseconds: int, broker: int = 1) -> None:
        """Let every answer of a broker take so long."""
        self._checked(self._library.rd_kafka_mock_broker_set_rtt(self._cluster, broker, milliseconds))

    def lead(self, topic: str, partition: int, broker: int) -> None:
        """Make a broker the leader of a partition."""
        self._checked(
            self._library.rd_kafka_mock_partition_set_leader(self._cluster, topic.encode(), partition, broker)
        )

    def fail(self, request: int, *errors: int) -> None:
        """Answer the next requests of a kind with these errors; 6 is not the leader, 7 timed out."""
        codes = (ctypes.c_int * len(errors))(*errors)
        self._library.rd_kafka_mock_push_request_errors_array(self._cluster, request, len(errors), codes)

    def place(self, name: str) -> str:
        """Make a topic, and return the address and behind a space the name."""
        self.topic(name)
        return f"{self.bootstrap} {name}"

    def close(self) -> None:
        """End the cluster."""
        self._library.rd_kafka_mock_cluster_destroy(self._cluster)
        self._library.rd_kafka_destroy(self._handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _checked(self, code: int) -> None:
        assert code == 0, f"librdkafka's mock says error {code}"
