"""drop_duplicates, distinct: the first row of every key passes."""

from __future__ import annotations

import math

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streamnb as sn
from tests.play import Play

SCHEMA = {"at": "datetime", "id": "string", "v": "int64"}


def visits(schema=SCHEMA):
    return sn.stream(sn.MemorySource(schema))


def marked(delay="10s"):
    return visits().with_watermark("at", delay)


def metric(play, name="num_dropped_duplicate_rows"):
    return play.query.progress[-1].state_operators[0].custom_metrics[name]


def test_the_first_row_of_a_key_passes_in_order_of_input():
    play = Play(visits().drop_duplicates(["id"]))
    play.give("id v\na 3\na 1\nb 7\na 2").expect("id v\na 3\nb 7").give("id v\nc 1\na 9").expect("id v\nc 1")
    assert play.query.emitted[0]["v"].tolist() == [3, 7]


def test_null_is_one_value_and_so_is_nan():
    play = Play(visits().drop_duplicates(["id"]))
    play.give("id v\n- 1\n- 2\na 1").expect("id v\n- 1\na 1").give("id v\n- 3").expect()
    numbers = sn.MemorySource({"x": "float64"})
    numbers.add([{"x": math.nan}, {"x": math.nan}, {"x": 0.0}, {"x": -0.0}])
    numbers.add([{"x": math.nan}, {"x": 1.0}])
    query = sn.stream(numbers).distinct().query().run()
    assert [len(rows) for rows in query.emitted] == [2, 1]


def test_no_columns_and_distinct_mean_all_columns():
    for frame in (visits().drop_duplicates(), visits().drop_duplicates([]), visits().distinct()):
        Play(frame).give("id v\na 1\na 2\na 1").expect("id v\na 1\na 2").give("id v\na 2\na -").expect("id v\na -")


def test_a_single_name_and_a_name_given_twice_are_fine():
    Play(visits().drop_duplicates("id")).give("id v\na 1\na 2").expect("id v\na 1")
    Play(visits().drop_duplicates(["id", "id"])).give("id v\na 1\na 2").expect("id v\na 1")


def test_lists_are_keys_too():
    tags = sn.stream(sn.MemorySource({"tags": "list[string]", "v": "int64"})).drop_duplicates(["tags"])
    Play(tags).give("tags v\na,b 1\na,b 2\n[] 3\n- 4").expect("tags v\na,b 1\n[] 3\n- 4").give("tags v\n[] 5").expect()


def test_update_mode_gives_the_same_rows():
    play = Play(visits().drop_duplicates(["id"]), "update").give("id v\na 1\na 2").give("id v\na 3\nb 1")
    play.expect("id v\nb 1").result("id v\na 1\nb 1")


# -- event time among the keys


def test_a_key_with_event_time_is_forgotten_when_the_watermark_reaches_it():
    play = Play(marked().drop_duplicates(["id", "at"]))
    play.give("at id\n10 a\n20 a").idle().watermark("10").state("at id\n20 a")
    play.give("at id\n10 a").late("at id\n10 a").expect()


def test_a_row_between_state_and_watermark_is_a_duplicate():
    play = Play(marked().drop_duplicates(["at", "id"])).give("at id\n15 a\n20 a").idle()
    play.give("at id\n15 a\n15 b").expect("at id\n15 b").late()
    assert metric(play) == 1


def test_a_null_time_is_never_late_and_never_forgotten():
    play = Play(marked().distinct()).give("at id v\n- a 1\n59 a 1").idle().state("at id v\n- a 1\n59 a 1")
    play.give("at id v\n- a 1\n01:59 b 1").expect("at id v\n01:59 b 1").idle().state("at id v\n- a 1\n01:59 b 1")


def test_a_no_data_batch_forgets():
    play = Play(marked().drop_duplicates(["id", "at"])).give("at id\n10 a").give("at id\n30 b").batches(2)
    play.idle().batches(3).expect().state("at id\n30 b").nothing_to_do()


