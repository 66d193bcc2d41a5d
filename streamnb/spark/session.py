"""A Spark session: whether there can be one here, and what is asked of it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import warnings
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from streamnb.errors import MissingError, PlanError

OLDEST, NEWEST = (4, 0), (4, 3)
"""The versions of PySpark that this is written for."""
OLDEST_JAVA = 17
ROCKS = "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"
PROVIDER, ZONE = "spark.sql.streaming.stateStore.providerClass", "spark.sql.session.timeZone"


def lacking(*, java: bool = True) -> str | None:
    """Return the one line that says what Spark lacks on this machine, None if nothing.

    ``java=False``: for a client of Spark Connect, whose Java is elsewhere.
    """
    version = installed()
    if version is None:
        return "spark: PySpark is not installed; type pip install 'streamnb[spark]'."
    numbers = tuple(int(part) for part in version.split(".")[:2])
    if not OLDEST <= numbers <= NEWEST:
        return f"spark: PySpark {version} is none of 4.0 to 4.3, known here; type pip install 'pyspark[sql]==4.3.*'."
    found = java_version() if java else OLDEST_JAVA
    if found is None or found < OLDEST_JAVA:
        what = "there is no Java, and PySpark starts one" if found is None else f"Java {found} is too old for PySpark"
        return (
            f"spark: {what}; type sudo apt-get install openjdk-17-jre-headless (or a newer one), "
            "or connect to a Spark elsewhere with SparkSession.builder.remote('sc://host')."
        )
    return None


def installed() -> str | None:
    """Return the version of PySpark, None if there is none."""
    if importlib.util.find_spec("pyspark") is None:
        return None
    return importlib.metadata.version("pyspark")


def java_version() -> int | None:
    """Return the version of the Java that PySpark will find, such as 17; None if there is none that starts."""
    home = os.environ.get("JAVA_HOME")
    program = shutil.which(os.path.join(home, "bin", "java") if home else "java")  # noqa: PTH118
    if program is None:
        return None
    told = subprocess.run([program, "-version"], check=False, capture_output=True, text=True)  # noqa: S603  as PySpark will
    version = re.search(r'version "(?:1\.)?(\d+)', told.stderr)
    return None if version is None else int(version[1])


def functions(spark: Any) -> ModuleType:
    """Return ``pyspark.sql.functions`` for a session; a PlanError or MissingError for what is none."""
    if missing := lacking(java=False):
        raise MissingError(missing)
    from pyspark.sql import SparkSession

    if is_connect(spark):
        from pyspark.sql.connect import functions as remote

        return remote
    if not isinstance(spark, SparkSession):
        raise PlanError(
            f"to_pyspark: {spark!r} is no Spark session; give SparkSession.builder.getOrCreate().",
            code="OPTION_INVALID",
        )
    from pyspark.sql import functions as local

    return local


def is_connect(spark: Any) -> bool:
    """Tell whether a session, or anything of one, is a client of Spark Connect."""
    return type(spark).__module__.startswith("pyspark.sql.connect")


def check_zone(spark: Any, zones: Iterable[str]) -> None:
    """Raise unless the session tells times as the query does."""
    asked, told = set(zones), spark.conf.get(ZONE)
    if asked - {told} and {told, *asked} - {"UTC", "Etc/UTC", "GMT", "Z"}:
        zone = min(asked - {told})
        raise PlanError(
            f"to_pyspark: the query tells times in {', '.join(sorted(asked))} (naive times are UTC), the Spark session "
            f"in {told}; type spark.conf.set('{ZONE}', '{zone}').",
            code="SPARK_TIME_ZONE",
        )


def check_rocks(spark: Any) -> None:
    """Raise unless the session keeps state where ``transformWithState`` can."""
    provider = spark.conf.get(PROVIDER, "")
    if not provider.endswith("RocksDBStateStoreProvider"):
        raise PlanError(
            f"to_pyspark: transform_with_state keeps its state in RocksDB on Spark; type "
            f"spark.conf.set('{PROVIDER}', '{ROCKS}').",
            code="SPARK_STATE_STORE",
        )


def check_pandas() -> None:
    """Raise if this PySpark cannot hand rows to functions of pandas here."""
    from pyspark.errors import PySparkImportError
    from pyspark.sql.pandas.utils import require_minimum_pandas_version, require_minimum_pyarrow_version

    try:
        with warnings.catch_warnings(action="ignore", category=FutureWarning):  # PySpark gives it by itself
            require_minimum_pandas_version()
            require_minimum_pyarrow_version()
    except (ImportError, PySparkImportError) as error:
        raise MissingError(
            f"spark: this PySpark cannot use the pandas or pyarrow that are here: {error}; "
            "type pip install --upgrade 'streamnb[spark]'."
        ) from error
