"""Sheet: a widget that shows what a view lays out, at the reader's pace, and says what the reader did."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import traitlets

from streamnb.views.theme import css_variables, motion
from streamnb.views.widget import GIVE_UP, Widget, synced

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from streamnb.views.shapes import Sheet

_HERE = Path(__file__).parent
SCRIPT = _HERE / "sheet.js"


def styles() -> str:
    """Return the CSS of sheets, with the palette of both themes."""
    files = ("live.css", "table.css", "sheet.css")
    return css_variables() + "".join((_HERE / name).read_text(encoding="utf-8") for name in files)


class Paper(Widget):
    """Shows one :class:`~streamnb.views.shapes.Sheet`; what the reader does goes to ``hear_gesture(name, value)``."""

    _esm = SCRIPT
    _css = styles()

    shown = synced(traitlets.Dict())

    def __init__(self, hear_gesture: Callable[[str, Any], None]) -> None:
        self._hear_gesture = hear_gesture
        self._number = self._painted = 0
        self._sent_at = 0.0
        self._last: dict[str, Any] | None = None
        super().__init__()

    def ready(self) -> bool:
        """Return False while the browser paints the last sheet; then do not even lay out the next one."""
        return self._painted >= self._number or time.monotonic() - self._sent_at > GIVE_UP

    def show(self, sheet: Sheet) -> bool:
        """Show a sheet; return whether it differs from the one that stands."""
        told = sheet.to_json()
        if told == self._last:
            return False
        self._number, self._sent_at, self._last = self._number + 1, time.monotonic(), told
        self.shown = {"number": self._number, "sheet": told, "moves": motion()}
        return True

    def hear(self, content: Mapping[str, Any], buffers: Sequence[memoryview]) -> None:
        """Take a receipt or a gesture."""
        if content["type"] == "receipt":
            self._painted = max(self._painted, content["number"])
        else:
            self._hear_gesture(content["name"], content.get("value"))
