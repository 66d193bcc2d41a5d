"""BatchNode: a streamz node that carries batches. It waits for one of every input, works, and gives out at most one."""

from __future__ import annotations

import os
import reprlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from streamz import Stream

from streamnb.dstream.saved import read, write
from streamnb.dstream.work import Batch, Work
from streamnb.errors import CheckpointError, DataError, PlanError, QueryError, StreamnbError
from streamnb.time import Duration, duration, spell

Span = int | Duration
"""So many batches, or a duration where it is known how long a batch lasts."""


class BatchNode(Stream):  # type: ignore[misc]  # streamz has no types
    """What every node of batches has; the operators are on ``Batches``.

    ``time`` is the number of the interval of the last batch, from 0 (-1: none came yet); where batches begin, every
    emit is one. ``slide`` is how many intervals lie between two batches: 1, but more behind a window that slides by
    more. ``pull`` gives the next batch to feed, None at the end, where batches come from a frame.
    """

    _ipython_display_ = None  # streamz' maps a widget over the elements; the repr tells more

    def __init__(
        self,
        upstream: Stream | None = None,
        batch: Duration | None = None,
        *,
        work: Work | None = None,
        upstreams: Sequence[BatchNode] = (),
    ) -> None:
        super().__init__(upstreams=upstreams or [] if upstream is None else [upstream])
        self._work = work
        self.interval = None if batch is None else _positive(batch)
        self.slide = 1
        if work is not None:
            self.interval, self.slide = _common(work.name, upstreams)
            self.slide = work.slide or self.slide
        self.time = -1
        self.pull: Callable[[], Batch | None] | None = None
        self._waiting: list[deque[tuple[int, Batch, Any]]] = [deque() for _ in upstreams]
        self._remembered: deque[tuple[int, Batch]] = deque(maxlen=0)
        self._checkpoint: tuple[Path, int] | None = None

    @property
    def last(self) -> Batch:
        """The last batch that came out; empty before the first."""
        return self.current_value or []

    # -- one batch

    def update(self, x: Any, who: Stream | None = None, metadata: Any = None) -> Any:
        """Take a batch of one input; when those of all inputs for an interval are here, give out the result."""
        if self._work is None:
            return self._emit(x, metadata=metadata)
        if len(self.upstreams) == 1 and not metadata and isinstance(who, BatchNode):  # nothing to wait for or to count
            self.time = who.time
            result = self._run([x])
            return [] if result is None else self._emit(result)
        self._retain_refs(metadata or [])
        for waiting, upstream in zip(self._waiting, self.upstreams, strict=True):
            if upstream is who and isinstance(upstream, BatchNode):
                waiting.append((upstream.time, x, metadata or []))
        taken = self._taken()
        if taken is None:
            return []
        self.time = taken[0][0]
        metadata = [m for _, _, each in taken for m in each]
        try:
            result = self._run([batch for _, batch, _ in taken])
            return [] if result is None else self._emit(result, metadata=metadata)
        finally:
            self._release_refs(metadata)

    def _taken(self) -> list[tuple[int, Batch, Any]] | None:
        """Return the batches of one interval, None while one is missing; those whose partner failed are left out."""
        while all(self._waiting):
            newest = max(waiting[0][0] for waiting in self._waiting)
            behind = [waiting for waiting in self._waiting if waiting[0][0] < newest]
            if not behind:
                return [waiting.popleft() for waiting in self._waiting]
            for waiting in behind:
                self._release_refs(waiting.popleft()[2])
        return None

    def _run(self, batches: list[Batch]) -> Batch | None:
        assert self._work is not None  # noqa: S101  asked for by update
        result: Batch | None = guarded(lambda: self.title, self.time, batches, self._work.run)
        return result

    def _emit(self, x: Any, metadata: Any = None) -> Any:
        batch = x if isinstance(x, list) else _as_batch(x)
        if self._work is None:
            self.time += 1
        if self._remembered.maxlen:
            self._remembered.append((self.time, batch))
        result = super()._emit(batch, metadata=metadata)
        if self._checkpoint is not None and (self.time + 1) % self._checkpoint[1] == 0:
            write(self._checkpoint[0], [node._saved() for node in self._above()])  # noqa: SLF001
        return result

    # -- remembering

    def remember(self, span: Span) -> Self:
        """Keep the batches of so many intervals, for ``slice``. Spark: ``StreamingContext.remember``."""
        self._remembered = deque(self._remembered, maxlen=self._intervals("remember", span) // self.slide)
        return self

    def slice(self, begin: int, end: int) -> list[Batch]:
        """Return the batches of the intervals ``begin`` to ``end``, both included; ``remember`` must keep them.

        Spark: ``slice``, with times in place of numbers.
        """
        first = self._remembered[0][0] if self._remembered else self.time + 1
        forgotten = first >= self.slide and len(self._remembered) == self._remembered.maxlen
        if forgotten and begin < first:
            raise PlanError(
                f"slice: batch {begin} is not remembered; remember({self.time + 1 - begin}) in time.",
                code="OPTION_INVALID",
            )
        return [batch for time, batch in self._remembered if begin <= time <= end]

    def checkpoint(self, path: str | os.PathLike[str], every: Span = 1) -> Self:
        """Save what this node and all nodes above it remember, in one JSON file, once in ``every`` batches.

        If the file is there, they go on from it: call this when the chain stands, before its first batch. A chain that
        begins with ``sn.objects`` goes on where it was; what another stream had pushed since is for the pusher to push
        again. Elements, keys and states may be numbers, text, times, and lists, tuples, sets and dicts of them.

        Spark: ``checkpoint``. There states and inverse functions need one, here nothing does.
        """
        self._checkpoint = Path(path), self._intervals("checkpoint", every)
        if self._checkpoint[0].exists():
            self._restore(self._checkpoint[0])
        return self

    def _restore(self, path: Path) -> None:
        nodes, saved = self._above(), read(path)
        theirs, mine = [one["node"] for one in saved], [node.title for node in nodes]
        if theirs != mine:
            raise CheckpointError(f"checkpoint: {path} is of {theirs}, and these are {mine}; give it another file.")
        for node, one in zip(nodes, saved, strict=True):
            node._restored(one)  # noqa: SLF001

    def _saved(self) -> dict[str, Any]:
        waiting = [[(time, batch) for time, batch, _ in one] for one in self._waiting]
        state = None if self._work is None else self._work.state()
        return {"node": self.title, "time": self.time, "waiting": waiting, "state": state}

    def _restored(self, saved: dict[str, Any]) -> None:
        self.time = saved["time"]
        if self.pull is not None:
            for _ in range(self.time + 1):
                self.pull()
        self._waiting = [deque((time, batch, []) for time, batch in one) for one in saved["waiting"]]
        if self._work is not None and saved["state"] is not None:
            self._work.restore(saved["state"])

    def _above(self) -> list[BatchNode]:
        """Return this node and the nodes of batches that lead to it, inputs first."""
        return list({id(node): node for node in _walk(self) if isinstance(node, BatchNode)}.values())

    # -- spans and names

    def _intervals(self, verb: str, span: Span) -> int:
        """Return a span in intervals; it must be a multiple of what lies between two batches."""
        length, slide = (span, self.slide) if isinstance(span, int) else self._timed(verb, span)
        if length <= 0 or length % slide:
            spelled = "{} batches".format if isinstance(span, int) else spell
            raise PlanError(
                f"{verb}: {spelled(length)} must be multiple of the parent dstream's slide (batch) duration, "
                f"{spelled(slide)}; give such a multiple, above zero.",
                code="WINDOW_INVALID",
            )
        return length // slide * self.slide

    def _timed(self, verb: str, span: Duration) -> tuple[int, int]:
        """Return a duration, and that between two batches, in microseconds."""
        length = duration(span, verb)
        if self.interval is None:
            raise PlanError(
                f"{verb}: {span!r} is a duration, and how long a batch lasts is not known; "
                "count in batches, or say it where batches begin: sn.batches(stream, batch='1s').",
                code="DURATION_INVALID",
            )
        return length, self.slide * self.interval

    @property
    def title(self) -> str:
        """The node as errors name it: its ``name`` if you gave it one, else its operator."""
        return self.name or (self._work.name if self._work is not None else "batches")

    def __repr__(self) -> str:
        came = f"batch {self.time}, {reprlib.repr(list(self.last))}" if self.time >= 0 else "no batch yet"
        return f"<{self.title}: {came}>"

    __str__ = __repr__


def guarded(title: Callable[[], str], time: int, batches: Sequence[Batch], function: Callable[..., Any]) -> Any:
    """Call a function of time and batches; an error of its own becomes a QueryError that names the node."""
    try:
        return function(time, *batches)
    except StreamnbError:
        raise
    except Exception as error:
        elements = " and ".join(str(len(batch)) for batch in batches)
        raise QueryError(
            f"{title()} failed on batch {time}, {elements} elements: {type(error).__name__} {error}."
        ) from error


def _walk(node: Stream) -> Iterator[Stream]:
    for upstream in node.upstreams:
        yield from _walk(upstream)
    yield node


def _common(verb: str, upstreams: Iterable[BatchNode]) -> tuple[int | None, int]:
    """Return the length of an interval and the slide, which all inputs of an operator must share."""
    shapes = list(dict.fromkeys((node.interval, node.slide) for node in upstreams))
    if len(shapes) > 1:
        raise PlanError(
            f"{verb}: the inputs give batches at different times, (interval, slide) {shapes}; "
            "window them alike, and begin them with the same batch=.",
            code="OPTION_INVALID",
        )
    return shapes[0]


def _positive(batch: Duration) -> int:
    length = duration(batch, "batches")
    if length <= 0:
        raise PlanError(f"batches: batch={batch!r} lasts no time; give it some.", code="DURATION_INVALID")
    return length


def _as_batch(x: Any) -> Batch:
    if isinstance(x, tuple | range | set | frozenset | Iterator):
        return list(x)
    raise DataError(
        f"batches: a batch is a list of elements, and this is {type(x).__name__} {reprlib.repr(x)}; "
        "emit lists, or collect elements first, as with stream.partition(10) or stream.timed_window(1)."
    )
