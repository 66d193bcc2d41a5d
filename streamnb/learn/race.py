"""race: a pipeline of objects and a plan of columns, run over the same rows and timed in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from streamnb.errors import PlanError
from streamnb.optimize import columns_read, optimize
from streamnb.views.inspectors import Exhibit
from streamnb.views.plan_nodes import boxes, counters
from streamnb.views.race import Columns, Objects, race_sheet

if TYPE_CHECKING:
    from streamnb.dstream.batches import Batches
    from streamnb.dstream.node import BatchNode
    from streamnb.frame import StreamFrame
    from streamnb.views.shapes import Sheet

Clock = Callable[[], float]
_TRIES = 3


class Race(Exhibit):
    """How long both took: ``ratio`` of processor time, ``needed``, the columns of the source that the plan needs."""

    def __init__(self, objects: Objects, columns: Columns) -> None:
        super().__init__(_Shown(objects, columns))
        self.needed = list(columns.needed)
        self.ratio = (objects.making + objects.running) / columns.running


class _Shown:
    def __init__(self, objects: Objects, columns: Columns) -> None:
        self._both = objects, columns

    def sheet(self) -> Sheet:
        return race_sheet(*self._both)

    def hear(self, name: str, value: Any) -> None:
        """Nothing can be chosen here."""


def race(objects: Batches, columns: StreamFrame, *, clock: Clock = time.process_time) -> Race:
    """Run a pipeline of ``sn.objects(frame)`` and a frame to the end of their input, and compare processor time.

    The pipeline runs once, since its functions may remember; the frame three times in update mode, and the quickest
    counts. Read the ratio, not the milliseconds: those are your machine's, now.

    Raises
    ------
    PlanError
        ``OPTION_INVALID`` for a pipeline that does not begin with ``sn.objects``, or has been fed already.

    >>> old = sn.objects(flights).map(lambda row: row["dest"]).count_by_value()
    >>> race = sn.race(old, flights.group_by("dest").agg(n=sn.count()))
    """
    return Race(_objects(objects, clock), _columns(columns, clock))


def _objects(last: Batches, clock: Clock) -> Objects:
    chain = list(_chain(last))
    root = chain[0]
    if root.pull is None or root.time >= 0:
        raise PlanError(
            "race: the objects come from no frame, or have been fed already; build the chain anew upon "
            "sn.objects(frame).",
            code="OPTION_INVALID",
        )
    counts = [0] * len(chain)
    sinks = [node.sink(_counting(counts, n)) for n, node in enumerate(chain)]
    making, pull = [0.0], root.pull

    def timed() -> Any:
        began = clock()
        batch = pull()
        making[0] += clock() - began
        return batch

    root.pull = timed
    began = clock()
    try:
        last.run()
    finally:
        root.pull = pull
        for sink in sinks:
            sink.destroy()
    whole = clock() - began
    names = tuple(node.title for node in chain)
    return Objects(names, tuple(counts), 1000 * making[0], 1000 * (whole - making[0]))


def _chain(last: BatchNode) -> Iterator[BatchNode]:
    """Yield the nodes of one line, the first one first."""
    if last.upstreams:
        yield from _chain(last.upstreams[0])
    yield last


def _counting(counts: list[int], n: int) -> Callable[[list[Any]], None]:
    def count(batch: list[Any]) -> None:
        counts[n] += len(batch)

    return count


def _columns(frame: StreamFrame, clock: Clock) -> Columns:
    best = None
    for _ in range(_TRIES):
        with frame.query(output_mode="update", name="the race's") as query:
            began = clock()
            query.run()
            took = clock() - began
        best = took if best is None else min(best, took)
    plan = optimize(frame.node)
    found = boxes(plan)
    work = counters(query.trace[-1]) if query.trace else {}
    needed = sorted(columns_read(plan)[0])
    return Columns(tuple(found), work, tuple(needed), 1000 * max(best or 0.0, 1e-6))
