"""A case's query as a PySpark DataFrame, on our own way there: the case as our frame, the frame through to_pyspark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.cases.table import Table
from tests.cases.translate import sources_of, translate


class Moved:
    """The queries of one case; ``inputs`` are Spark's streams and tables by name."""

    def __init__(self, spark: Any, case: Mapping[str, Any], inputs: Mapping[str, Any]) -> None:
        self.spark, self.sources = spark, sources_of(case)
        streams = {n for n, source in case["sources"].items() if source.get("kind", "stream") == "stream"}
        self.given = {self.sources[name]: inputs[name] for name in streams}

    def frame(self, tree: Mapping[str, Any]) -> Any:
        self.table: Table = translate(tree, self.sources)
        names = [here for column in self.table.columns for here in column.here]
        frame = self.table.frame.select(*names)
        used = {id(node.source) for node in frame.node.walk() if hasattr(node, "source")}
        return frame.to_pyspark(self.spark, {ours: s for ours, s in self.given.items() if id(ours) in used})

    def cells(self, row: Sequence[Any]) -> list[Any]:
        """Return a row as the case writes it: a window as one value."""
        values = iter(row)
        return [_window(*(next(values) for _ in column.here)) for column in self.table.columns]


def _window(*edges: Any) -> Any:
    if len(edges) == 1:
        return edges[0]
    return None if edges[0] is None else dict(zip(("start", "end"), edges, strict=True))
