"""Two runs over the same batches: which rows differ, and what made them."""

from __future__ import annotations

import pytest

import streamnb as sn
from tests.evolving.rows import feed, source, windows


def small(over, least):
    return sn.stream(over).filter(sn.col("v") > least)


def test_two_runs_of_one_logic_agree():
    query = windows(source(8)).query().run()
    told = sn.diff(query, query.fork(at_batch=2).run())
    assert told.equal
    assert told.batches == (3, 8)
    assert "agree" in repr(told)


def test_a_filter_is_named_with_the_rows_it_left_out():
    src = source(4)
    query = small(src, 0).query().run()
    told = sn.diff(query, query.fork(at_batch=-1, query=small(src, 15)).run())
    assert told.table["what"].tolist() == ["only a"] * 4
    assert set(told.causes) == {"b: 1 row left out by filter v > 15"}
    assert told.same == 2


def test_a_group_that_lacks_rows_differs():
    src = source(8)
    query = windows(src).query().run()
    told = sn.diff(query, query.fork(at_batch=-1, query=windows(src, least=5)).run())
    differs = [d for d in told.differences if d.what == "differs"]
    assert [d.cause for d in differs] == ["b: 1 row left out by filter v >= 5"] * len(differs) != []
    assert len(told.differences[0].ids) >= 1


def test_what_was_late_for_one_alone_is_said():
    src = source(6)
    src.add([{"at": "2026-01-01 00:00:02", "card": "ann", "v": 1}])
    feed(src, 4)
    query = windows(src, delay="0 seconds").query().run()
    told = sn.diff(query, query.fork(at_batch=-1, query=windows(src, delay="1 minute")).run())
    assert "b: 2 rows still held" in told.causes
    patient = query.fork(at_batch=-1, query=windows(src, delay="25 seconds"))
    feed(src, 8)
    query.run()
    assert "a: 1 row late" in sn.diff(query, patient.run()).causes


def test_what_is_computed_otherwise_is_quoted():
    src = source(2)
    query = sn.stream(src).with_columns(double=sn.col("v") * 2).query().run()
    other = sn.stream(src).with_columns(double=sn.col("v") * 3)
    told = sn.diff(query, query.fork(at_batch=-1, query=other).run())
    assert told.causes == {"computed otherwise: with_columns double=v * 2 → with_columns double=v * 3": 2}
    assert [d.what for d in told.differences] == ["differs"] * 2


def test_versions_of_rules_that_decided_are_named():
    src, limits = source(1), sn.rules("limits", [{"card": "ann", "most": 1}, {"card": "bob", "most": 1}])
    query = sn.stream(src).join(limits, on="card").query().run()
    other = sn.rules("limits", [{"card": "ann", "most": 2}, {"card": "bob", "most": 1}])
    told = sn.diff(query, query.fork(at_batch=-1, query=sn.stream(src).join(other, on="card")).run())
    assert len(told.differences) == 1


def test_queries_that_did_not_read_the_same_are_refused():
    one, two = small(source(2), 0).query().run(), small(source(3), 0).query(trigger="once").run()
    with pytest.raises(sn.QueryError, match="make the one by fork"):
        sn.diff(one, two)
    with pytest.raises(sn.QueryError, match="no batch in common"):
        sn.diff(one, one.fork())
