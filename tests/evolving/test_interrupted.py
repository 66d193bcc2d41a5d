"""A change of logic that is interrupted anywhere, or finds no room, is finished by the next step, or has not begun."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
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


@pytest.mark.parametrize("call", range(12))
def test_a_disk_that_fails_leaves_the_old_logic_or_the_new(tmp_path: Path, call: int):
    src, disk = source(6), Failing()
    with using(disk):
        query = summed(src, "old", n=sn.count()).query(checkpoint=tmp_path).run()
        disk._at = disk.calls + call
        with contextlib.suppress(OSError):
            query.evolve(summed(src, "new"))
        disk._at = -1
        feed(src, 6)
        query.run()
    exact(query, src)
    query.stop()
    assert summed(src, "new").query(checkpoint=tmp_path).run().status == "done"
