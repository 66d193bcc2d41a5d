"""Givens: what each batch of a query goes by besides its rows: params, and versions of rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from streamnb.inputs import Planned
from streamnb.journal import Journal
from streamnb.ops.join_static import JoinStatic
from streamnb.params import params_in, setting
from streamnb.plan import Node
from streamnb.rules import Rules, Version

Given = Mapping[str, Any]
"""By name a param's value, or the number of a version: what stands in the log."""


class Givens:
    """What the batches of one plan are given."""

    def __init__(self, plan: Node) -> None:
        nodes = list(plan.walk())
        self._params = sorted(set[str]().union(*map(params_in, nodes)))
        tables = [node.table for node in nodes if isinstance(node, JoinStatic)]
        self._rules = {table.name: table for table in tables if isinstance(table, Rules)}
        self._times_set = self._times_set_now()

    @property
    def names(self) -> list[str]:
        """The params and rules that batches go by."""
        return [*self._params, *self._rules]

    def settled(self, planned: Planned) -> Planned:
        """Return the plan of a batch with all that it is given."""
        if not self._params and not self._rules:
            return planned
        known = planned.given or {}
        params = {name: known.get(name, setting(name).value) for name in self._params}
        versions = {name: known.get(name) or rules.now().number for name, rules in self._rules.items()}
        return replace(planned, given={**params, **versions})

    def redone(self, planned: Planned) -> Planned:
        """Return a batch that was rewound, to be done again: params that were set since are those of now."""
        given = {name: value for name, value in (planned.given or {}).items() if not self._is_set_since(name)}
        return replace(planned, given=given)

    def _is_set_since(self, name: str) -> bool:
        return name in self._params and setting(name).times_set != self._times_set[name]

    def shared(self, given: Given | None, other: Givens) -> Given | None:
        """Return what of another query's batch is given to this one too: not what other rules of the same name say."""
        if given is None:
            return None
        return {n: v for n, v in given.items() if self._rules.get(n) is other._rules.get(n)}

    def succeed(self, older: Givens) -> None:
        """Decide in the place of another plan's: a table of rules made anew goes on from the one of its name."""
        for name in self._rules.keys() & older._rules.keys():
            self._rules[name].succeed(older._rules[name])

    def values(self, given: Given | None) -> Given:
        """Return what is given to the steps: a version itself in the place of its number."""
        return {n: self._rules[n].numbered(v) if n in self._rules else v for n, v in (given or {}).items()}

    def versions(self, given: Given | None) -> list[Version]:
        return [value for value in self.values(given).values() if isinstance(value, Version)]

    def rewound(self, journal: Journal) -> None:
        """Hear that batches are going to be done again. What was set before counts less from now on than their own."""
        journal.taken_back |= {number: self.redone(planned) for number, planned in journal.taken_back.items()}
        self._times_set = self._times_set_now()

    def _times_set_now(self) -> dict[str, int]:
        return {name: setting(name).times_set for name in self._params}

    def recall(self, journal: Journal) -> None:
        """Go on with what an earlier run went by; what was set in this process counts more."""
        for name, rules in self._rules.items():
            rules.recall(journal.versions(name))
        self._times_set = dict.fromkeys(self._params, 0)
        for name, value in self._known(journal.last_given):
            if not setting(name).times_set:
                setting(name).value = value

    def _known(self, last: Given) -> Iterable[tuple[str, Any]]:
        return ((name, last[name]) for name in self._params if name in last)
