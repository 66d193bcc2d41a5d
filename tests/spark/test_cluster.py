"""A cluster: a master and two workers on loopback, reached through Spark Connect; one worker is killed on the way."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import threading

import pandas as pd
import pytest

from streamnb.spark.session import lacking
from tests.lacking import give_up
from tests.spark.cluster import cluster
from tests.spark.kernel import hourly

pytestmark = pytest.mark.spark
START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC).replace(tzinfo=None)


@pytest.fixture(scope="module")
def spark_cluster(tmp_path_factory):
    if missing := lacking():
        give_up(missing)
    with cluster(tmp_path_factory.mktemp("cluster")) as started:
        yield started


class Kernel:
    """A process of its own, with no Java in it."""

    def __init__(self, address, folder):
        command = [sys.executable, "-m", "tests.spark.kernel", address, str(folder)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def go(self):
        """Have it process all that is there."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def said(self, seconds=300):
        """Return what it says when it is done; if that does not come in time it is ended, and says nothing."""
        assert self.process.stdout is not None
        limit = threading.Timer(seconds, self.process.kill)
        limit.start()
        line = self.process.stdout.readline()
        limit.cancel()
        assert line, f"the kernel ended: {self.process.poll()}"
        return json.loads(line)

    def end(self):
        said, _ = self.process.communicate(timeout=300)
        return json.loads(said)


def feed(folder, numbers):
    """Write one file a number: a minute of clicks each, with one that comes a minute late and one far too late."""
    for n in numbers:
        rows = [(60 * n + s, f"user {s % 3}", s) for s in range(0, 60, 7)] + [(60 * (n - 1) + 50, "user 1", 1)]
        rows += [(0, "user 9", 1)] if n > 3 else []
        lines = [{"at": str(START + dt.timedelta(seconds=t)), "user": user, "n": n} for t, user, n in rows if t >= 0]
        path = folder / f"{n:02}.jsonl"
        path.with_suffix(".tmp").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        os.utime(path.with_suffix(".tmp"), (1_700_000_000 + n, 1_700_000_000 + n))
        path.with_suffix(".tmp").rename(path)


def test_a_worker_is_killed_and_the_result_is_ours(spark_cluster, tmp_path):
    """The driver runs in the cluster's Connect server; this test's kernel has no Java at all."""
    folder = tmp_path / "in"
    folder.mkdir()
    feed(folder, range(4))
    kernel = Kernel(spark_cluster.address, tmp_path)
    try:
        kernel.go()
        before = kernel.said()
        feed(folder, range(4, 8))
        kernel.go()
        spark_cluster.workers[0].kill()
        after = kernel.said()
        told = kernel.end()
    finally:
        kernel.process.kill()
    assert before["batches"] < after["batches"]
    assert (told["programs"], told["failed"]) == ([], "")
    assert told["compared"].startswith("compare: Spark Connect has no way to give a query its batches one by one")
    ours = hourly(folder).query().run()
    assert pd.Timestamp(after["watermark"]).tz_localize(None) == ours.watermark
    keys = ["window_start", "window_end", "user"]
    theirs = pd.concat([pd.read_parquet(path) for path in (tmp_path / "out").glob("*.parquet")])
    theirs = theirs.assign(**{name: theirs[name].dt.tz_localize(None) for name in keys[:2]})
    pd.testing.assert_frame_equal(
        theirs.sort_values(keys, ignore_index=True), ours.result.sort_values(keys, ignore_index=True), check_dtype=False
    )
    assert len(ours.late) == 4
    assert len(theirs) > 15