# -- event time not among the keys


def test_other_keys_are_kept_for_ever_but_late_rows_are_dropped():
    play = Play(marked().drop_duplicates(["id"])).give("at id\n30 a").idle().give("at id\n20 b\n21 c\n59 a")
    play.expect("at id\n21 c").late("at id\n20 b").state("id\na\nc")
    assert metric(play) == 1


def test_no_row_is_late_where_nothing_above_reads_the_event_time():
    play = Play(marked().drop_duplicates(["id"]).select("id", "v")).give("at id\n30 a").idle()
    play.give("at id v\n20 b 1\n59 a 1").expect("id v\nb 1").late()


@pytest.mark.parametrize(
    "above",
    [
        lambda f: f.select("id"),
        lambda f: f.filter(sn.col("v") > 0).select("v"),
        lambda f: f.with_columns(w=sn.col("v") + 1, t=sn.col("at")).drop("at").select("w"),
        lambda f: f.rename({"at": "when", "id": "who"}).drop("when"),
        lambda f: f.drop_duplicates(["v"]).select("v"),
        lambda f: f.group_by("v").agg(n=sn.count("id"), last=sn.max("at")).select("v", "n"),
        lambda f: f.select("at", "v").union(f.select("at", "v")).select("v"),
    ],
)
def test_the_event_time_is_unread_through_verbs(above):
    frame = above(marked().drop_duplicates(["id"]))
    assert "take at as no event time" in frame.explain()


@pytest.mark.parametrize(
    "above",
    [
        lambda f: f,
        lambda f: f.filter(sn.col("at").is_null()).select("id"),
        lambda f: f.with_columns(t=sn.col("at")).select("t"),
        lambda f: f.group_by("at").agg(n=sn.count()).select("n"),
        lambda f: f.group_by(sn.window("at", "1h")).agg(n=sn.count()).select("n"),
        lambda f: f.drop_duplicates(["at"]).select("v"),
        lambda f: f.map_batches(lambda rows: rows, {"at": "datetime", "id": "string", "v": "int64"}).select("id"),
        lambda f: f.drop_duplicates_within_watermark(["v"]).select("v"),
    ],
)
def test_the_event_time_is_read(above):
    assert "no event time" not in above(marked().drop_duplicates(["id"])).explain()


def test_without_a_watermark_nothing_is_late_and_no_batch_without_input_runs():
    Play(visits().drop_duplicates(["id"])).give("at id\n30 a").nothing_to_do().give("at id\n01 b").expect("at id\n01 b")


def test_a_moved_watermark_asks_for_a_batch_even_if_no_key_ends():
    Play(marked().drop_duplicates(["id"])).give("at id\n30 a").idle().batches(2).state("id\na")


# -- with aggregations


def test_above_a_complete_aggregation_it_remembers_over_batches():
    counts = visits().group_by("id").agg(n=sn.count())
    play = Play(counts.drop_duplicates(["n"]), "complete").give("id v\na 1").expect("id n\na 1")
    play.give("id v\nb 1\nb 1\nc 1").expect("id n\nb 2").give("id v\nc 1").expect()


def test_below_a_complete_aggregation_it_drops_late_rows_and_forgets():
    play = Play(marked().drop_duplicates(["id", "at"]).group_by("id").agg(n=sn.count()), "complete")
    play.give("at id\n10 a\n10 a\n30 a").expect("id n\na 2").idle().expect("id n\na 2")
    play.give("at id\n15 a\n30 a\n31 b").expect("id n\na 2\nb 1").late("at id\n15 a")


def test_below_an_append_aggregation():
    play = Play(marked().drop_duplicates(["id", "at"]).group_by(sn.window("at", "10s")).agg(n=sn.count()))
    play.give("at id\n01 a\n01 a\n02 a").give("at id\n25 b").idle().expect("window_start n\n00 2")


