"""transform_with_state: plays of variables, timers and time to live."""
# ruff: noqa: ARG001, ARG005  a function that is called must take what it is given

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

import streamnb as sn
from tests.play import Play

SCHEMA = {"at": "datetime", "user": "string", "v": "int64"}
OUT = "user string, n bigint"


@pytest.fixture
def clicks():
    return sn.stream(sn.MemorySource(SCHEMA)).with_watermark("at", "10 seconds")


@pytest.fixture
def clock():
    return sn.ManualClock()


class Given(sn.StatefulProcessor):
    """A processor of functions: what to declare, what to do with rows, and with timers."""

    def __init__(self, declare, on_rows, on_timer=None):
        self.declare, self.on_rows, self.on_timer = declare, on_rows, on_timer

    def init(self, handle):
        self.handle = handle
        self.state = self.declare(handle)

    def handle_input_rows(self, key, rows, timer_values):
        return self.on_rows(self, key, pd.concat(list(rows)), timer_values)

    def handle_expired_timer(self, key, timer_values, expired_timer_info):
        return self.on_timer(self, key, timer_values, expired_timer_info)


class Count(sn.StatefulProcessor):
    """Rows of a key so far."""

    def init(self, handle):
        self.n = handle.get_value_state("n", "n bigint")

    def handle_input_rows(self, key, rows, timer_values):
        seen = self.n.get()[0] if self.n.exists() else 0
        self.n.update((seen + sum(len(frame) for frame in rows),))
        yield pd.DataFrame({"user": [key[0]], "n": [self.n.get()[0]]})


def by_user(frame, processor, time_mode="none", out=OUT, **options):
    return frame.group_by("user").transform_with_state(processor, output_schema=out, time_mode=time_mode, **options)


def play(frame, processor, time_mode="none", clock=None, mode="update", **options):
    return Play(by_user(frame, processor, time_mode, **options), mode, **({"clock": clock} if clock else {}))


def value(handle):
    return handle.get_value_state("n", "n bigint")


def code_of(make):
    with pytest.raises(sn.PlanError) as caught:
        make()
    return caught.value.code


# -- variables


def test_a_value_is_kept_for_every_key(clicks):
    (
        play(clicks, Count())
        .give("at user\n11 ann\n12 bob\n13 ann")
        .expect("user n\nann 2\nbob 1")
        .give("at user\n14 ann\n15 -")
        .expect("user n\nann 3\n- 1")
        .state("user variable n.n\nann n 3\nbob n 1\n- n 1")
    )


def test_a_value_can_be_cleared_and_written_again(clicks):
    def on_rows(self, key, rows, _):
        before = self.state.get()
        self.state.update((1,))
        self.state.clear()
        assert not self.state.exists()
        if len(rows) > 1:
            self.state.update((7,))
        return {"user": key[0], "n": -1 if before is None else before[0]}

    told = play(clicks, Given(value, on_rows)).give("at user\n11 ann\n12 ann\n13 bob").expect("user n\nann -1\nbob -1")
    told.state_rows(1).give("at user\n14 ann").expect("user n\nann 7").state_rows(0)


def test_a_list_is_put_appended_and_cleared(clicks):
    def on_rows(self, key, rows, _):
        given = [(v,) for v in rows["v"]]
        if given[0] == (0,):
            self.state.clear()
        elif not self.state.exists():
            self.state.put(given)
        else:
            self.state.append_value(given[0])
            self.state.append_list(given[1:])
        yield key[0], sum(10**i * v for i, (v,) in enumerate(reversed(list(self.state.get()))))

    (
        play(clicks, Given(lambda h: h.get_list_state("l", "v bigint"), on_rows))
        .give("at user v\n11 ann 1\n12 ann 2\n13 bob 9")
        .expect("user n\nann 12\nbob 9")
        .give("at user v\n14 ann 3\n15 ann 4")
        .expect("user n\nann 1234")
        .state("user l.v\nann 1,2,3,4\nbob 9")
        .give("at user v\n16 ann 0")
        .expect("user n\nann 0")
        .state("user l.v\nbob 9")
    )


