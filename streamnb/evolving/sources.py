"""Sources: another plan over the sources that a query reads already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from streamnb.connect import Reader, Source
from streamnb.errors import PlanError
from streamnb.ops.read import Read
from streamnb.plan import Node
from streamnb.schema import polars_schema


def sources_of(plan: Node) -> list[Source]:
    """Return the sources of a plan, each once, in order."""
    found = [node.source for node in plan.walk() if isinstance(node, Read)]
    return list({id(source): source for source in found}.values())


def same_sources(written: Node, originals: Sequence[Source], own: Sequence[Source]) -> Node:
    """Return a plan that reads a query's own sources in the place of those it was written with; a PlanError for others.

    ``originals`` are the sources that the query's frame names, ``own`` the same as the query reads them.
    """
    given = sources_of(written)
    alike = [any(new is source for source in pair) or _alike(new, pair[0])
             for new, pair in zip(given, zip(originals, own, strict=True), strict=False)]  # fmt: skip
    if len(given) != len(own) or not all(alike):
        raise PlanError(
            f"evolve: the query reads {list(originals)} and the new one {given}; write it over the same sources, in "
            "the same order.",
            code="EVOLVE_SOURCES",
        )
    for new, old in zip(given, own, strict=True):
        before, after = (dict(polars_schema("evolve", source.schema)) for source in (old, new))
        if before != after:
            raise PlanError(
                f"evolve: {old!r} has the columns {_columns(before)} here and {_columns(after)} in the new query; "
                "stop this one and go on with query(checkpoint=…, evolve=True), or give it the same columns.",
                code="EVOLVE_SOURCES",
            )
    return read_by(written, given, own)


def _columns(schema: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {dtype}" for name, dtype in schema.items())


def _alike(new: Source, old: Source) -> bool:
    """Tell whether a source that is named anew is the old one: of what stands outside this process."""
    lasting = hasattr(old, "reader") or isinstance(old, Reader)
    return lasting and type(new) is type(old) and repr(new) == repr(old)


def read_by(plan: Node, given: Sequence[Source], own: Sequence[Source]) -> Node:
    """Return a plan with other sources in the places of its own."""
    places = {id(source): mine for source, mine in zip(given, own, strict=True)}
    return _placed(plan, places)


def _placed(node: Node, places: dict[int, Source]) -> Node:
    if isinstance(node, Read):
        return replace(node, source=places[id(node.source)])
    inputs = tuple(_placed(below, places) for below in node.inputs)
    same = all(new is old for new, old in zip(inputs, node.inputs, strict=True))
    return node if same else replace(node, inputs=inputs)
