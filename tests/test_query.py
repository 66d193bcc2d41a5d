"""Query: stepping, playing in the background, failing, stopping, going back, and what can be seen."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import pytest

import streamnb as sn
from streamnb.errors import PlanError, QueryError, StreamnbError
from streamnb.progress import Playable
from streamnb.query import Query
from streamnb.views.late import Late

SOON = 20.0
SCHEMA = {"at": "datetime", "k": "string", "n": "int64"}


@pytest.fixture
def source() -> sn.MemorySource:
    return sn.MemorySource(SCHEMA)


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    """Whatever a test does, its threads end when its queries are stopped."""
    before = set(threading.enumerate())
    yield
    for query in sn.queries():
        query.stop()
    assert [thread for thread in threading.enumerate() if thread not in before and "streamnb" in thread.name] == []


def counts(source: sn.MemorySource, delay: str = "0s") -> sn.StreamFrame:
    return sn.stream(source).with_watermark("at", delay).group_by(sn.window("at", "10s"), "k").agg(n=sn.count())


def row(second: int, k: str = "a", n: int = 1) -> dict[str, Any]:
    return {"at": pd.Timestamp("2026-01-01") + pd.Timedelta(seconds=second), "k": k, "n": n}


def feed(source: sn.MemorySource, *seconds: int) -> None:
    for second in seconds:
        source.add([row(second)])


def until(query: Query, condition: Callable[[], bool]) -> bool:
    """Wait for a change of the query after which the condition holds."""
    changed = threading.Condition()

    def notify() -> None:
        with changed:
            changed.notify_all()

    end = query.subscribe(notify)
    with changed:
        held = changed.wait_for(condition, SOON)
    end()
    return held


class Valve:
    """A function of the user's that fails while it is shut."""

    def __init__(self) -> None:
        self.shut = True

    def __call__(self, rows: pd.DataFrame) -> pd.DataFrame:
        if self.shut and len(rows):
            raise ZeroDivisionError("the valve is shut")
        return rows


# -- stepping


def test_a_step_takes_one_unit_and_returns_its_progress(source: sn.MemorySource) -> None:
    feed(source, 1, 2)
    query = counts(source).query()
    assert [getattr(query.step(), "batch_id", None) for _ in range(4)] == [0, 1, 2, None]


def test_run_takes_all_that_is_there(source: sn.MemorySource) -> None:
    feed(source, 1, 12, 25)
    assert list(counts(source).query().run().result["n"]) == [1, 1]


def test_run_does_not_wait_for_more(source: sn.MemorySource) -> None:
    query = counts(source).query().run()
    assert (query.status, len(query.trace)) == ("done", 0)


def test_the_status_follows_what_is_done(source: sn.MemorySource) -> None:
    feed(source, 1)
    query = counts(source).query()
    assert query.status == "idle"
    query.step()
    assert query.status == "idle"
    assert query.run().status == "done"
    assert query.stop().status == "stopped"


def test_a_stopped_query_can_be_looked_at_and_not_run(source: sn.MemorySource) -> None:
    feed(source, 1, 12)
    query = counts(source).query().run().stop()
    assert len(query.result) == 1
    for work in (query.step, query.run, query.play, lambda: query.rewind(0)):
        with pytest.raises(QueryError, match=r"query '.*': it is stopped; make a new one with frame.query\(\)."):
            work()


def test_two_threads_may_step_at_once(source: sn.MemorySource) -> None:
    feed(source, *range(40))
    query = sn.stream(source).query()

    def work() -> None:
        while query.step() is not None:
            pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON)
    assert [trace.batch_id for trace in query.trace] == list(range(40))
    assert len(query.result) == 40


def test_a_listener_may_look_and_step_itself(source: sn.MemorySource) -> None:
    feed(source, 1, 2, 3)
    query, seen = sn.stream(source).query(), []

    def listen() -> None:
        seen.append(len(query.result))
        if len(seen) < 3:
            query.step()

    query.subscribe(listen)
    query.step()
    assert len(query.result) == 3


