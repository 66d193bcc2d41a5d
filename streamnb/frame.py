"""StreamFrame: a streaming DataFrame, described by verbs; nothing runs until query(), start() or collect()."""

from __future__ import annotations

import difflib
import os
from typing import TYPE_CHECKING, Any, NoReturn

import narwhals as nw
import pandas as pd
import polars as pl

from streamnb import display
from streamnb.at_once import collect
from streamnb.errors import PlanError, column_not_found
from streamnb.explain import explain
from streamnb.ops.columns import drop, rename
from streamnb.ops.drop_duplicates import distinct, drop_duplicates
from streamnb.ops.drop_duplicates_within_watermark import drop_duplicates_within_watermark
from streamnb.ops.explode import explode
from streamnb.ops.filter import filter as filter_
from streamnb.ops.group_by import group_by
from streamnb.ops.join import join
from streamnb.ops.join_asof import join_asof
from streamnb.ops.limit import limit
from streamnb.ops.map_batches import map_batches
from streamnb.ops.read import Read
from streamnb.ops.select import select, with_columns
from streamnb.ops.sort import sort
from streamnb.ops.union import union
from streamnb.ops.with_watermark import with_watermark
from streamnb.ops.with_window import with_window
from streamnb.optimize import optimize
from streamnb.plan import Node
from streamnb.query import Query
from streamnb.sources.files import MAX_BYTES, Files
from streamnb.sources.rate import Rate
from streamnb.sources.replay import Replay
from streamnb.spark.script import to_pyspark_source
from streamnb.spark.verbs import start_on, to_pyspark
from streamnb.stream import StreamzSource, to_streamz
from streamnb.time import Clock, Duration

if TYPE_CHECKING:
    from streamz import Stream

    from streamnb.connect import Source
    from streamnb.schema import Schema


