"""Every error of streamnb, and the one form of their messages: ``verb: what is wrong, with the value; the way out.``"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

CODES: dict[str, str] = {
    "AGGREGATE_INVALID": "an aggregation lists something that is not an aggregate, or nothing at all",
    "APPEND_WITHOUT_WATERMARK": "append mode above an aggregation needs a watermark on a grouping time",
    "CHECKPOINT_EVOLVED": "another logic has taken a query's place on its checkpoint",
    "CHECKPOINT_SOURCES": "a query goes on from a checkpoint with as many sources as it was made with",
    "CHECKPOINT_STATE": "a query goes on from a checkpoint with the keys and aggregates it was made with",
    "COLUMN_NOT_FOUND": "a named column is not there",
    "COLUMN_DUPLICATE": "two columns would have the same name",
    "COMPLETE_WITHOUT_AGGREGATION": "complete mode needs an aggregation",
    "DEDUP_WITHOUT_WATERMARK": "drop_duplicates_within_watermark needs a watermark on its stream",
    "DURATION_INVALID": "a duration cannot be read, is negative, or has months",
    "EVENT_TIME_WITHOUT_WATERMARK": "timeouts by event time, and an event time given out, need a watermark below",
    "EVENT_TIME_TYPE": "event time must be a datetime column",
    "EVOLVE_SOURCES": "a query goes on with another logic over the same sources",
    "EVOLVE_STATE": "another logic would be wrong in silence about what is remembered",
    "EXPRESSION_INVALID": "an expression fails on the columns that are there",
    "JOIN_ASOF_STREAM": "join_asof takes a table on the right, not a stream",
    "JOIN_OUTPUT_MODE": "joins of two streams run in append mode, inner ones in update mode too",
    "JOIN_STATIC_SIDE": "a join with a table cannot give out the table's unmatched rows",
    "JOIN_WITHOUT_EQUALITY": "two streams are joined by equal columns",
    "KEYS_MISSING": "state of one's own is kept per key",
    "LIMIT_IN_UPDATE": "limit runs in append mode, or on a sorted complete table",
    "MULTIPLE_EVENT_TIMES": "an operator with state goes by one event time",
    "NOTHING_RECORDED": "what_if runs again what has been read, and nothing has",
    "NO_STATE": "no operator of the query keeps anything that could be shown",
    "OPTION_INVALID": "an argument has a value that is not one of its choices",
    "OUTER_JOIN_WITHOUT_BOUND": "an outer, semi or anti join of two streams needs a time bound",
    "PARAM_PLACE": "a param stands where values are computed row by row",
    "SCHEMA_INVALID": "a schema names a type that is not known",
    "SCHEMA_MISMATCH": "two inputs that must have the same columns differ",
    "SESSION_WITHOUT_KEY": "a session window needs another grouping key beside it",
    "SORT_WITHOUT_COMPLETE": "sort orders a complete table above an aggregation",
    "SOURCE_MISSING": "a query needs at least one streaming source",
    "SPARK_JAR": "a format for which the Spark session has no jar",
    "SPARK_SINK": "a sink of this kernel has no equal on Spark, or none in this output mode",
    "SPARK_SOURCE": "a source of this kernel has no equal on Spark, or the stream given for it does not fit",
    "SPARK_STATE_STORE": "transform_with_state needs RocksDB on Spark",
    "SPARK_TIME_ZONE": "the Spark session tells times in another zone than the query",
    "SPARK_UNSUPPORTED": "something that runs here and has no equal on Spark",
    "SQL_AMBIGUOUS": "a column of SQL is in two tables",
    "SQL_SYNTAX": "SQL that cannot be read",
    "SQL_TABLE_UNKNOWN": "SQL names a table that is not given",
    "SQL_UNSUPPORTED": "SQL that has no verb here",
    "STATE_OUTPUT_MODE": "apply_in_pandas_with_state gives out in the query's output mode",
    "TWO_AGGREGATIONS": "two stateful operators in a row run in append mode only",
    "TWO_STATES": "apply_in_pandas_with_state stands alone among the operators with state",
    "TWO_WINDOWS": "one group_by takes one window",
    "WATERMARK_REDEFINED": "one stream has one watermark",
    "WINDOW_INVALID": "a window's size, slide or start do not fit together",
}


class StreamnbError(Exception):
    """The base of every error raised by streamnb.

    >>> try:
    ...     flights.with_watermark("dep", "3 parsecs")
    ... except sn.StreamnbError as error:
    ...     print(error)
    with_watermark: cannot read the duration '3 parsecs'; write it like '10 minutes', '90s' or '1h30m'.
    """


class PlanError(StreamnbError, ValueError):
    """A query that makes no sense, or that Spark refuses.

    ``code`` is stable, one of :data:`CODES`.

    >>> try:
    ...     hourly.with_watermark("dep", "1 hour")
    ... except sn.PlanError as error:
    ...     print(error.code)
    COLUMN_NOT_FOUND
    """

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class ColumnNotFoundError(PlanError, KeyError):
    """A column that is not there; the message names the nearest one that is.

    >>> try:
    ...     flights.select("orgin")
    ... except sn.ColumnNotFoundError as error:
    ...     print(error)
    select: no column 'orgin'; did you mean 'origin'?
    """

    __str__ = Exception.__str__  # KeyError would print the message in quotes

    def __init__(self, message: str, *, code: str = "COLUMN_NOT_FOUND") -> None:
        super().__init__(message, code=code)


class DataError(StreamnbError, ValueError):
    """Rows that do not fit what the source promised.

    >>> try:
    ...     sn.from_pandas({"n": [1, "two"]})
    ... except sn.DataError as error:
    ...     print("two" in str(error))
    True
    """


class CheckpointError(StreamnbError):
    """A checkpoint that is damaged, in use, or belongs to another query.

    >>> try:
    ...     sn.recover("no/such/folder")
    ... except sn.CheckpointError as error:
    ...     print(error)
    recover: no/such/folder is no checkpoint; name the folder given to query(checkpoint=…).
    """


class CheckpointMismatchError(CheckpointError, PlanError):
    """A query that cannot go on from a checkpoint: other sources, keys or aggregates."""


class MissingError(StreamnbError, ImportError):
    """Something that must be installed first: Spark, Java, a connector's library; the message has the line to type."""