def test_putting_a_list_replaces_it(clicks):
    def on_rows(self, key, rows, _):
        self.state.put([*list(self.state.get())[-1:], *((v,) for v in rows["v"])])

    told = play(clicks, Given(lambda h: h.get_list_state("l", "v bigint"), on_rows))
    told.give("at user v\n11 ann 1\n12 ann 2").give("at user v\n13 ann 3").state("user l.v\nann 2,3")


def test_an_empty_list_cannot_be_put(clicks):
    processor = Given(lambda h: h.get_list_state("l", "v bigint"), lambda self, *_: self.state.put([]))
    play(clicks, processor).add("at user\n11 ann").fails(sn.QueryError, "call clear()")


def test_a_map_is_read_and_written_by_its_keys(clicks):
    def on_rows(self, key, rows, _):
        for v in rows["v"]:
            seen = self.state.get_value(v)[0] if self.state.contains_key((v,)) else 0
            self.state.update_value((v,), (seen + 1,))
        if self.state.contains_key((0,)):
            self.state.remove_key((0,))
        assert dict(self.state.iterator()) == dict(zip(self.state.keys(), self.state.values(), strict=True))
        return [{"user": key[0], "n": 10 * k + n} for (k,), (n,) in sorted(self.state.iterator())]

    (
        play(clicks, Given(lambda h: h.get_map_state("m", "k bigint", "n bigint"), on_rows))
        .give("at user v\n11 ann 1\n12 ann 2\n13 ann 1\n14 bob 5")
        .expect("user n\nann 12\nann 21\nbob 51")
        .give("at user v\n14 ann 2\n15 ann 0")
        .expect("user n\nann 12\nann 22")
        .state("user m.key.k m.n\nann 1 2\nann 2 2\nbob 5 1")
    )


def test_a_map_can_be_cleared_and_large_ones_are_the_same(clicks):
    def on_rows(self, key, rows, _):
        if not self.state.exists():
            for k in range(1_000):
                self.state.update_value((k, None), (k,))
        elif rows["v"][0] == 1:
            assert [self.state.get_value((k, None)) for k in (3, 998, 1_000)] == [(3,), (998,), None]
            assert self.state.get_value((3, "x")) is None
        else:
            self.state.clear()
            assert not self.state.exists()
        return key[0], len(list(self.state.keys()))

    processor = Given(lambda h: h.get_map_state("m", "k bigint, s string", "n bigint"), on_rows)
    told = play(clicks, processor).give("at user v\n11 ann 0").expect("user n\nann 1000")
    told.give("at user v\n12 ann 1").expect("user n\nann 1000").give("at user v\n13 ann 2").state_rows(0)


def test_state_rows_are_values_lists_and_pairs_not_timers(clicks):
    def declare(handle):
        return (
            handle.get_value_state("n", "n bigint"),
            handle.get_list_state("l", "v bigint"),
            handle.get_map_state("m", "k bigint", "n bigint"),
        )

    def on_rows(self, key, rows, times):
        number, values, pairs = self.state
        number.update(1)
        values.put([1, 2, 3])
        pairs.update_value(1, 1)
        pairs.update_value(2, 1)
        self.handle.register_timer(pd.Timestamp("2026-01-02"))

    told = play(clicks, Given(declare, on_rows), "event").give("at user\n11 ann")
    assert told.query.last_progress.state_operators[0].num_rows_total == 4


def test_a_processor_keeps_nothing_but_its_state(clicks):
    def on_rows(self, key, rows, _):
        self.batches = getattr(self, "batches", 0) + 1
        return key[0], self.batches

    told = play(clicks, Given(lambda _: None, on_rows)).give("at user\n11 ann\n12 bob").expect("user n\nann 1\nbob 2")
    told.give("at user\n13 ann").expect("user n\nann 1")


def test_every_batch_begins_with_init_and_ends_with_close(clicks):
    told = []

    class Life(Count):
        def init(self, handle):
            told.append("init")
            super().init(handle)

        def close(self):
            told.append("close")

    query = play(clicks, Life())
    assert told == ["init", "close"]
    query.give("at user\n11 ann\n12 bob").give("at user\n12 ann")
    assert told == ["init", "close"] * 3


# -- timers


