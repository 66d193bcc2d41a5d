"""Session windows: plays, and Spark's own cases."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import polars as pl
import pytest

import streamnb as sn
from tests.cases.compare import difference
from tests.cases.runner import Play as CasePlay
from tests.cases.test_cases import CASES
from tests.play import Play

SCHEMA = {"at": "datetime", "user": "string", "v": "int64", "pause": "string"}


@pytest.fixture
def clicks():
    return sn.stream(sn.MemorySource(SCHEMA)).with_watermark("at", "20 seconds")


@pytest.fixture
def sessions(clicks):
    return by_user(clicks)


def by_user(frame, gap="5 seconds", **aggregates):
    aggregates = aggregates or {"n": sn.count(), "total": sn.sum("v")}
    return frame.group_by(sn.session_window("at", gap), "user").agg(**aggregates)


# -- what a session is


def test_rows_without_a_gap_are_one_session(sessions):
    Play(sessions, "update").give("at user v\n10 ann 1\n13 ann 2\n19 ann 4").expect("""
        window_start window_end user n total
        10           18         ann  2 3
        19           24         ann  1 4""")


def test_sessions_that_touch_are_one(sessions):
    Play(sessions, "update").give("at user v\n10 ann 1\n15 ann 2").expect("""
        window_start window_end user n
        10           20         ann  2""")


def test_every_key_has_sessions_of_its_own_and_null_is_a_key(sessions):
    Play(sessions, "update").give("at user v\n10 ann 1\n11 bob 2\n12 - 3\n13 - 4").expect("""
        window_start window_end user n
        10           15         ann  1
        11           16         bob  1
        12           18         -    2""")


def test_a_row_without_a_time_is_in_no_session(sessions):
    Play(sessions, "update").give("at user v\n- ann 1\n10 ann 2").expect("user total\nann 2").late("at\n")


def test_a_row_may_extend_a_session_backwards(sessions):
    play = Play(sessions, "update").give("at user v\n10 ann 1").give("at user v\n07 ann 2")
    play.expect("window_start window_end user n\n07 15 ann 2").state_rows(1)


def test_a_row_may_bridge_several_sessions(sessions):
    play = Play(sessions, "update").give("at user v\n10 ann 1\n20 ann 2\n30 ann 4").state_rows(3)
    play.give("at user v\n15 ann 8\n25 ann 16").state_rows(1)
    play.expect("window_start window_end user n total\n10 35 ann 5 31")


def test_the_same_instant_many_times_is_one_session(sessions):
    Play(sessions, "update").give("at user v\n10 ann 1\n10 ann 1\n10 ann 1").expect(
        "window_start window_end n\n10 15 3"
    )


# -- the gap


@pytest.mark.parametrize("gap", ["pause", sn.col("pause"), sn.when(sn.lit(True)).then(sn.col("pause"))])
def test_every_row_may_have_a_gap_of_its_own(clicks, gap):
    Play(by_user(clicks, gap), "update").give("at user pause\n10 ann 20s\n12 ann 1s\n29 ann 1s\n31 ann 1s").expect("""
        window_start window_end user n
        10           30         ann  3
        31           32         ann  1""")


def test_a_gap_may_be_a_column_of_durations(clicks):
    gap = sn.when(sn.col("v") > 1).then(sn.lit(dt.timedelta(seconds=9))).otherwise(sn.lit(dt.timedelta(seconds=2)))
    Play(by_user(clicks, gap), "update").give("at user v\n10 ann 1\n12 ann 2").expect("window_start window_end\n10 21")


@pytest.mark.parametrize("pause", ["-", "0s", "-5s", "soon"])
def test_a_row_whose_gap_is_no_gap_is_dropped(clicks, pause):
    play = Play(by_user(clicks, "pause"), "update").give(f"at user pause\n10 ann {pause}\n11 ann 5s\n19 bob {pause}")
    play.expect("window_start window_end user n\n11 16 ann 1").late("at\n").state_rows(1)


def test_a_fixed_gap_of_nothing_drops_every_row(clicks):
    Play(by_user(clicks, "0s"), "update").give("at user\n10 ann").expect("user\n").state_rows(0)


# -- late rows


def test_a_row_is_late_by_its_own_session_even_where_it_could_join_another(clicks):
    play = Play(by_user(clicks, "pause"), "update").give("at user pause\n10 ann 50s\n55 bob 1s")
    play.watermark("35").idle()
    play.give("at user pause\n30 ann 5s\n31 ann 5s").late("at user\n30 ann").expect(
        "window_start window_end n\n10 01:00 2"
    )


def test_a_row_behind_the_watermark_whose_session_is_not_still_counts(sessions):
    play = Play(sessions).give("at user v\n30 ann 1\n47 bob 1").idle().watermark("27")
    play.give("at user v\n26 ann 2").late("at\n").give("at user v\n01:30 bob 0").idle()
    play.expect("window_start window_end user total\n26 35 ann 3\n47 52 bob 1")


def test_late_rows_say_which_session_they_would_have_opened(sessions):
    play = Play(sessions).give("at user v\n40 ann 1").idle().give("at user v\n03 ann 7")
    play.late("at user v window_start window_end\n03 ann 7 03 08")
    assert play.query.late["late_by"].tolist() == [pd.Timedelta(seconds=12)]


def test_times_before_1970_have_sessions_too():
    plain = sn.stream(sn.MemorySource(SCHEMA))
    Play(by_user(plain), "update").give("at user\n1969-12-31T23:59:58 ann\n1969-12-31T23:59:50 ann").expect("""
        window_start        window_end          n
        1969-12-31T23:59:58 1970-01-01T00:00:03 1
        1969-12-31T23:59:50 1969-12-31T23:59:55 1""")


def test_a_session_that_ends_by_1970_is_late_at_once(sessions):
    rows = "at user v\n1969-12-31T23:59:58 ann 1\n1969-12-31T23:59:55 bob 2"
    Play(sessions).give(rows).late("user v\nbob 2").nothing_to_do().state_rows(1)


# -- what comes out


def test_append_gives_a_session_once_when_the_watermark_has_passed_its_end(sessions):
    play = Play(sessions).give("at user v\n10 ann 1\n12 ann 1").give("at user v\n37 bob 1").expect("n\n")
    play.step().expect("window_start window_end user n\n10 17 ann 2").nothing_to_do().state_rows(1)


def test_a_session_that_the_batch_extends_does_not_end_in_it(sessions):
    play = Play(sessions, no_data_batches=False).give("at user v\n10 ann 1\n36 bob 1").watermark("16")
    play.give("at user v\n12 ann 1\n36 bob 1").expect("n\n")


def test_update_gives_every_session_that_a_batch_touched_and_takes_none_back(sessions):
    play = Play(sessions, "update").give("at user v\n10 ann 1\n20 ann 1\n10 bob 1").give("at user v\n15 ann 1")
    play.expect("window_start window_end user n\n10 25 ann 3")
    play.result("window_start window_end user n\n10 15 bob 1\n10 25 ann 3\n20 25 ann 1")


def test_complete_gives_all_sessions_and_never_forgets(sessions):
    play = (
        Play(sessions, "complete")
        .give("at user v\n10 ann 1")
        .give("at user v\n20:00 bob 1")
        .give("at user v\n12 ann 1")
    )
    play.expect("window_start window_end user n\n10 17 ann 2\n20:00 20:05 bob 1").nothing_to_do()


def test_without_a_watermark_sessions_stay():
    plain = by_user(sn.stream(sn.MemorySource(SCHEMA)))
    play = Play(plain, "update").give("at user v\n10 ann 1").give("at user v\n20:00 ann 1").give("at user v\n06 ann 1")
    play.expect("window_start window_end n\n06 15 2").state_rows(2).nothing_to_do()
    with pytest.raises(sn.PlanError, match="final"):
        plain.query()


def test_a_watermark_on_another_time_does_not_end_sessions():
    source = sn.MemorySource({"arrived": "datetime", **SCHEMA})
    frame = sn.stream(source).with_watermark("arrived", "0s")
    play = (
        Play(by_user(frame), "update")
        .give("arrived at user\n20:00 10 ann")
        .idle()
        .give("arrived at user\n21:00 12 ann")
    )
    play.expect("window_start window_end n\n10 17 2").late("at\n").state_rows(1)


def test_collect_drops_no_row_and_ends_every_session(clicks):
    frame = by_user(clicks)
    Play(frame).give("at user v\n50 ann 1").idle().give("at user v\n10 ann 1\n13 ann 1").late("at\n10\n13")
    assert frame.collect()[["user", "n"]].to_numpy().tolist() == [["ann", 1], ["ann", 2]]


def test_sessions_of_a_column_with_a_time_zone():
    source = sn.MemorySource({"at": pl.Datetime("us", "America/New_York"), "user": "string"})
    play = Play(by_user(sn.stream(source).with_watermark("at", "0s"), "2 hours", n=sn.count()))
    # Clocks go back at 06:00 UTC: 01:30 stands twice, an hour apart.
    rows = pl.DataFrame({"at": ["2013-11-03 05:30", "2013-11-03 06:30"], "user": ["ann"] * 2}).with_columns(
        pl.col("at").str.to_datetime(time_zone="UTC").dt.convert_time_zone("America/New_York")
    )
    play.give(rows).state("window_start window_end n\n2013-11-03T05:30 2013-11-03T08:30 2")


# -- aggregates across a merge


def test_lists_and_first_go_by_the_order_in_which_sessions_opened(clicks):
    frame = by_user(clicks, all=sn.collect_list("v"), first=sn.first("v"), last=sn.last("v"))
    play = Play(frame, "update").give("at user v\n20 ann 1\n10 ann 2").give("at user v\n21 ann 3")
    play.give("at user v\n15 ann 4").expect("window_start window_end all first last\n10 26 1,3,2,4 1 4")


def test_aggregates_of_ones_own_merge_pairwise_in_that_order(clicks):
    class Words(sn.Aggregate):
        returns = "string"

        def init(self):
            return []

        def update(self, state, value):
            return [*state, str(value)]

        def merge(self, a, b):
            return [*a, "+", *b]

        def finish(self, state):
            return "".join(state)

    frame = by_user(clicks, words=Words("v"))
    play = Play(frame, "update").give("at user v\n30 ann 1\n10 ann 2\n20 ann 3").give("at user v\n15 ann 4\n25 ann 5")
    play.expect("words\n1+2+3+45")


def test_aggregates_read_the_input_where_a_key_or_a_window_has_the_name_of_a_column(clicks):
    named = clicks.with_columns(window_start=sn.col("v"))
    key = sn.session_window("at", "5s")
    frame = named.group_by(key, (sn.col("v") % 2).alias("v")).agg(total=sn.sum("v"), low=sn.min("window_start"))
    Play(frame, "update").give("at v\n10 3\n12 5\n13 4").expect("""
        window_start window_end v total low
        10           17         1 8     3
        13           18         0 4     4""")


# -- above and below


def test_sessions_are_windowed_again_by_their_window_time(sessions):
    chained = sessions.group_by(sn.window(sn.window_time(), "20s")).agg(sessions=sn.count(), rows=sn.sum("n"))
    play = Play(chained).give("at user v\n10 ann 1\n11 ann 1\n12 bob 1").give("at user v\n01:00 ann 1").idle()
    play.expect("window_start window_end sessions rows\n00 20 2 3")


def test_windows_are_sessioned_by_their_window_time(clicks):
    lower = clicks.group_by(sn.window("at", "10s"), "user").agg(n=sn.count())
    frame = lower.group_by(sn.session_window(sn.window_time(), "10s"), "user").agg(windows=sn.count())
    play = Play(frame).give("at user\n01 ann\n11 ann\n31 ann").give("at user\n02:00 bob").idle()
    play.expect("user windows\nann 2\nann 1")


def test_explain_shows_the_session(clicks):
    assert "session at gap 5 seconds, user" in by_user(clicks).explain()
    assert "session at gap per row, user" in by_user(clicks, "pause").explain()


# -- refused


@pytest.mark.parametrize(
    ("keys", "code", "words"),
    [
        ([sn.session_window("at", "5s")], "SESSION_WITHOUT_KEY", "group by another column too"),
        ([sn.session_window("at", "5s"), sn.window("at", "5s"), "user"], "TWO_WINDOWS", "two windows"),
        ([sn.session_window("at", "v"), "user"], "DURATION_INVALID", "the gap is Int64"),
        ([sn.session_window("user", "5s"), "user"], "EVENT_TIME_TYPE", "'user' is String"),
        ([sn.session_window("at", "paus"), "user"], "COLUMN_NOT_FOUND", "did you mean 'pause'"),
        ([sn.session_window("at", "5s"), sn.col("user").alias("n")], "COLUMN_DUPLICATE", "stand twice"),
    ],
)
def test_refused(clicks, keys, code, words):
    with pytest.raises(sn.PlanError, match=words) as raised:
        clicks.group_by(*keys).agg(n=sn.count())
    assert raised.value.code == code


@pytest.mark.parametrize("gap", ["5 parsecs", "1 month", 5])
def test_a_fixed_gap_that_cannot_be_read_is_refused_where_it_is_written(gap):
    with pytest.raises(sn.PlanError, match="session_window"):
        sn.session_window("at", gap)


# -- Spark


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case["group"] == "session"])
def test_spark(name, tmp_path):
    """The counters too; restarts, which must not be seen, are left to the cases' own tests."""
    case = {**CASES[name], "steps": [step for step in CASES[name]["steps"] if "restart" not in step]}
    play = CasePlay(case, tmp_path)
    play.open(case["query"])
    done = [{"batches": play.step(step, number)} for number, step in enumerate(case["steps"])]
    assert difference(case, case["steps"], done) is None
    assert play.query is not None
    counted = [
        (operator.num_rows_total, operator.num_rows_updated, operator.num_rows_removed)
        for progress in play.query.progress
        for operator in progress.state_operators
    ]
    batches = [batch for step in case["steps"] for batch in step["batches"]]
    assert counted == [(op["total"], op["updated"], op["removed"]) for batch in batches for op in batch["ops"]]


# -- bounds


def test_state_does_not_grow(clicks):
    query = by_user(clicks).query()
    (source,) = [node.source for node in clicks.node.walk() if not node.inputs]
    tables = next(step for step in query._graph.steps if step.tables).tables
    for minute in range(400):
        at = dt.datetime(2026, 1, 1) + dt.timedelta(minutes=minute)
        source.add([{"at": at, "user": "ann", "v": 1}, {"at": at, "user": f"guest {minute}", "v": 1}])
        query.run()
        assert max(map(len, tables)) <= 4
    assert len(query.result) == 2 * 399
