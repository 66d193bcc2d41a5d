"""apply_in_pandas_with_state: plays, and PySpark's rules about timeouts."""
# ruff: noqa: ARG001, ARG005  a function that is called must take what it is given

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

import streamnb as sn
from tests.play import Play

SCHEMA = {"at": "datetime", "user": "string", "v": "int64"}


@pytest.fixture
def clicks():
    return sn.stream(sn.MemorySource(SCHEMA)).with_watermark("at", "10 seconds")


@pytest.fixture
def clock():
    return sn.ManualClock()


def rows_of(key, *values):
    return pd.DataFrame({"user": [key[0]], "n": list(values)})


def total(state):
    return state.get[0] if state.exists else 0


def counting(key, rows, state):
    state.update((total(state) + len(rows),))
    return rows_of(key, *state.get)


def last_seen(key, rows, state):
    """The last time of a key, until the watermark is past it by five seconds."""
    if state.has_timed_out:
        state.remove()
        return rows_of(key, -1)
    state.update((rows["at"].max(),))
    state.set_timeout_timestamp(state.get[0] + dt.timedelta(seconds=5))
    return rows_of(key, len(rows))


def idle(key, rows, state):
    """Rows of a key, until none has come for ten seconds."""
    if state.has_timed_out:
        state.remove()
        return rows_of(key, -1)
    state.update((total(state) + len(rows),))
    state.set_timeout_duration("10 seconds")
    return rows_of(key, *state.get)


def with_state(frame, fn, *, state="n bigint", mode="update", timeout="none", out="user string, n bigint"):
    return frame.group_by("user").apply_in_pandas_with_state(fn, out, state, mode, timeout)


def play(frame, fn, mode="update", clock=None, **options):
    return Play(with_state(frame, fn, mode=mode, **options), mode, **({"clock": clock} if clock else {}))


# -- state


def test_a_key_is_called_once_a_batch_with_all_its_rows_and_remembers(clicks):
    play(clicks, counting).give("at user\n11 ann\n12 bob\n13 ann").expect("user n\nann 2\nbob 1").give(
        "at user\n14 ann\n15 -"
    ).expect("user n\nann 3\n- 1").state("user n\nann 3\nbob 1\n- 1")


def test_the_key_is_a_tuple_and_the_rows_are_pandas_with_all_columns(clicks):
    seen = []

    def look(key, rows, state):
        seen.append((key, list(rows.columns), rows["v"].tolist()))

    play(clicks, look).give("at user v\n11 ann 1\n12 bob 2\n13 ann 3").expect()
    assert seen == [(("ann",), ["at", "user", "v"], [1, 3]), (("bob",), ["at", "user", "v"], [2])]


def test_a_null_in_one_key_does_not_turn_the_numbers_of_another_into_floats(clicks):
    seen = {}

    def look(key, rows, state):
        seen[key[0]] = rows["v"].dtype.kind

    play(clicks, look).give("at user v\n11 ann 1\n12 bob -")
    assert seen == {"ann": "i", "bob": "f"}


def test_removed_state_is_gone_and_can_be_written_again(clicks):
    def until_three(key, rows, state):
        state.update((total(state) + len(rows),))
        n = state.get[0]
        if n >= 3:
            state.remove()
            assert not state.exists
            assert state.get_option is None
            with pytest.raises(ValueError, match="there is no state"):
                _ = state.get
        return rows_of(key, n)

    (
        play(clicks, until_three)
        .give("at user\n11 ann\n12 ann\n13 ann")
        .expect("user n\nann 3")
        .state_rows(0)
        .give("at user\n14 ann")
        .expect("user n\nann 1")
    )


def test_remove_then_update_keeps_the_state(clicks):
    def anew(key, rows, state):
        state.remove()
        state.update((7,))

    play(clicks, anew).give("at user\n11 ann").state("user n\nann 7")


def test_values_come_back_as_they_went_in(clicks):
    kept = (2**62 + 1, 0.1, True, "é", dt.datetime(2026, 1, 1, 0, 0, 0, 1), [1, None, 3], None)
    seen = []

    def fn(key, rows, state):
        seen.append(state.get_option)
        state.update(kept)
        assert state.get == kept

    schema = "i bigint, x double, b boolean, s string, t timestamp, l array<bigint>, n int"
    query = play(clicks, fn, state=schema).give("at user\n11 ann").give("at user\n12 ann")
    assert seen == [None, kept]
    assert query.query.state_at(0)["i"].tolist() == [2**62 + 1]


