"""to_pyspark_source: the query as a PySpark script, by writing down what to_pyspark asks of Spark."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import polars as pl

from streamnb.check import check
from streamnb.errors import PlanError
from streamnb.ops.apply_in_pandas_with_state import ApplyInPandasWithState
from streamnb.ops.map_batches import MapBatches
from streamnb.ops.read import Read
from streamnb.ops.transform_with_state import TransformWithState
from streamnb.plan import Node
from streamnb.sinks.foreach_batch import ForeachBatch
from streamnb.spark.code import WIDTH, Chain, Code, Items, Text, assigned, code
from streamnb.spark.expressions import Sql
from streamnb.spark.flow import HIDDEN, Move
from streamnb.spark.functions import Functions
from streamnb.spark.kinds import ddl, zones
from streamnb.spark.session import PROVIDER, ROCKS, ZONE
from streamnb.spark.sinks import Going, written_to
from streamnb.time import Duration

if TYPE_CHECKING:
    from streamnb.frame import StreamFrame

_MOST_ROWS = 200


def to_pyspark_source(
    self: StreamFrame,
    output_mode: str = "append",
    *,
    sink: Any = None,
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
    ``output/batch=N``, over what an earlier attempt at that batch has left. ``sink`` writes elsewhere. Functions and
    processors of your own are printed with all that they name; what hands them rows and state stands above them.

    Parameters
    ----------
    output_mode, trigger
        As in ``query``.
    sink
        As in ``start_on``.
    name
        The query's, and the application's.
    input, output, checkpoint
        Folders, for the top of the script.

    >>> print(flights.filter(sn.col("dest") == "SEA").to_pyspark_source().splitlines()[2])
    from pyspark.sql import SparkSession
    """
    from streamnb.spark.verbs import check_mode, check_plan

    check(self.node, output_mode)
    check_plan(self.node)
    check_mode(self.node, output_mode)
    script = Script(self.node, output_mode, sink)
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
        return self.script.functions.by_parts(node)

    def per_key(self, node: ApplyInPandasWithState) -> Any:
        return self.script.functions.by_key(node)

    def processor(self, node: TransformWithState) -> Any:
        made = self.script.functions.processor(node)
        return self.script.assign(self.script.new_name("processor"), made).head

    def new_name(self, name: str = HIDDEN) -> str:
        return str(self.script.new_column(name.strip("_")))


@dataclass(frozen=True)
class _Sent(Going):
    """Rows on their way to a sink; what is made of them on the way is assigned."""

    script: Any = None

    def other(self, rows: Any) -> Going:
        return replace(self, rows=self.script.assign("messages", rows))


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
    """The parts of a script: what is imported, functions, frames by name, the query, the sink."""

    plan: Node
    output_mode: str
    sink: Any = None
    imports: set[str] = field(default_factory=set)
    functions: Functions = field(default_factory=Functions)
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
            stream = own_stream(node.source, self.head("spark"), Sql(Text("F")))
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

    def text(self, constants: Mapping[str, str], *, name: str, trigger: Duration | None) -> str:
        """Return the whole script."""
        started = self._started(name, trigger)  # first, as it may take functions
        main = "\n".join(self._main(name, started))
        functions = self.functions.texts
        used = "".join([main, *functions])
        named = {k: code(v).flat() for k, v in constants.items() if k in used}
        values = [line for k, v in (named | self.functions.written.constants).items() for line in _constant(k, v)]
        head = [f'"""{name}: a streaming query, written by streamnb."""', "", *self._imports(main)]
        top = "\n".join([*head, *([""] if values else []), *values, *self.functions.lists])
        return ("\n\n\n" if functions else "\n\n").join([top, *functions, main]) + "\n"

    def _imports(self, main: str) -> list[str]:
        """Return the imports: Python's own, then the others."""
        found = self.imports | self.functions.imports | {"from pyspark.sql import SparkSession"}
        found |= {"from pyspark.sql import functions as F"} if "F." in main else set()
        ordered = sorted(found, key=lambda line: (line.startswith("from"), line))
        own = [line for line in ordered if line.split()[1].split(".")[0] in sys.stdlib_module_names]
        return [*own, *([""] if own else []), *(line for line in ordered if line not in own)]

    def _main(self, name: str, started: Frame) -> Iterator[str]:
        session = self.head("SparkSession").builder.appName(name)
        for key, value in self._settings().items():
            session = session.config(key, value)
        yield from assigned("spark", session.getOrCreate())
        yield ""
        yield from self.body
        yield ""
        yield from assigned("query", started)
        yield "query.awaitTermination()"

    def _settings(self) -> dict[str, str]:
        told = set().union(*(zones(node.schema) for node in self.plan.walk())) or {"UTC"}
        if len(told) > 1:
            raise PlanError(
                f"to_pyspark_source: the query tells times in {', '.join(sorted(told))}, and a Spark session tells "
                "them in one zone; use one.",
                code="SPARK_TIME_ZONE",
            )
        stateful = any(isinstance(node, TransformWithState) for node in self.plan.walk())
        return {ZONE: min(told)} | ({PROVIDER: ROCKS} if stateful else {})

    def _started(self, name: str, trigger: Duration | None) -> Frame:
        from streamnb.spark.verbs import trigger_of

        writer = self._written().queryName(name).outputMode(self.output_mode)
        writer = writer.option("checkpointLocation", Text("CHECKPOINT"))
        started: Frame = (writer if trigger is None else writer.trigger(**trigger_of(trigger))).start()
        return started

    def _written(self) -> Frame:
        """Return the writer to the sink; if none is given to files, of which update and complete mode write over."""
        writer: Frame = self.head("result").writeStream
        if isinstance(self.sink, ForeachBatch) or (callable(self.sink) and not isinstance(self.sink, type)):
            function = self.sink.fn if isinstance(self.sink, ForeachBatch) else self.sink
            return writer.foreachBatch(self.functions.of_batch(function))
        if self.sink is not None:
            going = _Sent(self.head("result"), self.plan.schema, self.output_mode, Sql(Text("F")), self)
            found: Frame = written_to(self.sink, going, {})
            return found
        if self.output_mode == "append":
            return writer.format("parquet").option("path", Text("OUTPUT"))
        self.functions.calls.append(_WRITE)
        return writer.foreachBatch(Text("write_batch"))


def _constant(name: str, value: str) -> list[str]:
    line = f"{name} = {value}"
    return [line] if len(line) <= WIDTH or len(value) > WIDTH - 4 else [f"{name} = (", f"    {value}", ")"]


_WRITE = '''\
def write_batch(rows, batch_id):
    """Write a batch over what an earlier attempt at it has left."""
    rows.write.mode("overwrite").parquet(f"{OUTPUT}/batch={batch_id}")'''
