"""Queries to look into: every program of the laws, and the operators that the laws' oracle leaves out."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

import streamnb as sn
from streamnb.query import Query
from tests.laws import PROGRAMS, SCHEMA, Batches, feed
from tests.oracle import EPOCH, Row

TABLE = pd.DataFrame({"k": ["a", "b"], "name": ["Ann", "Bob"]})


@dataclass(frozen=True)
class Case:
    """A frame over some inputs of the laws' rows, in a mode."""

    name: str
    frame: Callable[..., sn.StreamFrame]
    mode: str = "append"
    inputs: int = 1
    policy: str = "min"

    def open(self) -> tuple[Query, list[sn.MemorySource]]:
        sources = [sn.MemorySource(SCHEMA) for _ in range(self.inputs)]
        frame = self.frame(*map(sn.stream, sources))
        return frame.query(self.mode, watermark_policy=self.policy), sources

    def played(self, seed: int = 1, batches: int = 5) -> tuple[Query, list[sn.MemorySource]]:
        """Return the query after some batches of random rows and those without input that they bring."""
        query, sources = self.open()
        for batch in some_rows(seed, self.inputs, batches):
            feed(sources, batch)
            query.step()
        return query.run(), sources


def some_rows(seed: int, inputs: int, batches: int) -> Batches:
    """Return batches of rows whose times go on, with late ones, nulls and equal keys among them."""
    draw = random.Random(seed)  # noqa: S311  rows for tests
    return [tuple(_batch(draw, number) for _ in range(inputs)) for number in range(batches)]


def _batch(draw: random.Random, number: int) -> list[Row]:
    return [_row(draw, number) for _ in range(draw.choice([3, 5, 6, 0]))]


def _row(draw: random.Random, number: int) -> Row:
    at = EPOCH + pd.Timedelta(milliseconds=max(0, number * 6_000 + draw.randint(-12_000, 6_000)))
    return {
        "ts": None if draw.random() < 0.1 else at,
        "k": draw.choice(["a", "b", "é", None]),
        "v": draw.choice([None, -2, 1, 2, 3]),
        "x": draw.choice([None, -1.0, 0.25]),
        "l": draw.choice([None, [], [1], [1, None, 2]]),
    }


def paired(how: str, *, within: bool = True) -> Callable[..., sn.StreamFrame]:
    """Return a join of two streams."""

    def frame(a: sn.StreamFrame, b: sn.StreamFrame) -> sn.StreamFrame:
        left = a.with_watermark("ts", "3s").select("ts", "k", "v")
        right = b.with_watermark("ts", "1s").select("k", at="ts", w="v")
        bound = sn.between("at", after="0s", before="4s", of="ts") if within else None
        return left.join(right, on="k", how=how, within=bound)

    return frame


def sessions(f: sn.StreamFrame) -> sn.StreamFrame:
    return f.with_watermark("ts", "3s").group_by(sn.session_window("ts", "2s"), "k").agg(n=sn.count())


def count_of_pairs(a: sn.StreamFrame, b: sn.StreamFrame) -> sn.StreamFrame:
    return paired("inner")(a, b).drop("at").group_by(sn.window("ts", "5s")).agg(n=sn.count())


MORE: list[Case] = [
    Case("dedup by time", lambda f: f.with_watermark("ts", "3s").drop_duplicates(["k", "ts"])),
    Case("dedup", lambda f: f.drop_duplicates(["k"])),
    Case("dedup within", lambda f: f.with_watermark("ts", "3s").drop_duplicates_within_watermark(["k"])),
    Case("sessions", sessions),
    *(Case(how, paired(how), inputs=2) for how in ("inner", "left", "full", "semi", "anti")),
    Case("inner unbound", paired("inner", within=False), inputs=2),
    Case("table", lambda f: f.join(TABLE, on="k")),
    Case("table left", lambda f: f.join(TABLE, on="k", how="left")),
    Case("self", lambda f: f.select("k", "v").join(f.select("k", w="x"), on="k")),
    Case("windows in select", lambda f: f.select("k", w=sn.window("ts", "5s"))),
    Case("count of pairs", count_of_pairs, inputs=2),
]
CASES = [*(Case(p.name, p.frame, p.mode, p.inputs, p.policy) for p in PROGRAMS), *MORE]
