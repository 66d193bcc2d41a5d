"""Live: a Bokeh figure as a widget made for streams, with one message a frame and none that nobody waits for."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import bokeh
import traitlets
from bokeh.core.json_encoder import serialize_json
from bokeh.document import Document
from bokeh.document.events import (
    ColumnDataChangedEvent,
    DocumentChangedEvent,
    DocumentPatchedEvent,
    ModelChangedEvent,
)
from bokeh.model import Model
from bokeh.protocol import Protocol

from streamnb.views.theme import PALETTE, css_variables
from streamnb.views.widget import GIVE_UP, Widget, synced

WINDOW = 2
"""How many frames may be on their way before the browser has painted the first of them."""

_HERE = Path(__file__).parent
_SCRIPT = Path(bokeh.__file__).parent / "server" / "static" / "js" / "bokeh.min.js"


class Live(Widget):
    """Show a Bokeh model, and send its changes when :meth:`flush` is called.

    Changes between two flushes are merged: the last value of a property, the last full data of a source. The whole
    document travels only when a browser asks (first view, reload, second window, a lost frame), and so does BokehJS,
    once a page, from the installed Bokeh; a saved notebook holds neither. Hold ``lock`` while changing the model from
    a thread. A second ``Live`` with the same ``key`` closes the first.
    """

    _esm = _HERE / "live.js"
    _css = css_variables() + "".join((_HERE / name).read_text(encoding="utf-8") for name in ("live.css", "table.css"))

    version = synced(traitlets.Unicode(bokeh.__version__))
    palette = synced(traitlets.Dict(PALETTE))
    caption = synced(traitlets.Unicode())
    behind = synced(traitlets.Dict())
    """The marks as a table, for those who read numbers; made while somebody has it open."""

    _by_key: ClassVar[dict[str, Live]] = {}

    def __init__(self, model: Model, *, key: str | None = None, **traits_given: Any) -> None:
        self.lock = threading.RLock()
        self.model = model
        self._key = key
        self._pending: list[DocumentPatchedEvent] = []
        self._number = 0
        self.hear_table: Callable[[str, Any], None] = lambda _name, _value: None
        self._unpainted: deque[tuple[int, float]] = deque(maxlen=200)
        self._last_sent = 0.0
        self._latencies: deque[float] = deque(maxlen=200)
        self._doc = model.document or Document()
        if model.document is None:
            self._doc.add_root(model)
        self._take_the_place_of_the_last()
        super().__init__(**traits_given)
        self._doc.on_change(self._collect)

    def _take_the_place_of_the_last(self) -> None:
        if self._key is not None:
            last = self._by_key.pop(self._key, None)
            if last is not None:
                last.close()
            self._by_key[self._key] = self

    @property
    def latencies_ms(self) -> list[float]:
        """Milliseconds from a change to its receipt, which the browser sends after painting; the last 200."""
        return list(self._latencies)

    def ready(self) -> bool:
        """Return False while the browser is behind; then do not even compute the next frame."""
        return len(self._unpainted) < WINDOW or time.monotonic() - self._last_sent > GIVE_UP

    def flush(self, since: float | None = None) -> bool:
        """Send what changed since the last frame; return whether there was anything, and a reader for it.

        ``since`` is the ``time.monotonic()`` of the change, for the latency; now, when left out.
        """
        with self.lock:
            if not self._pending or not self.ready():
                return False
            self._send_frame(since or time.monotonic())
            return True

    def _send_frame(self, since: float) -> None:
        events, self._pending = self._pending, []
        message = Protocol().create("PATCH-DOC", events)
        self._number += 1
        self._last_sent = time.monotonic()
        self._unpainted.append((self._number, since))
        head = {"type": "frame", "number": self._number, "buffers": [b.id for b in message.buffers]}
        # The text travels as a buffer too, so that the kernel does not walk through it once more.
        self.send(head, [message.content_json.encode(), *(b.to_bytes() for b in message.buffers)])

    def _collect(self, event: DocumentChangedEvent) -> None:
        if event.setter is self or not isinstance(event, DocumentPatchedEvent):
            return
        with self.lock:
            self._pending = _merged(self._pending, event)

    def hear(self, content: Mapping[str, Any], buffers: Sequence[memoryview]) -> None:
        """Take what a browser says: it needs the script, is behind, has painted, or somebody touched the figure."""
        with self.lock:
            match content["type"]:
                case "script":
                    self.send({"type": "script"}, [_SCRIPT.read_bytes()])
                case "hello" if content["number"] != self._number or self._pending:
                    self._send_whole()
                case "receipt":
                    self._painted(content["number"])
                case "table" | "pick" as name:
                    self.hear_table(name, content["value"])
                case "gestures":
                    self._doc.apply_json_patch({"events": content["events"]}, setter=self)

    def _send_whole(self) -> None:
        if self._pending:
            self._send_frame(time.monotonic())  # for the others: a whole that is no newer than their own they leave
        text = serialize_json(self._doc.to_json(deferred=False))
        self._doc.models.flush_synced()
        self.send({"type": "whole", "number": self._number}, [text.encode()])

    def _painted(self, number: int) -> None:
        while self._unpainted and self._unpainted[0][0] <= number:
            at, since = self._unpainted.popleft()
            if at == number:
                self._latencies.append((time.monotonic() - since) * 1e3)

    def close(self) -> None:
        """Remove every view and forget the figure; the model itself is left alone."""
        if self.comm is None:
            return
        self._doc.remove_on_change(self._collect)
        if self._key is not None and self._by_key.get(self._key) is self:
            del self._by_key[self._key]
        super().close()


def _merged(pending: list[DocumentPatchedEvent], event: DocumentPatchedEvent) -> list[DocumentPatchedEvent]:
    """Return the pending changes with one more, each told once.

    The data of whole sources and columns is read when a frame is sent. It has by then what was streamed or patched
    before and after, so beside it those must not be told again.
    """
    others = [e for e in pending if _target(e) != _target(event)]
    before = [e for e in pending if _target(e) == _target(event)]
    if _is_whole(event):
        return [*others, event]
    if any(map(_is_whole, before)):
        return pending
    if before and any(isinstance(e, ColumnDataChangedEvent) for e in (*before, event)):
        return [*others, ColumnDataChangedEvent(event.document, *_target(event))]
    return [*pending, event]


def _target(event: DocumentPatchedEvent) -> tuple[Any, str]:
    """Return the model and attribute that an event changes; an event that changes none is its own target."""
    return getattr(event, "model", event), getattr(event, "attr", "")


def _is_whole(event: DocumentPatchedEvent) -> bool:
    return isinstance(event, ModelChangedEvent) or (isinstance(event, ColumnDataChangedEvent) and event.cols is None)
