"""A checkpoint whose query has become another one: before, across and after a restart."""

from __future__ import annotations

import pytest

import streamnb as sn
from tests.evolving.rows import feed, source, told, windows


def test_it_goes_on_with_the_logic_that_took_over(tmp_path):
    src = source(6)
    query = windows(src).query(checkpoint=tmp_path).run()
    query.evolve(windows(src, total=sn.sum("v")))
    feed(src, 3)
    state = query.run().state
    query.stop()
    again = windows(src, total=sn.sum("v")).query(checkpoint=tmp_path)
    assert again.state.equals(state)


def test_the_query_that_was_replaced_is_refused(tmp_path):
    src = source(6)
    query = windows(src).query(checkpoint=tmp_path).run()
    query.evolve(windows(src, least=3))
    query.stop()
    with pytest.raises(sn.PlanError, match="another logic took over") as caught:
        windows(src).query(checkpoint=tmp_path)
    assert caught.value.code == "CHECKPOINT_EVOLVED"
    back = windows(src).query(checkpoint=tmp_path, evolve=True)
    assert back.evolved is not None
    assert [verdict.fate for verdict in back.evolved.verdicts] == ["kept"]


@pytest.mark.parametrize("aggregates", [{"total": sn.sum("v")}, {}], ids=["converted", "kept"])
def test_it_evolves_across_a_restart(tmp_path, aggregates):
    src = source(6)
    query = windows(src).query(checkpoint=tmp_path).run()
    last = query.trace[-1].batch_id
    query.stop()
    query = windows(src, **aggregates).query(checkpoint=tmp_path, evolve=True)
    feed(src, 6)
    alone = windows(src, **aggregates).query().run()
    assert told(query.run()) == told(alone, last)


def test_it_is_rebuilt_across_a_restart(tmp_path):
    src = source(6)
    query = windows(src).query(checkpoint=tmp_path).run()
    last = query.trace[-1].batch_id
    query.stop()
    with pytest.raises(sn.PlanError, match="cannot be parted"):
        windows(src, size="5 seconds").query(checkpoint=tmp_path, evolve=True)
    query = windows(src, size="5 seconds").query(checkpoint=tmp_path, evolve="rebuild")
    assert query.evolved is not None
    assert query.evolved.rows_read == 12
    feed(src, 6)
    alone = windows(src, size="5 seconds").query().run()
    assert told(query.run()) == told(alone, last) != []


def test_the_log_says_which_logic_decided_from_when_on(tmp_path):
    src = source(3)
    query = windows(src).query(checkpoint=tmp_path).run()
    query.evolve(windows(src, least=3))
    feed(src, 1)
    query.run()
    query.stop()
    windows(src, least=4).query(checkpoint=tmp_path).stop()
    found = sn.recover(tmp_path)
    assert found.logics["how"].tolist() == ["start", "evolve", "restart"]
    assert found.logics["from_batch"].is_monotonic_increasing
    assert "took" not in repr(found)
    assert len(found.state[0]) == len(query.state)


def test_a_batch_that_was_begun_is_finished_first(tmp_path):
    src, handed = source(3), []

    def sink(_, batch_id):
        handed.append(batch_id)
        if batch_id == 2 and handed.count(2) == 1:
            raise OSError("gone")

    query = sn.stream(src).query(sink=sink, checkpoint=tmp_path)
    with pytest.raises(sn.QueryError, match="gone"):
        query.run()
    query.evolve(sn.stream(src).filter(sn.col("v") < 0))
    assert handed == [0, 1, 2, 2]
    assert len(query.result) == 6


def test_a_batch_of_the_logic_before_must_be_finished_by_it(tmp_path):
    src = source(2)

    def sink(*_):
        raise OSError("gone")

    query = windows(src).query(sink=sink, checkpoint=tmp_path)
    with pytest.raises(sn.QueryError):
        query.run()
    query.stop()
    with pytest.raises(sn.CheckpointError, match="begun by the logic before"):
        windows(src, least=1).query(checkpoint=tmp_path, evolve=True)


def test_what_a_column_is_computed_by_is_logic_too(tmp_path):
    src = source(2)
    query = sn.stream(src).with_columns(more=sn.col("v") + 1).query(checkpoint=tmp_path).run()
    evolution = query.evolve(sn.stream(src).with_columns(more=sn.col("v") + 2))
    assert "was with_columns more=v + 1, is with_columns more=v + 2" in repr(evolution)
    query.stop()
    with pytest.raises(sn.PlanError, match=r"another logic took over from this query: with_columns more=v \+ 2"):
        sn.stream(src).with_columns(more=sn.col("v") + 1).query(checkpoint=tmp_path)


def test_another_value_of_a_param_is_no_other_logic(tmp_path):
    src, least = source(2), sn.param("least_restarted", 0)
    above = sn.stream(src).filter(sn.col("v") > least).with_columns(by=least + 1)
    for value in (0, 15, 0, 15):
        least.set(value)
        above.query(checkpoint=tmp_path).run().stop()
    assert sn.recover(tmp_path).logics["how"].tolist() == ["start"]
    assert "param(least_restarted)" in above.explain()
