"""compare: a query's recorded input through real Spark, batch by batch, and where the two differ."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd
import polars as pl

from streamnb import display
from streamnb.answers.cards import plural
from streamnb.errors import QueryError
from streamnb.ops.group_by import GroupBy
from streamnb.ops.transform_with_state import TransformWithState
from streamnb.schema import as_rows, polars_schema
from streamnb.spark.kinds import ddl, name_in
from streamnb.spark.session import PROVIDER, ROCKS
from streamnb.spark.stage import SETTINGS, MemoryStream, Run, Stage, settings

if TYPE_CHECKING:
    from streamnb.query import Query

_PARTITIONS = "spark.sql.shuffle.partitions"
_KEPT = "spark.sql.streaming.numRecentProgressUpdates"
_ONE = "__row"


def compare(query: Query, spark: Any) -> Comparison:
    """Run what a query has read through Spark, batch by batch, and show where the two differ.

    Every batch gets the same rows at the same processing time, a batch without input where there was one here. Rows are
    compared as a bag: order within a batch counts nowhere but below ``sort``; floats to 12 digits; lists as bags.

    Parameters
    ----------
    query
        A query that has run, from its first batch on. It is only looked at.
    spark
        A local session, not one of Spark Connect.

    Returns
    -------
    Comparison
        ``same``; ``batches``, rows, watermarks and dropped rows side by side; ``differences``, the rows that only one
        of the two gave out.

    >>> sn.compare(query, spark).same  # doctest: +SKIP
    True
    """
    _check(query)
    stage = Stage(spark)
    folder = tempfile.mkdtemp(prefix="streamnb-compare-")
    try:
        with settings(spark, _settings(query)):
            return Comparison(query.name, tuple(_batches(query, stage, folder)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _check(query: Query) -> None:
    if query._first_id != 0:  # noqa: SLF001
        raise QueryError(
            f"compare: query {query.name!r} went on from a checkpoint at batch {query._first_id}, and what came before "  # noqa: SLF001
            "is not recorded here; run it from the beginning without checkpoint=."
        )
    if query.let_go:
        raise QueryError(
            f"compare: query {query.name!r} no longer tells of its first {query.let_go} batches, and Spark would begin "
            "with them; compare a query that has run fewer."
        )
    if query._eras:  # noqa: SLF001
        raise QueryError(
            f"compare: query {query.name!r} was changed on its way, and Spark would run the new logic from the start; "
            "run the new frame as a query of its own."
        )
    if not query.trace:
        raise QueryError(f"compare: query {query.name!r} has run no batch; call run() or step() first.")


def _settings(query: Query) -> dict[str, Any]:
    """Return Spark's settings: a batch without input is given by hand, as an empty one."""
    watermark = query._watermark  # noqa: SLF001
    values = {
        SETTINGS["watermark_policy"]: watermark.policy,
        SETTINGS["no_data_batches"]: False,
        SETTINGS["multiple_stateful"]: not watermark.single,
        _PARTITIONS: 1,
        _KEPT: len(query.trace) + 100,
    }
    if any(isinstance(node, TransformWithState) for node in query._plan.walk()):  # noqa: SLF001
        values[PROVIDER] = ROCKS
    return values