class StreamFrame:
    """An unbounded table. Every verb returns a new frame; none of them runs anything.

    >>> import streamnb as sn
    >>> clicks = sn.MemorySource({"at": "datetime", "user": "string"})
    >>> list(sn.stream(clicks).filter(sn.col("user") != "bot").schema)
    ['at', 'user']
    """

    def __init__(self, node: Node) -> None:
        self.node = node

    def then(self, node: Node) -> StreamFrame:
        """Return the frame of a node above this one; what every verb is made of.

        >>> flights.then(hourly.node).schema.names()
        ['window_start', 'window_end', 'n']
        """
        return StreamFrame(node)

    filter = filter_
    select = select
    with_columns = with_columns
    drop = drop
    rename = rename
    explode = explode
    map_batches = map_batches
    union = union
    limit = limit
    sort = sort
    distinct = distinct
    drop_duplicates = drop_duplicates
    drop_duplicates_within_watermark = drop_duplicates_within_watermark
    join = join
    join_asof = join_asof
    with_watermark = with_watermark
    with_window = with_window
    group_by = group_by
    to_streamz = to_streamz
    to_pyspark = to_pyspark
    to_pyspark_source = to_pyspark_source
    start_on = start_on

    @property
    def schema(self) -> nw.Schema:
        """The columns with their types.

        >>> flights.select("dep", "dest").schema
        Schema([('dep', Datetime(time_unit='us', time_zone=None)), ('dest', String)])
        """
        return nw.from_native(pl.DataFrame(schema=self.node.schema)).schema

    def explain(self) -> str:
        """Return the plan as text, inputs first, and the plan that runs where that differs.

        >>> print(hourly.explain())
          1  read Replay(145 rows in 32 units)
          2  with_watermark dep − 3 hours
          3  keeps group_by window dep 1 hour → n=count()
        """
        return explain(self.node, optimize(self.node))

    def collect(self) -> pd.DataFrame:
        """Run the query as one batch over all that the sources hold now: what the stream says when nothing is late.

        >>> hourly.collect().tail(2)
                  window_start          window_end  n
        11 2013-02-08 16:00:00 2013-02-08 17:00:00  6
        12 2013-02-08 17:00:00 2013-02-08 18:00:00  2
        """
        return collect(self.node)

    def query(self, output_mode: str = "append", **options: Any) -> Query:
        """Check the plan and open it, without running it. In a notebook it shows what ``sn.doctor`` finds in the plan.

        Parameters
        ----------
        output_mode
            ``"append"``, ``"update"`` or ``"complete"``.
        sink
            Where rows go besides ``q.result``: one of ``sn.sinks``, or a function of ``(pandas, batch_id)``.
        trigger
            A duration between steps while playing, ``"available_now"`` or ``"once"``.
        name
            An older query of this name is stopped. In a notebook every cell gives its own name.
        watermark_policy
            ``"min"`` or ``"max"`` over several inputs.
        clock
            ``sn.ManualClock()`` for tests and lessons.
        no_data_batches
            False: state waits for the next input instead of ending in a batch without input.
        checkpoint
            A folder: a query opened on it again goes on where the last one ended, after a crash too. Filters, columns
            and the watermark's delay may differ then; sources, keys, windows and aggregates may not.
        evolve
            True: the checkpoint may be another query's over the same sources; what becomes of its state is
            ``q.evolved``. ``"rebuild"``: what cannot be kept is made anew from the input instead of refused.
        on_bad_record
            ``"dead_letters"``: a record that is no row goes to ``q.dead_letters``; ``"fail"``: it is an error.
        guard_future
            A duration: a row whose event time lies further than that beyond the clock goes to ``q.dead_letters``, since
            it would move the watermark past all others.
        sink_retries
            How often a batch is given again to a sink that failed, with longer and longer waits (3; a function: 0).
        multiple_stateful
            False: one watermark for late rows and for state, for all operators at once, as Spark before 3.4 had it.

        >>> hourly.query(output_mode="update").run().last_progress.batch_id
        31
        """
        query = Query(self.node, output_mode=output_mode, **options)
        display.opened(query)
        return query

    def start(self, output_mode: str = "append", **options: Any) -> Query:
        """Open the query and play it in the background. Options as in ``query``.

        >>> query = hourly.start(trigger="10 ms")
        >>> query.await_termination(timeout="1 ms")
        False
        >>> query.stop().status
        'stopped'
        """
        return self.query(output_mode, **options).play()

    __iter__ = None  # whoever can be asked for an item is else taken for a sequence

    def __getitem__(self, name: object) -> NoReturn:
        raise _no_value(self, name)

    def __setitem__(self, name: object, value: object) -> NoReturn:
        raise PlanError(
            f"frame[{name!r}]: a frame does not change; write frame = frame.with_columns({name}=…).",
            code="EXPRESSION_INVALID",
        )

    if not TYPE_CHECKING:  # or every name would pass for an attribute

        def __getattr__(self, name: str) -> NoReturn:
            raise AttributeError(_no_attribute(self.__dict__.get("node"), name))

    def __repr__(self) -> str:
        return self.explain()


def _no_attribute(node: Node | None, name: str) -> str:
    """Return what to say of a name that is no verb: a column's, or one that is spelled otherwise elsewhere."""
    told = f"'StreamFrame' object has no attribute {name!r}"
    if name.startswith("_") or node is None:
        return told
    if name in node.schema:
        return f"{told}; the column is col({name!r})"
    near = difflib.get_close_matches(name.lower(), [verb for verb in vars(StreamFrame) if verb[0] != "_"], n=1)
    return f"{told}; did you mean {near[0]!r}?" if near else told


def _no_value(frame: StreamFrame, name: object) -> PlanError:
    """Return the error for a column, or several, that are taken out of a frame as out of a table."""
    if isinstance(name, str) and name not in frame.node.schema:
        return column_not_found(f"frame[{name!r}]", name, frame.node.schema)
    way = f"col({name!r})" if isinstance(name, str) else "frame.select(…)" if isinstance(name, list) else "filter(…)"
    return PlanError(f"frame[{name!r}]: a frame holds no rows to take out; write {way}.", code="EXPRESSION_INVALID")


