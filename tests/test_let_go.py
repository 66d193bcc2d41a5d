"""However long a query plays: a bounded number of batches is told of, and the answers about those are as ever."""

from __future__ import annotations

import gc
import importlib
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

import streamnb as sn
from streamnb import retention
from streamnb.errors import QueryError
from streamnb.views.controls import numbers
from streamnb.views.cursor import cursor_of
from streamnb.views.late import Late
from streamnb.views.modes import Modes
from streamnb.views.plan_nodes import counters
from streamnb.views.plane_rows import Story, story_of
from streamnb.views.together import Together
from tests.faults.test_interrupts import Alarm, alarm, counted, filled, seconds_of, told

__all__ = ["alarm"]

MOST, BATCHES, LONG = 20, 45, 120
memory = importlib.import_module("streamnb.sources.memory")
SCHEMA = {"at": "datetime", "k": "string", "v": "int64"}


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Queries made from here on tell of 20 batches, and let go of two at once."""
    monkeypatch.setattr(retention, "MOST_BATCHES", MOST)


def rows(batch: int) -> pl.DataFrame:
    """Return three rows of a batch: every fifth batch brings one that is too late."""
    chance = np.random.default_rng(batch)
    seconds = batch * 4 + chance.integers(-3, 4, 3) - np.array([0, 0, 40 * (batch % 5 == 4)])
    times = pl.Series(seconds * 1_000_000 + 10**15).cast(pl.Datetime("us"))
    return pl.DataFrame({"at": times, "k": chance.choice(list("abc"), 3), "v": chance.integers(0, 9, 3)})


def played(
    frame: Callable[[sn.StreamFrame], sn.StreamFrame], mode: str = "append", batches: int = BATCHES, **settings: Any
) -> tuple[sn.Query, sn.MemorySource]:
    source = sn.MemorySource(SCHEMA)
    query = frame(sn.stream(source).with_watermark("at", "5 seconds")).query(mode, **settings)
    for batch in range(batches):
        source.add(rows(batch))
    return query.run(), source


def windowed(frame: sn.StreamFrame) -> sn.StreamFrame:
    return frame.group_by(sn.window("at", "10 seconds"), "k").agg(n=sn.count(), v=sn.sum("v"))


FRAMES: dict[str, tuple[Callable[[sn.StreamFrame], sn.StreamFrame], str]] = {
    "append": (windowed, "append"),
    "update": (windowed, "update"),
    "complete": (lambda frame: frame.group_by("k").agg(n=sn.count()), "complete"),
    "rows": (lambda frame: frame.drop_duplicates(["at", "k"]).filter(sn.col("v") > 2), "append"),
}


def said(query: sn.Query, batches: range) -> dict[str, Any]:
    """Return what a query answers about some of its batches, and about itself."""
    last = batches[-1]
    seen = {trace.batch_id: at for at, trace in enumerate(query.trace)}
    late = query.late[query.late["batch_id"].isin(batches)]
    return {
        "result": query.result.to_dict("split"),
        "results": [query.result_at(n).to_dict("split") for n in batches],
        "states": [query.state_at(n).astype(str).values.tolist() for n in batches],
        "state": query.state.astype(str).values.tolist(),
        "diff": str(query.diff(batches[0], last)),
        "late": late.drop(columns="set_by").astype(str).values.tolist(),
        "lost": len(query.late) + query.late.attrs["let_go"],
        "watermark": query.watermark,
        "emitted": [query.trace[seen[n]].emitted.rows() for n in batches],
        "rows": [query.progress[seen[n]].num_input_rows for n in batches],
        "dropped": [numbers(query, seen[n])[-1].text for n in batches],
        "work": [[(c.all_in, c.all_out, c.all_late) for c in counters(query.trace[seen[n]]).values()] for n in batches],
        "sums": [query.trace[seen[n]].so_far[:3] for n in batches],
        "name": repr(query).partition(":")[2],
    }


@pytest.mark.parametrize("name", FRAMES)
def test_what_is_kept_is_as_if_nothing_had_been_let_go(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    frame, mode = FRAMES[name]
    monkeypatch.setattr(retention, "MOST_BATCHES", MOST)
    short, _ = played(frame, mode)
    monkeypatch.undo()
    long, _ = played(frame, mode)
    kept = range(short.trace[0].batch_id, short.trace[-1].batch_id + 1)
    assert MOST - 2 < len(short.trace) == len(short.progress) == len(kept) <= MOST
    assert (short.let_go, long.let_go) == (kept[0], 0)
    assert said(short, kept) == said(long, kept)
    to = kept[3]
    assert said(short.rewind(to).run(), kept) == said(long.rewind(to).run(), kept)


@pytest.mark.usefixtures("few")
def test_a_batch_that_was_let_go_of_is_said_to_be() -> None:
    query, _ = played(windowed)
    first = query.trace[0].batch_id
    asked: list[Callable[[], object]] = [
        lambda: query.rewind(3),
        lambda: query.state_at(3),
        lambda: query.diff(3, first),
        lambda: query.result_at(3),
        lambda: query.fork(at_batch=3, name="behind"),
        lambda: query.fork(at_batch=-1, name="behind"),
        lambda: query.why({"batch_id": 3, "k": "a"}),
        lambda: query.state_page(batch=3),
    ]
    for ask in asked:
        with pytest.raises(
            QueryError, match=rf"batch -?\d is not there; batches {first} to \d+ are. Older ones were let"
        ):
            ask()
    assert (
        query.why({"k": "a", "v": 99}).note
        == f"Batches before {first} were let go of: what they read is not known here."
    )
    assert query.compare_with_batch().note.startswith(f"Batches before {first} were let go of")
    row = query.trace[0].rows.row(0, named=True)
    assert query.why(row).note == f"Batches before {first} were let go of: what they read is not known here."
    assert len(query.result_at(first - 1)) > 0


@pytest.mark.usefixtures("few")
def test_the_state_of_a_logic_that_was_replaced_is_let_go_of_too() -> None:
    query, source = played(windowed, batches=MOST // 2)
    stream = sn.stream(source).with_watermark("at", "5 seconds").filter(sn.col("v") >= 0)
    query.evolve(windowed(stream))
    for batch in range(MOST // 2, MOST + 4):
        source.add(rows(batch))
    query.run()
    first = query.trace[0].batch_id
    assert 0 < first < MOST // 2
    for batch_id in range(first):
        with pytest.raises(QueryError, match="is not there"):
            query.state_at(batch_id)
    assert query.state_at(first).to_dict("split") != query.state_at(first + 1).to_dict("split")


@pytest.mark.usefixtures("few")
def test_a_fork_and_another_logic_behind_what_was_let_go() -> None:
    query, source = played(windowed, "update")
    other = query.fork(at_batch=query.trace[2].batch_id, name="beside").run()
    assert other.result.tail(9).to_dict("split")["data"] == query.result.tail(9).to_dict("split")["data"]
    for batch in range(BATCHES, BATCHES + 2 * MOST):
        source.add(rows(batch))
    query.run()
    with pytest.raises(QueryError, match=r"no longer knows what batch \d+ read, which 'beside' is to run; fork again"):
        other.run()
    source.add(rows(200))
    again = query.fork(name="again")
    query.step()
    assert again.run().trace[-1].batch_id == query.trace[-1].batch_id
    assert query.switch_to(again).done
    source.add(rows(201))
    assert query.run().state_page().batch_id == query.trace[-1].batch_id
    assert query.trace[0].batch_id == query.let_go


@pytest.mark.usefixtures("few")
def test_another_logic_is_rebuilt_from_all_that_was_read() -> None:
    query, source = played(windowed, "update")
    before, marked = query.state, sn.stream(source).with_watermark("at", "5 seconds")
    more = marked.group_by(sn.window("at", "10 seconds"), "k").agg(n=sn.count(), v=sn.sum("v"), most=sn.max("v"))
    assert query.evolve(more, rebuild=True).rows_read == 3 * BATCHES
    assert query.state.drop(columns="most").to_dict("split") == before.to_dict("split")
    assert query.recording().traces == ()
    source.add(rows(BATCHES))
    last = query.trace[-1].batch_id
    assert query.run().recording().traces[0].batch_id == last + 1


@pytest.mark.usefixtures("few")
def test_an_interrupt_while_batches_are_let_go_of(alarm: Alarm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "MOST_BATCHES", 4)
    expected, usual = told(counted(filled(8)).query().run()), seconds_of(counted(filled(8)).query().run) / 2
    assert len(expected["batches"]) == 4
    while alarm.count < 12:
        query = counted(filled(8)).query()
        while alarm.interrupts(query.run, usual):
            pass
        assert told(query) == expected


# -- views


@pytest.mark.usefixtures("few")
def test_a_reader_stays_with_the_batch_until_it_goes() -> None:
    query, source = played(windowed)
    cursor, newest = cursor_of(query), len(query.trace) - 1
    cursor.move(10, newest)
    looked_at = query.trace[10].batch_id
    seen = []
    for batch in range(BATCHES, BATCHES + 14):
        source.add(rows(batch))
        query.run()
        seen.append(query.trace[cursor.at(len(query.trace) - 1)].batch_id)
    assert seen == [max(looked_at, first) for first in _firsts(seen, looked_at)]
    assert seen[0] == looked_at < seen[-1] == query.trace[0].batch_id
    cursor.move(len(query.trace) - 1, len(query.trace) - 1)
    source.add(rows(BATCHES + 14))
    query.run()
    assert cursor.at(len(query.trace) - 1) == len(query.trace) - 1


def _firsts(seen: list[int], looked_at: int) -> list[int]:
    return [n if n > looked_at else 0 for n in seen]


@pytest.mark.usefixtures("few")
def test_totals_of_the_plane_never_shrink_whoever_opens_it_when() -> None:
    query, source = played(windowed, batches=10)
    late, story, sums = Late(query), story_of(query), []
    for batch in range(10, BATCHES):
        source.add(rows(batch))
        query.run()
        sums.append(story.follow(list(query.trace))[-1].totals)
        late.sheet(len(query.trace) - 1)
    assert [s.rows for s in sums] == sorted(s.rows for s in sums)
    assert (sums[-1].rows, sums[-1].dropped) == (3 * BATCHES, query.trace[-1].so_far.late)
    opened_now = Story(query.outline).follow(list(query.trace))[-1].totals
    assert (opened_now.rows, opened_now.dropped) == (sums[-1].rows, sums[-1].dropped)
    told = late.sheet(len(query.trace) - 1)
    assert f"{query.trace[-1].so_far.late} rows came too late" in told.title or "dropped" in told.title
    assert told.spoken == Late(query).sheet(len(query.trace) - 1).spoken
    query.rewind(query.trace[5].batch_id)
    assert story.follow(list(query.trace))[-1].totals.dropped == query.trace[-1].so_far.late
    query.run()
    assert story.follow(list(query.trace))[-1].totals.dropped == sums[-1].dropped


@pytest.mark.usefixtures("few")
def test_three_modes_let_go_of_their_rounds_together() -> None:
    source = sn.MemorySource(SCHEMA)
    together = Together(windowed(sn.stream(source).with_watermark("at", "5 seconds")))
    for batch in range(BATCHES):
        source.add(rows(batch))
        together.step()
    assert MOST - 4 <= len(together.rounds) == len(together.trace) <= MOST
    assert all(r.is_told for r in together.rounds)
    assert together.let_go + len(together.rounds) >= BATCHES
    sheet = Modes(together).sheet(len(together.rounds) - 1)
    assert "Rows written so far: append" in sheet.spoken
    together.rewind(together.trace[4].batch_id)
    assert len(together.rounds) == 5
    together.stop()


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("name", FRAMES)
def test_a_sink_that_is_a_picture_lets_go_too(name: str) -> None:
    frame, mode = FRAMES[name]
    picture = sn.table(limit=500)
    query, _ = played(frame, mode, sink=picture)
    assert len(picture._batches) <= MOST + 2
    for trace in query.trace:
        rows: Any = picture.rows(trace.batch_id)
        assert rows.drop("\0final").to_dict(as_series=False) == query.result_at(trace.batch_id).to_dict("list")


# -- long


def test_dead_letters_have_a_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamnb.journal.BUDGET", 12_000)
    clock, source = sn.ManualClock("2026-01-01"), sn.MemorySource(SCHEMA)
    query = sn.stream(source).with_watermark("at", "5 seconds").query(clock=clock, guard_future="1 minute")
    for day in range(2, 12):
        source.add([{"at": f"2026-02-{day:02d}", "k": "x" * 50, "v": 1}])
        query.run()
    told = query.dead_letters
    assert 0 < len(told) < 10
    assert len(told) + told.attrs["let_go"] == 10
    assert told["batch_id"].tolist() == list(range(10 - len(told), 10))


def test_old_units_of_a_source_fed_by_hand_are_read_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_TOGETHER", 4)
    source, numbered = sn.MemorySource({"v": "int64"}), [list(range(n, n + n % 3)) for n in range(25)]
    for values in numbered:
        source.add({"v": values})
    assert len(source._held[0]) == 5
    for start in range(26):
        for end in range(start, 26):
            found = source.read(start, end)["v"].to_list()
            assert found == [value for values in numbered[start:end] for value in values]


def test_a_long_play_grows_by_what_it_gives_out_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "MOST_BATCHES", 50)
    monkeypatch.setattr(memory, "_TOGETHER", 30)
    source = sn.MemorySource(SCHEMA)
    query = windowed(sn.stream(source).with_watermark("at", "5 seconds")).query("update", no_data_batches=False)
    held: list[tuple[int, int]] = []

    def play(first: int, last: int) -> None:
        for batch in range(first, last):
            source.add(rows(batch))
            query.step()
        gc.collect()
        held.append((len(gc.get_objects()), tracemalloc.get_traced_memory()[0]))

    tracemalloc.start()
    try:
        for first in range(0, 3 * LONG, LONG):
            play(first, first + LONG)
    finally:
        tracemalloc.stop()
    (_, _), (objects, size), (later_objects, later_size) = held
    assert later_objects - objects < LONG / 3
    assert later_size - size < LONG * 300
    assert len(query.trace) <= 50
