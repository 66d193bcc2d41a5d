"""Where Spark bounds state, so do we: ten thousand batches, and the tables are as large as after the first thousand."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

import streamnb as sn

BATCHES = 10_000


def events(seed: int, suffix: str = "") -> sn.StreamFrame:
    """Return two rows a batch, a second apart, a little out of order, of many keys."""
    rng = np.random.default_rng(seed)
    seconds = np.arange(2 * BATCHES) - rng.integers(0, 4, 2 * BATCHES)
    rows = pl.DataFrame(
        {
            f"at{suffix}": pl.Series(seconds * 1_000_000 + 10**15).cast(pl.Datetime("us")),
            "key": rng.integers(0, 50, 2 * BATCHES),
            f"id{suffix}": np.arange(2 * BATCHES),
        }
    )
    return sn.from_pandas(rows, rows=2).with_watermark(f"at{suffix}", "10 seconds")


PROGRAMS: dict[str, Callable[[], sn.StreamFrame]] = {
    "window": lambda: events(1).group_by(sn.window("at", "10 seconds"), "key").agg(n=sn.count()),
    "drop_duplicates": lambda: events(1).drop_duplicates(["at", "key"]),
    "drop_duplicates_within_watermark": lambda: events(1).drop_duplicates_within_watermark(["id"]),
    "session": lambda: events(1).group_by(sn.session_window("at", "5 seconds"), "key").agg(n=sn.count()),
    "join": lambda: events(1).join(
        events(2, "2"), on="key", how="left", within=sn.between("at2", after="0s", before="5 seconds", of="at")
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_ten_thousand_batches_keep_the_state_as_it_was(name: str):
    query = PROGRAMS[name]().query()
    sizes = []
    for _ in range(BATCHES):
        assert query.step() is not None
        sizes.append((sum(map(len, query._tables)), sum(table.nbytes for table in query._tables)))
    rows, held = np.array(sizes[BATCHES // 10 :]).T
    early_rows, early_held = np.array(sizes[: BATCHES // 10]).T
    assert rows.max() <= 2 * early_rows.max()
    assert held.max() <= 2 * early_held.max()


def calls_of(work: Callable[[], object]) -> int:
    """Return how many Python functions something calls."""
    count = 0

    def called(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(called)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def test_a_batch_asks_nothing_of_those_before_it():
    source = sn.MemorySource({"at": "datetime", "key": "string"})
    query = sn.stream(source).with_watermark("at", "10 seconds").group_by("key").agg(n=sn.count()).query("update")

    def feed(batches: int) -> None:
        for _ in range(batches):
            source.add([{"at": "2026-01-01 00:00:01", "key": "a"}])
            query.step()

    feed(10)
    early = calls_of(lambda: feed(10))
    feed(2000)
    assert calls_of(lambda: feed(10)) < 1.2 * early