@pytest.mark.parametrize("mode", ["update", "complete"])
def test_by_time_above_an_aggregation_runs_in_append_mode_only(mode):
    windows = marked().group_by(sn.window("at", "10s"), "id").agg(n=sn.count())
    windows.drop_duplicates(["n"]).query(mode)
    with pytest.raises(sn.PlanError, match=r"query: 'drop_duplicates window_end' goes by event time") as refused:
        windows.drop_duplicates(["window_end"]).query(mode)
    assert refused.value.code == "TWO_AGGREGATIONS"
    windows.drop_duplicates(["window_end"]).query()


def test_two_deduplications_in_a_row():
    play = Play(visits().drop_duplicates(["id"]).drop_duplicates(["v"]))
    play.give("id v\na 1\na 2\nb 1\nc 2").expect("id v\na 1\nc 2")


# -- refused


def test_complete_mode_alone_is_refused():
    with pytest.raises(sn.PlanError) as refused:
        visits().distinct().query("complete")
    assert refused.value.code == "COMPLETE_WITHOUT_AGGREGATION"


def test_a_missing_column_names_the_nearest():
    with pytest.raises(sn.ColumnNotFoundError, match=r"drop_duplicates: no column 'idd'; did you mean 'id'\?"):
        visits().drop_duplicates(["idd"])


def test_an_expression_is_refused_with_the_way_out():
    with pytest.raises(sn.PlanError, match="is not the name of a column; compute it with with_columns first"):
        visits().drop_duplicates([sn.col("id")])


def test_two_event_times_are_refused():
    two = {**SCHEMA, "on": "datetime"}
    other = visits({"on": "datetime", "key": "string"}).with_watermark("on", "1s")
    joined = visits(two).drop("on").with_watermark("at", "1s").join(other, left_on="id", right_on="key")
    with pytest.raises(sn.PlanError) as refused:
        joined.distinct().query()
    assert refused.value.code == "MULTIPLE_EVENT_TIMES"


# -- laws


@settings(deadline=None, derandomize=True, max_examples=30, database=None)
@given(st.lists(st.lists(st.sampled_from(["a", "b", "c", None]), max_size=5), max_size=6))
def test_how_rows_are_cut_into_batches_does_not_matter(cuts):
    source = sn.MemorySource({"id": "string", "n": "int64"})
    rows = [[{"id": id_, "n": 10 * batch + n} for n, id_ in enumerate(cut)] for batch, cut in enumerate(cuts)]
    for cut in rows:
        source.add(cut)
    query = sn.stream(source).drop_duplicates(["id"]).query().run()
    whole = sn.stream(source).drop_duplicates(["id"]).collect()
    assert query.result["n"].tolist() == whole["n"].tolist()
    firsts: dict[str | None, int] = {}
    for row in (row for cut in rows for row in cut):
        firsts.setdefault(row["id"], row["n"])
    assert whole["n"].tolist() == list(firsts.values())


def test_collect_drops_no_late_row():
    source = sn.MemorySource(SCHEMA)
    source.add([{"at": "2026-01-01 01:00:00", "id": "a"}])
    source.add([{"at": "2026-01-01", "id": "b"}, {"at": "2026-01-01", "id": "b"}])
    assert sn.stream(source).with_watermark("at", "1s").distinct().collect()["id"].tolist() == ["a", "b"]


def test_rewinding_brings_the_keys_back():
    play = Play(visits().drop_duplicates(["id"])).give("id v\na 1").give("id v\nb 1\na 2")
    play.rewind(0).state("id\na").step().expect("id v\nb 1").state("id\na\nb")


def test_a_thousand_batches_keep_the_state_bounded():
    source = sn.MemorySource(SCHEMA)
    query = sn.stream(source).with_watermark("at", "10s").distinct().query()
    largest = 0
    for second in range(1_000):
        source.add(pl.DataFrame({"at": [second * 1_000_000], "id": ["a"], "v": [1]}).cast({"at": pl.Datetime("us")}))
        query.step()
        largest = max(largest, query.progress[-1].state_operators[0].num_rows_total)
    assert largest <= 13
