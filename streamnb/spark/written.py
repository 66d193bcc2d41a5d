"""What of the user's own goes into a script: functions and classes as they are written, and all that they name."""

from __future__ import annotations

import ast
import builtins
import inspect
import symtable
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from streamnb.errors import PlanError
from streamnb.spark.code import code
from streamnb.stateful import StatefulProcessor

BASE = "StatefulProcessor"
_LITERALS = (bool, int, float, str, bytes, type(None), list, tuple, dict, set)


@dataclass
class Written:
    """The imports, constants and definitions that functions need, each once, in an order that runs."""

    imports: set[str] = field(default_factory=set)
    constants: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    _begun: set[str] = field(default_factory=set)

    def add(self, made: Callable[..., Any]) -> str:
        """Take a function or a class with what it names; return its name."""
        name = made.__name__
        if name not in self._begun:
            self._begun.add(name)
            text = _Ours(_names(made)).without(_source(made))
            for used in _used(symtable.symtable(text, name, "exec")):
                self._need(made, used)
            self.sources[name] = text
        return name

    def _need(self, made: Callable[..., Any], name: str) -> None:
        named = _names(made)
        if name == made.__name__ or name not in named:
            return
        value: Any = named[name]
        if isinstance(value, ModuleType) and not _is_ours(value):
            self.imports.add(f"import {value.__name__}" + (f" as {name}" if value.__name__ != name else ""))
        elif isinstance(value, type) and value is StatefulProcessor:
            return
        elif inspect.isfunction(value) or inspect.isclass(value):
            self._need_made(made, name, value)
        elif isinstance(value, _LITERALS) and _is_literal(value):
            self.constants[name] = code(value).flat()
        else:
            raise _refused(f"{made.__name__} uses {name!r} of your notebook, which a script lacks")

    def _need_made(self, made: Callable[..., Any], name: str, value: Any) -> None:
        """Take a function or class: by import from another module, as it is written from its own."""
        if value.__module__ == made.__module__:
            self.add(value)
        elif _is_ours(value) or not _can_be_imported(value):
            raise _refused(f"{made.__name__} uses {name!r}, which a script cannot import")
        else:
            renamed = f" as {name}" if value.__name__ != name else ""
            self.imports.add(f"from {value.__module__} import {value.__name__}{renamed}")


def instance(made: Any) -> str:
    """Return how an object is made anew: its class called with what ``__init__`` takes."""
    kind, kept = type(made), vars(made)
    names = [name for name in inspect.signature(kind).parameters if name in kept]
    given = {name: kept[name] for name in names if _is_literal(kept[name])}
    try:
        again = vars(kind(**given))
    except TypeError:
        again = {"": None}
    if again != kept:
        raise _refused(f"{made!r} holds {', '.join(map(repr, kept))}, which its class does not take again as it is")
    return f"{kind.__name__}({', '.join(f'{name}={code(value).flat()}' for name, value in given.items())})"


def _refused(what: str) -> PlanError:
    return PlanError(
        f"to_pyspark_source: {what}; hand it on as a column, write it inside the function, or use start_on.",
        code="SPARK_UNSUPPORTED",
    )


def _is_literal(value: Any) -> bool:
    try:
        return bool(ast.literal_eval(repr(value)) == value)
    except (ValueError, SyntaxError, TypeError):
        return False


def _can_be_imported(value: Any) -> bool:
    return getattr(sys.modules.get(value.__module__), value.__name__, None) is value


def _is_ours(value: Any) -> bool:
    name = getattr(value, "__module__", None) or getattr(value, "__name__", "")
    return str(name).split(".")[0] == "streamnb"


def _source(made: Any) -> str:
    """Return the source of a plain function or class."""
    try:
        text = textwrap.dedent(_class_source(made) if inspect.isclass(made) else inspect.getsource(made)).rstrip()
    except (OSError, TypeError):
        text = ""
    if not text.startswith(("def ", "class ", "@")) or getattr(made, "__closure__", None):
        raise PlanError(
            f"to_pyspark_source: the query calls {made!r}, whose source cannot stand in a script; "
            "write it with def or class at the top of a cell, or use start_on.",
            code="SPARK_UNSUPPORTED",
        )
    return text


def _class_source(made: type) -> str:
    """Return the source of a class, by one of its methods: Python knows no file for a class of a notebook."""
    method = next((value for value in vars(made).values() if inspect.isfunction(value)), None)
    if method is None:
        return inspect.getsource(made)
    lines, _ = inspect.findsource(method)
    at = method.__code__.co_firstlineno
    around = [
        node
        for node in ast.walk(ast.parse("".join(lines)))
        if isinstance(node, ast.ClassDef) and node.name == made.__name__ and node.lineno <= at <= (node.end_lineno or 0)
    ]
    if not around:
        raise OSError(made)
    first = min([around[0].lineno, *(decorator.lineno for decorator in around[0].decorator_list)])
    return "".join(lines[first - 1 : around[0].end_lineno])


def _names(made: Any) -> Mapping[str, Any]:
    """Return what names mean where a function or class is written."""
    if inspect.isclass(made):
        methods = [value for value in vars(made).values() if inspect.isfunction(value)]
        own = dict(vars(sys.modules[made.__module__])) if made.__module__ in sys.modules else {}
        return own | (methods[0].__globals__ if methods else {})
    found: Mapping[str, Any] = made.__globals__
    return found


def _used(table: symtable.SymbolTable) -> Iterator[str]:
    """Return the names that are read and not made there, but for Python's own."""
    inner = table.get_type() != "module"
    for symbol in table.get_symbols():
        from_outside = symbol.is_global() if inner else not symbol.is_assigned()
        if symbol.is_referenced() and from_outside and not hasattr(builtins, symbol.get_name()):
            yield symbol.get_name()
    for child in table.get_children():
        yield from _used(child)


@dataclass(frozen=True)
class _Ours:
    """The places of a source that speak of streamnb: types of arguments, and the base of a processor."""

    names: Mapping[str, Any]

    def without(self, text: str) -> str:
        """Return a source without types of ours, and with the script's own base."""
        lines = [line.encode() for line in text.split("\n")]
        cuts = sorted(self._cuts(ast.parse(text)), key=lambda cut: (cut[0].lineno, cut[0].col_offset), reverse=True)
        for node, new, before in cuts:
            _cut(lines, node, new, before)
        return b"\n".join(lines).decode()

    def _cuts(self, tree: ast.AST) -> Iterator[tuple[Any, str, str]]:
        for node in ast.walk(tree):
            if isinstance(node, ast.arg) and node.annotation is not None and self._is_ours(node.annotation):
                yield node.annotation, "", ": "
            elif isinstance(node, ast.FunctionDef) and node.returns is not None and self._is_ours(node.returns):
                yield node.returns, "", " -> "
            elif isinstance(node, ast.ClassDef):
                yield from ((base, BASE, "") for base in node.bases if self._value(base) is StatefulProcessor)

    def _is_ours(self, annotation: ast.expr) -> bool:
        names = [node for node in ast.walk(annotation) if isinstance(node, ast.Name)]
        return any(_is_ours(self.names.get(node.id)) for node in names)

    def _value(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Attribute):
            return getattr(self._value(node.value), node.attr, None)
        return self.names.get(node.id) if isinstance(node, ast.Name) else None


def _cut(lines: list[bytes], node: Any, new: str, before: str) -> None:
    """Put other words where a node stands, and take away what stands right before it."""
    line = lines[node.lineno - 1]
    head = line[: node.col_offset].removesuffix(before.encode())
    lines[node.lineno - 1] = head + new.encode() + line[node.end_col_offset :]
