"""What Spark brings in a jar of its own: the line to type where a session lacks it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from streamnb.errors import PlanError
from streamnb.spark.session import installed

_ABSENT = ("DATA_SOURCE_NOT_FOUND", "KAFKA_DATA_SOURCE_NOT_ENABLED")


@contextmanager
def jar_of(format: str) -> Iterator[None]:
    """Raise a PlanError with the way out where Spark does not know a format."""
    try:
        yield
    except Exception as error:
        if not any(word in str(error) for word in _ABSENT):
            raise
        raise PlanError(
            f"to_pyspark: the Spark session does not know the format {format!r}; {_way_out(format)}.",
            code="SPARK_JAR",
        ) from None


def _way_out(format: str) -> str:
    """Return how a session comes to know a format: both jars are named after versions of Spark and Scala."""
    if format == "kafka":
        packages = f"org.apache.spark:spark-sql-kafka-0-10_2.13:{installed()}"
        return f"start it with .config('spark.jars.packages', '{packages}')"
    if format == "delta":
        return "type pip install delta-spark, and start it with delta.configure_spark_with_delta_pip(builder)"
    return "start it with the jar of the format in spark.jars"
