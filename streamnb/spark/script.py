"""to_pyspark_source: the query as a PySpark script, by writing down what to_pyspark asks of Spark."""

from __future__ import annotations

import datetime as dt
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from streamnb.check import check
from streamnb.errors import PlanError
from streamnb.ops.map_batches import MapBatches
from streamnb.ops.read import Read
from streamnb.per_key import PerKey
from streamnb.plan import Node
from streamnb.spark.code import Chain, Code, Items, Text, assigned, code
from streamnb.spark.expressions import Sql
from streamnb.spark.flow import HIDDEN, Move, unsupported
from streamnb.spark.kinds import ddl, zones
from streamnb.time import Duration

if TYPE_CHECKING:
    from streamnb.frame import StreamFrame

_MOST_ROWS = 200


def to_pyspark_source(
    self: StreamFrame,
    output_mode: str = "append",
    *,
    trigger: Duration | None = None,
    name: str = "query",
    input: str = "input",
    output: str = "output",
    checkpoint: str = "checkpoint",
) -> str:
    """Return the same query as a PySpark script that needs nothing of streamnb, formatted as ruff formats.

    It says what ``start_on`` does: schema, watermark, query, checkpoint, trigger. A source that Spark has no equal of
    becomes JSON lines in the folder ``input`` (of several sources ``input/0``, ``input/1`` …), for you to replace.
    Append mode writes Parquet to ``output``; update and complete mode write the rows of a batch to
    ``output/batch=N``, over what an earlier attempt at that batch has left. State functions of your own have no place
    in a script; ``start_on`` runs them.

    Parameters
    ----------
    output_mode, trigger
        As in ``query``.
    name
        The query's, and the application's.
    input, output, checkpoint
        Folders, for the top of the script.
    """
    from streamnb.spark.verbs import check_mode, check_plan

    check(self.node, output_mode)
    check_plan(self.node)
    check_mode(self.node, output_mode)
    script = Script(self.node, output_mode)
    script.move()
    return script.text({"INPUT": input, "OUTPUT": output, "CHECKPOINT": checkpoint}, name=name, trigger=trigger)


@dataclass(frozen=True)
class _Writing(Move):
    """A plan that is written down: tables are spelled out, functions printed, streams named."""

    script: Any = None

    def table(self, rows: pl.DataFrame) -> Any:
        if len(rows) > _MOST_ROWS:
            raise PlanError(
                f"to_pyspark_source: a table of {len(rows)} rows is too long to be spelled out in a script; "
                "run the query with start_on, or join with fewer columns and rows.",
                code="SPARK_UNSUPPORTED",
            )
        return self.script.table(rows)

    def batches(self, node: MapBatches) -> Any:
        return self.script.function(node.function)

    def hand_over(self, node: PerKey) -> None:
        raise unsupported(node.verb, "a script cannot hold a function with its state", "run it with start_on")

    def new_name(self, name: str = HIDDEN) -> str:
        return str(self.script.new_column(name.strip("_")))


class Frame(Chain):
    """A Spark frame that is written down; as an argument it goes by a name of its own."""

    def __init__(self, head: Code, parts: Any = (), script: Script | None = None) -> None:
        super().__init__(head, parts)
        self.script = script

    def __getattr__(self, name: str) -> Frame:
        if name.startswith("_"):
            raise AttributeError(name)
        return Frame(self.head, (*self.parts, (name, None)), self.script)

    def __call__(self, *given: Any, **named: Any) -> Frame:
        assert self.script is not None  # noqa: S101  frames are a script's
        plain = [self.script.named(value) if isinstance(value, Frame) else value for value in given]
        chain = Chain.__call__(self, *plain, **named)
        return Frame(chain.head, chain.parts, self.script)


