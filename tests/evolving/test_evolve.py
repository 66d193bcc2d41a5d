"""Another logic takes over at a batch boundary: what is kept, what is converted, what is refused, what is rebuilt."""

from __future__ import annotations

import polars as pl
import pytest

import streamnb as sn
from tests.evolving.rows import SCHEMA, feed, source, told, windows

KEPT = {
    "a wider filter": {"least": -5},
    "a longer delay": {"delay": "30 seconds"},
    "a shorter delay": {"delay": "1 second"},
}
REFUSED = {
    "a shorter window": {"size": "5 seconds"},
    "a longer window": {"size": "20 seconds"},
    "another aggregate": {"n": sn.count(), "total": sn.max("v")},
    "an added aggregate": {"n": sn.count(), "total": sn.sum("v"), "most": sn.max("v")},
}


def changed_key(src):
    return sn.stream(src).with_watermark("at", "5 seconds").group_by(sn.window("at", "10 seconds")).agg(n=sn.count())


@pytest.mark.parametrize("change", KEPT.values(), ids=KEPT)
def test_state_is_kept_and_nothing_is_read_again(change):
    src = source(4)
    query = windows(src).query().run()
    before = query.state
    evolution = query.evolve(windows(src, **change))
    assert [verdict.fate for verdict in evolution.verdicts] == ["kept"]
    assert evolution.rows_read == 0
    assert query.state.equals(before)


@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED)
def test_what_would_be_wrong_in_silence_is_refused(change):
    src = source(4)
    query = windows(src).query().run()
    with pytest.raises(sn.PlanError, match="rebuild=True") as caught:
        query.evolve(windows(src, **change))
    assert caught.value.code == "EVOLVE_STATE"
    feed(src, 2)
    assert list(query.run().result.columns) == ["window_start", "window_end", "card", "n", "total"]


@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED)
def test_rebuilt_it_goes_on_as_if_it_had_run_from_the_start(change):
    src = source(6)
    query = windows(src).query().run()
    last = query.trace[-1].batch_id
    assert query.evolve(windows(src, **change), rebuild=True).rows_read == 12
    feed(src, 6)
    alone = windows(src, **change).query().run()
    query.run()
    assert told(query, last) == told(alone, last) != []


def test_a_changed_key_is_refused_and_rebuilt():
    src = source(6)
    query = windows(src).query().run()
    last = query.trace[-1].batch_id
    with pytest.raises(sn.PlanError, match="grouped by a window, card"):
        query.evolve(changed_key(src))
    query.evolve(changed_key(src), rebuild=True)
    feed(src, 6)
    alone = changed_key(src).query().run()
    query.run()
    assert told(query, last) == told(alone, last) != []


def test_an_aggregate_left_out_is_converted():
    src = source(6)
    query = windows(src).query().run()
    last = query.trace[-1].batch_id
    evolution = query.evolve(windows(src, total=sn.sum("v")))
    assert [verdict.fate for verdict in evolution.verdicts] == ["converted"]
    feed(src, 6)
    alone = windows(src, total=sn.sum("v")).query().run()
    query.run()
    assert told(query, last) == told(alone, last)


def test_an_aggregate_is_renamed_with_what_it_holds():
    src = source(6)
    query = windows(src, n=sn.count(), mean=sn.mean("v")).query().run()
    last = query.trace[-1].batch_id
    query.evolve(windows(src, middle=sn.mean("v")))
    feed(src, 6)
    alone = windows(src, middle=sn.mean("v")).query().run()
    query.run()
    assert told(query, last) == told(alone, last)


def test_a_plan_changes_nothing():
    src = source(4)
    query = windows(src).query().run()
    plan = query.evolve(windows(src, size="5 seconds"), dry_run=True)
    assert [verdict.fate for verdict in plan.refused] == ["rebuilt"]
    assert "cannot be kept" in repr(plan)
    assert "streamnb-card" in plan._repr_html_()
    assert query.evolve(windows(src, least=3), dry_run=True).done is False
    assert query.plan.walk() is not None
    assert "5 seconds" not in query.explain().split("window")[1]


def test_a_stateless_query_changes_at_the_boundary():
    src = source(2)
    query = sn.stream(src).filter(sn.col("v") > 5).query().run()
    query.evolve(sn.stream(src).filter(sn.col("v") >= 0).with_columns(double=sn.col("v") * 2))
    feed(src, 1)
    query.run()
    assert query.result["v"].tolist() == [10, 2, 20]
    assert query.result["double"].tolist()[1:] == [4.0, 40.0]


def test_before_the_first_batch_anything_goes():
    src = source()
    query = windows(src).query()
    query.evolve(changed_key(src))
    feed(src, 6)
    assert told(query.run()) == told(changed_key(src).query().run())