def test_a_listener_that_has_left_hears_nothing(source: sn.MemorySource) -> None:
    feed(source, 1, 2)
    query, seen = sn.stream(source).query(), []
    leave = query.subscribe(lambda: seen.append(1))
    query.step()
    leave()
    leave()
    query.step()
    assert seen == [1]


# -- playing


def test_it_plays_in_the_background_and_goes_on_when_more_comes(source: sn.MemorySource) -> None:
    feed(source, 1, 12)
    query = counts(source).start(trigger="0s")
    assert query.playing
    assert until(query, lambda: len(query.result) == 1)
    feed(source, 25)
    assert until(query, lambda: len(query.result) == 2)
    query.stop()
    assert not query.playing


def test_a_pause_keeps_everything_where_it_is(source: sn.MemorySource) -> None:
    feed(source, 1)
    query = sn.stream(source).query().play(every="0s")
    assert until(query, lambda: len(query.result) == 1)
    query.pause()
    assert not query.playing
    with query._lock:
        feed(source, 2)
    assert query.step() is not None
    assert len(query.result) == 2


def test_playing_does_not_block_the_thread_that_asked(source: sn.MemorySource) -> None:
    started, go_on = threading.Event(), threading.Event()

    def slow(rows: pd.DataFrame) -> pd.DataFrame:
        started.set()
        go_on.wait(SOON)
        return rows

    feed(source, 1)
    query = sn.stream(source).map_batches(slow, SCHEMA).start(trigger="0s")
    assert started.wait(SOON)
    assert (query.result.empty, query.status, len(query.state)) == (True, "playing", 0)
    go_on.set()
    assert until(query, lambda: len(query.result) == 1)


def test_stopping_waits_for_the_batch_at_work(source: sn.MemorySource) -> None:
    started, go_on = threading.Event(), threading.Event()

    def slow(rows: pd.DataFrame) -> pd.DataFrame:
        started.set()
        go_on.wait(SOON)
        return rows

    feed(source, 1)
    query = sn.stream(source).map_batches(slow, SCHEMA).start(trigger="0s")
    assert started.wait(SOON)
    threading.Timer(0.05, go_on.set).start()
    query.stop()
    assert (len(query.result), query.status) == (1, "stopped")


def test_posted_commands_are_done_in_the_background(source: sn.MemorySource) -> None:
    feed(source, 1, 2, 3)
    query = sn.stream(source).query()
    query.post("step")
    query.post("step")
    assert until(query, lambda: len(query.trace) == 2)
    query.post("rewind", to=0)
    assert until(query, lambda: len(query.trace) == 1)
    query.post("play", every="0s")
    assert until(query, lambda: len(query.trace) == 3)
    query.post("pause")
    assert not query.playing
    query.post("stop")
    assert until(query, lambda: query.status == "stopped")


def test_a_command_that_fails_is_shown_until_the_next_good_one(source: sn.MemorySource) -> None:
    feed(source, 1)
    query = sn.stream(source).query()
    query.post("rewind", to=99)
    assert until(query, lambda: query.status == "failed")
    assert "batch 99 is not there" in str(query.exception)
    query.step()
    assert (query.exception, query.status) == (None, "idle")


def test_leaving_the_with_block_stops_it(source: sn.MemorySource) -> None:
    feed(source, 1)
    with sn.stream(source).start(trigger="0s") as query:
        assert until(query, lambda: len(query.result) == 1)
    assert query.status == "stopped"


def test_a_query_that_nobody_holds_is_gone(source: sn.MemorySource) -> None:
    gone = weakref.ref(counts(source).query(name="nobody's"))
    gc.collect()
    assert gone() is None
    assert "nobody's" not in [query.name for query in sn.queries()]


# -- failing in the background


def test_a_failure_in_the_background_is_shown_and_waits_for_its_cause_to_go(source: sn.MemorySource) -> None:
    feed(source, 1, 12)
    valve = Valve()
    frame = counts(source)
    query = frame.map_batches(valve, frame.schema).start("update", trigger="0s")
    assert until(query, lambda: query.status == "failed")
    assert not query.playing
    assert isinstance(query.exception, QueryError)
    assert isinstance(query.exception.__cause__, ZeroDivisionError)
    assert len(query.trace) == 0
    valve.shut = False
    query.run()
    assert query.status == "done"
    assert repr(query.exception) == "None"
    assert list(query.result["n"]) == [1, 1]


