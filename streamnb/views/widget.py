"""The base of the widgets: looks by role, and messages answered while a cell computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import anywidget
import ipywidgets
import traitlets

GIVE_UP = 1.0
"""Seconds without a receipt after which one more frame is sent: the rate when no view is open."""


class Widget(anywidget.AnyWidget):
    """An anywidget whose messages go to :meth:`hear`, on whatever thread the kernel received them."""

    def __init__(self, **traits_given: Any) -> None:
        traits_given.setdefault("layout", ipywidgets.Layout(width="100%", min_width="0"))
        super().__init__(**traits_given)
        self.on_msg(lambda _, content, buffers: self.hear(content, buffers))
        # ipykernel 7.4 would route answers to the thread of the last cell, where they wait until that cell is done.
        if hasattr(self.comm, "_reply_subshell_for"):
            self.comm._reply_subshell_for = lambda _data, default: default  # noqa: SLF001

    def hear(self, content: Mapping[str, Any], buffers: Sequence[memoryview]) -> None:
        """Take a message from the browser."""

    def close(self) -> None:
        """Remove every view and forget what the browser was told."""
        self.layout.close()
        super().close()


def stack(*widgets: Widget, name: str) -> Any:
    """Return a widget that shows others below one another, as an element of class ``name``."""
    return ipywidgets.VBox(widgets).add_class(name)


def hide(widget: Widget, *, hidden: bool) -> None:
    """Leave a widget on the page without showing it, or show it again."""
    widget.layout.display = "none" if hidden else None


def synced(trait: traitlets.TraitType[Any, Any]) -> Any:
    """Return ``trait`` as one that the browser sees too."""
    return trait.tag(sync=True)
