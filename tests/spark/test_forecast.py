"""forecast: keys go to the partitions that Spark sends them to; the rest is arithmetic, and says what it assumes."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pytest

import streamnb as sn
from streamnb.spark.murmur import hashes, partitions

KEYS = pl.DataFrame(
    {
        "text": ["", "a", "abcd", "ünïcödé", "a longer text, with 😀", None],
        "long": [0, 1, -1, 2**62, -(2**63), None],
        "int": pl.Series([0, 1, -1, 2**31 - 1, -(2**31), None], dtype=pl.Int32),
        "double": [0.0, -0.0, 1.5, float("nan"), float("-inf"), None],
        "float": pl.Series([0.0, -0.0, 1.5, float("nan"), 1e30, None], dtype=pl.Float32),
        "bool": [True, False, None, True, False, None],
        "date": [dt.date(1970, 1, 1), dt.date(2024, 2, 29), dt.date(1900, 1, 1), None, None, None],
        "at": [dt.datetime(1970, 1, 1), dt.datetime(2024, 1, 1, 0, 0, 0, 1), dt.datetime(1800, 1, 1), None, None, None],
        "bytes": [b"", b"\xff", b"\x80\x81\x82\x83\x84", None, b"a", b"ab"],
        "window": [{"start": dt.datetime(2024, 1, 1), "end": dt.datetime(2024, 1, 1, 1)}] * 5 + [None],
    }
)


@pytest.mark.spark
def test_a_hash_is_spark_s_own(oracle):
    from pyspark.sql import functions as sql

    naive = [n for n, t in KEYS.schema.items() if isinstance(t, pl.Datetime)]
    utc = KEYS.drop("window").with_columns(pl.col(naive).dt.replace_time_zone("UTC"))
    window = sql.struct(sql.lit("2024-01-01").cast("timestamp"), sql.lit("2024-01-01 01:00:00").cast("timestamp"))
    rows = oracle.spark.createDataFrame(utc.to_arrow())
    rows = rows.withColumn(
        "window", sql.when(sql.col("bytes") != sql.lit(b"ab"), window).when(sql.col("bytes").isNull(), window)
    )
    for columns in [*([name] for name in KEYS.columns), KEYS.columns]:
        theirs = [row[0] for row in rows.select(sql.hash(*columns)).collect()]
        assert hashes(KEYS.select(columns)).view(np.int32).tolist() == theirs, columns


def test_known_hashes_of_spark():
    assert hashes(pl.DataFrame({"n": pl.Series([1], dtype=pl.Int32)})).view(np.int32).tolist() == [-559580957]
    assert hashes(pl.DataFrame({"n": [1]})).view(np.int32).tolist() == [-1712319331]


def test_a_partition_is_never_negative():
    found = partitions(pl.DataFrame({"n": range(1000)}), 7)
    assert set(found) == set(range(7))


def test_lists_have_no_known_hash():
    with pytest.raises(sn.PlanError, match="whose hash is not known here"):
        hashes(pl.DataFrame({"xs": [[1]]}))


def skewed():
    """Return a query over 1,000 rows in 1,000 seconds, nine tenths of them of one user."""
    users = ["hot"] * 900 + [f"user {n}" for n in range(100)]
    times = pd.date_range("2024-01-01", periods=1000, freq="s")
    clicks = sn.from_pandas(pd.DataFrame({"at": times, "user": users}), rows=250)
    return clicks.with_watermark("at", "1 minute")


def test_the_hottest_partition_and_what_a_salt_does():
    query = skewed().group_by("user").agg(n=sn.count()).query("update").run()
    found = sn.forecast(query, partitions=50)
    table = found.partitions
    assert len(table) == 50
    assert table["rows"].sum() == 1000
    assert table["keys"].sum() == 101
    hot = partitions(pl.DataFrame({"user": ["hot"]}), 50)[0]
    assert table["rows"].idxmax() == hot
    assert found.hottest_share == table["share"].max() >= 0.9
    shares = found.salting["hottest_share"].tolist()
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] < 0.2
    assert found.salting["partitions_used"].between(40, 50).all()


def test_state_without_a_bound_grows_all_day_and_a_window_s_does_not():
    grows = sn.forecast(skewed().group_by("user").agg(n=sn.count()).query("update").run(), rate=1000).day
    assert grows["state_rows"].tolist() == [round(1000 * 0.101 * 3600 * hour) for hour in range(25)]
    windows = skewed().group_by(sn.window("at", "10 minutes"), "user").agg(n=sn.count())
    found = sn.forecast(windows.query().run(), rate=1000)
    assert found.day["state_rows"].iloc[1:].nunique() == 1
    assert found.day["state_rows"].iloc[-1] == round(660 * found.partitions["keys"].sum())
    assert "a key is kept for 11 minutes of event time" in found.assumptions


def test_a_window_is_part_of_what_rows_are_sent_by_and_a_session_is_not():
    windows = skewed().group_by(sn.window("at", "100 seconds"), "user").agg(n=sn.count()).query().run()
    assert sn.forecast(windows).salting["partitions_used"].iloc[0] > 60
    sessions = skewed().group_by(sn.session_window("at", "5 s"), "user").agg(n=sn.count()).query().run()
    assert sn.forecast(sessions).hottest_share >= 0.9


def test_other_operators_are_foretold_too():
    assert sn.forecast(skewed().drop_duplicates(["user"]).query().run(), 10).partitions["keys"].sum() == 101
    other = skewed().rename({"at": "t"})
    pairs = skewed().join(other, on="user", within=sn.between("t", after="0s", before="1 s", of="at"))
    assert sn.forecast(pairs.query().run(), 10).partitions["rows"].sum() == 2000


def test_it_is_labelled_with_what_it_assumes():
    found = sn.forecast(skewed().group_by("user").agg(n=sn.count()).query("update").run())
    assert repr(found).startswith("Forecast: ")
    assert "1 rows a second, the recorded rows over their 16 minutes 39 seconds of event time" in repr(found)


def test_shares_are_of_all_rows_the_largest_first():
    found = sn.forecast(skewed().group_by("user").agg(n=sn.count()).query("update").run(), 10)
    assert found.shares() == sorted(found.shares(), reverse=True)
    assert sum(found.shares(4)) == pytest.approx(1)
    assert found.shares(16)[0] < found.shares()[0] == found.hottest_share
    assert len(found.over(7).partitions) == 7


def test_without_keys_or_rows_there_is_nothing_to_foretell():
    with pytest.raises(sn.PlanError, match="no operator with keys"):
        sn.forecast(skewed().query().run())
    with pytest.raises(sn.PlanError, match="partitions=0"):
        sn.forecast(skewed().query(), partitions=0)
    with pytest.raises(sn.QueryError, match="has read no rows"):
        sn.forecast(skewed().group_by("user").agg(n=sn.count()).query("update"))