def test_playing_again_tries_again(source: sn.MemorySource) -> None:
    feed(source, 1)
    valve = Valve()
    query = sn.stream(source).map_batches(valve, SCHEMA).start(trigger="0s")
    assert until(query, lambda: query.status == "failed")
    valve.shut = False
    query.play()
    assert until(query, lambda: len(query.result) == 1)
    assert query.exception is None


def test_a_source_that_cannot_say_where_it_ends_fails_like_any_other(source: sn.MemorySource) -> None:
    latest = source.unit
    feed(source, 1)
    source.unit = lambda _: 1 / 0  # type: ignore[method-assign, assignment, return-value]
    query = sn.stream(source).start(trigger="0s")
    assert until(query, lambda: query.status == "failed")
    source.unit = latest  # type: ignore[method-assign]
    query.step()
    assert (query.exception, len(query.result)) == (None, 1)


def test_a_failure_at_the_front_is_raised_there(source: sn.MemorySource) -> None:
    feed(source, 1)
    valve = Valve()
    query = sn.stream(source).map_batches(valve, SCHEMA).query()
    for _ in range(2):
        with pytest.raises(QueryError, match=r"map_batches .node 2. failed on batch 0, 1 rows: ZeroDivisionError"):
            query.step()
    valve.shut = False
    assert len(query.run().result) == 1


def test_a_failure_does_not_lose_what_was_there(source: sn.MemorySource) -> None:
    feed(source, 1, 2)
    valve = Valve()
    valve.shut = False
    query = sn.stream(source).map_batches(valve, SCHEMA).query()
    query.step()
    valve.shut = True
    with pytest.raises(QueryError):
        query.step()
    assert (len(query.result), len(query.emitted), len(query.trace)) == (1, 1, 1)


# -- waiting for the end


def test_waiting_for_the_end_ends_with_it(source: sn.MemorySource) -> None:
    query = sn.stream(source).start(trigger="0s")
    assert query.await_termination(0.01) is False
    assert query.await_termination("10ms") is False
    threading.Timer(0.05, query.stop).start()
    assert query.await_termination(SOON) is True


def test_waiting_for_the_end_raises_what_failed(source: sn.MemorySource) -> None:
    feed(source, 1)
    query = sn.stream(source).map_batches(Valve(), SCHEMA).start(trigger="0s")
    with pytest.raises(QueryError, match=r"the valve is shut"):
        query.await_termination(SOON)


# -- names


def test_the_older_query_of_the_same_name_is_stopped_and_that_is_said(
    source: sn.MemorySource, capsys: pytest.CaptureFixture[str]
) -> None:
    older = sn.stream(source).start(name="flights", trigger="0s")
    newer = sn.stream(source).query(name="flights")
    assert (older.status, newer.status) == ("stopped", "idle")
    assert capsys.readouterr().out == "query 'flights': the older one of this name is stopped.\n"
    assert [query for query in sn.queries() if query.name == "flights"] == [newer]


def test_a_stopped_query_leaves_its_name_in_silence(
    source: sn.MemorySource, capsys: pytest.CaptureFixture[str]
) -> None:
    sn.stream(source).query(name="flights").stop()
    sn.stream(source).query(name="flights")
    assert capsys.readouterr().out == ""


def test_queries_without_a_name_get_one_each(source: sn.MemorySource) -> None:
    first, second = sn.stream(source).query(), sn.stream(source).query()
    assert first.name != second.name
    assert [query for query in sn.queries() if query in (first, second)] == [first, second]


def test_queries_are_listed_oldest_first(source: sn.MemorySource) -> None:
    names = [sn.stream(source).query(name=name) for name in ("one", "two")]
    names.append(sn.stream(source).query(name="one"))
    assert [query.name for query in sn.queries() if query in names] == ["two", "one"]


