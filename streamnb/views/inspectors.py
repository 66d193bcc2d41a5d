"""Inspectors: sn.plane, sn.state and the others; each a view of its own, and a tab of the dashboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamnb.progress import Playable


class Inspector:
    """Views of one query; the value of a cell shows them. It holds no widget until then."""

    def __init__(self, query: Playable, *names: str) -> None:
        self.query, self.names = query, names

    def _ipython_display_(self) -> None:
        from streamnb.views.display import show

        show(self.query, self.names)

    def __repr__(self) -> str:
        return f"{' and '.join(self.names)} of {self.query!r}"


def plane(query: Playable) -> Inspector:
    """Show event time against processing time: rows, windows, results and the watermark, batch by batch."""
    return Inspector(query, "plane")


def state(query: Playable) -> Inspector:
    """Show what a query remembers after a batch: what is new, changed or about to be evicted, when and why.

    Found, sorted and paged in the kernel: a million keys are a million keys here and thirty in the browser.
    """
    return Inspector(query, "state")


def late(query: Playable) -> Inspector:
    """Show every dropped row, and for the one looked at why it was dropped and what would have saved it.

    A click on a mark of the plane, in any view of the query, asks about its row; so does a click on a line here.
    """
    return Inspector(query, "late")


def metrics(query: Playable) -> Inspector:
    """Show rows, speed, time, lag and state by batch, and which input holds the watermark back."""
    return Inspector(query, "metrics")
