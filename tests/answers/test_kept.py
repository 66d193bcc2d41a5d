"""State a page at a time, what changed between two batches, and who holds the watermark back."""

from __future__ import annotations

import pandas as pd
import pytest

import streamnb as sn
from streamnb.errors import ColumnNotFoundError, PlanError, QueryError
from tests.answers.seen import CASES


@pytest.fixture
def rows() -> sn.MemorySource:
    return sn.MemorySource({"ts": "datetime", "k": "string"})


def windowed(rows: sn.MemorySource, mode: str = "append") -> sn.Query:
    marked = sn.stream(rows).with_watermark("ts", "10 minutes")
    return marked.group_by(sn.window("ts", "1 hour"), "k").agg(n=sn.count()).query(mode)


def give(query: sn.Query, rows: sn.MemorySource, *pairs: tuple[str, str]) -> None:
    rows.add([{"ts": f"2024-01-01 {at}", "k": key} for at, key in pairs])
    query.step()


def test_new_changed_and_about_to_end(rows):
    query = windowed(rows)
    give(query, rows, ("12:00", "a"), ("12:10", "b"))
    give(query, rows, ("12:20", "a"), ("13:05", "c"), ("13:15", "a"))
    page = query.state_page()
    told = {(r["window_start"].hour, r["k"]): i for i, r in enumerate(page.rows.to_dicts())}
    signs = {key: page.signs[i] for key, i in told.items()}
    assert signs == {(12, "a"): "changed", (12, "b"): "", (13, "c"): "new", (13, "a"): "new"}
    before = page.before[told[12, "a"]]
    assert before is not None
    assert before["n"] == 1
    assert {key: page.ends_next[i] for key, i in told.items()} == {key: key[0] == 12 for key in told}
    assert (page.total, page.new, page.changed, page.ending, page.removed) == (4, 2, 1, 2, 0)
    assert page.words[told[13, "c"]].endswith("after a row of 14:10")
    query.step()
    page = query.state_page()
    assert (page.total, page.removed, sorted(page.gone["k"])) == (2, 2, ["a", "b"])


def test_pages_are_sorted_filtered_and_cut(rows):
    query = sn.stream(rows).group_by("k").agg(n=sn.count()).query("update")
    rows.add([{"k": f"{n:03}"} for n in range(100) for _ in range(n % 7)])
    query.run()
    page = query.state_page(sort="n", descending=True, offset=10, limit=5)
    assert page.rows["n"].to_list() == [6, 6, 6, 6, 5]
    assert query.state_page(filter=sn.col("n") == 3).matched == 14
    assert query.state_page(filter={"k": "017"}).rows["n"].to_list() == [3]
    assert query.state_page(filter="017").matched == 1
    assert query.state_page(offset=1_000).rows.is_empty()
    with pytest.raises(ColumnNotFoundError):
        query.state_page(sort="m")
    with pytest.raises(PlanError, match="group_by"):
        query.state_page("join")


def test_a_page_of_an_earlier_batch_is_what_was_there(rows):
    query = windowed(rows, "update")
    for number in range(4):
        give(query, rows, ("12:00", "a"), (f"12:0{number}", f"k{number}"))
    for batch in range(4):
        page = query.state_page(batch=batch, touched=True)
        assert sorted(page.rows["k"]) == ["a", f"k{batch}"]
        assert dict(zip(page.rows["k"], page.signs, strict=True)) == {
            "a": "changed" if batch else "new",
            f"k{batch}": "new",
        }
        assert query.state_page(batch=batch).total == len(query.state_at(batch))
    with pytest.raises(QueryError):
        query.state_page(batch=9)


def test_what_never_ends_says_why(rows):
    query = windowed(rows, "complete")
    give(query, rows, ("12:00", "a"))
    assert query.state_page().words == ("never: complete mode keeps every group",)
    keyed = sn.stream(rows).group_by("k").agg(n=sn.count()).query("update").run()
    assert keyed.state_page().words[0].startswith("never: nothing in its key")


def test_size_with_and_without_forgetting(rows):
    query = windowed(rows)
    for hour in range(10, 16):
        give(query, rows, (f"{hour}:30", "a"), (f"{hour}:40", "b"))
    query.run()
    sizes = query.state_sizes()
    assert sizes[-1].ever == 12
    assert sizes[-1].keys == len(query.state) < 12
    assert [size.keys for size in sizes] == [trace.steps[0].num_rows_total for trace in query.trace]
    query.rewind(to=2)
    assert len(query.state_sizes()) == 3


@pytest.mark.parametrize("case", CASES[7:], ids=[case.name for case in CASES[7:]])
def test_the_difference_of_two_batches_makes_one_of_the_other(case):
    query, _ = case.played()
    last = query.trace[-1].batch_id
    diff = query.diff(last // 2, last)
    before, after = query.state_at(last // 2), query.state_at(last)
    change = sum((rows.iloc[:, 0] == "new").sum() - (rows.iloc[:, 0] == "gone").sum() for rows in diff.state.values())
    told = list(diff.state)
    assert list(query.state_operators()) == told
    if told:
        assert len(after) - len(before) == change
    assert diff.result.empty or set(diff.result.iloc[:, 0]) <= {"new", "changed", "gone"}
    assert all(query.diff(last, last).state[name].empty for name in told)
    for name in told:
        page = query.state_page(name, limit=10_000)
        assert len(page.rows) == len(page.words) == page.total
        assert query.state_sizes(name)[-1].ever >= page.total


def test_diff_says_old_and_new(rows):
    query = sn.stream(rows).group_by("k").agg(n=sn.count()).query("update")
    for keys in ("ab", "ac"):
        rows.add([{"k": key} for key in keys])
        query.step()
    told = query.diff(0, 1)
    assert told.result[["change", "k", "n"]].to_numpy().tolist() == [["new", "c", 1], ["changed", "a", 2]]
    assert told.result["n_before"].tolist()[1] == 1
    assert "1 row new, 1 row changed" in told.title
    assert len(query.diff(-1, 1).result) == 3


def test_who_holds_the_watermark_back_and_since_when(rows):
    other = sn.MemorySource({"ts": "datetime", "k": "string"})
    left, right = (sn.stream(s).with_watermark("ts", d) for s, d in ((rows, "10 minutes"), (other, "0s")))
    query = left.union(right).query()
    assert query.watermarks.empty
    for mine, theirs in (("12:00", None), ("12:30", "12:25"), ("12:31", "12:10"), ("13:00", None)):
        rows.add([{"ts": f"2024-01-01 {mine}", "k": mine}])
        other.add([{"ts": f"2024-01-01 {theirs}", "k": theirs}] if theirs else [])
        query.step()
    table = query.watermarks
    assert table["holds"].tolist() == [False, True]
    assert table["watermark"].dt.strftime("%H:%M").tolist() == ["12:50", "12:25"]
    assert table["since_batch"].tolist()[1] == 3
    assert table["set_in"].tolist() == [3, 1]
    assert table["set_by"].tolist() == ["k=13:00", "k=12:25"]
    assert query.watermark == pd.Timestamp("2024-01-01 12:25")


def test_state_at_a_batch_that_is_not_there_says_so(rows):
    with pytest.raises(QueryError, match="batch 7 is not there"):
        windowed(rows).state_at(7)
