"""Write ``notebooks/reference.ipynb`` from the docstrings of the public names: ``python -m tests.make_reference``."""

from __future__ import annotations

import doctest
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat

import streamnb as sn

PATH = Path(__file__).parents[1] / "notebooks" / "reference.ipynb"
PACKAGES = (sn.data, sn.simulate, sn.chaos, sn.sinks)
TITLES = {
    "Streams": ("stream", "frame", "rules", "static", "sources", "connectors", "dstream", "sql"),
    "Verbs": ("ops", "spark.verbs", "spark.script"),
    "Columns and windows": ("narwhals", "expressions", "windows"),
    "Aggregates": ("aggregates",),
    "A running query": (
        "query",
        "looking",
        "asking",
        "playing",
        "registry",
        "recovery",
        "time",
        "evolving",
        "params",
        "at_once",
    ),
    "State of your own": ("stateful", "variables", "group_state"),
    "Sinks": ("sinks", "connect"),
    "Views": ("views",),
    "Questions": ("answers", "what_if", "suggest", "peek", "crashing"),
    "Spark": ("spark",),
    "The course": ("learn",),
    "Errors": ("errors",),
}
SETUP = """import sqlite3
import tempfile
from pathlib import Path

import pandas as pd
import streamnb as sn

folder = tempfile.mkdtemp()


def fresh():
    # the stream, the frame and the query that an example begins with
    flights = sn.data.landings("JFK", "2013-02-08")
    hourly = flights.with_watermark("dep", "3 hours").group_by(sn.window("dep", "1 hour")).agg(n=sn.count())
    return flights, hourly, hourly.query().run()"""
USED = re.compile(r"\b(flights|hourly|query)\b")


def public() -> Iterator[tuple[str, Any]]:
    """Yield every public name as it is written, and what it stands for."""
    for name in sn.__all__:
        thing = getattr(sn, name)
        if thing in PACKAGES:
            names = getattr(thing, "__all__", None) or [n for n, o in vars(thing).items() if _is_own(o, thing)]
            yield from ((f"sn.{name}.{n}", getattr(thing, n)) for n in names)
        else:
            yield f"sn.{name}", thing
    for title, kind in (("frame", sn.StreamFrame), ("query", sn.Query)):
        yield from ((f"{title}.{n}", inspect.getattr_static(kind, n)) for n in dir(kind) if not n.startswith("_"))


def _is_own(thing: Any, package: Any) -> bool:
    return inspect.isfunction(thing) and thing.__module__ == package.__name__ and not thing.__name__.startswith("_")


def plain(thing: Any) -> Any:
    """Return the function behind a property or a static method, or the thing itself."""
    if isinstance(thing, property):
        return thing.fget
    return getattr(thing, "__func__", thing)


def group(thing: Any) -> str:
    """Return under which title a name stands: that of the module it comes from, the longest name of one first."""
    module = str(getattr(plain(thing), "__module__", "")).removeprefix("streamnb.")
    fitting = [
        (len(prefix), title)
        for title, prefixes in TITLES.items()
        for prefix in prefixes
        if module == prefix or module.startswith(f"{prefix}.")
    ]
    if not fitting:
        raise LookupError(f"reference: {thing!r} of {module!r} has no title; add its module to TITLES.")
    return max(fitting)[1]


def example(thing: Any) -> str:
    """Return the code of a docstring's examples, with a new query for those that look at one."""
    examples = doctest.DocTestParser().get_examples(inspect.getdoc(thing) or "")
    code = "".join(found.source for found in examples if doctest.SKIP not in found.options).rstrip()
    return f"flights, hourly, query = fresh()\n{code}" if USED.search(code) else code


def summary(thing: Any) -> str:
    """Return a docstring's first paragraph, and what it says of Spark."""
    text = inspect.getdoc(thing) or ""
    first = text.partition("\n\n")[0].replace("\n", " ")
    spark = re.search(r"^Spark\n[ -]*\n? *(.+)$|^(Spark: .+)$", text, re.MULTILINE)
    return first if spark is None or "Spark" in first else f"{first} {spark[2] or f'Spark: {spark[1]}'}"


def signature(thing: Any) -> str:
    """Return the names of a call's parameters; nothing for a property."""
    if isinstance(thing, property):
        return ""
    try:
        parameters = inspect.signature(plain(thing)).parameters
    except (TypeError, ValueError):
        return ""
    return f"({', '.join(name for name in parameters if name != 'self')})"


def notebook() -> Any:
    """Return the reference as a notebook: a title a group, a line and a cell a name."""
    cells = [_markdown("reference", "# Reference\n\nEvery public name with an example that runs, written from"
                       " `help()`: `python -m tests.make_reference`."), _code("reference-setup", SETUP)]  # fmt: skip
    names = sorted(public(), key=lambda pair: (list(TITLES).index(group(pair[1])), pair[0].lower()))
    title = ""
    for name, thing in names:
        head = "" if group(thing) == title else f"## {group(thing)}\n\n"
        title = group(thing)
        where = name.replace(".", "-").replace("_", "-")
        cells.append(_markdown(where, f"{head}**`{name}{signature(thing)}`** {summary(thing)}"))
        if code := example(thing):
            cells.append(_code(f"{where}-example", code))
    made = nbformat.v4.new_notebook(cells=cells)
    made.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    made.metadata.language_info = {"name": "python"}
    return made


def _markdown(id: str, source: str) -> Any:
    return nbformat.v4.new_markdown_cell(source, id=id[:64])


def _code(id: str, source: str) -> Any:
    return nbformat.v4.new_code_cell(source, id=id[:64])


if __name__ == "__main__":
    nbformat.write(notebook(), PATH)
