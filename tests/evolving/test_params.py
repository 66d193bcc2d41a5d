"""Values that are changed between batches: each batch goes by what the log says, however often it is done."""

from __future__ import annotations

import itertools

import pytest

import streamnb as sn
from streamnb import params
from tests.evolving.rows import feed, source

_fresh = itertools.count()


@pytest.fixture
def least() -> sn.Param:
    return sn.param(f"least_{next(_fresh)}", 0)


def above(over, least):
    return sn.stream(over).filter(sn.col("v") > least)


def test_a_change_holds_from_the_next_batch_on(least):
    src = source(2)
    query = above(src, least).query().run()
    least.set(15)
    feed(src, 1)
    assert query.run().result["v"].tolist() == [1, 10, 20]
    assert [trace.given[least.param] for trace in query.trace] == [0, 0, 15]


def test_it_stands_wherever_values_are_computed_row_by_row(least):
    src = source(2)
    query = sn.stream(src).with_columns(more=sn.col("v") + least * 2).query()
    query.step()
    least.set(5)
    query.step()
    assert query.result["more"].tolist() == [0, 0, 11, 20]


def test_a_trace_shows_the_rows_that_passed_then(least):
    src = source(2)
    query = above(src, least).with_watermark("at", "0 seconds").group_by("card").agg(n=sn.count()).query("update")
    query.run()
    before = query.trace[1].steps[0].rows["v"].to_list()
    least.set(1000)
    feed(src, 1)
    query.run()
    assert query.trace[1].steps[0].rows["v"].to_list() == before == [1, 10]


def test_rewound_a_batch_goes_by_what_it_had(least):
    src = source(2)
    query = above(src, least).query().run()
    least.set(15)
    feed(src, 1)
    first = query.run().result
    query.rewind(to=0)
    assert query.run().result.equals(first)


def test_set_after_a_rewind_the_new_value_holds(least):
    src = source(3)
    query = above(src, least).query().run()
    query.rewind(to=0)
    least.set(1000)
    assert query.run().result.empty


def test_a_batch_that_failed_goes_by_what_it_began_with(least):
    src, handed = source(1), []

    def sink(rows, _):
        handed.append(len(rows))
        if len(handed) == 1:
            raise OSError("gone")

    query = above(src, least).query(sink=sink)
    with pytest.raises(sn.QueryError):
        query.run()
    least.set(1000)
    query.run()
    assert handed == [0, 0] or handed[0] == handed[1]


def test_after_a_restart_the_value_goes_on(tmp_path):
    src = source(1)
    name = f"least_{next(_fresh)}"
    query = above(src, sn.param(name, 0)).query(checkpoint=tmp_path).run()
    sn.param(name, 0).set(15)
    feed(src, 1)
    query.run()
    query.stop()
    del params._settings[name]  # another process has not heard of it
    again = sn.param(name, 0)
    feed(src, 1)
    query = above(src, again).query(checkpoint=tmp_path)
    assert again.value == 15
    assert query.run().result["v"].tolist() == [20]


def test_two_queries_share_a_name_and_each_keeps_its_story(least):
    src = source(1)
    one, two = above(src, least).query().run(), above(src, least).query()
    least.set(1000)
    assert (len(one.result), len(two.run().result)) == (0, 0)
    one.rewind(to=-1)
    assert one.run().trace[0].given[least.param] == 0


@pytest.mark.parametrize("value", ["7", 7.5, None, True], ids=str)
def test_it_keeps_its_type(least, value):
    with pytest.raises(sn.PlanError, match="set it to one"):
        least.set(value)


def test_asked_for_again_it_keeps_its_value_unless_the_default_changed(least):
    least.set(3)
    assert sn.param(least.param, 0).value == 3
    assert sn.param(least.param, 1).value == least.value == 1


def test_in_what_is_remembered_it_is_refused(least):
    frame = sn.stream(source()).group_by("card").agg(total=sn.sum(sn.col("v") * least))
    with pytest.raises(sn.PlanError, match="put it into a column first") as caught:
        frame.query("update")
    assert caught.value.code == "PARAM_PLACE"


def test_spark_gets_the_value_of_now(least):
    least.set(15)
    assert "15" in above(source(), least).to_pyspark_source()


def test_a_fork_goes_by_what_its_origin_went_by(least):
    src = source(1)
    query = above(src, least).query().run()
    fork = query.fork(at_batch=-1)
    least.set(1000)
    assert fork.run().result.equals(query.result)


def test_a_slider_and_its_param_follow_each_other():
    slide = sn.slider(f"least_{next(_fresh)}", 5, 0, 20)
    slide.widget.value = 7
    assert slide.value == 7
    slide.set(9)
    assert slide.widget.value == 9
    with pytest.raises(sn.PlanError, match="widen the slider"):
        sn.slider("other", 50, 0, 20)


def test_what_batches_went_by_before_the_log_begins_is_not_guessed(least, tmp_path):
    src = source(250)
    above(src, least).query(checkpoint=tmp_path).run().stop()
    counted = above(src, least).group_by("card").agg(n=sn.count())
    with pytest.raises(sn.QueryError, match=f"no longer says by which {least.param} the batches up to 99 went"):
        counted.query("update", checkpoint=tmp_path, evolve="rebuild")
    plain = sn.stream(src).group_by("card").agg(n=sn.count())
    query = plain.query("update", checkpoint=tmp_path, evolve="rebuild")
    assert sorted(query.state["n"]) == [250, 250]
