"""Topic: what a source asks of Kafka's servers, and how long it waits for an answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from streamnb.contact import Contact
from streamnb.errors import DataError, PlanError, StreamnbError
from streamnb.patience import GLANCE, library, masked, patiently, still_asked
from streamnb.sources.answers import unknown
from streamnb.sources.kafka_place import Begin, Edges, begin_of, check_begin

Found = TypeVar("Found")


class Topic:
    """The consumers of a source, one for questions and one for rows: an answer would stand behind a waiting fetch.

    A call that is given up leaves its consumer behind, and the next call makes a new one.
    """

    def __init__(
        self,
        name: str,
        servers: str,
        *,
        start: Begin,
        partitions: Sequence[int] | None,
        rows_per_batch: int,
        patience: float,
        config: Mapping[str, Any],
    ) -> None:
        if rows_per_batch < 1:
            raise PlanError(
                f"from_kafka: rows_per_batch={rows_per_batch!r} reads nothing; give 1 or more.", code="OPTION_INVALID"
            )
        if not all(isinstance(text, str) for text in (name, servers)):
            raise PlanError(
                f"from_kafka: topic={name!r}, servers={servers!r}; both are text, servers as 'host:port,host:port'.",
                code="OPTION_INVALID",
            )
        check_begin(start)
        self._kafka = library("from_kafka", "confluent_kafka", "confluent-kafka", "kafka")
        self.name, self.servers, self.rows_per_batch = name, servers, rows_per_batch
        self._start, self._partitions, self._patience, self._config = start, partitions, patience, config
        self._secrets = [str(v) for k, v in config.items() if "password" in k or "secret" in k or "key" in k]
        self._consumers: dict[str, Any] = {}
        self._lock = threading.RLock()
        self._edges: Edges | None = None
        self._begin: dict[int, int] | None = None
        self.contact = Contact()

    # -- the consumer

    @property
    def known(self) -> Edges | None:
        """Where each partition begins and ends, as the servers said last."""
        return self._edges

    def _open(self, role: str) -> Any:
        if role not in self._consumers:
            settings = {
                "bootstrap.servers": self.servers, "group.id": "streamnb", "enable.auto.commit": False,
                "enable.partition.eof": True, "auto.offset.reset": "error", "allow.auto.create.topics": False,
                "fetch.wait.max.ms": 100, "reconnect.backoff.max.ms": 1000, "log_level": 0, "error_cb": self._heard,
            }  # fmt: skip
            try:
                self._consumers[role] = self._kafka.Consumer({**settings, **self._config})
            except (self._kafka.KafkaException, TypeError, ValueError) as error:
                raise PlanError(
                    f"from_kafka: {masked(error, self._secrets)}; mend config=.", code="OPTION_INVALID"
                ) from None
        return self._consumers[role]

    def _heard(self, error: Any) -> None:
        self.contact.failed(masked(error.str(), self._secrets), tries=0)

    @property
    def _heard_of(self) -> str | None:
        """What librdkafka said is wrong, if anything."""
        return None if self.contact.trouble is None else self.contact.trouble.said

    def _drop(self, role: str) -> None:
        """Leave a consumer behind; closing it may take its time."""
        consumer = self._consumers.pop(role, None)
        if consumer is not None:
            threading.Thread(target=consumer.close, daemon=True).start()

    def _ask(self, call: Callable[[Any], Found]) -> Found:
        """Return what the servers say; a TimeoutError if they say nothing in time."""
        consumer = self._open("questions")
        try:
            return patiently(lambda: self._insist(call, consumer), self._patience + 1)  # its own limit first
        except BaseException:
            self._drop("questions")
            raise

    def _insist(self, call: Callable[[Any], Found], consumer: Any) -> Found:
        """Call until there is an answer: a partition may have no leader for a while."""
        until = time.monotonic() + self._patience
        while True:
            try:
                return call(consumer)
            except self._kafka.KafkaException as error:
                consumer.poll(GLANCE)  # the reason, where librdkafka has one
                reason = self._heard_of or masked(error.args[0].str(), self._secrets)
                if time.monotonic() > until - GLANCE:
                    raise TimeoutError(reason) from None

    # -- what is there

    def edges(self) -> Edges:
        """Return where each partition begins and ends; the last that is known while the servers are away."""
        with self._lock:
            try:
                self._edges = self._ask(self._look)
                self.contact.made()
            except TimeoutError as error:
                self.contact.failed(str(error))
                if self._edges is None:
                    raise DataError(
                        f"from_kafka: no answer from {self.servers} about {self.name!r} within {self._patience:g} s: "
                        f"{error}; start the server, or mend servers= and config=."
                    ) from None
            return self._edges

    def _look(self, consumer: Any) -> Edges:
        found = consumer.list_topics(self.name, timeout=self._patience).topics[self.name]
        if found.error is not None:
            if found.error.code() in {3, -188}:  # unknown topic, to the server and to the client
                raise self._unknown(consumer)
            raise self._kafka.KafkaException(found.error)
        numbers = sorted(found.partitions if self._partitions is None else self._partitions)
        absent = [p for p in numbers if p not in found.partitions]
        if absent:
            raise DataError(
                f"from_kafka: {self.name!r} has no partitions {absent}, only {len(found.partitions)}; name those."
            )
        return {p: consumer.get_watermark_offsets(self._at(p), timeout=self._patience, cached=False) for p in numbers}

    def _unknown(self, consumer: Any) -> StreamnbError:
        known = [
            name
            for name in consumer.list_topics(timeout=self._patience).topics
            if name[:2] != "__" and name != self.name
        ]
        return unknown("from_kafka", self.servers, "topic", self.name, known)

    def begin(self, edges: Edges) -> dict[int, int]:
        """Return where a query without offsets begins: asked once, the same from then on."""
        with self._lock:
            if self._begin is None:
                self._begin = begin_of(self._start, edges, self._since)
            return {p: self._begin.get(p, low) for p, (low, _) in edges.items()}

    def _since(self, milliseconds: int, edges: Edges) -> dict[int, int]:
        asked = [self._at(p, milliseconds) for p in edges]
        try:
            found = self._ask(lambda consumer: consumer.offsets_for_times(asked, timeout=self._patience))
        except TimeoutError as error:
            raise DataError(
                f"from_kafka: {self.servers} cannot say what came since {self._start!r}: {error}; "
                "try again, or give start='earliest'."
            ) from None
        return {f.partition: f.offset if f.offset >= 0 else edges[f.partition][1] for f in found}

    def still_there(self, done: Mapping[int, int], edges: Edges) -> None:
        """Raise if the next offset of a partition cannot be there any more."""
        for p, (low, high) in edges.items():
            if not low <= done.get(p, low) <= high:
                what = f"is gone, it begins at {low} now" if done[p] < low else f"is behind its end {high}: it is new"
                raise DataError(
                    f"from_kafka: offset {done[p]} of partition {p} of {self.name!r} {what}; "
                    "start the query on a new checkpoint, with start= where it should begin."
                )

    # -- messages

    def messages(self, first: Mapping[int, int], last: Mapping[int, int]) -> list[Any]:
        """Return the messages from the first offsets up to the last, partition by partition."""
        wanted = {p: (first.get(p, 0), end) for p, end in last.items() if first.get(p, 0) < end}
        with self._lock:
            try:
                found = self._collect(wanted) if wanted else {}
            except BaseException:
                self._drop("rows")
                raise
        return [message for p in sorted(found) for message in found[p]]

    def _collect(self, wanted: Mapping[int, tuple[int, int]]) -> dict[int, list[Any]]:
        consumer = self._open("rows")
        consumer.assign([self._at(p, begin) for p, (begin, _) in wanted.items()])
        found: dict[int, list[Any]] = {p: [] for p in wanted}
        missing, until = set(wanted), time.monotonic() + self._patience
        while missing:
            still_asked()
            left = sum(wanted[p][1] - wanted[p][0] - len(found[p]) for p in missing)
            for message in consumer.consume(min(left, 1000), GLANCE):
                if self._taken(message, wanted, found):
                    missing.discard(message.partition())
                until = until if message.error() else time.monotonic() + self._patience
            if missing and time.monotonic() > until:
                raise self._silent(missing)
        return found

    def _taken(self, message: Any, wanted: Mapping[int, tuple[int, int]], found: Mapping[int, list[Any]]) -> bool:
        """Keep a message that is wanted; True if its partition is complete. Offsets may have gaps."""
        error = message.error()
        if error is not None and error.code() != self._kafka.KafkaError._PARTITION_EOF:  # noqa: SLF001  its name
            self._heard(error)
            if error.code() == self._kafka.KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001
                raise DataError(
                    f"from_kafka: rows of {self.name!r} are gone: {self._heard_of}; start on a new checkpoint."
                )
            return False
        self.contact.made()
        if message.partition() not in wanted:  # the end of one that was asked for before
            return False
        end = wanted[message.partition()][1]
        if error is None and message.offset() < end:
            found[message.partition()].append(message)
        return bool(message.offset() >= end - (error is None))

    def _silent(self, missing: set[int]) -> DataError:
        reason = self._heard_of or "no reason given"
        self.contact.failed(reason)
        return DataError(
            f"from_kafka: {self.servers} sent nothing of partitions {sorted(missing)} of {self.name!r} for "
            f"{self._patience:g} s: {reason}; the batch has not happened, step again."
        )

    def _at(self, partition: int, offset: int = 0) -> Any:
        return self._kafka.TopicPartition(self.name, partition, offset)
