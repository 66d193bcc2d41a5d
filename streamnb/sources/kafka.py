"""from_kafka: a topic of Kafka, read by offsets that the query keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
import pyarrow as pa

from streamnb.connect import Sifted, Source, Unit
from streamnb.contact import Reached
from streamnb.errors import DataError, PlanError, one_of
from streamnb.schema import Schema
from streamnb.sources.avro import Avro
from streamnb.sources.kafka_place import Begin, next_ends, place, placed
from streamnb.sources.kafka_topic import Topic
from streamnb.sources.records import Format, decoded, guess, objects, rows_of, simple_format
from streamnb.time import SECOND, Duration, duration

_METADATA: dict[str, pl.DataType] = {
    "key": pl.String(), "partition": pl.Int32(), "offset": pl.Int64(), "timestamp": pl.Datetime("us"),
    "headers": pl.List(pl.Struct({"key": pl.String(), "value": pl.Binary()})),
}  # fmt: skip
_HEADERS = pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))
_SAMPLE = 100


def from_kafka(
    topic: str,
    servers: str,
    schema: Schema | str | Mapping[int, Any] | None = None,
    *,
    format: str = "json",
    start: Begin = "earliest",
    partitions: Sequence[int] | None = None,
    key: str = "string",
    metadata: Sequence[str] | Mapping[str, str] = tuple(_METADATA),
    rows_per_batch: int = 10_000,
    timeout: Duration = "10 seconds",
    config: Mapping[str, Any] | None = None,
) -> Source:
    """Read a topic of Kafka. The query keeps the offsets, so every range can be read again; no group is joined.

    A message is a row, a tombstone and an empty value too (null in every column of the value). A batch holds each
    partition's rows in their order, one partition after the other. A message that cannot be read is a dead letter with
    its partition and offset. After a first contact a broker that is away is waited for; ``q.troubles`` and the
    dashboard show it.

    Parameters
    ----------
    topic, servers
        ``servers`` is ``"host:port"``, or several with commas.
    schema
        The fields of the JSON values; None: guessed from the last messages. A field that it does not name is left out,
        one that is not there is null, a value that does not fit makes its message a dead letter. Or the Avro schema of
        the writer; of several writers a dict of schema numbers to schemas, the highest of which gives the columns.
    format
        ``"json"``; ``"avro"``, or ``"avro-registry"`` with a schema number before each record (no registry is asked);
        ``"text"`` and ``"raw"`` give one column ``value``.
    start
        ``"earliest"``, ``"latest"``, a time (``"2026-01-01 12:00"``, UTC), or offsets by partition ``{0: 17}``.
    partitions
        Read these only. A watermark a partition: ``.with_watermark("at", "10 minutes", per="partition")``, so that a
        producer whose clock is ahead makes nobody else's rows late; with ``idle_after="1 minute"`` a partition that is
        silent does not hold it back. Times that cannot be true yet: ``query(guard_future="5 minutes")``.
    key
        ``"string"`` or ``"binary"``.
    metadata
        Which of ``key``, ``partition``, ``offset``, ``timestamp`` (UTC) and ``headers`` become columns; a dict renames.
    rows_per_batch
        At most so many messages in one step, shared out among the partitions by what waits there.
    timeout
        How long a server may take, for a first contact and for rows that it has announced.
    config
        More settings of librdkafka, such as ``{"sasl.password": os.environ["KAFKA_PASSWORD"]}``; never shown.

    Spark
        ``spark.readStream.format("kafka")``; ``rows_per_batch`` is ``maxOffsetsPerTrigger``.

    >>> sn.from_kafka("flights", "localhost:9092", {"n": "int64"})
      1  read Kafka('flights' at localhost:9092)
    """
    patience = duration(timeout, "from_kafka") / SECOND
    asked = Topic(
        topic,
        servers,
        start=start,
        partitions=partitions,
        rows_per_batch=rows_per_batch,
        patience=patience,
        config=config or {},
    )
    given = _guessed(asked) if schema is None and format == "json" else schema
    return Kafka(asked, _format(format, given), _columns(metadata, key))


def _format(name: str, schema: Any) -> Format:
    if name in {"avro", "avro-registry"}:
        return Avro("from_kafka", schema, header=name == "avro-registry")
    if name not in {"json", "text", "raw"}:
        raise one_of("from_kafka", "format", name, ("json", "avro", "avro-registry", "text", "raw"))
    return simple_format("from_kafka", name, schema)


def _columns(metadata: Sequence[str] | Mapping[str, str], key: str) -> dict[str, tuple[str, pl.DataType]]:
    """Return the column and type of each piece of metadata."""
    names = dict(metadata) if isinstance(metadata, Mapping) else {name: name for name in metadata}
    for name in names:
        if name not in _METADATA:
            raise one_of("from_kafka", "metadata", name, _METADATA)
    if key not in {"string", "binary"}:
        raise one_of("from_kafka", "key", key, ("string", "binary"))
    types = _METADATA | ({"key": pl.Binary()} if key == "binary" else {})
    return {name: (column, types[name]) for name, column in names.items()}


def _guessed(topic: Topic) -> dict[str, str]:
    """Return the schema that the last messages look like."""
    ends = topic.edges()
    first = {p: max(low, high - _SAMPLE) for p, (low, high) in ends.items()}
    messages = topic.messages(first, {p: high for p, (_, high) in ends.items()})
    found = guess(objects(message.value() for message in messages))
    if not found:
        raise DataError(f"from_kafka: {topic.name!r} holds no message to guess its columns from; give schema={{…}}.")
    return found


def _where(message: Any) -> str:
    return f"partition {message.partition()}, offset {message.offset()}"


class Kafka(Reached):
    """A topic as a source. Offsets hold the next one to read of each partition, and where the query began."""

    received = "timestamp"

    def __init__(self, topic: Topic, format: Format, columns: Mapping[str, tuple[str, pl.DataType]]) -> None:
        self._topic, self._format, self._columns = topic, format, columns
        self.contact, self.fields = topic.contact, format.schema
        added = dict(columns.values())
        twice = [name for name in added if name in format.schema]
        if twice:
            raise PlanError(
                f"from_kafka: {twice} are fields of the value and of the message; rename the message's with "
                f"metadata={{'{twice[0]}': 'kafka_{twice[0]}'}}.",
                code="COLUMN_DUPLICATE",
            )
        self.schema = pl.Schema({**format.schema, **added})

    def latest(self) -> Any:
        edges = self._topic.edges()
        if all(low == high for low, high in edges.values()):
            return None
        return place(self._topic.begin(edges), {p: high for p, (_, high) in edges.items()})

    def unit(self, start: Any) -> Unit | None:
        edges = self._topic.edges()
        began = self._topic.begin(edges) if start is None else placed(start["from"])
        done = {**began, **({} if start is None else placed(start["to"]))}
        self._topic.still_there(done, edges)
        ends = next_ends(done, edges, self._topic.rows_per_batch)
        return None if ends == {p: done.get(p, low) for p, (low, _) in edges.items()} else Unit(place(began, ends))

    def read(self, start: Any, end: Any) -> Sifted:
        first = {**placed(end["from"]), **({} if start is None else placed(start["to"]))}
        messages = self._topic.messages(first, placed(end["to"]))
        payloads = [message.value() for message in messages]
        rows, kept, bad = rows_of(
            self._format, payloads, lambda n: _where(messages[n]), lambda n: self._key(messages[n])
        )
        good = [messages[n] for n in kept]
        return Sifted(rows.with_columns(self._added(name, good) for name in self._columns), bad)

    def _key(self, message: Any) -> str | bytes | None:
        key: bytes | None = message.key()
        is_text = "key" in self._columns and self._columns["key"][1] == pl.String()
        return decoded(key) if is_text and key is not None else key

    def _added(self, name: str, messages: Sequence[Any]) -> pl.Series:
        column, dtype = self._columns[name]
        values = [self._told(name, message) for message in messages]
        if name == "timestamp":
            return pl.Series(column, values, pl.Int64).cast(pl.Datetime("ms")).cast(dtype)
        if name == "headers":
            return pl.Series(column, pa.array(values, _HEADERS)).cast(dtype)
        return pl.Series(column, values, dtype)

    def _told(self, name: str, message: Any) -> Any:
        if name == "key":
            return self._key(message)
        value = getattr(message, name)()
        if name == "timestamp":
            return value[1] if value[0] else None
        if name == "headers" and value is not None:
            return [{"key": k, "value": v} for k, v in value]
        return value

    def waiting(self, end: Any) -> int | None:
        """Return how many messages lie after ``end``, by what the servers said last."""
        edges = self._topic.known
        if edges is None or end is None:
            return None
        done = placed(end["to"])
        return sum(high - max(done.get(p, low), low) for p, (low, high) in edges.items())

    def commit(self, end: Any) -> None:
        """Nothing to do: the offsets are the query's."""

    def __repr__(self) -> str:
        return f"Kafka({self._topic.name!r} at {self._topic.servers})"