def by_the_watermark(on_timer):
    def on_rows(self, key, rows, _):
        self.handle.register_timer(rows["at"].max() + dt.timedelta(seconds=5))
        return key[0], len(list(self.handle.list_timers()))

    return Given(lambda _: None, on_rows, on_timer)


def seconds(info):
    return info.get_expiry_time_in_ms() // 1_000 % 60


def test_a_timer_expires_when_the_watermark_reaches_it(clicks):
    told = play(clicks, by_the_watermark(lambda self, key, times, info: (key[0], -seconds(info))), "event")
    told.give("at user\n10 ann").expect("user n\nann 1").idle().give("at user\n24.999 bob").step().expect()
    told.give("at user\n25 cid").step().expect("user n\nann -15").state("user variable\nbob timer\ncid timer")


def test_timers_come_after_the_rows_of_the_same_key_earliest_first(clicks):
    def on_timer(self, key, times, info):
        return key[0], -seconds(info) - 100 * len(list(self.handle.list_timers()))

    told = play(clicks, by_the_watermark(on_timer), "event").give("at user\n10 ann\n11 bob").idle()
    told.give("at user\n12 ann").give("at user\n40 cid").give("at user\n31 ann")
    told.expect("user n\nann 3\nbob -116\nann -315\nann -217")
    emitted = told.query.trace[-1].emitted
    assert emitted["n"].to_list() == [3, -315, -116, -217]


def test_a_timer_registered_for_a_time_that_has_passed_expires_in_the_same_batch(clicks):
    def on_rows(self, key, rows, times):
        self.handle.register_timer(times.get_current_watermark_in_ms())
        return key[0], len(rows)

    processor = Given(lambda _: None, on_rows, lambda self, key, times, info: (key[0], -1))
    play(clicks, processor, "event").give("at user\n20 ann").expect("user n\nann 1\nann -1").state_rows(0)


def test_a_deleted_timer_does_not_expire(clicks):
    def on_timer(self, key, times, info):
        for other in self.handle.list_timers():
            self.handle.delete_timer(other)
        return key[0], -seconds(info)

    told = play(clicks, by_the_watermark(on_timer), "event").give("at user\n10 ann").give("at user\n11 ann")
    told.give("at user\n40 cid").step().expect("user n\nann -15").state("user variable\ncid timer")


def test_a_timer_registered_by_a_timer_waits_for_the_next_batch(clicks):
    def on_timer(self, key, times, info):
        self.handle.register_timer(info.get_expiry_time_in_ms() + 1_000)
        return key[0], -seconds(info)

    told = play(clicks, by_the_watermark(on_timer), "event").give("at user\n10 ann").idle().give("at user\n40 cid")
    told.step().expect("user n\nann -15").give("at user\n41 -").expect("user n\n- 1\nann -16")


def test_a_timer_of_the_same_moment_as_one_before_expires_too(clicks):
    told = play(clicks, by_the_watermark(lambda self, key, times, info: (key[0], -seconds(info))), "event")
    told.give("at user\n10 ann\n11 ann").idle().give("at user\n25 -").step().expect().give("at user\n26 -").step()
    told.expect("user n\nann -16").state("user\n-\n-")


def test_timers_by_the_clock_expire_when_it_reaches_them(clicks, clock):
    def on_rows(self, key, rows, times):
        for n in (1, 2):
            self.handle.register_timer(times.get_current_processing_time_in_ms() + n * 1_000)

    processor = Given(lambda _: None, on_rows, lambda self, key, times, info: (key[0], seconds(info)))
    told = play(clicks, processor, "processing", clock).give("at user\n11 ann").nothing_to_do()
    for elapsed, n in (("999 ms", ""), ("1 ms", "user n\nann 1"), ("5 seconds", "user n\nann 2"), ("1 ms", "")):
        clock.advance(elapsed)
        told.idle().expect(n).nothing_to_do()
    told.batches(5)


def test_timers_need_a_time_to_go_by(clicks):
    processor = Given(lambda _: None, lambda self, *_: self.handle.register_timer(1))
    play(clicks, processor).add("at user\n11 ann").fails(sn.QueryError, "ask for time_mode=")
    bare = sn.stream(sn.MemorySource(SCHEMA))
    play(bare, processor, "event").add("at user\n11 ann").fails(sn.QueryError, "there is no watermark")


