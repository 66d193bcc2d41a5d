"""One Spark session for the whole test run."""

from __future__ import annotations

import os

import pytest

from streamnb.spark.session import lacking
from tests.spark.oracle import Oracle, start_spark


@pytest.fixture(scope="session")
def oracle(tmp_path_factory):
    """Return real Spark. Without Java or pyspark its tests are skipped, but not where all must run."""
    if missing := lacking():
        pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)
    spark = start_spark(tmp_path_factory.mktemp("spark"))
    yield Oracle(spark)
    spark.stop()
