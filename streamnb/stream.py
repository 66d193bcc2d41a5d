"""The low-level API: streamz as it is, joined with frames both ways, and batches of plain objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
from streamz import Stream

from streamnb.connect import Unit
from streamnb.dstream.batches import Batches
from streamnb.dstream.work import Batch
from streamnb.errors import PlanError
from streamnb.schema import Schema
from streamnb.sources.memory import MemorySource
from streamnb.time import Duration

if TYPE_CHECKING:
    from streamnb.frame import StreamFrame
    from streamnb.query import Query

__all__ = ["Batches", "FrameStream", "StreamzSource", "batches", "objects", "to_streamz"]


class StreamzSource:
    """A streamz stream as a source: what it emits is kept in memory, so that a query can read it again.

    One emitted element, a dict (one row), a list of dicts or a DataFrame, is one unit of input.
    """

    def __init__(self, stream: Stream, schema: Schema) -> None:
        self._spool = MemorySource(schema)
        self.schema = self._spool.schema
        self._tap = _Tap(stream, self._spool)  # streamz holds it weakly

    def latest(self) -> int:
        return self._spool.latest()

    def read(self, start: int | None, end: int) -> Any:
        return self._spool.read(start, end)

    def commit(self, end: int) -> None:
        """Nothing to do: memory keeps all, so that a query can rewind."""

    def unit(self, start: int | None) -> Unit | None:
        return self._spool.unit(start)

    def __repr__(self) -> str:
        return f"StreamzSource({self._spool.latest()} units)"


class _Tap(Stream):  # type: ignore[misc]  # streamz has no types
    """The end of a streamz stream in a spool. Rows that do not fit are a DataError of whoever emits them."""

    def __init__(self, upstream: Stream, spool: MemorySource) -> None:
        super().__init__(upstream, stream_name="from_streamz")
        self._spool = spool

    def update(self, x: Any, who: Stream | None = None, metadata: Any = None) -> Any:
        self._spool.add([x] if isinstance(x, dict) else x)
        return []


class FrameStream(Stream):  # type: ignore[misc]  # streamz has no types
    """A streamz stream of what a query gives out; it holds its ``query``. Made by ``frame.to_streamz()``."""

    query: Query

    def start(self) -> None:
        """Play the query, as ``start()`` of a streamz source does; any node below may be told."""
        self.query.play()

    def stop(self) -> None:
        """Pause the query; ``start()`` goes on."""
        self.query.pause()


def to_streamz(self: StreamFrame, output_mode: str = "append", **options: Any) -> FrameStream:
    """Return a streamz stream that emits one pandas a batch, an empty one too.

    Its query is open and stands still: ``s.query.step()``, ``.run()`` and ``.play()`` make it emit; ``s.start()`` plays
    it, ``s.stop()`` pauses it. While it plays, nodes below run in the query's thread. Options are those of ``query``,
    but for ``sink``, which is the stream. An error below fails the batch, and the next step tries it again: as any
    sink, what is below sees a batch at least once. After a rewind it sees again what comes again.

    >>> import streamnb as sn
    >>> clicks = sn.MemorySource({"user": "string"})
    >>> users = sn.stream(clicks).to_streamz()
    >>> seen = users.map(lambda rows: list(rows["user"])).sink_to_list()
    >>> clicks.add([{"user": "ann"}, {"user": "bob"}])
    >>> _ = users.query.run()
    >>> seen
    [['ann', 'bob']]
    """
    if options.get("sink") is not None:
        raise PlanError("to_streamz: the sink is the stream; add yours below it with .sink(fn).", code="OPTION_INVALID")
    stream = FrameStream(stream_name="to_streamz")

    def emit(rows: pd.DataFrame, _: int) -> None:
        stream.emit(rows)

    stream.query = self.query(output_mode, **{**options, "sink": emit})
    return stream


def batches(stream: Stream | None = None, batch: Duration | None = None) -> Batches:
    """Take the lists that a streamz stream emits for batches, and give them the operators of DStream.

    Every emitted list is the batch of one interval; ``batch`` says how long an interval is, so that windows may be
    durations. Without a stream the result is one to ``emit`` into. ``stream.batches(…)`` is the same.

    >>> import streamnb as sn
    >>> numbers = sn.batches(batch="1s")
    >>> total = numbers.reduce_by_window(lambda a, b: a + b, None, window="2s")
    >>> for batch in [1, 2], [3], []:
    ...     _ = numbers.emit(batch)
    ...     print(total.last)
    [3]
    [6]
    [3]
    """
    return Batches(stream, batch)


def objects(frame: StreamFrame) -> Batches:
    """Return the rows of a frame as batches of dicts, one batch a step of its query.

    ``step()`` and ``run()``, here or anywhere below, feed them. Every call of ``objects`` begins at the beginning.

    >>> import streamnb as sn
    >>> flights = sn.objects(sn.data.landings("JFK", "2013-02-08", every="12 h"))
    >>> flights.map(lambda row: (row["dest"], 1)).reduce_by_key(lambda a, b: a + b).step()[:2]
    [('PHL', 1), ('BOS', 4)]
    """
    query = frame.query()

    def pull() -> Batch | None:
        return None if query.step() is None else query.trace[-1].emitted.to_dicts()

    node = Batches()
    node.name, node.pull = "objects", pull
    return node
