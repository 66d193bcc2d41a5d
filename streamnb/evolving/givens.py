"""Givens: what each batch of a query goes by besides its rows: params, and versions of rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from streamnb.graph import Graph
from streamnb.inputs import Planned
from streamnb.journal import Journal, Past
from streamnb.ops.join_static import JoinStatic
from streamnb.params import giving, params_in, setting
from streamnb.plan import Node
from streamnb.rules import Rules, Version

Given = Mapping[str, Any]
"""By name a param's value, or the number of a version: what stands in the log."""


class Givens:
    """What the batches of one plan are given; one that is done again what it had, but for what was set since."""

    def __init__(self, plan: Node) -> None:
        nodes = list(plan.walk())
        self._params = sorted(set[str]().union(*map(params_in, nodes)))
        tables = [node.table for node in nodes if isinstance(node, JoinStatic)]
        self._rules = {table.name: table for table in tables if isinstance(table, Rules)}
        self._before: dict[int, Given] = {}
        self._times_set: Mapping[str, int] = {}

    def settled(self, planned: Planned, batch_id: int) -> Planned:
        """Return the plan of a batch with all that it is given."""
        if not self._params and not self._rules:
            return planned
        known = planned.given if planned.given is not None else self._as_before(batch_id)
        params = self._set(known)
        versions = {name: known.get(name) or rules.now().number for name, rules in self._rules.items()}
        return replace(planned, given={**params, **versions})

    def due(self, graph: Graph, batch_id: int, time: int) -> bool:
        """Tell whether a batch without input would act by what it would be given."""
        if not self._params:
            return graph.due(time)
        with giving(self._set(self._as_before(batch_id))):
            return graph.due(time)

    def _set(self, known: Given) -> dict[str, Any]:
        return {name: known.get(name, setting(name).value) for name in self._params}

    def _as_before(self, batch_id: int) -> Given:
        known = self._before.get(batch_id, {})
        return {n: v for n, v in known.items() if n in self._rules or setting(n).times_set == self._times_set.get(n)}

    def shared(self, given: Given | None, other: Givens) -> Given | None:
        """Return what of another query's batch is given to this one too: not what other rules of the same name say."""
        if given is None:
            return None
        return {n: v for n, v in given.items() if self._rules.get(n) is other._rules.get(n)}

    def values(self, given: Given | None) -> Given:
        """Return what is given to the steps: a version itself in the place of its number."""
        return {n: self._rules[n].numbered(v) if n in self._rules else v for n, v in (given or {}).items()}

    def versions(self, given: Given | None) -> list[Version]:
        return [value for value in self.values(given).values() if isinstance(value, Version)]

    def rewound(self, past: Mapping[int, Past]) -> None:
        """Hear of the batches that are going to be done again."""
        self._before |= {number: done.planned.given for number, done in past.items() if done.planned.given}
        self._times_set = {name: setting(name).times_set for name in self._params}

    def recall(self, journal: Journal) -> None:
        """Go on with what an earlier run went by; what was set in this process counts more."""
        for name, rules in self._rules.items():
            rules.recall(journal.versions(name))
        for name, value in self._known(journal.last_given):
            if not setting(name).times_set:
                setting(name).value = value

    def _known(self, last: Given) -> Iterable[tuple[str, Any]]:
        return ((name, last[name]) for name in self._params if name in last)