def stream(source: Source) -> StreamFrame:
    """Return the frame of a source.

    >>> source = sn.MemorySource({"a": "int64"})
    >>> sn.stream(source).schema.names()
    ['a']
    """
    return StreamFrame(Read((), source))


def from_pandas(
    df: Any, arrival: str | None = None, every: Duration | None = None, rows: int | None = None
) -> StreamFrame:
    """Replay a table as a stream, in order of arrival.

    Parameters
    ----------
    df
        pandas, Polars, Arrow, a dict of columns or dicts.
    arrival
        The column that says when a row arrived; without it rows arrive as they stand.
    every
        A unit of input is what arrived within this duration, up to and including its last moment.
    rows
        A unit of input is so many rows. Without ``every`` and ``rows`` the table is one unit.

    >>> sn.from_pandas({"a": [1, 2, 3]}, rows=1).query().run().last_progress.batch_id
    2
    """
    return stream(Replay(df, arrival, every, rows))


def from_files(
    pattern: str | os.PathLike[str],
    schema: Schema | None = None,
    files_per_batch: int | None = None,
    *,
    max_bytes_per_batch: int | None = MAX_BYTES,
    clock: Clock | None = None,
) -> StreamFrame:
    """Read the files that match a pattern, CSV, JSON lines or Parquet; a new file is new input, and so is a new line.

    Files come in order of modification time, then name. Lines of JSON are read as they are written; other files when
    they are whole, so move them into place. What was taken stays as it is: a file that is truncated or replaced is a
    DataError. With a checkpoint a query goes on where it stopped, in the middle of a file too.

    Parameters
    ----------
    pattern
        Such as ``"in/*.jsonl"``; ``**`` stands for folders below. A folder, ``"in/"``, stands for all files below it.
        Folders called ``day=2013-02-08`` are columns too, behind the files' own.
    schema
        Without it the first file gives the columns; folders that it does not name are no columns. A field that a line
        of JSON leaves out is null; a line with other fields or types is a dead letter. A CSV or Parquet file with other
        columns is a DataError, and the stream waits until it is mended or moved away.
    files_per_batch
        How many files one batch takes at most; all that is new, if not given.
    max_bytes_per_batch
        How many bytes of files one batch takes at most (16 MiB, unless given; None: no limit), so that a backlog does
        not fill the memory. JSON lines are cut at a line's end; a larger file of another kind is a batch by itself.
    clock
        For tests.

    Spark: ``spark.readStream.format(…).load(…)`` with ``maxFilesPerTrigger`` and ``maxBytesPerTrigger``.

    >>> pd.DataFrame({"n": [1, 2]}).to_json(f"{folder}/a.jsonl", orient="records", lines=True)
    >>> sn.from_files(f"{folder}/*.jsonl").collect()["n"].tolist()
    [1, 2]
    """
    return stream(Files(os.fspath(pattern), schema, files_per_batch, clock, max_bytes_per_batch))


def from_rate(rows_per_second: float = 1.0, *, clock: Clock | None = None) -> StreamFrame:
    """Make up rows: ``timestamp`` and ``value`` 0, 1, 2, …, so many a second. Spark: the ``rate`` source.

    >>> sn.from_rate(10).schema.names()
    ['timestamp', 'value']
    """
    return stream(Rate(rows_per_second, clock))


def from_streamz(stream: Stream, schema: Schema) -> StreamFrame:
    """Read what a streamz stream emits: a dict (one row), a list of dicts or a DataFrame is one unit of input.

    What was emitted before this call is not seen. All that comes after is kept in memory, so that queries can read it
    again. Rows that do not fit ``schema`` are a DataError, raised to whoever emits them.

    >>> import streamz
    >>> clicks = streamz.Stream()
    >>> users = sn.from_streamz(clicks, {"user": "string"})
    >>> clicks.emit({"user": "ann"})
    >>> users.collect()["user"].tolist()
    ['ann']
    """
    return StreamFrame(Read((), StreamzSource(stream, schema)))