class QueryError(StreamnbError):
    """A batch that failed, most often in the user's own function, which is ``__cause__``.

    >>> broken = flights.map_batches(lambda rows: rows["nothing"], {"n": "int64"}).query()
    >>> try:
    ...     broken.step()
    ... except sn.QueryError as error:
    ...     print(repr(error.__cause__))
    KeyError('nothing')
    """


class StoppedError(QueryError):
    """A query that was stopped while it waited for another system."""


def column_not_found(verb: str, name: str, columns: Iterable[str]) -> ColumnNotFoundError:
    """Return the error for a missing column, with the nearest name or the list of them all."""
    columns = list(columns)
    near = difflib.get_close_matches(name, columns, n=1)
    way_out = f"did you mean {near[0]!r}?" if near else f"the columns are {columns}."
    return ColumnNotFoundError(f"{verb}: no column {name!r}; {way_out}")


def one_of(verb: str, name: str, value: object, choices: Iterable[str]) -> PlanError:
    """Return the error for an argument that is not one of its choices."""
    allowed = " | ".join(repr(c) for c in choices)
    return PlanError(f"{verb}: {name}={value!r} is not known; use {allowed}.", code="OPTION_INVALID")


def not_there(verb: str, batch_id: int, first: int, last: int) -> QueryError:
    """Return the error for a batch that a query cannot be asked for: one that is not done, or was let go of."""
    older = " Older ones were let go of: name one of these, or run the query anew." if -1 <= batch_id < first else ""
    return QueryError(f"{verb}: batch {batch_id} is not there; batches {first} to {last} are.{older}")
