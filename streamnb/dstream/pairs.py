"""Batches of (key, value) pairs: combined, grouped and joined by key, keys in order of appearance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from streamnb.dstream.work import Batch, Each, partitions

Function = Callable[..., Any]


def pairs(batch: Batch) -> Iterator[tuple[Any, Any]]:
    """Yield the elements as keys and values."""
    for element in batch:
        try:
            key, value = element
        except (TypeError, ValueError):
            raise TypeError(
                f"{element!r} is not a pair (key, value); make pairs first, such as map(lambda x: (x, 1))"
            ) from None
        yield key, value


def combined(batch: Batch, create: Function, merge_value: Function, merge_combiners: Function) -> dict[Any, Any]:
    """Return one combiner a key: first within every partition, then over them."""
    return merged((_combined(part, create, merge_value) for part in partitions(batch)), merge_combiners)


def _combined(part: Batch, create: Function, merge_value: Function) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for key, value in pairs(part):
        found[key] = merge_value(found[key], value) if key in found else create(value)
    return found


def merged(tables: Iterable[Mapping[Any, Any]], merge: Function) -> dict[Any, Any]:
    """Return one table of several, values of the same key merged."""
    found: dict[Any, Any] = {}
    for table in tables:
        for key, value in table.items():
            found[key] = merge(found[key], value) if key in found else value
    return found


def reduced(batch: Batch, function: Function) -> dict[Any, Any]:
    """Return one value a key."""
    return combined(batch, lambda value: value, function, function)


def grouped(batch: Batch) -> dict[Any, Batch]:
    """Return the values of every key in their order."""
    found: dict[Any, Batch] = {}
    for key, value in pairs(batch):
        found.setdefault(key, []).append(value)
    return found


def cogrouped(left: Batch, right: Batch) -> Batch:
    """Return ``(key, (values on the left, values on the right))`` for every key of either side."""
    lefts, rights = grouped(left), grouped(right)
    return [(key, (lefts.get(key, []), rights.get(key, []))) for key in lefts | rights]


def paired(left: Batch, right: Batch, how: str) -> Batch:
    """Return ``(key, (value, value))`` for every pair of values of one key; None stands for what is not there."""
    nothing = [None]
    return [
        (key, (a, b))
        for key, (lefts, rights) in cogrouped(left, right)
        for a in lefts or (nothing if how in {"right", "full"} else [])
        for b in rights or (nothing if how in {"left", "full"} else [])
    ]


def ones(batch: Batch) -> Batch:
    """Return ``(element, 1)`` for every element."""
    return [(element, 1) for element in batch]


def keyless(batch: Batch) -> Batch:
    """Return every element as the value of one key."""
    return [(None, element) for element in batch]


def reducing(name: str, function: Function) -> Each:
    """Return the work of reducing all elements to one."""
    return Each(name, lambda batch: reduced(keyless(batch), function).values())
