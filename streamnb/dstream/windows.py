"""Windows over the last batches: all their elements, or values per key kept up to date with an inverse function."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from itertools import takewhile
from typing import Any

from streamnb.dstream.pairs import Function, merged, reduced
from streamnb.dstream.work import Batch, Work, joined, partitions

Table = Mapping[Any, Any]


class Window(Work):
    """Gives out the elements of the last ``size`` intervals together, once in ``slide`` intervals."""

    def __init__(self, name: str, size: int, slide: int) -> None:
        self.name = name
        self.slide: int = slide
        self._size = size
        self._held: deque[tuple[int, Batch]] = deque()

    def run(self, time: int, *batches: Batch) -> Batch | None:
        self._held.extend((time, batch) for batch in batches)
        while self._held[0][0] <= time - self._size:
            self._held.popleft()
        if (time + 1) % self.slide:
            return None
        return joined(part for _, batch in self._held for part in partitions(batch))

    def state(self) -> Any:
        return list(self._held)

    def restore(self, state: Any) -> None:
        self._held = deque(state)


class ReduceWindow(Work):
    """Takes the batches that leave out of the last result, and those that enter in: the cost is theirs alone."""

    def __init__(
        self,
        name: str,
        function: Function,
        inverse: Function,
        size: int,
        slide: int,
        *,
        keep: Callable[[tuple[Any, Any]], Any] | None = None,
    ) -> None:
        self.name = name
        self.slide: int = slide
        self._function, self._inverse, self._size, self._keep = function, inverse, size, keep
        self._slices: deque[tuple[int, Table]] = deque()
        self._until = -1  # the interval up to which the last result goes
        self._result: Table = {}

    def run(self, time: int, *batches: Batch) -> Batch | None:
        (batch,) = batches
        newest = time, reduced(batch, self._function)
        if (time + 1) % self.slide:
            self._slices.append(newest)
            return None
        self._result = self._moved_on(newest)
        self._slices.append(newest)
        self._until = time
        while self._slices[0][0] <= time - self._size:
            self._slices.popleft()
        return list(self._result.items())

    def _moved_on(self, newest: tuple[int, Table]) -> Table:
        """Return the result of the window that ends with ``newest``."""
        first = newest[0] - self._size + 1
        leaving = [table for _, table in takewhile(lambda s: s[0] < first and s[0] <= self._until, self._slices)]
        since = [
            table for _, table in takewhile(lambda s: s[0] >= first and s[0] > self._until, reversed(self._slices))
        ]
        result = self._without(merged(leaving, self._function))
        result = merged([result, *reversed(since), newest[1]], self._function)
        return result if self._keep is None else {k: v for k, v in result.items() if self._keep((k, v))}

    def _without(self, leaving: Table) -> Table:
        kept = {k: self._inverse(self._result[k], v) for k, v in leaving.items() if k in self._result}
        return {**self._result, **kept}

    def state(self) -> Any:
        return {"slices": list(self._slices), "until": self._until, "result": self._result}

    def restore(self, state: Any) -> None:
        self._slices = deque(state["slices"])
        self._until, self._result = state["until"], state["result"]
