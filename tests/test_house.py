"""The house: small modules, documented names, codes that are used, and an import that loads nothing it need not."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import pkgutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

import streamnb as sn
from streamnb.errors import CODES

HOME = Path(sn.__file__).parent
MODULES = sorted(HOME.rglob("*.py"))
NAMES = [path.relative_to(HOME).as_posix() for path in MODULES]
HEAVY = ["bokeh", "ipywidgets", "anywidget", "IPython", "jupyterlab", "notebook", "matplotlib", "sklearn", "pyspark"]
CLIENTS = ["confluent_kafka", "deltalake", "duckdb", "psycopg", "redis", "river"]


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_a_module_has_at_most_400_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_a_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), "no docstring"


@pytest.mark.parametrize("name", sn.__all__)
def test_a_public_name_is_there_and_explained(name: str) -> None:
    thing = getattr(sn, name)
    assert inspect.getdoc(thing) or inspect.ismodule(thing), f"sn.{name} has no docstring"


def test_public_names_stand_in_order_and_once() -> None:
    assert sn.__all__ == sorted(set(sn.__all__))


@pytest.mark.parametrize("kind", [sn.StreamFrame, sn.Query, sn.MemorySource, sn.ManualClock, sn.Aggregate])
def test_every_public_method_is_explained(kind: type) -> None:
    members = [name for name in dir(kind) if not name.startswith("_")]
    own = [name for name in members if not inspect.getdoc(getattr(kind, name))]
    promised = {"now", "latest", "read", "commit", "unit", "schema", "playing", "last_progress", "value"}
    assert set(own) <= promised


def raised_codes() -> set[object]:
    """Return every code that the package gives an error."""
    found: set[object] = set()
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "code" and isinstance(node.value, ast.Constant):
                found.add(node.value.value)
            if isinstance(node, ast.FunctionDef):
                names = [*node.args.args, *node.args.kwonlyargs]
                defaults = [*node.args.defaults, *node.args.kw_defaults]
                pairs = zip(names[len(names) - len(defaults) :], defaults, strict=True)
                found |= {d.value for a, d in pairs if a.arg == "code" and isinstance(d, ast.Constant)}
    return found


def test_every_code_is_raised_and_every_raised_code_is_listed() -> None:
    assert raised_codes() == set(CODES)


OURS = {
    "PlanError",
    "DataError",
    "QueryError",
    "CheckpointError",
    "CheckpointMismatchError",
    "MissingError",
    "RefusedError",
}
OF_A_RECORD = {"sources/avro.py", "sources/records.py"}  # why one is a dead letter; nobody is told to do anything


def without_a_way_out(path: Path) -> list[str]:
    """Return the messages of a module that say what is wrong and nothing else; a function's own failure is told so."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call) and node.args]
    named = [call.args[0] for call in calls if isinstance(call.func, ast.Name) and call.func.id in OURS]
    told = [ast.unparse(text) for text in named if isinstance(text, ast.Constant | ast.JoinedStr)]
    return [text for text in told if not any(way in text for way in (";", ": pip install", " failed", "{wrong}"))]


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_an_error_names_a_way_out(path: Path) -> None:
    assert path.relative_to(HOME).as_posix() in OF_A_RECORD or without_a_way_out(path) == []


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """Return the top packages that a fresh interpreter has loaded after importing streamnb."""
    code = "import streamnb, sys; print(*{name.partition('.')[0] for name in sys.modules})"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


@pytest.mark.parametrize("package", [*HEAVY, *CLIENTS])
def test_importing_streamnb_does_not_load(package: str, loaded: set[str]) -> None:
    assert package not in loaded


def with_examples() -> list[str]:
    modules = [
        module.name for module in pkgutil.walk_packages([str(HOME)], "streamnb.") if ">>>" in source(module.name)
    ]
    return ["streamnb", *modules]


def source(name: str) -> str:
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).read_text() if spec is not None and spec.origin is not None else ""


def world(folder: Path) -> dict[str, Any]:
    """Return the names that examples may use: those of ``help(streamnb)``."""
    flights = sn.data.landings("JFK", "2013-02-08")
    hourly = flights.with_watermark("dep", "3 hours").group_by(sn.window("dep", "1 hour")).agg(n=sn.count())
    names = {"sn": sn, "pd": pd, "sqlite3": sqlite3, "folder": str(folder), "flights": flights, "hourly": hourly}
    return names | {"query": hourly.query(name="hourly").run()}


@pytest.mark.parametrize("name", with_examples())
def test_the_examples_of_a_module_run(name: str, tmp_path: Path) -> None:
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for number, test in enumerate(doctest.DocTestFinder(exclude_empty=True).find(module)):
        if test.examples:
            (folder := tmp_path / str(number)).mkdir()
            test.globs = vars(module) | world(folder)
            runner.run(test)
            for query in sn.queries():
                query.stop()
    assert runner.failures == 0


def lacks_example(thing: Any) -> bool:
    return not inspect.ismodule(thing) and ">>>" not in (inspect.getdoc(thing) or "")


def test_every_public_name_has_an_example() -> None:
    names = {name: getattr(sn, name) for name in sn.__all__}
    for title, kind in (("frame", sn.StreamFrame), ("query", sn.Query)):
        names |= {f"{title}.{n}": inspect.getattr_static(kind, n) for n in dir(kind) if not n.startswith("_")}
    for title, package in (("data", sn.data), ("chaos", sn.chaos), ("simulate", sn.simulate)):
        names |= {f"{title}.{n}": o for n, o in vars(package).items() if is_own(o, package)}
    names |= {f"sinks.{name}": getattr(sn.sinks, name) for name in sn.sinks.__all__}
    assert [name for name, thing in names.items() if lacks_example(thing)] == []


def is_own(thing: Any, package: ModuleType) -> bool:
    return inspect.isfunction(thing) and thing.__module__ == package.__name__ and not thing.__name__.startswith("_")