@dataclass(frozen=True)
class BatchCompared:
    """One batch on both sides."""

    batch_id: int
    rows_in: int
    ours: pl.DataFrame
    theirs: pl.DataFrame
    watermarks: tuple[pd.Timestamp | None, pd.Timestamp | None]
    dropped: tuple[int, int]
    ordered: bool = False
    counts_groups: bool = False

    @cached_property
    def only(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The rows that only we, and that only Spark, gave out."""
        if self.ordered and _plain(self.ours).rows() != _plain(self.theirs).rows():
            return self.ours, self.theirs
        return _without(self.ours, self.theirs), _without(self.theirs, self.ours)

    @property
    def same(self) -> bool:
        """Whether both did the same; Spark counts the groups of late rows where we count the rows."""
        ours, theirs = self.dropped
        dropped = bool(ours) == bool(theirs) and theirs <= ours if self.counts_groups else ours == theirs
        return dropped and self.watermarks[0] == self.watermarks[1] and not any(map(len, self.only))


@dataclass(frozen=True)
class Comparison:
    """What a query and Spark did, side by side."""

    name: str
    compared: tuple[BatchCompared, ...]

    @property
    def same(self) -> bool:
        """Whether no batch differs."""
        return all(batch.same for batch in self.compared)

    @property
    def batches(self) -> pd.DataFrame:
        """A row a batch: rows in, rows out, watermark and dropped rows of both, and how many rows differ."""
        return pd.DataFrame([_line(batch) for batch in self.compared])

    @property
    def differences(self) -> pd.DataFrame:
        """The rows that only one side gave out, with ``batch_id`` and ``only`` (``"here"`` or ``"Spark"``)."""
        parts = [
            rows.select(pl.lit(b.batch_id).alias("batch_id"), pl.lit(side).alias("only"), pl.all())
            for b in self.compared
            for side, rows in zip(("here", "Spark"), b.only, strict=True)
        ]
        return pl.concat(parts).to_pandas()

    def __repr__(self) -> str:
        if self.same:
            rows = sum(len(batch.ours) for batch in self.compared)
            return f"{self.name!r} and Spark agree: {plural(len(self.compared), 'batch')}, {plural(rows, 'row')}."
        wrong = [batch.batch_id for batch in self.compared if not batch.same]
        return (
            f"{self.name!r} and Spark differ in {len(wrong)} of {len(self.compared)} batches: {wrong}; see differences."
        )

    def _ipython_display_(self) -> None:
        display.answer(self)


def _line(batch: BatchCompared) -> dict[str, Any]:
    return {
        "batch_id": batch.batch_id, "rows_in": batch.rows_in,
        "rows_out": len(batch.ours), "rows_out_spark": len(batch.theirs),
        "watermark": batch.watermarks[0], "watermark_spark": batch.watermarks[1],
        "dropped": batch.dropped[0], "dropped_spark": batch.dropped[1],
        "differing_rows": sum(map(len, batch.only)), "same": batch.same,
    }  # fmt: skip


# -- both sides


def _batches(query: Query, stage: Stage, folder: str) -> Iterator[BatchCompared]:
    from streamnb.spark.verbs import moved

    plan, mode = query._plan, query._mode  # noqa: SLF001
    sources = query._inputs.sources  # noqa: SLF001
    streams = [stage.stream(ddl(polars_schema("compare", source.schema))) for source in sources]
    given = {source: stream.rows for source, stream in zip(sources, streams, strict=True)}
    rows = moved(plan, stage.spark, {source: given[source] for source in given}, mode)
    run = stage.run(_as_json(rows, plan.schema), mode, folder)
    above = plan.schema
    try:
        for number, ours in enumerate(query._memory.batches()):  # noqa: SLF001
            _give(run, query, number, streams)
            yield _compared(query, number, ours, run, above)
    finally:
        run.stop()


def _give(run: Run, query: Query, number: int, streams: Sequence[MemoryStream]) -> None:
    trace, progress = query.trace[number], query.progress[number]
    sources = query._inputs.sources  # noqa: SLF001
    batch: dict[MemoryStream, list[str]] = {}
    for source, stream, read in zip(sources, streams, progress.sources, strict=True):
        if read.start_offset != read.end_offset or trace.no_data:
            rows = () if trace.no_data else source.read(read.start_offset, read.end_offset)
            batch[stream] = _lines(as_rows("compare", rows, polars_schema("compare", source.schema)))
    at = trace.time.replace(tzinfo=dt.UTC) if trace.time.tzinfo is None else trace.time
    run.give(batch, at_ms=round(at.timestamp() * 1000))


def _compared(query: Query, number: int, ours: pl.DataFrame, run: Run, schema: pl.Schema) -> BatchCompared:
    (told,) = run.new_batches()
    progress = query.progress[number]
    theirs = [_row(json.loads(row.get(0)), schema) for row in run.given_out()[told["batchId"]]]
    operators = query._plan.walk()  # noqa: SLF001
    return BatchCompared(
        batch_id=progress.batch_id,
        rows_in=progress.num_input_rows,
        ours=ours,
        theirs=pl.DataFrame(theirs, schema, orient="row"),
        watermarks=(_utc(progress.event_time.get("watermark")), _utc((told.get("eventTime") or {}).get("watermark"))),
        dropped=(
            sum(o.num_rows_dropped_by_watermark for o in progress.state_operators),
            sum(o["numRowsDroppedByWatermark"] for o in told["stateOperators"]),
        ),
        ordered=query._plan.verb == "sort",  # noqa: SLF001
        counts_groups=any(isinstance(node, GroupBy) for node in operators),
    )


def _utc(at: Any) -> pd.Timestamp | None:
    if at is None:
        return None
    found = pd.Timestamp(at)
    return found.tz_localize("UTC") if found.tzinfo is None else found.tz_convert("UTC")


# -- rows to Spark and back, as JSON


def _lines(rows: pl.DataFrame) -> list[str]:
    return [json.dumps(row, default=_text) for row in rows.iter_rows(named=True)]


def _text(value: Any) -> str:
    if isinstance(value, dt.timedelta):
        return f"INTERVAL '{value // dt.timedelta(seconds=1)}.{value.microseconds:06}' SECOND"
    if isinstance(value, bytes):
        import base64

        return base64.b64encode(value).decode()
    return str(value)


def _as_json(rows: Any, schema: pl.Schema) -> Any:
    """Return rows as one column of JSON, so that a batch comes over in one piece; durations as microseconds."""
    from pyspark.sql import functions as sql

    epoch = sql.timestamp_seconds(sql.lit(0))
    columns = [
        sql.unix_micros(epoch + sql.col(name_in(n))).alias(n) if isinstance(t, pl.Duration) else name_in(n)
        for n, t in schema.items()
    ]
    how = {"ignoreNullFields": "false", "timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX"}
    return rows.select(sql.to_json(sql.struct(*columns), how).alias(_ONE))


def _row(told: Mapping[str, Any], schema: pl.Schema) -> list[Any]:
    return [_value(told.get(name), dtype) for name, dtype in schema.items()]


def _value(value: Any, dtype: Any) -> Any:
    """Return a value of JSON as one of a type."""
    if value is None:
        return None
    if isinstance(dtype, pl.List):
        return [_value(each, dtype.inner) for each in value]
    if isinstance(dtype, pl.Datetime):
        at = dt.datetime.fromisoformat(value)
        return at.replace(tzinfo=None) if dtype.time_zone is None else at
    if isinstance(dtype, pl.Date):
        return dt.date.fromisoformat(value)
    if isinstance(dtype, pl.Duration):
        return dt.timedelta(microseconds=value)
    return float(value) if dtype.is_float() else value


# -- bags of rows


def _without(rows: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    """Return the rows beyond those that stand in the other frame too, each as often."""
    mine, theirs = _numbered(rows), _numbered(others)
    at = mine.with_row_index("__at").join(theirs, on=mine.columns, how="anti", nulls_equal=True)["__at"]
    return rows[at.sort()]


def _numbered(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows in a form to compare, equal ones numbered."""
    plain = _plain(rows)
    return plain.with_columns(pl.int_range(pl.len()).over(plain.columns).alias("__copy"))


def _plain(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(_comparable(name, dtype) for name, dtype in rows.schema.items())


def _comparable(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if isinstance(dtype, pl.List):
        return column.list.sort().cast(pl.List(pl.String)).list.join("\0", ignore_nulls=False).alias(name)
    return column.round_sig_figs(12).cast(pl.String).alias(name) if dtype.is_float() else column
