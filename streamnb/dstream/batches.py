"""Batches: the operators of DStream as methods. Each makes a node; what runs is in the modules beside this one."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

from streamnb.dstream.for_each import ForEachBatch
from streamnb.dstream.node import BatchNode, Span
from streamnb.dstream.pairs import (
    Function,
    cogrouped,
    combined,
    grouped,
    keyless,
    ones,
    paired,
    pairs,
    reduced,
    reducing,
)
from streamnb.dstream.states import Initial, MapWithState, UpdateState
from streamnb.dstream.windows import ReduceWindow, Window
from streamnb.dstream.work import Batch, Each, Work, dealt, joined, named, partitions, per_partition
from streamnb.errors import PlanError

Keep = Callable[[tuple[Any, Any]], Any]
"""A function that is true for the pairs ``(key, value)`` to keep."""


class Batches(BatchNode):
    """A stream of lists: every list holds what came in one batch interval, and one emit is one interval.

    Made by ``sn.batches(stream)``, ``stream.batches()`` on any streamz stream, or ``sn.objects(frame)``. Its methods
    are DStream's: they take and give batches, where streamz' of the same name go element by element. streamz' other
    methods (``sink``, ``sink_to_list``, ``flatten`` …) see a batch as one element, as they always do.

    There is no event time, no watermark and no late element here: an element belongs to the batch it came in. As with
    Spark and streamz, what nobody holds does not run: assign the last node, or end with ``for_each_batch`` or ``sink``.
    A function of yours that fails raises QueryError from ``emit``; that batch is lost to the nodes from there on, and
    the node that failed remembers what it did before.

    Windows, slides and timeouts are so many batches, or durations where batches have one (``batch="1s"``).

    >>> import streamnb as sn
    >>> lines = sn.batches()
    >>> words = lines.flat_map(str.split).map(lambda word: (word, 1)).reduce_by_key(lambda a, b: a + b)
    >>> _ = lines.emit(["to be or", "not to be"])
    >>> words.last
    [('to', 2), ('be', 2), ('or', 1), ('not', 1)]
    """

    # -- element by element

    def map(self, fn: Callable[[Any], Any]) -> Batches:
        """Give ``fn(element)`` for every element. Spark: ``map``."""
        return self.then(per_partition(named("map", fn), lambda part: [fn(x) for x in part]))

    def flat_map(self, fn: Callable[[Any], Iterable[Any]]) -> Batches:
        """Give every element of ``fn(element)``. Spark: ``flatMap``."""
        return self.then(per_partition(named("flat_map", fn), lambda part: [y for x in part for y in fn(x)]))

    def filter(self, fn: Callable[[Any], Any]) -> Batches:
        """Keep the elements for which ``fn`` is true. Spark: ``filter``."""
        return self.then(per_partition(named("filter", fn), lambda part: [x for x in part if fn(x)]))

    def map_values(self, fn: Callable[[Any], Any]) -> Batches:
        """Give ``(key, fn(value))``. Spark: ``mapValues``."""
        return self.then(per_partition(named("map_values", fn), lambda part: [(k, fn(v)) for k, v in pairs(part)]))

    def flat_map_values(self, fn: Callable[[Any], Iterable[Any]]) -> Batches:
        """Give ``(key, y)`` for every ``y`` of ``fn(value)``. Spark: ``flatMapValues``."""
        return self.then(
            per_partition(named("flat_map_values", fn), lambda part: [(k, y) for k, v in pairs(part) for y in fn(v)])
        )

    # -- partitions

    def map_partitions(self, fn: Callable[[Batch], Iterable[Any]]) -> Batches:
        """Give the elements of ``fn(partition)``. A batch is one partition, an empty one too, unless cut into several.

        Spark: ``mapPartitions``.
        """
        return self.then(per_partition(named("map_partitions", fn), lambda part: list(fn(part))))

    def glom(self) -> Batches:
        """Give every partition as one list. Spark: ``glom``."""
        return self.then(per_partition("glom", lambda part: [part]))

    def repartition(self, count: int) -> Batches:
        """Cut batches into ``count`` partitions, as equal as can be, in order. Spark: ``repartition``."""
        if count < 1:
            raise PlanError(f"repartition: {count!r} partitions hold nothing; give 1 or more.", code="OPTION_INVALID")
        return self.then(Each("repartition", lambda batch: dealt(batch, count)))

    # -- a batch as a whole

    def count(self) -> Batches:
        """Give the number of elements, 0 for an empty batch. Spark: ``count``."""
        return self.then(Each("count", lambda batch: [len(batch)]))

    def count_by_value(self) -> Batches:
        """Give ``(element, how many)``. Spark: ``countByValue``."""
        return self.then(Each("count_by_value", lambda batch: reduced(ones(batch), operator.add).items()))

    def reduce(self, fn: Function) -> Batches:
        """Give all elements reduced to one by ``fn(a, b)``, nothing for an empty batch. Spark: ``reduce``."""
        return self.then(reducing(named("reduce", fn), fn))

    def transform(self, fn: Callable[..., Iterable[Any]]) -> Batches:
        """Give the elements of ``fn(batch)``, or of ``fn(time, batch)`` if it takes two. Spark: ``transform``."""
        return self.then(Each(named("transform", fn), fn))

    def transform_with(self, fn: Callable[..., Iterable[Any]], other: Batches) -> Batches:
        """Give the elements of ``fn(batch, other's)``, or of ``fn(time, batch, other's)``. Spark: ``transformWith``."""
        return self.then(Each(named("transform_with", fn), fn, inputs=2), other)

    def union(self, *others: Batches) -> Batches:
        """Give the elements of this stream's batch and those of the others' of the same interval. Spark: ``union``."""
        return self.then(
            Each(
                "union", lambda *batches: joined(chain.from_iterable(map(partitions, batches))), inputs=1 + len(others)
            ),
            *others,
        )

    # -- by key: elements are pairs (key, value)

    def reduce_by_key(self, fn: Function) -> Batches:
        """Give ``(key, value)``, a key's values reduced to one by ``fn(a, b)``. Spark: ``reduceByKey``."""
        return self.then(Each(named("reduce_by_key", fn), lambda batch: reduced(batch, fn).items()))

    def combine_by_key(self, create: Function, merge_value: Function, merge_combiners: Function) -> Batches:
        """Give ``(key, combiner)``: ``create(value)``, then ``merge_value(combiner, value)`` in every partition.

        What several partitions give is merged by ``merge_combiners(a, b)``. Spark: ``combineByKey``.
        """
        how = (create, merge_value, merge_combiners)
        return self.then(Each("combine_by_key", lambda batch: combined(batch, *how).items()))

    def group_by_key(self) -> Batches:
        """Give ``(key, [values])``. Spark: ``groupByKey``."""
        return self.then(Each("group_by_key", lambda batch: grouped(batch).items()))

    def join(self, other: Batches) -> Batches:
        """Give ``(key, (value, other's))`` for the keys of both batches of one interval. Spark: ``join``."""
        return self._joined(other, "inner", "join")

    def left_outer_join(self, other: Batches) -> Batches:
        """As ``join``, and ``(key, (value, None))`` for keys of this side alone. Spark: ``leftOuterJoin``."""
        return self._joined(other, "left", "left_outer_join")

    def right_outer_join(self, other: Batches) -> Batches:
        """As ``join``, and ``(key, (None, other's))`` for keys of the other side alone. Spark: ``rightOuterJoin``."""
        return self._joined(other, "right", "right_outer_join")

    def full_outer_join(self, other: Batches) -> Batches:
        """As ``join``, and keys of either side alone, with None for what is not there. Spark: ``fullOuterJoin``."""
        return self._joined(other, "full", "full_outer_join")

    def cogroup(self, other: Batches) -> Batches:
        """Give ``(key, ([values], [other's]))`` for the keys of either batch of one interval. Spark: ``cogroup``."""
        return self.then(Each("cogroup", cogrouped, inputs=2), other)

    # -- windows

    def window(self, window: Span, slide: Span | None = None) -> Batches:
        """Give the elements of the last ``window`` batches together, once in ``slide`` batches (this stream's own).

        Both are multiples of this stream's slide, or a PlanError. The first result comes after ``slide``, with what
        there is; a slide above the window leaves batches out. State: the window's batches. Spark: ``window``.
        """
        return self.then(Window("window", *self._spans("window", window, slide)))

    def count_by_window(self, window: Span, slide: Span | None = None) -> Batches:
        """Give how many elements are in the window, 0 too. State: a number a batch. Spark: ``countByWindow``."""
        spans = self._spans("count_by_window", window, slide)
        return self.count().then(Window("count_by_window", *spans)).then(reducing("count_by_window", operator.add))

    def count_by_value_and_window(self, window: Span, slide: Span | None = None) -> Batches:
        """Give ``(element, how many)`` of the window, none of 0. Spark: ``countByValueAndWindow``."""
        each = self.then(Each("count_by_value_and_window", ones))
        spans = self._spans("count_by_value_and_window", window, slide)
        inverse = (operator.add, operator.sub, *spans)
        return each.then(ReduceWindow("count_by_value_and_window", *inverse, keep=operator.itemgetter(1)))

    def reduce_by_window(
        self, fn: Function, inverse: Function | None, window: Span, slide: Span | None = None
    ) -> Batches:
        """Give the window's elements reduced to one: ``window`` and ``reduce``, kept up to date batch by batch.

        With ``inverse`` (``inverse(fn(a, b), b)`` is ``a``) a result is the last one, less the batches that left the
        window, and those that entered. Then a window that has become empty gives what is left of the last result, such
        as 0; without, nothing. State: one element a batch. Spark: ``reduceByWindow``.
        """
        name = named("reduce_by_window", fn)
        spans = self._spans("reduce_by_window", window, slide)
        if inverse is None:
            return self.then(reducing(name, fn)).then(Window(name, *spans)).then(reducing(name, fn))
        keyed = self.then(Each(name, keyless)).then(ReduceWindow(name, fn, inverse, *spans))
        return keyed.then(Each(name, lambda batch: [value for _, value in batch]))

    def reduce_by_key_and_window(
        self,
        fn: Function,
        inverse: Function | None,
        window: Span,
        slide: Span | None = None,
        *,
        filter: Keep | None = None,
    ) -> Batches:
        """Give ``(key, value)`` of the window, a key's values reduced to one by ``fn(a, b)``.

        With ``inverse`` (``inverse(fn(a, b), b)`` is ``a``) a result is the last one, less the batches that left the
        window, and those that entered: a long window costs no more than a short one. A key that nothing is left of then
        stays, such as ``("a", 0)``, until ``filter((key, value))`` is false for it; without ``inverse`` it vanishes.

        State: one value a key and batch. Spark: ``reduceByKeyAndWindow``. PySpark goes by the inverse function only if
        the window is longer than five slides, and computes anew else, so there such keys vanish from short windows.
        """
        name = named("reduce_by_key_and_window", fn)
        spans = self._spans("reduce_by_key_and_window", window, slide)
        if inverse is not None:
            return self.then(ReduceWindow(name, fn, inverse, *spans, keep=filter))
        by_key = Each(name, lambda batch: reduced(batch, fn).items())
        anew = self.then(by_key).then(Window(name, *spans)).then(by_key)
        return anew if filter is None else anew.filter(filter)

    def group_by_key_and_window(self, window: Span, slide: Span | None = None) -> Batches:
        """Give ``(key, [values])`` of the window. State: the window's batches. Spark: ``groupByKeyAndWindow``."""
        return self.then(
            Window("group_by_key_and_window", *self._spans("group_by_key_and_window", window, slide))
        ).group_by_key()

    # -- state

    def update_state_by_key(self, fn: Callable[[Batch, Any], Any], initial: Initial = ()) -> Batches:
        """Give ``(key, state)`` for all keys: ``fn(new values, state or None)`` is the new state, None ends the key.

        ``fn`` is called for every known key in every batch, with no values when none came: a batch costs what there are
        keys. State: one value a key. Spark: ``updateStateByKey``.
        """
        return self.then(UpdateState(named("update_state_by_key", fn), fn, initial))

    def map_with_state(
        self, fn: Callable[[Any, Any, Any], Any], timeout: Span | None = None, initial: Initial = ()
    ) -> Batches:
        """Give ``fn(key, value, state)`` for every element; ``state`` is the key's own: a batch costs what it brings.

        ``state.exists``, ``state.get``, ``state.get_option``, ``state.update(value)``, ``state.remove()``. A key idle
        for longer than ``timeout`` gets one last call, with value None and ``state.is_timing_out``, and goes; what that
        call returns comes out behind the elements' results. ``state_snapshots()`` gives the whole table.

        State: one value a key. Spark: ``mapWithState``, in Scala only. Spark looks for idle keys when it writes a
        checkpoint, this does in every batch, so here a timeout is never late.
        """
        intervals = None if timeout is None else self._intervals("map_with_state", timeout)
        return self.then(MapWithState(named("map_with_state", fn), fn, intervals, initial))

    def state_snapshots(self) -> Batches:
        """Give all ``(key, state)`` of a ``map_with_state`` after every batch. Spark: ``stateSnapshots``."""
        work = self._work
        if not isinstance(work, MapWithState):
            raise PlanError(
                f"state_snapshots: {self.title} has no such table; call it on what map_with_state returned.",
                code="OPTION_INVALID",
            )
        return self.then(Each("state_snapshots", lambda _: work.snapshot()))

    # -- out, and in

    def for_each_batch(self, fn: Callable[..., object]) -> ForEachBatch:
        """Call ``fn(batch)``, or ``fn(time, batch)`` if it takes two, for every batch, empty ones too.

        It runs until ``destroy()`` of what this returns. After a crash a batch may come again: use its time, the
        number of the interval, as the key under which you write. Spark: ``foreachRDD``.
        """
        return ForEachBatch(self, fn)

    def step(self) -> Batch | None:
        """Feed the next batch of the frame that this began with; return what came out here, None if all is fed.

        Of several frames each feeds its next batch; one that has ended, an empty one.
        """
        roots = [(root, root.pull) for root in self._above() if root.pull is not None]
        if not roots:
            raise PlanError("step: no frame is above; begin with sn.objects(frame), or emit.", code="OPTION_INVALID")
        pulled = [(root, pull()) for root, pull in roots]
        if all(batch is None for _, batch in pulled):
            return None
        before = self.current_value
        for root, batch in pulled:
            root.emit(batch or [])
        return [] if self.current_value is before else self.last

    def run(self) -> list[Batch]:
        """Feed all batches of the frame that this began with; return what came out here, batch by batch."""
        collected: list[Batch] = []
        sink = ForEachBatch(self, collected.append)
        while self.step() is not None:
            pass
        sink.destroy()
        return collected

    # -- making nodes

    def then(self, work: Work, *others: Batches) -> Batches:
        """Return the node that does ``work`` on the batches of this one and others; what every operator is made of."""
        return Batches(work=work, upstreams=[self, *others])

    def _joined(self, other: Batches, how: str, name: str) -> Batches:
        return self.then(Each(name, lambda left, right: paired(left, right, how), inputs=2), other)

    def _spans(self, verb: str, window: Span, slide: Span | None) -> tuple[int, int]:
        return self._intervals(verb, window), self.slide if slide is None else self._intervals(verb, slide)
