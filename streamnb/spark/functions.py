"""Functions and processors of the user's own in a script, and what hands them Spark's rows and state."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from streamnb.fields import Fields
from streamnb.ops.apply_in_pandas_with_state import ApplyInPandasWithState
from streamnb.ops.map_batches import MapBatches
from streamnb.ops.transform_with_state import TransformWithState
from streamnb.per_key import PerKey
from streamnb.spark import adapter
from streamnb.spark.code import Code, Items, Text, assigned, code
from streamnb.spark.flow import unsupported
from streamnb.spark.kinds import ddl
from streamnb.spark.written import BASE, Written, instance
from streamnb.stateful import StatefulProcessor, method

_BOTH = {"Snake", "milliseconds", "moment", "plain", "frame"}
_OF_FUNCTIONS = _BOTH | {"State", "whole"}
_OF_PROCESSORS = _BOTH | {"Processor", "Handle", "Variable", "span"}


@dataclass
class Functions:
    """What is printed above a query: lists of columns, what stands between, the user's own, and calls of it."""

    written: Written = field(default_factory=Written)
    adapters: set[str] = field(default_factory=set)
    lists: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def by_parts(self, node: MapBatches) -> Code:
        """Take a function of a batch; return the name of one that calls it part by part."""
        name = self._taken(node, node.function)
        self.calls.append(f"def {name}_by_parts(parts):\n    for part in parts:\n        yield {name}(part)")
        return Text(f"{name}_by_parts")

    def by_key(self, node: ApplyInPandasWithState) -> Code:
        """Take a function with its state; return the name of one that calls it as PySpark does."""
        name = self._taken(node, node.function)
        takes, gives = self._columns(node, node.returns, name)
        holds = self._list(f"{name}_state", node.fields.schema.names())
        self.adapters |= _OF_FUNCTIONS
        self.calls.append(
            f"def {name}_by_key(key, parts, state):\n"
            f"    rows = whole(parts, {takes})\n"
            f"    out = {name}(tuple(key), rows, State(state, {holds}))\n"
            f"    yield frame(out, {gives})"
        )
        return Text(f"{name}_by_key")

    def processor(self, node: TransformWithState) -> Code:
        """Take a processor; return what makes it one of PySpark's."""
        _check_states(node.processor)
        name = self._taken(node, type(node.processor))
        takes, gives = self._columns(node, node.returns, name)
        self.adapters |= _OF_PROCESSORS | ({BASE} if isinstance(node.processor, StatefulProcessor) else set())
        return Items("Processor(", [Text(instance(node.processor)), Text(takes), Text(gives)], ")")

    def of_batch(self, function: Callable[..., Any]) -> Code:
        """Take a sink's function of pandas; return the name of one of Spark's rows."""
        name = self.written.add(function)
        self.calls.append(f"def {name}_of_batch(rows, batch_id):\n    {name}(rows.toPandas(), batch_id)")
        return Text(f"{name}_of_batch")

    def _taken(self, node: MapBatches | PerKey, made: Any) -> str:
        """Take what a user has written; return its name."""
        zoned = [n for n, t in node.inputs[0].schema.items() if isinstance(t, pl.Datetime) and t.time_zone]
        if zoned:
            raise unsupported(
                f"{node.verb} in a script",
                f"PySpark hands the times of {zoned[0]!r} to functions without their zone",
                "make naive times of them first, or use start_on",
            )
        return self.written.add(made)

    def _columns(self, node: PerKey, returns: pl.Schema, name: str) -> tuple[str, str]:
        """Return the names of two lists: the columns that go in, and those that come out."""
        takes = self._list(f"{name}_takes", node.inputs[0].schema.names())
        return takes, self._list(f"{name}_gives", returns.names())

    def _list(self, name: str, columns: list[str]) -> str:
        self.lists += assigned(name.upper(), code(columns))
        return name.upper()

    @property
    def texts(self) -> list[str]:
        """Everything that is defined, in order."""
        twice = self.adapters & set(self.written.sources)
        if twice:
            raise unsupported(f"{min(twice)!r} in a script", "the script has its own of that name", "rename yours")
        between = [inspect.getsource(made).rstrip() for name, made in vars(adapter).items() if name in self.adapters]
        return [*between, *self.written.sources.values(), *self.calls]

    @property
    def imports(self) -> set[str]:
        """The lines that import what all of it names."""
        if not self.adapters:
            return self.written.imports
        text = "".join(self.texts)
        kinds = ", ".join(kind for kind in ("Iterable", "Iterator") if f"{kind}[" in text)
        lines = {"import pandas as pd", "from typing import Any"}
        return self.written.imports | lines | ({f"from collections.abc import {kinds}"} if kinds else set())


def _check_states(processor: Any) -> None:
    """Raise unless a processor declares its state in words that Spark reads too."""
    method(copy.deepcopy(processor), "init")(_Declared())


class _Declared:
    """A handle that looks at the schemas, and does nothing."""

    def get_value_state(self, state_name: str, schema: Any, *_: Any, **__: Any) -> None:
        _check_schema(state_name, schema)

    get_list_state = get_value_state

    def get_map_state(self, state_name: str, user_key_schema: Any, value_schema: Any, *_: Any, **__: Any) -> None:
        _check_schema(state_name, user_key_schema)
        _check_schema(state_name, value_schema)

    def __getattr__(self, name: str) -> Any:
        return self.get_value_state if name in {"getValueState", "getListState"} else lambda *_, **__: None


def _check_schema(name: str, schema: Any) -> None:
    if not isinstance(schema, str):
        raise unsupported(
            f"the schema {schema!r} of state {name!r} in a script",
            "PySpark reads it as text",
            f"write {ddl(Fields(name, schema).schema)!r}",
        )
