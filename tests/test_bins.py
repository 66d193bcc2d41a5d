"""Rows grouped by counting are grouped as Polars groups them, and in that order."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streamnb as sn
from streamnb import bins
from streamnb.bins import Bins, whole_numbers

SMALL = st.integers(-2, 2)
ROWS = st.lists(st.tuples(SMALL, SMALL, st.integers(-(2**62), 2**62)), min_size=4, max_size=40)


@settings(deadline=None, derandomize=True, max_examples=60, database=None)
@given(ROWS)
def test_groups_come_in_order_of_their_first_rows_with_sizes_and_exact_sums(rows: list[tuple[int, int, int]]) -> None:
    frame = pl.DataFrame(rows, ["a", "b", "v"], orient="row")
    by_both = Bins.by([frame["a"].to_numpy(), frame["b"].to_numpy()])
    assert by_both is not None
    expected = frame.group_by("a", "b", maintain_order=True).agg(n=pl.len().cast(pl.Int64), v=pl.col("v").sum())
    found = frame[by_both.first].select("a", "b").with_columns(n=by_both.sizes, v=by_both.sums(frame["v"]))
    assert found.equals(expected)


def test_few_numbers_far_apart_are_counted_in_order_of_size() -> None:
    far = Bins.by([np.array([2**61, -5, 2**61, 7, -5])])
    assert far is not None
    assert far.count == 3
    assert far.first.tolist() == [0, 1, 3]
    assert far.sizes.to_list() == [2, 2, 1]


def test_numbers_too_far_apart_are_not_counted() -> None:
    assert Bins.by([np.array([0, 2**62])]) is None
    assert Bins.by([np.array([-(2**63), 2**63 - 1])]) is None


@pytest.mark.parametrize("values", [["a"], [1.0], [True], [1, None]])
def test_what_is_no_whole_number_or_null_is_not_counted(values: list[object]) -> None:
    assert whole_numbers(pl.Series(values)) is None


@pytest.mark.parametrize("slide", [None, "4 seconds"])
@pytest.mark.parametrize("mode", ["append", "update", "complete"])
def test_a_query_gives_out_the_same_counted_sorted_or_hashed(
    mode: str, slide: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(5)
    at = np.arange(600) * 100_000 - rng.integers(0, 9_000_000, 600) + 10**15
    rows = pl.DataFrame(
        {
            "at": pl.Series(at).cast(pl.Datetime("us")),
            "k": rng.integers(0, 4, 600),
            "v": rng.integers(0, 2**40, 600) / 8,
        }
    )

    def emitted(way: str) -> list[pd.DataFrame]:
        monkeypatch.setattr(bins, "_FEW", 10_000 if way == "counted" else 0)
        monkeypatch.setattr(bins, "_SORTED", 10_000 if way == "sorted" else 0)
        monkeypatch.setattr(bins, "_SPARSE", 0)
        frame = sn.from_pandas(rows, rows=100).with_watermark("at", "3 seconds")
        groups = frame.group_by(sn.window("at", "10 seconds", slide), "k")
        query = groups.agg(n=sn.count(), total=sn.sum("v"), whole=sn.sum("k"), mean=sn.mean("v")).query(mode).run()
        return query.emitted

    for counted, by_rank, hashed in zip(emitted("counted"), emitted("sorted"), emitted("hashed"), strict=True):
        assert counted.equals(hashed)
        assert by_rank.equals(hashed)
