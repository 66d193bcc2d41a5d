"""A change of logic that is interrupted anywhere, or finds no room, is finished by the next step, or has not begun."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import streamnb as sn
from streamnb import points
from tests.evolving.rows import feed, source
from tests.faults.changing import AT_THE_CHANGE
from tests.faults.disks import Failing, using


@contextlib.contextmanager
def interrupted_at(point: str) -> Iterator[None]:
    def listener(reached: str) -> None:
        if reached == point:
            points.listen(None)
            raise KeyboardInterrupt

    points.listen(listener)
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        points.listen(None)


def summed(over: sn.MemorySource, rule: str, **aggregates: object) -> sn.StreamFrame:
    groups = sn.stream(over).with_watermark("at", "5 seconds").group_by(sn.window("at", "10 seconds"), "card")
    return groups.agg(total=sn.sum("v"), **aggregates).select("window_start", "card", "total", rule=sn.lit(rule))


def exact(query: sn.Query, over: sn.MemorySource) -> None:
    result = query.result
    assert not result[["window_start", "card"]].duplicated().any()
    alone = summed(over, "any").query().run().result
    columns = ["window_start", "card", "total"]
    assert result[columns].values.tolist() == alone[columns].values.tolist() != []
    assert all(len(set(rows["rule"])) <= 1 for rows in query.emitted)


@pytest.mark.parametrize("point", AT_THE_CHANGE)
def test_an_interrupt_leaves_the_old_logic_or_the_new(tmp_path: Path, point: str):
    src = source(6)
    query = summed(src, "old", n=sn.count()).query(checkpoint=tmp_path).run()
    with interrupted_at(point):
        query.evolve(summed(src, "new"))
    feed(src, 6)
    query.run()
    exact(query, src)
    query.stop()


def _evolve(query: sn.Query, frame: sn.StreamFrame) -> None:
    query.evolve(frame)


def _switch(query: sn.Query, frame: sn.StreamFrame) -> None:
    query.switch_to(query.fork(query=frame))


@pytest.mark.parametrize("change", [_evolve, _switch])
@pytest.mark.parametrize("for_good", [True, False], ids=["for good", "once"])
@pytest.mark.parametrize("call", range(12))
def test_a_disk_that_fails_leaves_the_old_logic_until_it_is_told_again(
    tmp_path: Path, call: int, *, for_good: bool, change: Callable[[sn.Query, sn.StreamFrame], None]
):
    src, disk = source(6), Failing(for_good=for_good)
    with using(disk):
        query = summed(src, "old", n=sn.count()).query(checkpoint=tmp_path).run()
        disk._at = disk.calls + call
        changed = _tried(lambda: change(query, summed(src, "new")))
        disk._at = -1
        feed(src, 2)
        rule = set(query.run().result["rule"].tail(1))
        assert rule == {"new" if changed else "old"}
        change(query, summed(src, "new"))
        feed(src, 4)
        query.run()
    exact(query, src)
    assert set(query.result["rule"].tail(2)) == {"new"}
    query.stop()
    assert summed(src, "new").query(checkpoint=tmp_path).run().status == "done"


def _tried(change: Callable[[], object]) -> bool:
    """Tell whether a change was made; if the disk failed, that is said in one line."""
    try:
        change()
    except sn.CheckpointError as error:
        told = str(error)
    else:
        return True
    assert "the logic of before goes on" in told
    assert "\n" not in told
    return False


def test_a_query_that_plays_on_a_failing_disk_ends_with_one_error(tmp_path: Path):
    src, disk = source(6), Failing(for_good=True)
    with using(disk):
        query = summed(src, "old", n=sn.count()).query(checkpoint=tmp_path).run().play(every="1 ms")
        disk._at = disk.calls
        assert not _tried(lambda: query.evolve(summed(src, "new")))
        feed(src, 2)
        with pytest.raises(OSError, match="No space"):
            query.await_termination(timeout="5 seconds")
        calls = disk.calls
        assert not query.playing
        disk._at = -1
        query.evolve(summed(src, "new"))
        assert query.run().result["rule"].tolist()[-1] == "new"
        assert calls < disk.calls
        query.stop()


class _Unreachable:
    """A sink whose server is down until it is not."""

    def __init__(self) -> None:
        self.down, self.held = True, 0

    def open(self, query: str, epoch: int) -> None:
        if self.down:
            raise sn.QueryError("sink: nobody answers; start the server.")

    def write(self, batch_id: int, rows: object, mode: str) -> None:
        self.held += len(rows)  # type: ignore[arg-type]


def test_a_new_sink_that_cannot_be_opened_leaves_the_old_one(tmp_path: Path):
    src, handed, sink = source(6), [], _Unreachable()
    query = summed(src, "old").query(sink=lambda rows, _: handed.append(len(rows)), checkpoint=tmp_path).run()
    with pytest.raises(sn.QueryError, match="nobody answers"):
        query.evolve(summed(src, "new"), sink=sink)
    feed(src, 3)
    assert query.run().result["rule"].tolist()[-1] == "old"
    before, sink.down = sum(handed), False
    query.evolve(summed(src, "new"), sink=sink)
    feed(src, 6)
    query.run()
    assert (sum(handed), before + sink.held) == (before, len(query.result))
    query.stop()


def test_changed_twice_by_interrupts_it_is_one_entry(tmp_path: Path):
    src = source(6)
    query = summed(src, "old", n=sn.count()).query(checkpoint=tmp_path).run()
    with interrupted_at("logic.done"):
        query.evolve(summed(src, "new"))
    feed(src, 3)
    query.run().stop()
    assert sn.recover(tmp_path).logics["how"].tolist() == ["start", "evolve"]
