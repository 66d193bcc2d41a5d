"""The stream beside the batch: they agree just where nothing was dropped, forgotten or kept back."""

from __future__ import annotations

import pandas as pd
import polars as pl
import pytest

import streamnb as sn
from streamnb.answers.cards import table_html
from tests.answers.seen import CASES
from tests.laws import bag


def hourly(mode: str = "append") -> sn.Query:
    landings = sn.data.landings("JFK", "2013-02-08").with_watermark("dep", "3 hours")
    return landings.group_by(sn.window("dep", "1 hour")).agg(n=sn.count()).query(mode).run()


def test_every_difference_of_the_flights_has_its_cause():
    query = hourly()
    twin = query.compare_with_batch()
    late = [d for d in twin.differences if d.cause == "late"]
    assert sum(len(d.rows) for d in late) == len(query.late) == 23
    assert all(d.batch["n"] - d.stream["n"] == len(d.rows) for d in late if d.batch and d.stream)
    held = [d for d in twin.differences if d.cause == "not final"]
    assert [d.batch["window_start"] for d in held if d.batch] == query.state["window_start"].tolist()
    assert twin.causes == {"late": 6, "not final": 4}
    assert "6 rows: rows were dropped as late" in repr(twin)


def test_complete_mode_agrees():
    assert hourly("complete").compare_with_batch().equal


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_they_agree_just_where_the_results_are_equal(case):
    query, sources = case.played()
    twin = query.compare_with_batch()
    batch = pl.from_pandas(case.frame(*map(sn.stream, sources)).collect())
    stream = pl.from_pandas(query.result)
    same = bag(batch.to_dicts(), batch.columns) == bag(stream.to_dicts(), batch.columns)
    assert twin.equal == same
    assert twin.same <= min(len(batch), len(stream))
    assert "unknown" not in twin.causes


def test_a_changing_row_that_a_filter_had_let_pass_stays():
    rows = sn.MemorySource({"k": "string"})
    query = sn.stream(rows).group_by("k").agg(n=sn.count()).filter(sn.col("n") < 2).query("update")
    for _ in range(2):
        rows.add([{"k": "a"}])
        query.step()
    (difference,) = query.compare_with_batch().differences
    assert (difference.kind, difference.cause) == ("extra", "mode")


def test_a_duplicate_after_the_first_was_forgotten():
    rows = sn.MemorySource({"ts": "datetime", "k": "string"})
    once = sn.stream(rows).with_watermark("ts", "1 min").drop_duplicates_within_watermark(["k"])
    query = once.query()
    for at in ("00:00", "00:10", "00:11"):
        rows.add([{"ts": f"2024-01-01 {at}", "k": "a"}])
        query.run()
    assert query.compare_with_batch().causes == {"forgotten": 1}


def test_a_query_that_went_on_from_a_checkpoint_says_what_is_not_compared(tmp_path):
    rows = sn.MemorySource({"k": "string"})
    for _ in range(2):
        rows.add([{"k": "a"}])
        query = sn.stream(rows).group_by("k").agg(n=sn.count()).query("update", checkpoint=tmp_path).run()
        twin, told = query.compare_with_batch(), query.why(query.result.iloc[0])
        query.stop()
    assert "checkpoint" in twin.note
    assert "before this run" in told.note


def test_a_table_of_a_card_begins_words_at_the_left_and_ends_numbers_at_the_right():
    page = table_html(pd.DataFrame({"who": ["<td>", None], "n": [1, 2]}))
    assert page.count("<td style='text-align:left'>") == page.count("<td style='text-align:right'>") == 2
    assert page.count("<td") == 4
    assert "&lt;td&gt;" in page
    assert table_html(pd.DataFrame({"who": ["ann"]}), head=False).count("<th") == 0
    assert "<td" not in table_html(pd.DataFrame({"who": []}))
