"""At once: a plan as one batch over all that its sources hold now."""

from __future__ import annotations

import pandas as pd
import polars as pl

from streamnb.graph import Graph
from streamnb.inputs import Inputs, own_sources
from streamnb.optimize import optimize
from streamnb.plan import Batch, Node, Opening
from streamnb.time import Watermark


def collect(plan: Node) -> pd.DataFrame:
    """Run a plan as one batch over all that its sources hold now."""
    graph = Graph(optimize(own_sources(plan)), Opening("batch", Watermark.of_a_table()))
    inputs = Inputs([source for source, _ in graph.leaves])
    return graph.run(inputs.read(inputs.latest()), Batch(pl.DataFrame())).rows.to_pandas()
