"""Work: what a node does with the batches of one interval. Nothing here knows of streamz."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from itertools import accumulate, chain, pairwise
from typing import Any

Batch = list[Any]
"""The elements of one batch interval."""


class Work(ABC):
    """One operator at work. A ``run`` that raises has changed nothing that it remembers."""

    name: str
    slide: int | None = None
    """Once in how many intervals a result comes out; None: for every batch of the inputs."""

    @abstractmethod
    def run(self, time: int, *batches: Batch) -> Batch | None:
        """Return what comes out of one batch of every input; None: nothing comes out in this interval."""

    def state(self) -> Any:
        """Return all that is remembered, as plain Python values."""
        return None

    def restore(self, state: Any) -> None:
        """Remember what ``state()`` returned, if that was not None."""
        raise NotImplementedError


class Each(Work):
    """Looks at one batch at a time and remembers nothing."""

    def __init__(self, name: str, function: Callable[..., Iterable[Any]], *, inputs: int = 1) -> None:
        self.name = name
        self._function = with_time(function, inputs)

    def run(self, time: int, *batches: Batch) -> Batch | None:
        result = self._function(time, *batches)
        return result if isinstance(result, list) else list(result)


def with_time(function: Callable[..., Any], inputs: int = 1) -> Callable[..., Any]:
    """Return a function of time and batches; one that takes no time is not given it."""
    if _takes(function, inputs + 1):
        return function
    return lambda _, *batches: function(*batches)


def _takes(function: Callable[..., Any], count: int) -> bool:
    """Tell whether a function wants so many arguments; a builtin that does not say so is taken to want fewer."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    needed = [p for p in parameters if p.default is p.empty and p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}]
    return len(needed) == count


def named(operator: str, function: Callable[..., Any]) -> str:
    """Return an operator's name with that of the user's function, where it has one."""
    name = getattr(function, "__name__", "<")
    return operator if name.startswith("<") else f"{operator} {name}"


class Parts(Batch):
    """A batch in several partitions."""

    def __init__(self, partitions: Iterable[Batch]) -> None:
        partitions = list(partitions)
        super().__init__(chain.from_iterable(partitions))
        self.sizes = [len(partition) for partition in partitions]


def partitions(batch: Batch) -> list[Batch]:
    """Return the partitions of a batch; a plain list is one, an empty one too."""
    if not isinstance(batch, Parts):
        return [batch]
    return [batch[end - size : end] for size, end in zip(batch.sizes, accumulate(batch.sizes), strict=True)]


def joined(partitions: Iterable[Batch]) -> Batch:
    """Return one batch of several partitions."""
    parts = list(partitions)
    return parts[0] if len(parts) == 1 else Parts(parts)


def dealt(batch: Batch, count: int) -> Batch:
    """Return a batch in so many partitions, as equal as can be."""
    ends = [len(batch) * n // count for n in range(count + 1)]
    return joined(batch[start:end] for start, end in pairwise(ends))


def per_partition(name: str, function: Callable[[Batch], Batch]) -> Each:
    """Return the work of calling a function for every partition."""

    def each(batch: Batch) -> Batch:
        return joined(map(function, partitions(batch))) if isinstance(batch, Parts) else function(batch)

    return Each(name, each)
