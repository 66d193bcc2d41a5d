"""to_pyspark, start_on: the same query on Spark."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from streamnb.check import check
from streamnb.errors import PlanError, one_of
from streamnb.ops.group_by import GroupBy
from streamnb.ops.join import Join
from streamnb.ops.join_asof import JoinAsof
from streamnb.ops.read import Read
from streamnb.ops.session import SessionGroupBy
from streamnb.plan import Node
from streamnb.time import Duration, duration

if TYPE_CHECKING:
    from streamnb.frame import StreamFrame


def to_pyspark(self: StreamFrame, spark: Any, source: Any = None) -> Any:
    """Return the same query as a streaming DataFrame of PySpark; nothing is started.

    Every verb has its equal there, and the expressions are the same Narwhals objects. What has no equal is a PlanError
    that names it: ``count_distinct``, aggregates of one's own, anti joins of two streams, ``join_asof``, a table that a
    function gives anew for every batch. Naive times are UTC, which the session's time zone must be too. An ``sn.param``
    goes with the value that it has now.

    Parameters
    ----------
    spark
        A session, of Spark Connect too: ``SparkSession.builder.getOrCreate()``.
    source
        The stream to read: a DataFrame of ``spark.readStream`` with the same columns; of several sources a dict,
        ``{clicks: …, users: …}``. Files, ``from_rate`` and ``from_kafka`` (JSON, text, raw) need none: Spark reads them
        too. A message of Kafka that is no JSON ends the query there; here it is a dead letter.

    Spark
        Functions of your own run in Spark's Python workers, which need streamnb installed. ``transform_with_state``
        needs the session to keep state in RocksDB.

    >>> hourly.to_pyspark(spark, source=landings)  # doctest: +SKIP
    """
    return moved(self.node, spark, source, None)


def start_on(  # noqa: PLR0917  as in query()
    self: StreamFrame,
    spark: Any,
    output_mode: str = "append",
    source: Any = None,
    sink: Any = None,
    trigger: Duration | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    name: str | None = None,
    *,
    watermark_policy: str = "min",
    no_data_batches: bool = True,
    options: Mapping[str, Any] | None = None,
) -> Any:
    """Start the same query on Spark; return PySpark's StreamingQuery.

    A plan that Spark would refuse is refused before anything starts, by name: beside what ``to_pyspark`` refuses,
    session windows in update mode.

    Parameters
    ----------
    spark, source
        As in ``to_pyspark``.
    output_mode, trigger, checkpoint, name, watermark_policy, no_data_batches
        As in ``query``.
    sink
        ``sn.sinks.Files``, ``Delta``, ``Kafka``, ``Console`` or ``ForeachBatch``, a function of ``(pandas, batch_id)``,
        or the name of a Spark format such as ``"parquet"``. None: a table in Spark's memory, called ``name``. Files,
        Delta and Kafka are written by Spark's own sinks, Kafka without the ids of rows.
    options
        More options for Spark's sink.

    >>> hourly.start_on(spark, source=landings, trigger="available_now")  # doctest: +SKIP
    """
    check(self.node, output_mode)
    check_mode(self.node, output_mode)
    from streamnb.spark.expressions import Sql
    from streamnb.spark.session import functions
    from streamnb.spark.sinks import Going, written_to
    from streamnb.spark.stage import SETTINGS, settings

    if watermark_policy not in {"min", "max"}:
        raise one_of("start_on", "watermark_policy", watermark_policy, ("min", "max"))
    rows = moved(self.node, spark, source, output_mode)
    going = Going(rows, self.node.schema, output_mode, Sql(functions(spark)))
    writer = written_to(sink, going, options or {})
    writer = writer.outputMode(output_mode).queryName(name or f"streamnb_{uuid.uuid4().hex[:8]}")
    if checkpoint is not None:
        writer = writer.option("checkpointLocation", os.fspath(checkpoint))
    if trigger is not None:
        writer = writer.trigger(**trigger_of(trigger))
    told = {"watermark_policy": watermark_policy, "no_data_batches": no_data_batches}
    with settings(spark, {SETTINGS[name]: value for name, value in told.items()}):
        return _started(writer, sink)


def moved(plan: Node, spark: Any, source: Any, output_mode: str | None) -> Any:
    """Return a plan's rows on Spark."""
    from streamnb.spark import groups, joins, per_key, rows, sources  # noqa: F401  each adds its nodes
    from streamnb.spark.expressions import Sql
    from streamnb.spark.flow import Move
    from streamnb.spark.session import check_zone, functions

    sql = Sql(functions(spark))
    check_plan(plan)
    check_zone(spark, set().union(*(_zones(node) for node in plan.walk())))
    given = sources.streams_of(source, [node for node in plan.walk() if isinstance(node, Read)], sql)
    return rows.visible(Move(spark, sql, given, output_mode, plan).flow(plan), plan.schema.names())


def _zones(node: Node) -> set[str]:
    from streamnb.spark.kinds import zones

    return zones(node.schema)


def check_plan(plan: Node) -> None:
    """Raise for what no mode of Spark's has an equal of, whatever stands below it."""
    from streamnb.spark.groups import check_aggregate
    from streamnb.spark.joins import check_join

    for node in plan.walk():
        if isinstance(node, GroupBy):
            for name, fold in node.aggregates.items():
                check_aggregate(fold, name)
        if isinstance(node, Join | JoinAsof):
            check_join(node)


def check_mode(plan: Node, output_mode: str) -> None:
    """Raise for what runs here in an output mode, and on Spark in another one only."""
    from streamnb.spark.flow import unsupported

    for node in plan.walk():
        if isinstance(node, SessionGroupBy) and output_mode == "update":
            raise unsupported(
                "a session window in update mode", "Spark gives out sessions when they are final", "use 'append'"
            )


def trigger_of(trigger: Duration) -> dict[str, Any]:
    """Return a trigger in Spark's words."""
    if trigger == "available_now":
        return {"availableNow": True}
    if trigger == "once":
        return {"once": True}
    from streamnb.spark.kinds import interval

    return {"processingTime": interval(duration(trigger, "start_on"))}


def _started(writer: Any, sink: Any) -> Any:
    from pyspark.errors import AnalysisException

    from streamnb.spark.jars import jar_of
    from streamnb.spark.sinks import format_of

    try:
        with jar_of(format_of(sink)):
            return writer.start()
    except AnalysisException as error:
        raise PlanError(
            f"start_on: Spark refuses the query: {' '.join(str(error).split())[:400]}; it runs here with query().",
            code="SPARK_UNSUPPORTED",
        ) from error