def test_a_moved_watermark_asks_for_a_batch_and_timers_are_counted(clicks):
    told = play(clicks, by_the_watermark(lambda self, key, times, info: None), "event").give("at user\n10 ann")
    told.give("at user\n40 bob").step().nothing_to_do().batches(3)
    assert told.query.last_progress.state_operators[0].custom_metrics["num_expired_timers"] == 1


# -- time to live


def ttl(seconds=10):
    def on_rows(self, key, rows, _):
        self.state.update(((self.state.get() or (0,))[0] + 1,))
        return key[0], self.state.get()[0]

    return Given(lambda h: h.get_value_state("n", "n bigint", ttl=f"{seconds} seconds"), on_rows)


def test_a_value_lives_until_its_time_after_the_last_write_is_over(clicks, clock):
    told = play(clicks, ttl(), "processing", clock).give("at user\n11 ann").expect("user n\nann 1")
    clock.advance("9999 ms")
    told.give("at user\n12 ann").expect("user n\nann 2")
    clock.advance("9999 ms")
    told.give("at user\n13 ann\n13 bob").expect("user n\nann 3\nbob 1")
    clock.advance("10 seconds")
    told.give("at user\n14 ann").expect("user n\nann 1").state("user n.n\nann 1")
    assert told.query.last_progress.state_operators[0].custom_metrics["num_values_removed_due_to_ttl_expiry"] == 1


def test_elements_and_pairs_live_each_its_own_time(clicks, clock):
    def on_rows(self, key, rows, _):
        values, pairs = self.state
        before = len(list(values.get())), len(list(pairs.keys())), values.exists(), pairs.exists()
        values.append_value(int(rows["v"].iloc[0]))
        pairs.update_value(int(rows["v"].iloc[0]), 1)
        return key[0], int("".join(str(int(part)) for part in before))

    def declare(handle):
        return (
            handle.get_list_state("l", "v bigint", ttl_duration_ms=10_000),
            handle.get_map_state("m", "k bigint", "n bigint", 10_000),
        )

    told = (
        play(clicks, Given(declare, on_rows), "processing", clock).give("at user v\n11 ann 1").expect("user n\nann 0")
    )
    clock.advance("6 seconds")
    told.give("at user v\n12 ann 2").expect("user n\nann 1111")
    clock.advance("6 seconds")
    told.give("at user v\n13 ann 3").expect("user n\nann 1111")
    clock.advance("10 seconds")
    told.idle().state_rows(0).give("at user v\n13 ann 3").expect("user n\nann 0")


def test_a_time_to_live_needs_the_clock(clicks):
    with pytest.raises(sn.QueryError, match="time_mode='processing'"):
        by_user(clicks, ttl(), "event").query("update")
    with pytest.raises(sn.QueryError, match="not above zero"):
        by_user(clicks, ttl(0), "processing").query("update")


# -- the first batch


class Opened(Count):
    def handle_initial_state(self, key, initial_state, timer_values):
        self.n.update((int(initial_state["n"].sum()),))


def test_initial_state_is_there_before_the_first_rows(clicks):
    start = pd.DataFrame({"user": ["ann", "ann", "cid"], "n": [10, 20, 5]})
    told = play(clicks, Opened(), initial_state=start).give("at user\n11 ann\n12 bob").expect("user n\nann 31\nbob 1")
    told.state("user n.n\nann 31\nbob 1\ncid 5").give("at user\n13 cid").expect("user n\ncid 6")


def test_initial_state_needs_the_keys(clicks):
    assert code_of(lambda: by_user(clicks, Opened(), initial_state=pd.DataFrame({"n": [1]}))) == "COLUMN_NOT_FOUND"


# -- late rows, and the time of what comes out


def test_rows_at_or_behind_the_watermark_are_late_with_event_time(clicks):
    told = play(clicks, Count(), "event").give("at user\n20 ann").idle().give("at user\n10 ann\n11 ann")
    told.late("at user\n10 ann").expect("user n\nann 2")


def test_without_event_time_no_row_is_late(clicks):
    told = play(clicks, Count()).give("at user\n20 ann").idle().give("at user\n10 ann\n11 ann")
    told.late().expect("user n\nann 3")