def test_a_new_sink_begins_where_the_change_was(tmp_path):
    src = source(6)
    options = {"sink": sn.sinks.SQLite(tmp_path / "a.db", "out"), "checkpoint": tmp_path / "checkpoint"}
    query = windows(src).query(**options).run()
    last = query.trace[-1].batch_id
    query.evolve(windows(src), sink=sn.sinks.SQLite(tmp_path / "b.db", "out"))
    feed(src, 6)
    query.run()
    new = told(query, last)
    query.stop()
    again = windows(src).query(sink=sn.sinks.SQLite(tmp_path / "b.db", "out"), checkpoint=tmp_path / "checkpoint")
    feed(src, 2)
    again.run()
    again.stop()
    import sqlite3

    with sqlite3.connect(tmp_path / "b.db") as db:
        (count,) = db.execute("SELECT count(*) FROM out").fetchone()
    assert count == len(new) + len(again.result)


class _Counted(sn.MemorySource):
    rows_read = 0

    def read(self, start, end):
        found = super().read(start, end)
        self.rows_read += len(found)
        return found


def test_a_million_keys_are_kept_without_reading_anything_again():
    src = _Counted({"key": "int64", "v": "int64"})
    keys = pl.int_range(1_000_000, eager=True)
    src.add(pl.DataFrame({"key": keys, "v": keys}))
    sums = sn.stream(src).group_by("key").agg(total=sn.sum("v"))
    query = sums.query("update").run()
    read = src.rows_read
    wider = sn.stream(src).filter(sn.col("v") != 7).group_by("key").agg(total=sn.sum("v"))
    query.evolve(wider)
    src.add({"key": [5, 6], "v": [1, 7]})
    query.step()
    assert src.rows_read == read + 2
    assert query.emitted[-1].to_dict("list") == {"key": [5], "total": [6]}
    assert query.progress[-1].state_operators[0].num_rows_total == 1_000_000


def test_other_sources_are_refused():
    query = windows(source(2)).query().run()
    with pytest.raises(sn.PlanError, match="over the same sources") as caught:
        query.evolve(windows(source(2)))
    assert caught.value.code == "EVOLVE_SOURCES"


class _Forgetful(sn.MemorySource):
    gone = False

    def read(self, start, end):
        return super().read(max(start or 0, 3), end) if self.gone else super().read(start, end)


def test_input_that_is_gone_cannot_be_rebuilt():
    src = _Forgetful(SCHEMA)
    feed(src, 4)
    query = windows(src).query().run()
    src.gone = True
    with pytest.raises(sn.QueryError, match="batch 0 had 2 rows and the source now gives 0"):
        query.evolve(windows(src, size="5 seconds"), rebuild=True)
    feed(src, 2)
    assert len(query.run().result) > 0


def test_rewinding_goes_back_to_the_change():
    src = source(4)
    query = windows(src).query().run()
    last = query.trace[-1].batch_id
    query.evolve(windows(src, least=3))
    feed(src, 4)
    first = told(query.run())
    query.rewind(to=last)
    assert told(query.run()) == first
    with pytest.raises(sn.QueryError, match=f"batches {last} to"):
        query.rewind(to=last - 1)


def test_a_function_that_fails_can_be_taken_out():
    def broken(frame):
        return frame.assign(v=frame["nothing"])

    src = source(2)
    query = sn.stream(src).map_batches(broken, SCHEMA).query()
    with pytest.raises(sn.QueryError, match="nothing"):
        query.run()
    query.evolve(sn.stream(src).map_batches(lambda frame: frame, SCHEMA))
    assert len(query.run().result) == 4


def test_why_tells_of_the_logic_that_decided():
    src = source(3)
    query = sn.stream(src).filter(sn.col("v") > 100).query().run()
    query.evolve(sn.stream(src).filter(sn.col("v") > 1))
    feed(src, 1)
    query.run()
    assert "kept" in repr(query.why({"v": 30})) or "result" in repr(query.why({"v": 30}))


def test_the_batches_of_the_old_logic_can_still_be_looked_at(tmp_path):
    src = source(6)
    query = windows(src).query().run()
    last, before = query.trace[-1].batch_id, query.state_at(3)
    query.evolve(windows(src, size="5 seconds"), rebuild=True)
    feed(src, 4)
    query.run()
    assert query.state_at(3).equals(before)
    assert query.state_at(last).equals(query.state_at(last))
    assert sn.save_html(query, tmp_path / "page.html").exists()


def test_a_query_that_plays_changes_between_two_batches():
    src = source(40)
    query = sn.stream(src).with_columns(rule=sn.lit("old")).query().play(every="1ms")
    query.evolve(sn.stream(src).with_columns(rule=sn.lit("new")))
    query.pause()
    query.run()
    assert len(query.result) == 80
    assert all(rows["rule"].nunique() == 1 for rows in query.emitted)


def test_an_evolved_query_is_not_compared_with_spark():
    src = source(2)
    query = windows(src).query().run()
    query.evolve(windows(src, least=1))
    with pytest.raises(sn.QueryError, match="changed on its way"):
        sn.compare(query, None)
