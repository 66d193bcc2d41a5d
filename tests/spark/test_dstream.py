"""The operators of DStream against PySpark's own, batch by batch: all of them on one run of a StreamingContext."""

from __future__ import annotations

import operator
import sys
import time
from typing import Any

import pytest

import streamnb as sn

pytestmark = [pytest.mark.spark, pytest.mark.filterwarnings("ignore::FutureWarning")]

EMPTY: list[tuple[str, int]] = []
LEFT = [[("a", 1), ("b", 2)], [("a", 3)], EMPTY, [("c", 1), ("a", 1)], EMPTY, [("b", 5)], EMPTY, EMPTY]
RIGHT = [[("a", 10)], [("z", 1)], [("a", 5)], [("a", 7), ("c", 8)], *[EMPTY] * 4]
ADD, SUBTRACT = operator.add, operator.sub


def total(values, before):
    """Add up; a total of 5 ends when nothing comes."""
    after = sum(values) + (before or 0)
    return None if not values and after == 5 else after


def value(pair):
    return pair[1]


def positive(pair):
    return pair[1] > 0


# By name: what PySpark does with two streams, and what we do. A window of 6 is more than 5 slides, so that PySpark goes
# by the inverse function.
OPERATORS = {
    "count": (lambda a, _: a.count(), lambda a, _: a.count()),
    "count_by_value": (lambda a, _: a.countByValue(), lambda a, _: a.count_by_value()),
    "reduce": (lambda a, _: a.map(value).reduce(ADD), lambda a, _: a.map(value).reduce(ADD)),
    "glom": (lambda a, _: a.glom(), lambda a, _: a.glom()),
    "join": (lambda a, b: a.join(b), lambda a, b: a.join(b)),
    "left": (lambda a, b: a.leftOuterJoin(b), lambda a, b: a.left_outer_join(b)),
    "right": (lambda a, b: a.rightOuterJoin(b), lambda a, b: a.right_outer_join(b)),
    "full": (lambda a, b: a.fullOuterJoin(b), lambda a, b: a.full_outer_join(b)),
    "union": (lambda a, b: a.union(b), lambda a, b: a.union(b)),
    "window": (lambda a, _: a.window(3, 2), lambda a, _: a.window(3, 2)),
    "window that leaves out": (lambda a, _: a.window(1, 3), lambda a, _: a.window(1, 3)),
    "anew": (
        lambda a, _: a.reduceByKeyAndWindow(ADD, None, 3, 2),
        lambda a, _: a.reduce_by_key_and_window(ADD, None, 3, 2),
    ),
    "inverse": (
        lambda a, _: a.reduceByKeyAndWindow(ADD, SUBTRACT, 6, 1),
        lambda a, _: a.reduce_by_key_and_window(ADD, SUBTRACT, 6, 1),
    ),
    "inverse with filter": (
        lambda a, _: a.reduceByKeyAndWindow(ADD, SUBTRACT, 6, 1, filterFunc=positive),
        lambda a, _: a.reduce_by_key_and_window(ADD, SUBTRACT, 6, 1, filter=positive),
    ),
    "reduce_by_window": (
        lambda a, _: a.map(value).reduceByWindow(ADD, SUBTRACT, 6, 1),
        lambda a, _: a.map(value).reduce_by_window(ADD, SUBTRACT, 6, 1),
    ),
    "count_by_window": (lambda a, _: a.countByWindow(6, 1), lambda a, _: a.count_by_window(6, 1)),
    "count_by_value_and_window": (
        lambda a, _: a.countByValueAndWindow(6, 1),
        lambda a, _: a.count_by_value_and_window(6, 1),
    ),
    "group_by_key_and_window": (
        lambda a, _: a.groupByKeyAndWindow(3, 1).mapValues(sorted),
        lambda a, _: a.group_by_key_and_window(3, 1).map_values(sorted),
    ),
    "update_state_by_key": (lambda a, _: a.updateStateByKey(total), lambda a, _: a.update_state_by_key(total)),
}


@pytest.fixture(scope="module")
def spark_s(oracle, tmp_path_factory):
    """Return what every operator of PySpark gives out, as (number of the batch, sorted elements)."""
    from pyspark.cloudpickle import register_pickle_by_value, unregister_pickle_by_value
    from pyspark.streaming import StreamingContext

    register_pickle_by_value(sys.modules[__name__])  # Spark's workers cannot import a test
    context = oracle.spark.sparkContext
    streaming = StreamingContext(context, 1)
    streaming.checkpoint(str(tmp_path_factory.mktemp("dstream")))
    left, right = (
        streaming.queueStream([context.parallelize(batch, 1) for batch in batches]) for batches in (LEFT, RIGHT)
    )
    seen: dict[str, list[Any]] = {name: [] for name in OPERATORS}
    times: list[Any] = []
    for name, (theirs, _) in OPERATORS.items():
        out = seen[name]
        theirs(left, right).foreachRDD(lambda at, rdd, out=out: out.append((at, rdd.collect())))
    left.foreachRDD(lambda at, _: times.append(at))
    streaming.start()
    try:
        deadline = time.monotonic() + 300
        while len(times) < len(LEFT) and time.monotonic() < deadline:
            streaming.awaitTerminationOrTimeout(1)
        assert len(times) >= len(LEFT), times
    finally:
        streaming.stop(stopSparkContext=False, stopGraceFully=False)
        unregister_pickle_by_value(sys.modules[__name__])
    return {
        name: [(round((at - times[0]).total_seconds()), bag(rows)) for at, rows in out] for name, out in seen.items()
    }


def bag(elements):
    return sorted(elements, key=repr)


@pytest.mark.parametrize("name", OPERATORS)
def test_every_batch_is_spark_s(name, spark_s):
    left, right, out = sn.batches(), sn.batches(), []
    sink = OPERATORS[name][1](left, right).for_each_batch(lambda at, batch: out.append((at, bag(batch))))
    for one, other in zip(LEFT, RIGHT, strict=True):
        left.emit(one)
        right.emit(other)
    sink.destroy()
    assert out == [(at, rows) for at, rows in spark_s[name] if at < len(LEFT)]