class Timed(sn.StatefulProcessor):
    """The first time of a key's rows, moved."""

    def __init__(self, by="0s"):
        self.by = pd.Timedelta(by)

    def handle_input_rows(self, key, rows, timer_values):
        yield key[0], pd.concat(list(rows))["at"].min() + self.by


def test_what_comes_out_has_an_event_time_if_it_is_named(clicks):
    timed = by_user(clicks, Timed(), "event", "user string, seen timestamp", event_time_column="seen")
    counted = timed.group_by(sn.window("seen", "10 seconds")).agg(n=sn.count())
    told = Play(counted, "append").give("at user\n11 ann\n12 bob").idle().give("at user\n31 ann").expect().step()
    told.expect("window_start n\n10 2")
    unmarked = by_user(clicks, Timed(), "event", "user string, seen timestamp")
    windows = unmarked.group_by(sn.window("seen", "10 seconds")).agg(n=sn.count())
    assert code_of(lambda: windows.query("append")) == "APPEND_WITHOUT_WATERMARK"


def test_a_row_that_comes_out_late_fails_the_query(clicks):
    told = play(clicks, Timed("-9s"), "event", out="user string, seen timestamp", event_time_column="seen")
    told.give("at user\n20 ann").idle().add("at user\n19 ann").fails(sn.QueryError, "at or behind the watermark")


def test_the_event_time_that_comes_out_must_make_sense(clicks):
    bare = sn.stream(sn.MemorySource(SCHEMA))
    seen = {"time_mode": "event", "out": "user string, seen timestamp"}
    assert code_of(lambda: by_user(bare, Timed(), event_time_column="seen", **seen)) == "EVENT_TIME_WITHOUT_WATERMARK"
    assert code_of(lambda: by_user(clicks, Timed(), event_time_column="when", **seen)) == "COLUMN_NOT_FOUND"
    assert code_of(lambda: by_user(clicks, Timed(), event_time_column="user", **seen)) == "EVENT_TIME_TYPE"


# -- the query around it


def test_a_table_is_given_its_rows_and_then_every_event_timer_expires_once(clicks):
    def on_timer(self, key, times, info):
        self.handle.register_timer(info.get_expiry_time_in_ms() + 1_000)
        assert times.get_current_watermark_in_ms() == info.get_expiry_time_in_ms()
        return key[0], -seconds(info)

    frame = by_user(clicks, by_the_watermark(on_timer), "event")
    source = frame.node.inputs[0].inputs[0].source
    source.add({"at": ["2026-01-01 00:00:20", "2026-01-01", "2026-01-01 00:00:30"], "user": ["ann", "bob", "ann"]})
    assert frame.collect().values.tolist() == [["ann", 1], ["bob", 1], ["bob", -5], ["ann", -35]]


def test_in_a_table_no_timer_by_the_clock_expires(clicks):
    def on_rows(self, key, rows, times):
        self.handle.register_timer(times.get_current_processing_time_in_ms())
        return key[0], 1

    frame = by_user(clicks, Given(lambda _: None, on_rows), "processing")
    frame.node.inputs[0].inputs[0].source.add({"at": ["2026-01-01"], "user": ["ann"]})
    assert frame.collect()["n"].tolist() == [1]


def test_rewinding_brings_back_variables_and_timers(clicks):
    told = play(clicks, by_the_watermark(lambda self, key, times, info: (key[0], -seconds(info))), "event")
    told.give("at user\n10 ann\n12 bob").idle().give("at user\n40 -").step().expect("user n\nann -15\nbob -17")
    told.rewind(1).state("user\nann\nbob").step().step().expect("user n\nann -15\nbob -17").rewind(-1).state_rows(0)


def test_a_failed_batch_changes_nothing(clicks):
    def on_rows(self, key, rows, _):
        self.state.append_list(rows["v"].tolist())
        if len(list(self.state.get())) > 2:
            raise KeyError("amount")

    told = play(clicks, Given(lambda h: h.get_list_state("l", "v bigint"), on_rows)).give("at user v\n11 ann 1")
    told.add("at user v\n11 ann 2\n12 ann 3\n13 bob 4").fails(sn.QueryError, "KeyError 'amount'")
    told.state("user l.v\nann 1")