def test_a_query_that_failed_and_was_stopped_is_not_alive(source):
    source.add([{"at": "2026-01-01 00:00:01", "k": "ann"}])
    query = sn.stream(source).query(sink=lambda *_: 1 / 0)
    query.play(every="1ms")
    with pytest.raises(sn.QueryError, match="ZeroDivisionError"):
        query.await_termination(30)
    query.stop()
    assert query not in sn.queries()


# -- triggers


def test_available_now_takes_all_with_its_last_words_and_stops(source: sn.MemorySource) -> None:
    feed(source, 1, 12)
    query = counts(source).query(trigger="available_now").run()
    assert (query.status, len(query.result)) == ("stopped", 1)


def test_available_now_ends_by_itself_in_the_background(source: sn.MemorySource) -> None:
    feed(source, 1, 12)
    query = counts(source).start(trigger="available_now")
    assert query.await_termination(SOON) is True
    assert len(query.result) == 1


def test_once_is_one_batch_without_a_word_after(source: sn.MemorySource) -> None:
    feed(source, 1, 12)
    query = counts(source).query(trigger="once").run()
    assert (query.status, len(query.trace), len(query.result), len(query.state)) == ("stopped", 1, 0, 2)


def test_once_with_nothing_there_is_no_batch(source: sn.MemorySource) -> None:
    assert counts(source).query(trigger="once").run().trace == []


@pytest.mark.parametrize("trigger", ["soon", "5 parsecs", 5])
def test_a_trigger_that_cannot_be_read(source: sn.MemorySource, trigger: Any) -> None:
    with pytest.raises(PlanError) as error:
        counts(source).query(trigger=trigger)
    assert error.value.code in {"DURATION_INVALID", "OPTION_INVALID"}


# -- going back


def test_rewinding_to_the_beginning(source: sn.MemorySource) -> None:
    feed(source, 1, 12)
    query = counts(source).query().run().rewind(-1)
    assert (len(query.trace), len(query.result), len(query.state), query.watermark) == (0, 0, 0, pd.Timestamp(0))
    assert len(query.run().result) == 1


@pytest.mark.parametrize("to", [-2, 3, 99])
def test_rewinding_to_a_batch_that_is_not_there(source: sn.MemorySource, to: int) -> None:
    feed(source, 1, 12)
    query = counts(source).query().run()
    with pytest.raises(QueryError, match=rf"rewind: batch {to} is not there; batches -1 to 2 are."):
        query.rewind(to)
    assert len(query.trace) == 3


def test_a_batch_without_input_that_was_due_is_due_again(source: sn.MemorySource) -> None:
    feed(source, 1, 12)
    query = counts(source).query().run()
    assert [trace.no_data for trace in query.trace] == [False, False, True]
    progress = query.rewind(1).step()
    assert progress is not None
    assert progress.num_input_rows == 0
    assert len(query.result) == 1


def test_rewinding_while_it_plays(source: sn.MemorySource) -> None:
    feed(source, *range(5))
    query = sn.stream(source).start(trigger="0s")
    assert until(query, lambda: len(query.trace) == 5)
    query.rewind(1)
    assert until(query, lambda: len(query.trace) == 5)


def test_the_oldest_batches_are_let_go_when_they_weigh_too_much(source: sn.MemorySource) -> None:
    query = counts(source, "1s").query("update")
    query._history._budget = 40_000
    for second in range(80):
        feed(source, second)
        query.step()
    first = query._history.first_id
    assert 0 < first < 79
    with pytest.raises(QueryError, match=rf"rewind: batch {first - 1} is not there; batches {first} to "):
        query.rewind(first - 1)
    before = [len(query.state_at(batch)) for batch in range(first, 80)]
    assert [len(query.state_at(batch)) for batch in range(first, 80)] == before
    query.rewind(first).run()
    assert len(query.state_at(query.trace[-1].batch_id)) == before[-1]


def test_a_sink_is_told_a_batch_again_under_the_same_number(source: sn.MemorySource) -> None:
    told: list[tuple[int, int]] = []
    feed(source, 1, 2)
    query = sn.stream(source).query(sink=lambda rows, batch_id: told.append((batch_id, len(rows)))).run()
    query.rewind(0).run()
    assert told == [(0, 1), (1, 1), (1, 1)]


# -- looking


