"""Flow: a node's rows on Spark. Move: one plan on its way there. to_spark: what every node adds its own to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, singledispatch
from itertools import count
from typing import Any

import narwhals as nw
import polars as pl

from streamnb.errors import PlanError
from streamnb.expressions import Expression, as_expr, native, plain_column, window_time
from streamnb.ops.apply_in_pandas_with_state import ApplyInPandasWithState
from streamnb.ops.map_batches import MapBatches
from streamnb.ops.transform_with_state import TransformWithState
from streamnb.plan import Node
from streamnb.spark import worker
from streamnb.spark.expressions import Sql, Words
from streamnb.spark.kinds import ddl, name_in
from streamnb.spark.session import check_pandas, check_rocks

HIDDEN = "__window"
_WINDOW_TIME = native(window_time())


@dataclass(frozen=True)
class Edge:
    """A column that is one end of a window: the hidden column that holds the whole window, and which end."""

    column: str
    field: str


@dataclass(frozen=True)
class Flow:
    """Rows on Spark, with all columns that a node's schema names.

    A window is two columns here and one there, and only the one carries the event time. So it is kept beside the two,
    in a hidden column, and ``windows`` says which columns are its edges.
    """

    rows: Any
    windows: Mapping[str, Edge] = field(default_factory=dict)

    @property
    def hidden(self) -> list[str]:
        """The hidden columns that are still needed."""
        return list(dict.fromkeys(edge.column for edge in self.windows.values()))

    def forgetting(self, windows: Mapping[str, Edge], rows: Any) -> Flow:
        """Return other rows with other windows; hidden columns that no edge is left of are dropped."""
        left = {edge.column for edge in windows.values()}
        gone = [name for name in self.hidden if name not in left]
        return Flow(rows.drop(*gone) if gone else rows, windows)

    def keys(self, names: Sequence[str]) -> list[str]:
        """Return columns to group, match or compare by: the whole window for its edges."""
        return list(dict.fromkeys(self.windows[n].column if n in self.windows else n for n in names))

    def is_window_time(self, expression: nw.Expr) -> bool:
        """Tell whether an expression is ``sn.window_time()`` of a window that is there."""
        return "window_end" in self.windows and native(expression).meta.undo_aliases().meta.eq(_WINDOW_TIME)


@dataclass(frozen=True)
class Move:
    """One plan on its way to Spark: the session and its functions, the streams given for sources by id, the mode."""

    spark: Any
    sql: Sql
    sources: Mapping[int, Any]
    output_mode: str | None = None
    top: Node | None = None
    numbers: Any = field(default_factory=count)

    @cached_property
    def words(self) -> Words:
        return Words(self.sql)

    def flow(self, node: Node) -> Flow:
        """Return the rows of a node, inputs first."""
        return to_spark(node, self, *map(self.flow, node.inputs))

    def new_name(self, name: str = HIDDEN) -> str:
        """Return a name that no other column has."""
        return f"{name}_{next(self.numbers)}"

    def column(self, expression: Expression, schema: Mapping[str, pl.DataType], verb: str) -> Any:
        """Return the Spark column of an expression over columns of a schema."""
        plain = plain_column(native(expression))
        return self.sql.col(plain) if plain is not None else self.columns(expression, schema, verb)[0]

    def operand(self, expression: Expression, schema: Mapping[str, pl.DataType], verb: str) -> Any:
        """Return what a function of Spark's is called with: a column's name, or a computed column."""
        plain = plain_column(native(expression))
        return self.column(expression, schema, verb) if plain is None else name_in(plain)

    def columns(self, expression: Expression, schema: Mapping[str, pl.DataType], verb: str) -> list[Any]:
        """Return the Spark columns of an expression that may be several."""
        try:
            return self.words.columns(as_expr(expression), schema)
        except (NotImplementedError, AttributeError, ValueError) as error:
            raise no_expression(verb, expression, error) from error

    def table(self, rows: pl.DataFrame) -> Any:
        """Return a table of this kernel as a Spark frame; naive times are UTC."""
        naive = [name for name, kind in rows.schema.items() if isinstance(kind, pl.Datetime) and kind.time_zone is None]
        arrow = rows.with_columns(pl.col(naive).dt.replace_time_zone("UTC")).to_arrow()
        return self.spark.createDataFrame(arrow, ddl(rows.schema))

    def batches(self, node: MapBatches) -> Any:
        """Return a function for ``mapInPandas``."""
        check_pandas()
        function = worker.MapBatches(node.function, worker.Rows(node.verb, node.inputs[0].schema, node.returns))
        return lambda parts: function(parts)  # noqa: PLW0108  Spark asks for a function

    def per_key(self, node: ApplyInPandasWithState) -> Any:
        """Return a function for ``applyInPandasWithState``."""
        check_pandas()
        rows = worker.Rows(node.verb, node.inputs[0].schema, node.returns)
        call = worker.ApplyInPandasWithState(node.function, rows, node.fields)
        return lambda key, parts, state: call(key, parts, state)  # noqa: PLW0108

    def processor(self, node: TransformWithState) -> Any:
        """Return a processor for ``transformWithStateInPandas``."""
        check_pandas()
        check_rocks(self.spark)
        initial = None if node.initial is None else worker.Rows(node.verb, node.initial.schema, pl.Schema())
        return worker.Processor(node.processor, worker.Rows(node.verb, node.inputs[0].schema, node.returns), initial)

    def edge(self, flow: Flow, name: str) -> Any:
        """Return a column for a comparison that ends state; of a window's edge, one that Spark knows for event time."""
        at = flow.windows.get(name)
        return self.sql.col(name) if at is None else self.sql.field(at.column, at.field)


def no_expression(verb: str, expression: Any, error: BaseException) -> PlanError:
    """Return the error for an expression that Narwhals cannot say to Spark."""
    why = str(error).split("\n")[0]
    return PlanError(
        f"to_pyspark: {verb} computes {expression!r}, which Narwhals cannot say to Spark: {why}; "
        "compute it with map_batches, or in other words.",
        code="SPARK_UNSUPPORTED",
    )


def unsupported(what: str, why: str, way_out: str) -> PlanError:
    """Return the error for what Spark has no equal of."""
    return PlanError(f"to_pyspark: {what}: {why}; {way_out}.", code="SPARK_UNSUPPORTED")


@singledispatch
def to_spark(node: Node, move: Move, *inputs: Flow) -> Flow:
    """Return the rows of a node on Spark, from those of its inputs. Every node has its own, in this package."""
    raise unsupported(node.verb, "it has no equal on Spark", "leave it out, or run it here")


def flattened(flow: Flow, move: Move, name: str, edges: Sequence[str]) -> Flow:
    """Put the two edges of a hidden window beside it."""
    both = {edge: move.sql.field(name, end) for edge, end in zip(edges, ("start", "end"), strict=True)}
    windows = {edge: Edge(name, end) for edge, end in zip(edges, ("start", "end"), strict=True)}
    return replace(flow, rows=flow.rows.withColumns(both), windows={**flow.windows, **windows})
