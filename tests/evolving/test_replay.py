"""Batches that are done again: rows, times, params, rules and batches without input are those of the first time."""

from __future__ import annotations

import itertools
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import streamnb as sn
from streamnb import params, points
from tests.evolving.rows import feed, source

_fresh = itertools.count()
SEEDS = range(60)
POINTS = ("batch.begin", "offsets.done", "batch.read", "batch.computed", "state.done", "sink.end", "batch.end")


class Day:
    """A query to which rows come, and whose params and rules change, between batches and without any order."""

    def __init__(self, seed: int, checkpoint: Path | None = None) -> None:
        self.chance, self.number = random.Random(seed), next(_fresh)  # noqa: S311  a story, not a secret
        self.source, self.rules = source(2), sn.rules(f"limits_{self.number}", _limits(0))
        self.query = self.frame().query(checkpoint=checkpoint)
        for _ in range(self.chance.randrange(6, 14)):
            self.chance.choice(self.acts)()
        self.query.run()

    @property
    def params(self) -> tuple[sn.Param, sn.Param]:
        return sn.param(f"replayed_least_{self.number}", 0), sn.param(f"replayed_wait_{self.number}", "20 seconds")

    def frame(self, *more: str) -> sn.StreamFrame:
        """Return sums by window and card, and by more columns."""
        least, wait = self.params
        events = sn.stream(self.source).filter(sn.col("v") >= least).with_watermark("at", wait)
        decided = events.join(self.rules, on="card")
        groups = decided.group_by(sn.window("at", "10 seconds"), "card", *more)
        return groups.agg(n=sn.count(), most=sn.max("most"), by=sn.max(self.rules.column))

    @property
    def acts(self) -> list[Callable[[], Any]]:
        least, wait = self.params
        return [
            lambda: feed(self.source, self.chance.randrange(1, 4)),
            lambda: feed(self.source, 1),
            self.query.run,
            self.query.step,
            lambda: least.set(self.chance.randrange(5)),
            lambda: wait.set(f"{self.chance.randrange(40)} seconds"),
            lambda: self.rules.set(_limits(self.chance.randrange(9))),
        ]

    def go_back(self) -> None:
        """Rewind, do some batches again, and perhaps rewind again."""
        for _ in range(self.chance.randrange(1, 3)):
            self.query.rewind(to=self.chance.randint(-1, self.query._history.last.batch_id))
            for _ in range(self.chance.randrange(3)):
                self.query.step()

    def die(self, folder: Path, copy: Path) -> sn.Query:
        """Leave the query in the midst of a batch, as a process that is killed does; open it in another process."""
        with pytest.raises(KeyboardInterrupt), _killed_at(self.chance.choice(POINTS)):
            self.query.step()
        shutil.copytree(folder, copy)
        for param in self.params:
            del params._settings[param.param]
        self.rules = sn.rules(self.rules.name, self.rules.now().rows)
        return self.frame().query(checkpoint=copy)


class _killed_at:  # noqa: N801  it reads like a function
    def __init__(self, point: str) -> None:
        self.point = point

    def __enter__(self) -> None:
        points.listen(self._hear)

    def __exit__(self, *_: object) -> None:
        points.listen(None)

    def _hear(self, reached: str) -> None:
        if reached == self.point:
            points.listen(None)
            raise KeyboardInterrupt


def _limits(most: int) -> list[dict[str, Any]]:
    return [{"card": "ann", "most": most}, {"card": "bob", "most": 1}]


def told(query: sn.Query) -> dict[int, Any]:
    """Return by batch what it went by, and what it gave out."""
    return {
        t.batch_id: (t.no_data, t.time, t.watermark, _given(t), sorted(t.emitted.rows(), key=repr)) for t in query.trace
    }


def _given(trace: Any) -> dict[str, Any]:
    return {name: getattr(value, "number", value) for name, value in trace.given.items()}


@pytest.mark.parametrize("seed", SEEDS)
def test_rewound_every_batch_is_what_it_was(seed: int):
    day = Day(seed)
    story = told(day.query)
    for _ in range(3):
        day.go_back()
        assert told(day.query.run()) == story


@pytest.mark.parametrize("seed", SEEDS[::5])
def test_killed_after_a_rewind_it_does_the_others_again_too(seed: int, tmp_path: Path):
    day = Day(seed, tmp_path / "first")
    story = told(day.query)
    day.query.rewind(to=day.chance.randint(-1, max(story) - 1))
    query = day.die(tmp_path / "first", tmp_path / "second").run()
    again = told(query)
    assert again == {number: story[number] for number in again if number in story}
    assert max(again, default=max(story)) == max(story)


@pytest.mark.parametrize("seed", SEEDS[::5])
def test_a_fork_from_the_beginning_is_the_same_story(seed: int):
    day = Day(seed)
    fork = day.query.fork(at_batch=-1)
    day.params[0].set(3)
    day.params[1].set("1 second")
    assert told(fork.run()) == told(day.query)


@pytest.mark.parametrize("seed", SEEDS[::5])
def test_rebuilt_the_state_is_what_it_was(seed: int, tmp_path: Path):
    day = Day(seed, tmp_path / "checkpoint")
    state = day.query.state
    day.query.evolve(day.frame("v"), rebuild=True)
    day.query.evolve(day.frame(), rebuild=True)
    assert day.query.state.equals(state)
    day.query.stop()
    day.frame("v").query(checkpoint=tmp_path / "checkpoint", evolve="rebuild").stop()
    query = day.frame().query(checkpoint=tmp_path / "checkpoint", evolve="rebuild")
    assert query.state.equals(state)


def test_what_is_set_after_a_rewind_counts_for_the_rest():
    day = Day(1)
    last = max(told(day.query))
    day.query.rewind(to=0)
    day.params[0].set(999)
    day.query.step()
    day.query.rewind(to=0)
    day.query.run()
    assert max(told(day.query)) >= last
    assert {given[day.params[0].param] for number, (*_, given, _) in told(day.query).items() if number > 0} == {999}


def test_rewound_files_are_taken_as_they_were(tmp_path: Path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "0.csv").write_text("v\n0\n")
    frame = sn.from_files(str(folder), schema={"v": "int64"})
    query = frame.query(checkpoint=tmp_path / "checkpoint").run()
    for number in range(1, 4):
        (folder / f"{number}.csv").write_text(f"v\n{number}\n")
        query.run()
    story = told(query)
    assert told(query.rewind(to=-1).run()) == story
    query.rewind(to=1).stop()
    (folder / "first.csv").write_text("v\n9\n")
    again = frame.query(checkpoint=tmp_path / "checkpoint").run()
    assert told(again) | {4: None} == {number: story[number] for number in (2, 3)} | {4: None}
    assert again.result["v"].tolist() == [2, 3, 9]


def test_the_query_goes_on_after_a_rewind_that_its_log_is_too_short_for(tmp_path: Path):
    src = source(250)
    query = sn.stream(src).query(checkpoint=tmp_path).run()
    with pytest.raises(sn.QueryError, match="batches 100 to 249 are"):
        query.rewind(to=3)
    feed(src, 1)
    assert len(query.run().result) == 502
