"""One Spark session for the whole test run."""

from __future__ import annotations

import pytest

from streamnb.spark.session import lacking
from tests.lacking import give_up
from tests.spark.oracle import Oracle, start_spark


@pytest.fixture(scope="session")
def oracle(tmp_path_factory):
    """Return real Spark. Without Java or pyspark its tests are skipped, but not where all must run."""
    if missing := lacking():
        give_up(missing)
    spark = start_spark(tmp_path_factory.mktemp("spark"))
    yield Oracle(spark)
    spark.stop()
