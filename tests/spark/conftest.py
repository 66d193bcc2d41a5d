"""One Spark session for the whole test run."""

from __future__ import annotations

import importlib.util
import os
import shutil

import pytest

from tests.spark.oracle import Oracle, start_spark


@pytest.fixture(scope="session")
def oracle(tmp_path_factory):
    """Return real Spark. Without Java or pyspark its tests are skipped, but not where all must run."""
    lacking = [] if shutil.which("java") or os.environ.get("JAVA_HOME") else ["Java 17"]
    lacking += [] if importlib.util.find_spec("pyspark") else ["pyspark (pip install 'streamnb[spark]')"]
    if lacking:
        reason = f"asking Spark needs {' and '.join(lacking)}"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    spark = start_spark(tmp_path_factory.mktemp("spark"))
    yield Oracle(spark)
    spark.stop()
