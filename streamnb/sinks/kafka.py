"""Kafka: every row a message; at least once, with an id by which readers leave out what comes twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from streamnb.errors import PlanError, QueryError, column_not_found
from streamnb.patience import GLANCE, library, masked, still_asked
from streamnb.points import reached
from streamnb.sinks.plain import as_json, json_rows, plain
from streamnb.sinks.row_ids import row_ids
from streamnb.time import SECOND, Duration, duration

ID, BATCH = "streamnb-id", "streamnb-batch"
"""The headers of every message: the id of its row, the number of its batch."""


class Kafka:
    """Write rows to a topic, each a message of JSON, in update and complete mode each new version of a row.

    At least once: a batch that is interrupted comes again, and readers may see half of it in between. The header
    ``streamnb-id`` is the same for the same row of the same batch; keep the ids of a while and leave out what has one
    that is known. The order within a batch and a partition is the order of the rows. Kafka's transactions are not used:
    they do not span the checkpoint.

    ``key`` names the columns of the message's key: text as it is, anything else as JSON, null as no key. Messages with
    the same key go to the same partition. ``config`` takes more settings of librdkafka, such as
    ``{"sasl.password": os.environ["KAFKA_PASSWORD"]}``; they are never shown. A batch that is not acknowledged by all
    replicas within ``timeout`` fails and is tried again.

    Spark: ``writeStream.format("kafka")``, at least once too.

    >>> sn.sinks.Kafka("flights", "localhost:9092", key="window_start")
    Kafka('flights' at localhost:9092)
    """

    def __init__(
        self,
        topic: str,
        servers: str,
        key: str | Sequence[str] | None = None,
        timeout: Duration = "30 seconds",
        config: Mapping[str, Any] | None = None,
    ) -> None:
        self._kafka = library("sinks.Kafka", "confluent_kafka", "confluent-kafka", "kafka")
        self._topic, self._servers, self._query = topic, servers, ""
        self._key = [key] if isinstance(key, str) else list(key or ())
        self._seconds = duration(timeout, "Kafka") / SECOND
        self._producer: Any = None
        self._trouble: str | None = None
        given = dict(config or {})
        # Closed over, so that a password is in no attribute.
        self._config: Callable[[], dict[str, Any]] = lambda: given
        self._said: Callable[[object], str] = lambda error: masked(error, _secrets(given))

    def __repr__(self) -> str:
        return f"Kafka({self._topic!r} at {self._servers})"

    def open(self, query: str, epoch: int) -> None:
        """Hear for which query the batches are."""
        self._query = query

    def write_polars(self, batch_id: int, rows: pl.DataFrame, mode: str) -> None:
        for name in self._key:
            if name not in rows.columns:
                raise column_not_found("Kafka", name, rows.columns)
        producer, self._trouble = self._open(), None
        try:
            self._send(producer, batch_id, rows)
        except BaseException:
            producer.purge()  # what waits there must not come later than what is tried again
            self._producer = None
            raise

    def _open(self) -> Any:
        if self._producer is None:
            settings = {
                "bootstrap.servers": self._servers, "enable.idempotence": True, "linger.ms": 5, "log_level": 0,
                "delivery.timeout.ms": max(1000, round(self._seconds * 1000)), "reconnect.backoff.max.ms": 1000,
                "error_cb": self._heard,
            }  # fmt: skip
            try:
                self._producer = self._kafka.Producer({**settings, **self._config()})
            except (self._kafka.KafkaException, TypeError, ValueError) as error:
                raise PlanError(f"Kafka: {self._said(error)}; mend config=.", code="OPTION_INVALID") from None
        return self._producer

    def _heard(self, error: Any) -> None:
        self._trouble = self._said(error.str())

    def _send(self, producer: Any, batch_id: int, rows: pl.DataFrame) -> None:
        until = time.monotonic() + self._seconds
        failed: list[Any] = []
        texts, ids = json_rows("Kafka", rows), row_ids(rows, f"{self._query}/{batch_id}")
        for text, key, id in zip(texts, self._keys(rows), ids, strict=True):
            self._produce(producer, (text.encode(), key), {ID: id, BATCH: str(batch_id)}, failed, until)
        reached("sink.rows")
        while len(producer) and not failed:
            self._wait(producer, until)
        if failed:
            raise self._failure(failed[0])

    def _produce(
        self,
        producer: Any,
        value_and_key: tuple[bytes, bytes | None],
        headers: Mapping[str, str],
        failed: list[Any],
        until: float,
    ) -> None:
        def answered(error: Any, _: Any) -> None:
            if error is not None:
                failed.append(error)

        while True:
            try:
                producer.produce(self._topic, *value_and_key, headers=dict(headers), on_delivery=answered)
            except BufferError:
                self._wait(producer, until)
            except self._kafka.KafkaException as error:
                raise self._failure(error.args[0]) from None
            else:
                return

    def _wait(self, producer: Any, until: float) -> None:
        producer.poll(GLANCE)
        still_asked()
        if time.monotonic() > until:
            why = self._trouble or "no reason given"
            raise TimeoutError(f"{self._servers} took no more than a part of a batch in {self._seconds:g} s: {why}")

    def _keys(self, rows: pl.DataFrame) -> list[bytes | None]:
        if not self._key:
            return [None] * len(rows)
        return [_as_key(values) for values in plain("Kafka", rows.select(self._key)).rows()]

    def _failure(self, error: Any) -> Exception:
        said = self._said(error.str())
        if error.code() == self._kafka.KafkaError.MSG_SIZE_TOO_LARGE:
            return QueryError(
                f"Kafka: a row is too large: {said}; raise config={{'message.max.bytes': …}}, or drop it."
            )
        if error.code() in {self._kafka.KafkaError.UNKNOWN_TOPIC_OR_PART, self._kafka.KafkaError._UNKNOWN_TOPIC}:  # noqa: SLF001  its name
            return QueryError(f"Kafka: {self._servers} has no topic {self._topic!r}; make it first.")
        return ConnectionError(f"{self._servers}: {said}")


def _as_key(values: Sequence[Any]) -> bytes | None:
    if all(value is None for value in values):
        return None
    value = values[0] if len(values) == 1 else values
    return value.encode() if isinstance(value, str) else as_json(value).encode()


def _secrets(config: Mapping[str, Any]) -> list[str]:
    return [str(value) for name, value in config.items() if any(w in name for w in ("password", "secret", "key"))]