@dataclass
class Script:
    """The parts of a script: what is imported, functions, frames by name, the query."""

    plan: Node
    output_mode: str
    imports: set[str] = field(default_factory=set)
    functions: list[str] = field(default_factory=list)
    body: list[str] = field(default_factory=list)
    names: dict[str, int] = field(default_factory=dict)
    columns: set[str] = field(default_factory=set)

    def move(self) -> None:
        """Write the plan down."""
        from streamnb.spark import groups, joins, per_key, rows, sources  # noqa: F401  each adds its nodes

        nodes = [node for node in self.plan.walk() if isinstance(node, Read)]
        reads = list({id(node.source): node for node in nodes}.values())
        given = {id(n.source): self._stream(n, k if len(reads) > 1 else None) for k, n in enumerate(reads)}
        writing = _Writing(self.head("spark"), Sql(Text("F")), given, self.output_mode, self.plan, script=self)
        flow = writing.flow(self.plan)
        self.assign("result", rows.visible(flow, self.plan.schema.names()))

    def head(self, name: str) -> Frame:
        return Frame(Text(name), (), self)

    def _stream(self, node: Read, number: int | None) -> Frame:
        """Write how a source is read, and return its name."""
        from streamnb.spark.sources import own_stream

        name = "events" if number is None else f"events_{number}"
        try:
            stream = own_stream(node.source, self.head("spark"))
        except PlanError:
            folder = Text("INPUT" if number is None else f'f"{{INPUT}}/{number}"')
            reader = self.head("spark").readStream.schema(ddl(node.schema)).format("json")
            stream = reader.option("mode", "FAILFAST").load(folder)
        return self.assign(name, stream)

    def named(self, frame: Frame) -> Code:
        """Return a name for a frame, which is assigned if it has none."""
        return frame.head if not frame.parts else self.assign(self.new_name("side"), frame).head

    def new_column(self, name: str) -> str:
        """Return a name that no column of the plan has."""
        taken = {column for node in self.plan.walk() for column in node.schema}
        new = name
        while new in taken or new in self.columns:
            new = self.new_name(name)
        self.columns.add(new)
        return new

    def new_name(self, name: str) -> str:
        self.names[name] = self.names.get(name, -1) + 1
        return f"{name}_{self.names[name]}"

    def assign(self, name: str, value: Code) -> Frame:
        self.body += assigned(name, value)
        return self.head(name)

    def table(self, rows: pl.DataFrame) -> Frame:
        """Write a table row by row."""
        items = Items(
            "[", [Items("(", list(map(self._value, row)), ")" if len(row) > 1 else ",)") for row in rows.rows()], "]"
        )
        return self.assign(self.new_name("table"), self.head("spark").createDataFrame(items, ddl(rows.schema)))

    def _value(self, value: Any) -> Code:
        if isinstance(value, dt.datetime | dt.date | dt.timedelta):
            self.imports.add("import datetime as dt")
            at = value.replace(tzinfo=dt.UTC) if isinstance(value, dt.datetime) and value.tzinfo is None else value
            return Text(repr(at).replace("datetime.timezone.utc", "dt.UTC").replace("datetime.", "dt."))
        return code(value)

    def function(self, function: Any) -> Code:
        """Print a function of pandas, and one that calls it part by part; return the name of that."""
        source = _source(function)
        name = function.__name__
        parts = f"def {name}_by_parts(parts):\n    for part in parts:\n        yield {name}(part)"
        self.functions += [source, parts]
        self.imports |= _imports(function)
        return Text(f"{name}_by_parts")

    def text(self, constants: Mapping[str, str], *, name: str, trigger: Duration | None) -> str:
        """Return the whole script."""
        writes = self.output_mode != "append"
        used = "\n".join(self.body)
        named = {k: v for k, v in constants.items() if k != "INPUT" or "INPUT" in used}
        imports = sorted(self.imports) + [""] * bool(self.imports)
        head = [f'"""{name}: a streaming query, written by streamnb."""', "", *imports]
        head += ["from pyspark.sql import SparkSession"]
        head += ["from pyspark.sql import functions as F"] if "F." in used else []
        head += ["", *(f"{k} = {code(v).flat()}" for k, v in named.items())]
        functions = [*self.functions, *([_WRITE] if writes else [])]
        blocks = ["\n".join(head), *functions, "\n".join(self._main(name, trigger))]
        return ("\n\n\n" if functions else "\n\n").join(blocks) + "\n"

    def _main(self, name: str, trigger: Duration | None) -> Iterator[str]:
        session = self.head("SparkSession").builder.appName(name)
        for key, value in self._settings().items():
            session = session.config(key, value)
        yield from assigned("spark", session.getOrCreate())
        yield ""
        yield from self.body
        yield ""
        yield from assigned("query", self._started(name, trigger))
        yield "query.awaitTermination()"

    def _settings(self) -> dict[str, str]:
        from streamnb.spark.session import ZONE

        told = set().union(*(zones(node.schema) for node in self.plan.walk())) or {"UTC"}
        if len(told) > 1:
            raise PlanError(
                f"to_pyspark_source: the query tells times in {', '.join(sorted(told))}, and a Spark session tells "
                "them in one zone; use one.",
                code="SPARK_TIME_ZONE",
            )
        return {ZONE: min(told)}

    def _started(self, name: str, trigger: Duration | None) -> Frame:
        from streamnb.spark.verbs import trigger_of

        writer = self.head("result").writeStream.queryName(name).outputMode(self.output_mode)
        if self.output_mode == "append":
            writer = writer.format("parquet").option("path", Text("OUTPUT"))
        else:
            writer = writer.foreachBatch(Text("write_batch"))
        writer = writer.option("checkpointLocation", Text("CHECKPOINT"))
        return (writer if trigger is None else writer.trigger(**trigger_of(trigger))).start()


_WRITE = '''\
def write_batch(rows, batch_id):
    """Write a batch over what an earlier attempt at it has left."""
    rows.write.mode("overwrite").parquet(f"{OUTPUT}/batch={batch_id}")'''


def _source(function: Any) -> str:
    """Return the source of a plain function."""
    try:
        text = textwrap.dedent(inspect.getsource(function)).rstrip()
    except (OSError, TypeError):
        text = ""
    if not text.startswith("def ") or function.__closure__:
        raise PlanError(
            f"to_pyspark_source: map_batches calls {function!r}, whose source cannot stand in a script; "
            "write it as a function with def at the top of a cell, or use start_on.",
            code="SPARK_UNSUPPORTED",
        )
    return text


def _imports(function: Any) -> set[str]:
    """Return the imports of the modules that a function names."""
    found = set()
    for name in function.__code__.co_names:
        value = function.__globals__.get(name)
        if inspect.ismodule(value):
            found.add(f"import {value.__name__}" + (f" as {name}" if value.__name__ != name else ""))
        elif value is not None:
            raise PlanError(
                f"to_pyspark_source: {function.__name__} uses {name!r} of your notebook, which a script lacks; "
                "hand it on as a column, write it inside the function, or use start_on.",
                code="SPARK_UNSUPPORTED",
            )
    return found