def test_a_list_that_is_changed_without_update_is_not_remembered(clicks):
    def fn(key, rows, state):
        if not state.exists:
            state.update(([1],))
        state.get[0].append(2)
        return rows_of(key, len(state.get[0]))

    play(clicks, fn, state="l array<bigint>").give("at user\n11 ann").expect("user n\nann 1").give(
        "at user\n12 ann"
    ).expect("user n\nann 1")


@pytest.mark.parametrize(
    ("value", "words"),
    [((1, 2), "2 values"), (("x",), "no whole number"), ((1.5,), "no whole number"), (None, "no value")],
)
def test_a_value_that_does_not_fit_fails_the_batch_with_its_name(clicks, value, words):
    play(clicks, lambda key, rows, state: state.update(value)).add("at user\n11 ann").fails(sn.QueryError, words)


def test_numpy_and_missing_values_are_made_plain(clicks):
    def fn(key, rows, state):
        state.update({"n": rows["v"].sum(), "t": pd.NaT})
        assert [type(v) for v in state.get] == [int, type(None)]

    play(clicks, fn, state={"n": "int64", "t": "datetime"}).give("at user v\n11 ann 5").state("user n\nann 5")


# -- timeouts by event time


def test_an_event_timeout_passes_when_the_watermark_is_past_it_not_at_it(clicks):
    (
        play(clicks, last_seen, state="t timestamp", timeout="event")
        .give("at user\n10 ann")
        .idle()
        .give("at user\n25 bob")
        .step()
        .expect()
        .watermark("15")
        .give("at user\n26 cid")
        .step()
        .expect("user n\nann -1")
        .state("user expires_at\nbob 30\ncid 31")
    )


def test_a_key_with_rows_does_not_time_out_in_that_batch(clicks):
    (
        play(clicks, last_seen, state="t timestamp", timeout="event")
        .give("at user\n10 ann")
        .give("at user\n40 bob")
        .give("at user\n41 ann")
        .expect("user n\nann 1")
    )


def test_rows_at_or_behind_the_watermark_are_late(clicks):
    told = play(clicks, last_seen, state="t timestamp", timeout="event").give("at user\n20 ann").idle()
    told.give("at user\n10 ann\n11 ann\n- ann").late("at user\n10 ann").expect("user n\nann 2")


def test_without_event_timeouts_no_row_is_late(clicks):
    play(clicks, counting).give("at user\n20 ann").give("at user\n10 ann").late().expect("user n\nann 2")


def test_an_event_timeout_asks_for_a_batch_when_the_watermark_moved(clicks):
    play(clicks, last_seen, state="t timestamp", timeout="event").give("at user\n11 ann").idle().batches(2)


def test_without_timeouts_no_batch_is_asked_for(clicks):
    play(clicks, counting).give("at user\n11 ann").idle().batches(1)


def test_a_timeout_before_the_watermark_is_refused(clicks):
    def early(key, rows, state):
        state.set_timeout_timestamp(1)

    play(clicks, early, timeout="event").give("at user\n20 ann").add("at user\n21 ann").fails(
        sn.QueryError, "before the watermark"
    )


def test_a_timeout_can_wait_without_a_state(clicks):
    def wait(key, rows, state):
        if state.has_timed_out:
            assert not state.exists
            state.remove()
            return rows_of(key, -1)
        state.set_timeout_timestamp(rows["at"].max())
        return None

    (
        play(clicks, wait, timeout="event")
        .give("at user\n10 ann")
        .state_rows(1)
        .give("at user\n21 bob")
        .step()
        .expect("user n\nann -1")
        .state_rows(1)
    )


