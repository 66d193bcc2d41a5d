"""A second query beside the first, over the same batches; and the switch from one to the other."""

from __future__ import annotations

import shutil

import pytest

import streamnb as sn
from tests.evolving.rows import feed, source, told, windows


def test_a_fork_runs_the_batches_of_its_origin():
    src = source(8)
    query = windows(src).query().run()
    fork = query.fork(at_batch=3)
    fork.step()
    assert [trace.batch_id for trace in fork.trace] == [4]
    assert told(fork.run()) == told(query, 3)
    assert fork.step() is None
    feed(src, 2)
    assert fork.step() is None
    query.run()
    assert told(fork.run()) == told(query, 3)


def test_its_state_is_its_own():
    src = source(8)
    query = windows(src).query().run()
    before = query.state
    fork = query.fork(at_batch=3, query=windows(src, least=50))
    fork.run()
    assert query.state.equals(before)
    assert fork.result["total"].sum() < query.result["total"].sum()


def test_from_the_beginning_any_frame_goes():
    src = source(8)
    query = windows(src).query().run()
    fork = query.fork(at_batch=-1, query=windows(src, size="5 seconds")).run()
    alone = windows(src, size="5 seconds").query().run()
    assert told(fork) == told(alone)


def test_what_cannot_be_kept_is_refused_or_rebuilt():
    src = source(8)
    query = windows(src).query().run()
    with pytest.raises(sn.PlanError, match="cannot be parted"):
        query.fork(at_batch=3, query=windows(src, size="5 seconds"))
    fork = query.fork(at_batch=3, query=windows(src, size="5 seconds"), rebuild=True).run()
    alone = windows(src, size="5 seconds").query().run()
    assert told(fork) == told(alone, 3)


def test_when_its_origin_stops_it_reads_on():
    src = source(3)
    query = windows(src).query().run()
    fork = query.fork()
    query.stop()
    feed(src, 3)
    assert len(fork.run().result) > 0


def test_no_batch_is_decided_twice_or_never(tmp_path):
    src = source(6)
    everything = sn.stream(src).with_columns(rule=sn.lit("old"))
    query = everything.query(checkpoint=tmp_path).run()
    fork = query.fork(at_batch=2, query=sn.stream(src).with_columns(rule=sn.lit("new")))
    query.switch_to(fork, at_batch=8)
    feed(src, 6)
    query.run()
    assert query.result["rule"].tolist() == ["old"] * 16 + ["new"] * 8
    assert query.result["v"].tolist() == [row["v"] for row in src.read(0, 12).to_dicts()]
    assert fork.stopped
    query.stop()
    assert sn.recover(tmp_path).logics["how"].tolist() == ["start", "switch"]


@pytest.mark.parametrize("change", [{"delay": "20 seconds"}, {"delay": "0 seconds"}, {"least": 30}, {}], ids=str)
def test_every_window_is_given_out_once_however_the_watermarks_differ(change):
    src = source(8)
    query = windows(src).query().run()
    fork = query.fork(at_batch=2, query=windows(src, **change)).run()
    query.switch_to(fork)
    feed(src, 12)
    query.run()
    decided = query.result[["window_start", "card"]]
    assert not decided.duplicated().any()
    ann = decided[decided["card"] == "bob"]["window_start"]
    assert (ann.diff().dropna() == ann.diff().dropna().iloc[0]).all()


def test_a_batch_that_is_decided_cannot_be_switched():
    src = source(4)
    query = windows(src).query().run()
    with pytest.raises(sn.QueryError, match="decided already"):
        query.switch_to(query.fork(), at_batch=2)


def test_it_goes_on_after_a_restart_with_the_state_of_the_other(tmp_path):
    src = source(6)
    query = windows(src).query(checkpoint=tmp_path).run()
    fork = query.fork(at_batch=-1, query=windows(src, least=30)).run()
    state = fork.state
    query.switch_to(fork)
    query.stop()
    again = windows(src, least=30).query(checkpoint=tmp_path)
    assert again.state.equals(state)


def ruled(over, rule):
    return sn.stream(over).with_columns(rule=sn.lit(rule))


def test_a_switch_that_waits_outlives_the_process(tmp_path):
    src = source(3)
    query = ruled(src, "old").query(checkpoint=tmp_path / "first").run()
    query.switch_to(query.fork(query=ruled(src, "new")), at_batch=5)
    shutil.copytree(tmp_path / "first", tmp_path / "second")  # what a process that is killed leaves
    feed(src, 5)
    again = ruled(src, "old").query(checkpoint=tmp_path / "second")
    with pytest.raises(sn.QueryError, match=r"from batch 5 on `with_columns rule='new'` decides"):
        again.run()
    assert again.result["rule"].tolist() == ["old"] * 4
    again.switch_to(again.fork(query=ruled(src, "new")), at_batch=5)
    assert again.run().result["rule"].tolist() == ["old"] * 4 + ["new"] * 6
    again.stop()
    assert ruled(src, "new").query(checkpoint=tmp_path / "second").run().status == "done"


def test_a_switch_that_waits_is_told_of_and_can_be_called_off(tmp_path, capsys):
    src = source(3)
    query = ruled(src, "old").query(checkpoint=tmp_path).run()
    query.switch_to(query.fork(query=ruled(src, "new")), at_batch=5)
    query.stop()
    query = ruled(src, "old").query(checkpoint=tmp_path)
    assert "from batch 5 on `with_columns rule='new'` decides" in capsys.readouterr().out
    feed(src, 5)
    query.switch_to(query.fork())
    assert set(query.run().result["rule"]) == {"old"}
    query.stop()
    assert ruled(src, "old").query(checkpoint=tmp_path).run().status == "done"


def test_a_logic_that_is_opened_before_a_switch_takes_its_place(tmp_path):
    src = source(3)
    query = ruled(src, "old").query(checkpoint=tmp_path).run()
    query.switch_to(query.fork(query=ruled(src, "new")), at_batch=5)
    query.stop()
    feed(src, 5)
    query = ruled(src, "third").query(checkpoint=tmp_path, evolve=True)
    assert set(query.run().result["rule"]) == {"third"}