def test_what_was_given_out_batch_by_batch(source: sn.MemorySource) -> None:
    feed(source, 1, 12)
    query = counts(source).query().run()
    assert [len(rows) for rows in query.emitted] == [0, 0, 1]
    assert list(query.emitted[0].columns) == ["window_start", "window_end", "k", "n"]
    assert [len(query.result_at(batch)) for batch in (-1, 0, 1, 2)] == [0, 0, 0, 1]


def test_an_empty_result_has_its_columns_and_types(source: sn.MemorySource) -> None:
    result = counts(source).query().result
    assert {name: str(dtype) for name, dtype in result.dtypes.items()} == {
        "window_start": "datetime64[us]",
        "window_end": "datetime64[us]",
        "k": str(pd.Series(["a"]).dtype),
        "n": "int64",
    } or list(result.columns) == ["window_start", "window_end", "k", "n"]


def test_what_is_shown_is_a_copy(source: sn.MemorySource) -> None:
    feed(source, 1)
    query = counts(source).query("update").run()
    for shown in (query.result, query.state, query.emitted[0]):
        shown.loc[:, "n"] = 99
    assert list(query.result["n"]) == list(query.state["n"]) == list(query.emitted[0]["n"]) == [1]


def test_late_rows_tell_why(source: sn.MemorySource) -> None:
    query = counts(source, "5s").query()
    feed(source, 1, 38)
    query.run()
    source.add([row(12, "late", 7)])
    query.run()
    (late,) = query.late.to_dict("records")
    assert {name: late[name] for name in ("k", "n", "batch_id", "operator")} == {
        "k": "late", "n": 7, "batch_id": 3, "operator": "group_by",
    }  # fmt: skip
    assert late["watermark"] == pd.Timestamp("2026-01-01 00:00:33")
    assert late["late_by"] == pd.Timedelta("13s")
    assert (late["window_start"].second, late["window_end"].second) == (10, 20)
    assert late["reason"] == "its window ended at or before the watermark"
    assert late["set_by"] == "at=2026-01-01 00:00:38, k=a, n=1"


def test_no_late_row_is_an_empty_table_with_the_same_columns(source: sn.MemorySource) -> None:
    query = counts(source).query()
    assert query.late.empty
    assert {"batch_id", "operator", "watermark", "late_by", "reason", "set_by"} <= set(query.late.columns)


def test_late_rows_of_many_batches_stand_in_one_table(source: sn.MemorySource) -> None:
    query = counts(source).query()
    source.add([row(0) | {"at": pd.Timestamp("1969-12-31")}])
    feed(source, 38)
    query.run()
    feed(source, 1, 2)
    assert list(query.run().late["batch_id"]) == [0, 3, 4]
    assert [text is None or pd.isna(text) for text in query.late["set_by"]] == [True, False, False]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_late_rows_of_zoned_time_beside_naive_time(zone: str) -> None:
    source = sn.MemorySource({"noted": "datetime", "at": f"datetime[{zone}]", "k": "string"})
    query = counts(source).query()
    for at in ("2026-01-01T00:00:38Z", "2026-01-01T00:00:39Z", "2026-01-01T00:00:01Z"):
        source.add([{"noted": "2020-01-01", "at": at}])
    (late,) = query.run().late.to_dict("records")
    assert late["watermark"] == pd.Timestamp("2026-01-01 00:00:38", tz="UTC")
    assert late["set_by"] is not None
    assert "00:00:38" in late["set_by"] or "01:00:38" in late["set_by"]


def test_the_row_that_set_a_watermark_is_known_when_another_stream_lets_it_through(source: sn.MemorySource) -> None:
    other = sn.MemorySource(SCHEMA)
    both = sn.stream(source).with_watermark("at", "0s").union(sn.stream(other).with_watermark("at", "0s"))
    query = both.group_by(sn.window("at", "10s")).agg(n=sn.count()).query()
    sn.add({source: [row(30, "setter")], other: [row(1)]})
    sn.add({source: [], other: [row(50)]})
    query.run()
    assert query.watermark == pd.Timestamp("2026-01-01 00:00:30")
    source.add([row(2, "late")])
    (late,) = query.run().late.to_dict("records")
    assert late["set_by"] == "at=2026-01-01 00:00:30, k=setter, n=1"