def test_times_are_milliseconds_or_datetimes_and_the_watermark_can_be_asked(clicks):
    seen = []

    def fn(key, rows, state):
        seen.append(state.get_current_watermark_ms())
        state.set_timeout_timestamp(pd.Timestamp("2026-01-01 00:00:30"))
        assert state.timeout_ms == pd.Timestamp("2026-01-01 00:00:30").value // 1_000_000

    play(clicks, fn, timeout="event").give("at user\n20 ann").give("at user\n21 ann")
    assert seen == [0, pd.Timestamp("2026-01-01 00:00:10").value // 1_000_000]


# -- timeouts by the clock


def test_a_processing_timeout_passes_when_the_clock_is_past_it(clicks, clock):
    told = play(clicks, idle, clock=clock, timeout="processing").give("at user\n11 ann").expect("user n\nann 1")
    clock.advance("10 seconds")
    told.idle().expect().batches(2)
    clock.advance("1 ms")
    told.idle().expect("user n\nann -1").state_rows(0)


def test_a_processing_timeout_asks_for_one_batch_at_every_trigger(clicks, clock):
    told = play(clicks, idle, clock=clock, timeout="processing").give("at user\n11 ann").nothing_to_do().idle()
    told.batches(1)
    for batches in (2, 3):
        clock.advance("1 second")
        told.idle().nothing_to_do().batches(batches)


def test_run_ends_with_the_real_clock(clicks):
    told = play(clicks, idle, timeout="processing").give("at user\n11 ann").idle().batches(2).idle()
    told.batches(3)


def test_a_call_that_only_reads_leaves_the_timeout_armed_as_in_pyspark(clicks, clock):
    def fn(key, rows, state):
        if state.has_timed_out:
            return rows_of(key, -state.get[0])
        state.update((len(rows),))
        return state.set_timeout_duration(1_000)

    told = play(clicks, fn, clock=clock, timeout="processing").give("at user\n11 ann")
    for _ in range(3):
        clock.advance("2 seconds")
        told.idle().expect("user n\nann -1")


def test_a_call_that_writes_and_sets_no_timeout_ends_it(clicks, clock):
    def fn(key, rows, state):
        if state.has_timed_out:
            state.update(state.get)
            return rows_of(key, -state.get[0])
        state.update((len(rows),))
        return state.set_timeout_duration(1_000)

    told = play(clicks, fn, clock=clock, timeout="processing").give("at user\n11 ann")
    clock.advance("2 seconds")
    told.idle().expect("user n\nann -1")
    clock.advance("2 seconds")
    told.idle().expect().state("user n\nann 1")


@pytest.mark.parametrize("call", ["set_timeout_duration", "set_timeout_timestamp"])
def test_a_timeout_that_was_not_asked_for_is_refused(clicks, call):
    play(clicks, lambda key, rows, state: getattr(state, call)(1_000)).add("at user\n11 ann").fails(
        sn.QueryError, "ask for timeout="
    )


def test_a_duration_of_nothing_is_refused(clicks):
    play(clicks, lambda key, rows, state: state.set_timeout_duration(0), timeout="processing").add(
        "at user\n11 ann"
    ).fails(sn.QueryError, "not above zero")


# -- what comes out


def test_the_result_may_be_an_iterable_of_pandas_or_nothing(clicks):
    def fn(key, rows, state):
        for n in range(len(rows)):
            yield rows_of(key, n)
            yield pd.DataFrame({"user": [], "n": []})

    play(clicks, fn).give("at user\n11 ann\n12 ann\n13 bob").expect("user n\nann 0\nann 1\nbob 0")


def test_columns_without_names_are_taken_by_position(clicks):
    play(clicks, lambda key, rows, state: pd.DataFrame([[key[0], 5]])).give("at user\n11 ann").expect("user n\nann 5")


def test_big_numbers_stay_whole_beside_another_keys_nulls(clicks):
    def fn(key, rows, state):
        return rows_of(key, 2**62 + 1) if key == ("ann",) else pd.DataFrame({"user": ["bob"], "n": [float("nan")]})

    told = play(clicks, fn).give("at user\n11 ann\n12 bob").expect(f"user n\nann {2**62 + 1}\nbob -")
    assert told.query.trace[-1].emitted["n"].to_list() == [2**62 + 1, None]


def test_an_error_in_the_function_is_a_query_error_and_changes_nothing(clicks):
    def fails_at_three(key, rows, state):
        state.update((total(state) + len(rows),))
        if state.get[0] == 3:
            raise KeyError("amount")
        return rows_of(key, *state.get)

    told = play(clicks, fails_at_three).give("at user\n11 ann\n12 ann").add("at user\n13 bob\n14 ann")
    told.fails(sn.QueryError, "KeyError 'amount'").fails(sn.QueryError, "batch 1, 2 rows").state("user n\nann 2")


# -- the query around it


def test_a_table_is_given_its_rows_and_then_every_event_timeout_passes(clicks):
    frame = with_state(clicks, last_seen, state="t timestamp", timeout="event")
    source = frame.node.inputs[0].inputs[0].source
    source.add({"at": ["2026-01-01 00:00:20", "2026-01-01", "1960-01-01"], "user": ["ann", "bob", "ann"]})
    assert frame.collect().values.tolist() == [["ann", 2], ["bob", 1], ["bob", -1], ["ann", -1]]


def test_rewinding_brings_back_state_and_timeouts(clicks, clock):
    told = play(clicks, idle, clock=clock, timeout="processing").give("at user\n11 ann").give("at user\n12 ann")
    clock.advance("11 seconds")
    told.idle().expect("user n\nann -1").rewind(0).state("user n\nann 1")
    told.step().expect("user n\nann 2").step().expect("user n\nann -1")


def test_an_aggregation_may_stand_above_in_complete_mode(clicks):
    frame = with_state(clicks, counting, mode="append").group_by("user").agg(calls=sn.count())
    Play(frame, "complete").give("at user\n11 ann").give("at user\n12 ann\n13 bob").expect("user calls\nann 2\nbob 1")


def code_of(make):
    with pytest.raises(sn.PlanError) as caught:
        make()
    return caught.value.code


def test_the_mode_is_the_querys(clicks):
    assert code_of(lambda: with_state(clicks, counting, mode="append").query("update")) == "STATE_OUTPUT_MODE"
    assert code_of(lambda: with_state(clicks, counting, mode="update").query("append")) == "STATE_OUTPUT_MODE"
    assert code_of(lambda: with_state(clicks, counting).query("complete")) == "COMPLETE_WITHOUT_AGGREGATION"


def test_plans_that_pyspark_refuses(clicks):
    twice = with_state(with_state(clicks, counting, mode="append"), counting, mode="append")
    assert code_of(lambda: twice.query("append")) == "TWO_STATES"
    changing = with_state(clicks, counting).group_by("user").agg(n=sn.count())
    assert code_of(lambda: changing.query("update")) == "STATE_OUTPUT_MODE"
    above = clicks.group_by("user").agg(n=sn.count())
    assert code_of(lambda: with_state(above, counting, mode="append").query("update")) == "STATE_OUTPUT_MODE"
    timed = with_state(clicks, last_seen, mode="append", timeout="event").group_by("user").agg(n=sn.count())
    assert code_of(lambda: timed.query("update")) == "TWO_STATES"
    bare = sn.stream(sn.MemorySource(SCHEMA))
    assert code_of(lambda: with_state(bare, last_seen, timeout="event")) == "EVENT_TIME_WITHOUT_WATERMARK"


def test_arguments_that_make_no_sense_are_refused_where_they_are_written(clicks):
    assert code_of(lambda: with_state(clicks, counting, timeout="soon")) == "OPTION_INVALID"
    assert code_of(lambda: with_state(clicks, counting, mode="complete")) == "OPTION_INVALID"
    assert code_of(lambda: with_state(clicks, counting, state="n money")) == "SCHEMA_INVALID"
    assert code_of(lambda: clicks.group_by("usr").apply_in_pandas_with_state(counting, "n int", "n int")) == (
        "COLUMN_NOT_FOUND"
    )
    windows = clicks.group_by(sn.window("at", "5 seconds"))
    assert code_of(lambda: windows.apply_in_pandas_with_state(counting, "n int", "n int")) == "EXPRESSION_INVALID"
    assert code_of(lambda: clicks.group_by().apply_in_pandas_with_state(counting, "n int", "n int")) == "KEYS_MISSING"


def test_sparks_own_words_are_understood(clicks):
    def fn(key, rows, state):
        if not state.hasTimedOut:
            state.setTimeoutTimestamp(rows["at"].max())
        return rows_of(key, len(rows))

    frame = with_state(clicks, fn, mode="Append", timeout="EventTimeTimeout", state="struct<n: bigint>")
    Play(frame).give("at user\n11 ann").expect("user n\nann 1")


def test_state_does_not_grow_and_a_batch_costs_its_rows(clicks):
    told = play(clicks, last_seen, state="t timestamp", timeout="event")
    start = pd.Timestamp("2026-01-01")
    for n in range(300):
        told.add([{"at": start + pd.Timedelta(seconds=10 * n), "user": f"user {n}"}]).step().step()
    assert len(told.query.state) <= 3
    assert told.query.last_progress.state_operators[0].memory_used_bytes < 200_000