def test_processors_can_be_chained(clicks):
    passed = by_user(clicks, Timed(), "event", "user string, at timestamp", event_time_column="at")
    Play(by_user(passed, Count()), "append").give("at user\n11 ann").give("at user\n12 ann").expect("user n\nann 2")


def test_the_output_mode_is_the_querys_whatever_the_operator_says(clicks):
    play(clicks, Count(), output_mode="Append").give("at user\n11 ann").expect("user n\nann 1")


def test_plans_that_make_no_sense_are_refused(clicks):
    assert code_of(lambda: by_user(clicks, Count)) == "OPTION_INVALID"
    assert code_of(lambda: by_user(clicks, object())) == "OPTION_INVALID"
    assert code_of(lambda: by_user(clicks, Count(), "soon")) == "OPTION_INVALID"
    assert code_of(lambda: by_user(clicks, Count(), output_mode="soon")) == "OPTION_INVALID"
    assert code_of(lambda: by_user(clicks, Count()).query("complete")) == "COMPLETE_WITHOUT_AGGREGATION"
    counts = clicks.group_by("user").agg(n=sn.count())
    assert code_of(lambda: by_user(counts, Count()).query("update")) == "TWO_AGGREGATIONS"


def test_an_error_in_init_says_whose_it_is(clicks):
    with pytest.raises(sn.QueryError, match="init of Given failed: ZeroDivisionError"):
        by_user(clicks, Given(lambda _: 1 / 0, None)).query("update")


def test_variables_are_declared_in_init_and_every_time_the_same(clicks):
    def late(self, key, rows, _):
        return self.handle.get_value_state("n", "n bigint")

    play(clicks, Given(lambda _: None, late)).add("at user\n11 ann").fails(sn.QueryError, "declared too late")
    schemas = iter(["n bigint", "n string"])
    other = Given(lambda h: h.get_value_state("n", next(schemas)), None)
    play(clicks, other).add("at user\n11 ann").fails(sn.QueryError, "declared it otherwise")


def test_a_variable_of_an_earlier_version_can_be_deleted(clicks):
    def declare(handle):
        handle.delete_if_exists("old")
        return value(handle)

    played = Given(declare, lambda self, key, rows, _: self.state.update(1))
    play(clicks, played).give("at user\n11 ann").give("at user\n11 ann").state("user n.n\nann 1")


def test_a_processor_written_for_pyspark_works_as_it_is(clicks):
    class FromSpark:
        def init(self, handle):
            self.handle = handle
            self.count = handle.getValueState("count", "n bigint", ttlDurationMs=None)

        def handleInputRows(self, key, rows, timerValues):  # noqa: N802, N803
            n = (self.count.get()[0] if self.count.exists() else 0) + sum(len(pdf) for pdf in rows)
            self.count.update((n,))
            self.handle.registerTimer(timerValues.getCurrentWatermarkInMs() + 1)
            yield pd.DataFrame({"user": key, "n": n})

        def handleExpiredTimer(self, key, timerValues, expiredTimerInfo):  # noqa: N802, N803
            yield pd.DataFrame({"user": key, "n": -expiredTimerInfo.getExpiryTimeInMs()})

        def close(self):
            pass

    told = play(clicks, FromSpark(), "EventTime").give("at user\n11 ann").expect("user n\nann 1")
    told.step().expect("user n\nann -1")


def test_state_does_not_grow_and_a_batch_costs_its_rows(clicks):
    def on_rows(self, key, rows, _):
        values, pairs = self.state
        values.append_list(rows["v"].tolist())
        pairs.update_value(1, 1)
        self.handle.register_timer(rows["at"].max())

    def on_timer(self, key, times, info):
        for variable in self.state:
            variable.clear()

    def declare(handle):
        return handle.get_list_state("l", "v bigint"), handle.get_map_state("m", "k bigint", "n bigint")

    told = play(clicks, Given(declare, on_rows, on_timer), "event")
    start = pd.Timestamp("2026-01-01")
    for n in range(200):
        told.add([{"at": start + pd.Timedelta(seconds=10 * n), "user": f"user {n}", "v": n}]).step().step()
    assert len(told.query.state) <= 6
    assert told.query.last_progress.state_operators[0].memory_used_bytes < 400_000
