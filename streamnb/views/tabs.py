"""Tabs: the names of a dashboard's views, one of them open."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import traitlets

from streamnb.views.theme import css_variables
from streamnb.views.widget import Widget, synced

_HERE = Path(__file__).parent


class Tabs(Widget):
    """A row of tabs; the name of one that is chosen goes to ``choose(name)``."""

    _esm = _HERE / "tabs.js"
    _css = css_variables() + (_HERE / "tabs.css").read_text(encoding="utf-8")

    names = synced(traitlets.List())
    chosen = synced(traitlets.Unicode())
    notes = synced(traitlets.Dict())
    """By name of a tab: a number worth looking at, and what it counts."""

    def __init__(self, names: Sequence[str], chosen: str, choose: Callable[[str], None]) -> None:
        self._choose = choose
        super().__init__(names=list(names), chosen=chosen)

    def note(self, name: str, number: int, words: str) -> None:
        """Show a number beside the name of a tab; 0 shows none."""
        notes = {name: [number, words]} if number and name in self.names else {}
        if notes != self.notes:
            self.notes = notes

    def hear(self, content: Mapping[str, Any], buffers: Sequence[memoryview]) -> None:
        """Pass a chosen tab on."""
        if content["name"] in self.names:
            self._choose(content["name"])
