"""Compatible: what of a query must stay the same between two runs, and how two queries differ in that."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import narwhals as nw
import polars as pl

from streamnb.aggregates import Aggregate
from streamnb.connect import Source
from streamnb.errors import CheckpointError, CheckpointMismatchError
from streamnb.expressions import native, plain_column, spelled
from streamnb.judging import judge
from streamnb.lineage import lineage, made_of
from streamnb.ops.select import Select, WithColumns
from streamnb.ops.with_watermark import WithWatermark
from streamnb.plan import Node
from streamnb.state import StateTable

FORMAT = 3
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")

_FREE = {"inputs", "output_schema", "origin", "wait"}
"""Fields of a node that may change: what is below is compared by itself, and no state holds what comes out."""


@dataclass(frozen=True)
class Shape:
    """What of a query must stay: its sources by kind, every operator with state, every table of state.

    An operator is its verb, how it is told, its settings (keys, window, aggregates, conditions), and what the columns
    that it goes by are computed ``of``. Functions of the user's own are not among them. A table says ``of`` which
    operator it is. ``logic`` is every verb as it is told, ``times`` what is event time: both are recorded, and told of
    when they change.
    """

    sources: Sequence[str]
    operators: Sequence[Mapping[str, Any]]
    tables: Sequence[Mapping[str, Any]]
    logic: Sequence[str] = ()
    times: Sequence[str] = ()
    mode: str = ""


def shape(
    plan: Node, sources: Iterable[Source], steps: Iterable[tuple[str, Iterable[StateTable]]], mode: str = ""
) -> Shape:
    """Return the shape of a plan as it was written; ``steps`` are the verbs of those with state, with their tables."""
    nodes = list(plan.walk())
    tables = [(number, verb, table) for number, (verb, tables) in enumerate(steps) for table in tables]
    return Shape(
        [type(source).__name__ for source in sources],
        [{"verb": n.verb, "told": n.describe(), "settings": _settings(n), "of": lineage(n)} for n in nodes if n.keeps],
        [
            {"operator": verb, "keys": table.keys, "columns": {n: str(d) for n, d in table.schema.items()}, "of": of}
            for of, verb, table in tables
        ],
        [_ADDRESS.sub("", _told(node)) for node in nodes if node.inputs],
        [made_of(node, node.event_time) for node in nodes if isinstance(node, WithWatermark)],
        mode,
    )


def _told(node: Node) -> str:
    """Return a verb with all that it computes."""
    if not isinstance(node, Select | WithColumns):
        return node.describe()
    return f"{node.verb} {', '.join(map(_told_column, node.expressions))}"


def _told_column(expression: nw.Expr) -> str:
    compiled, text = native(expression), spelled(expression)
    name = text if compiled.meta.has_multiple_outputs() else compiled.meta.output_name()
    return name if name == text else f"{name}={text}"


def _settings(value: Any) -> dict[str, Any]:
    return {f.name: _plain(getattr(value, f.name)) for f in fields(value) if f.name not in _FREE}


def _plain(value: Any) -> Any:
    """Return a setting as JSON that is the same for the same meaning; a user's function is not looked into."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, nw.Expr | pl.Expr):
        expression = value if isinstance(value, pl.Expr) else native(value)
        return plain_column(expression) or str(expression)
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner) for inner in value]
    if isinstance(value, Aggregate) or (is_dataclass(value) and not isinstance(value, type)):
        return {"kind": type(value).__name__, **_settings(value)}
    return str(value) if isinstance(value, pl.DataType) else None


def compare(path: Path, logics: Sequence[Mapping[str, Any]], mine: Shape, *, changed: bool = False) -> None:
    """Raise a CheckpointMismatchError that names what a query changed and may not.

    ``logics`` are the shapes of all that ran on the checkpoint, oldest first. ``changed``: another logic may come.
    """
    theirs = logics[-1]
    if theirs["format"] != FORMAT:
        age = "a newer" if theirs["format"] > FORMAT else "an older"
        raise CheckpointError(
            f"checkpoint: {path} has format {theirs['format']}, of {age} streamnb, and this one writes {FORMAT}; "
            "use that version, or start on a new folder."
        )
    if theirs["sources"] != mine.sources:
        raise CheckpointMismatchError(
            f"checkpoint: {path} was made with the sources {theirs['sources']} and the query has {mine.sources}; "
            "start the changed query on a new folder.",
            code="CHECKPOINT_SOURCES",
        )
    if changed:
        return
    _not_of_old(path, logics, mine)
    if all(verdict.fate == "kept" for verdict in judge(theirs, asdict(mine))):
        return
    for what, differ in _COMPARED.items():
        difference = differ(theirs, mine)
        if difference is not None:
            raise CheckpointMismatchError(
                f"checkpoint: the {what} of {path} and of the query differ: {difference}; "
                "start the changed query on a new folder.",
                code="CHECKPOINT_STATE",
            )


def _not_of_old(path: Path, logics: Sequence[Mapping[str, Any]], mine: Shape) -> None:
    """Raise for a query that another one has taken the place of."""
    told = [list(logic.get("logic", ())) for logic in logics]
    if list(mine.logic) in told[:-1] and list(mine.logic) != told[-1]:
        raise CheckpointMismatchError(
            f"checkpoint: after batch {logics[-1]['after']} of {path} another logic took over from this query: "
            f"{' → '.join(told[-1])}; open that one, or go back to this one with query(…, evolve=True).",
            code="CHECKPOINT_EVOLVED",
        )


def _operators(theirs: Mapping[str, Any], mine: Shape) -> str | None:
    old, new = theirs["operators"], mine.operators
    for number, (was, now) in enumerate(zip(old, new, strict=False), 1):
        if was["verb"] == now["verb"] and was["settings"] == now["settings"]:
            continue
        named = [name for name in now["settings"] if was["settings"].get(name) != now["settings"][name]]
        settings = "" if was["told"] != now["told"] else f" in {', '.join(named)}"
        return f"operator {number} was `{was['told']}` and is `{now['told']}`{settings}"
    if len(old) == len(new):
        return None
    more, verb = (old, "gone") if len(old) > len(new) else (new, "new")
    return f"`{more[min(len(old), len(new))]['told']}` is {verb}"


def _tables(theirs: Mapping[str, Any], mine: Shape) -> str | None:
    old, new = theirs["tables"], mine.tables
    if len(old) != len(new):
        return f"there were {len(old)} and are {len(new)}"
    for number, (was, now) in enumerate(zip(old, new, strict=True)):
        what = next((key for key in ("operator", "keys", "columns") if was[key] != now[key]), None)
        if what is not None:
            return f"the {what} of table {number} were {was[what]} and are {now[what]}"
    return None


def _modes(theirs: Mapping[str, Any], mine: Shape) -> str | None:
    was = theirs.get("mode", mine.mode)
    return None if was == mine.mode else f"it was {was} and is {mine.mode}"


_COMPARED: dict[str, Callable[[Mapping[str, Any], Shape], str | None]] = {
    "operators": _operators,
    "state tables": _tables,
    "output modes": _modes,
}