def test_progress_has_sparks_numbers(source: sn.MemorySource) -> None:
    feed(source, 1)
    source.add([row(12), row(14, "b")])
    query = counts(source).query(name="numbers").run()
    progress = query.progress[1]
    assert (progress.name, progress.batch_id, progress.num_input_rows) == ("numbers", 1, 2)
    assert {name: time.second for name, time in progress.event_time.items()} == {
        "max": 14,
        "min": 12,
        "avg": 13,
        "watermark": 1,
    }
    (operator,) = progress.state_operators
    numbers = (operator.num_rows_total, operator.num_rows_updated, operator.num_rows_removed)
    assert numbers == (3, 2, 0)
    assert query.last_progress is not None
    assert query.last_progress["state_operators"][0]["num_rows_removed"] == 1
    assert progress.sink["num_output_rows"] == 0
    assert [s.num_input_rows for s in progress.sources] == [2]
    assert {"get_batch", "add_batch", "trigger_execution"} <= set(progress.duration_ms)
    assert progress.processed_rows_per_second > 0


def test_progress_is_read_like_a_dictionary(source: sn.MemorySource) -> None:
    feed(source, 1)
    progress = counts(source).query().step()
    assert progress is not None
    assert progress["num_input_rows"] == dict(progress)["num_input_rows"] == 1
    assert "watermark" not in progress
    with pytest.raises(KeyError):
        progress["nothing"]


def test_dropped_rows_are_counted(source: sn.MemorySource) -> None:
    feed(source, 38, 39, 1)
    query = counts(source).query().run()
    assert [p.state_operators[0].num_rows_dropped_by_watermark for p in query.progress] == [
        0,
        0,
        1,
        *[0] * (len(query.progress) - 3),
    ]


def test_the_clock_of_a_batch_is_the_querys(source: sn.MemorySource) -> None:
    clock = sn.ManualClock("2026-01-01 12:00")
    query = sn.stream(source).query(clock=clock)
    feed(source, 1)
    query.step()
    clock.advance("1 hour")
    feed(source, 2)
    query.step()
    assert [progress.timestamp.hour for progress in query.progress] == [12, 13]


def test_a_query_without_a_watermark_has_none(source: sn.MemorySource) -> None:
    feed(source, 1)
    query = sn.stream(source).query().run()
    assert query.watermark is None
    assert query.last_progress is not None
    assert query.last_progress.event_time == {}


def test_its_text_says_where_it_stands(source: sn.MemorySource) -> None:
    feed(source, 1)
    query = counts(source).query(name="mine").run()
    assert repr(query) == "Query 'mine': done, 2 batches, watermark 2026-01-01 00:00:01"


def test_the_plan_and_what_runs_of_it(source: sn.MemorySource) -> None:
    frame = counts(source).filter(sn.col("k") == "a")
    text = frame.query().explain()
    assert text.index("group_by") < text.index("filter") < text.index("runs as")
    assert text.rindex("filter") < text.rindex("with_watermark")
    assert text == frame.explain() == repr(frame)


def test_the_graph_is_streamz_and_can_be_listened_to(source: sn.MemorySource) -> None:
    heard: list[int] = []
    feed(source, 1, 2)
    query = sn.stream(source).filter(sn.col("n") > 0).query()
    node = query.graph[-1].sink(lambda batch: heard.append(len(batch.rows)))
    query.run()
    assert heard == [1, 1]
    node.destroy()


def test_it_is_what_a_view_asks_for(source: sn.MemorySource) -> None:
    query: Playable = counts(source, "5s").query(name="view")
    outline = query.outline
    assert (outline.name, outline.output_mode, outline.event_time) == ("view", "append", "at")
    assert (outline.keys, outline.values) == (("k",), ("n",))
    assert outline.delay == pd.Timedelta("5s")
    assert outline.window is not None
    assert outline.window.size == 10_000_000
    assert query.upcoming() is None


def test_a_replay_tells_what_is_to_come() -> None:
    table = pd.DataFrame({"at": pd.date_range("2026-01-01", periods=4, freq="1s")})
    frame = sn.from_pandas(table.assign(arrived=table["at"]), arrival="arrived", rows=1).with_watermark("at", "1s")
    query = frame.group_by(sn.window("at", "2s")).agg(n=sn.count()).query()
    query.step()
    upcoming = query.upcoming()
    assert upcoming is not None
    assert len(upcoming) == 3


# -- refused


def test_an_output_mode_that_does_not_exist(source: sn.MemorySource) -> None:
    with pytest.raises(
        PlanError, match=r"query: output_mode='upsert' is not known; use 'append' | 'update' | 'complete'"
    ) as error:
        sn.stream(source).query("upsert")
    assert error.value.code == "OPTION_INVALID"


def test_a_sink_that_is_none(source: sn.MemorySource) -> None:
    with pytest.raises(PlanError, match=r"query: sink=5 is not known; ") as error:
        sn.stream(source).query(sink=5)
    assert error.value.code == "OPTION_INVALID"


def test_a_refused_query_has_no_name_and_stops_no_other(source: sn.MemorySource) -> None:
    older = sn.stream(source).query(name="mine")
    with pytest.raises(StreamnbError):
        sn.stream(source).query("complete", name="mine")
    assert older.status == "idle"


def test_columns_of_the_users_that_are_called_like_ours_keep_their_names():
    rows = sn.MemorySource({"ts": "datetime", "operator": "string", "reason": "string", "batch_id": "int64"})
    windows = sn.stream(rows).with_watermark("ts", "0s").group_by(sn.window("ts", "1 hour"), "operator")
    query = windows.agg(expires_at=sn.count()).query()
    for at in ("10:00", "12:00", "10:01"):
        rows.add([{"ts": f"2024-01-01 {at}", "operator": at, "reason": "mine", "batch_id": -1}])
        query.run()
    (late,) = query.late.to_dict("records")
    assert (late["operator"], late["reason"], late["batch_id"]) == ("10:01", "mine", -1)
    assert (late["operator_"], late["batch_id_"]) == ("group_by", query.trace[-1].batch_id)
    assert late["reason_"].startswith("its window")
    (state,) = query.state.to_dict("records")
    assert (state["operator"], state["operator_"], state["expires_at"]) == ("12:00", "group_by", 1)
    assert str(state["expires_at_"]) == "2024-01-01 13:00:00"
    assert query.why(query.late.iloc[0]).fate == "late"


@pytest.mark.parametrize("names", [("late_by",), ("late_by_",), ("late_by", "late_by_", "operator")])
@pytest.mark.parametrize("verb", ["window", "session", "duplicates", "join"])
def test_a_column_of_the_users_own_called_late_by_keeps_its_values(names: tuple[str, ...], verb: str) -> None:
    rows = sn.MemorySource({"ts": "datetime", "k": "string", **dict.fromkeys(names, "int64")})
    frame = sn.stream(rows).with_watermark("ts", "1 minute")
    other = sn.stream(sn.MemorySource({"at": "datetime", "k": "string"})).with_watermark("at", "1 minute")
    made = {
        "window": frame.group_by(sn.window("ts", "1 hour")).agg(n=sn.count()),
        "session": frame.group_by(sn.session_window("ts", gap="1 minute"), "k").agg(n=sn.count()),
        "duplicates": frame.drop_duplicates(["ts", "k"]),
        "join": frame.join(other, on="k", within=sn.between("at", after="0s", before="1 hour", of="ts")),
    }
    query = made[verb].query(watermark_policy="max")
    for hour in (1, 9, 9, 1):
        rows.add([{"ts": f"2024-01-01 0{hour}:00", "k": "a", **dict.fromkeys(names, 7)}])
        query.run()
    late = query.late.iloc[-1]
    assert all(late[name] == 7 for name in names)
    ours = {("late_by",): "late_by_", ("late_by_",): "late_by", ("late_by", "late_by_", "operator"): "late_by__"}[names]
    assert late[ours] > pd.Timedelta(0)
    if verb != "join":
        assert query.why(late).fate == "late"
        assert "was dropped" in Late(query).sheet(len(query.trace) - 1).title
