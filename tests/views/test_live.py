"""Live: what a browser holds is what Python holds, with one message a frame and none that nobody waits for."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from bokeh.core.serialization import Buffer, Serialized
from bokeh.document import Document
from bokeh.models import ColumnDataSource
from bokeh.plotting import figure
from hypothesis import given, settings
from hypothesis import strategies as st

from streamnb.views.live import WINDOW, Live
from streamnb.views.widget import GIVE_UP


class Browser:
    """A page that shows a Live: it applies frames to a document of its own and answers as ``live.js`` does."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self.frames: list[dict[str, Any]] = []
        self.deaf = False
        self.number = -1
        live.__dict__["send"] = self.hear
        self.say(type="hello", number=-1)

    def take_whole(self, text: bytes, number: int) -> None:
        self.document = Document.from_json(json.loads(text))
        self.number = number

    def hear(self, content: dict[str, Any], buffers: list[bytes]) -> None:
        if self.deaf:
            return
        if content["type"] == "whole":
            if content["number"] > self.number:
                self.take_whole(buffers[0], content["number"])
        elif content["number"] > self.number + 1:
            self.say(type="hello", number=self.number)
        elif content["number"] > self.number:
            self.take_frame(content, buffers)

    def take_frame(self, content: dict[str, Any], buffers: list[bytes]) -> None:
        patch = json.loads(buffers[0])
        binary = [Buffer(name, data) for name, data in zip(content["buffers"], buffers[1:], strict=True)]
        for event in patch["events"]:
            before = self.source.data
            self.document.apply_json_patch(Serialized({"events": [event]}, binary))
            if event.get("cols"):  # BokehJS keeps the other columns, Python's side of Bokeh does not
                self.source.data = {**before, **self.source.data}
        self.number = content["number"]
        self.frames.append(patch)

    def paint(self) -> None:
        self.say(type="receipt", number=self.number)

    def say(self, **content: object) -> None:
        self.live.hear(content, [])

    @property
    def source(self) -> Any:
        return source_of(self.document)

    def columns(self) -> dict[str, list[Any]]:
        return columns(self.source)

    def title(self) -> str:
        return title_of(self.document.roots[0])


@pytest.fixture
def source() -> ColumnDataSource:
    return ColumnDataSource({"x": [1.0], "y": [1.0]})


@pytest.fixture
def live(source):
    ground = figure(title="one")
    ground.scatter("x", "y", source=source)
    shown = Live(ground)
    yield shown
    shown.close()


def columns(source: ColumnDataSource) -> dict[str, list[Any]]:
    return {str(name): list(column) for name, column in source.data.items()}


def source_of(document: Document) -> Any:
    (source,) = document.select({"type": ColumnDataSource})
    return source


def title_of(ground: Any) -> str:
    return str(ground.title.text)


def test_a_frame_is_one_message_with_all_that_changed(live, source):
    page = Browser(live)
    source.stream({"x": [2.0], "y": [2.0]})
    live.model.title.text = "two"
    assert live.flush()
    assert len(page.frames) == 1
    assert (page.columns(), page.title()) == (columns(source), "two")


def test_nothing_changed_is_no_message(live):
    page = Browser(live)
    assert not live.flush()
    assert page.frames == []


def test_of_several_values_only_the_last_is_sent(live):
    page = Browser(live)
    for text in "abc":
        live.model.title.text = text
    live.flush()
    assert [event["new"] for event in page.frames[0]["events"]] == ["c"]


def test_rows_that_came_before_or_after_a_replacement_are_not_sent_again(live, source):
    page = Browser(live)
    source.stream({"x": [2.0], "y": [2.0]})
    source.data = {"x": [7.0], "y": [7.0]}
    source.stream({"x": [8.0], "y": [8.0]})
    live.flush()
    assert len(page.frames[0]["events"]) == 1
    assert page.columns() == {"x": [7.0, 8.0], "y": [7.0, 8.0]}


CHANGES = ("assign", "stream", "patch", "column", "title", "flush", "paint", "lose")


@given(changes=st.lists(st.sampled_from(CHANGES), max_size=25))
@settings(max_examples=60, deadline=None)
def test_whatever_happens_the_browser_ends_with_what_python_has(changes):
    source = ColumnDataSource({"x": [0.0], "y": [0.0]})
    ground: Any = figure(title="start")
    ground.scatter("x", "y", source=source)
    live = Live(ground)
    page = Browser(live)
    for n, change in enumerate(changes, 1):
        match change:
            case "assign":
                source.data = {"x": [n, n + 0.5], "y": [n, n + 0.5]}
            case "stream":
                source.stream({"x": [n], "y": [n]})
            case "patch":
                source.patch({"x": [(0, -n)]})
            case "column":
                source.data["y"] = [n] * len(source.data["x"])
            case "title":
                ground.title.text = str(n)
            case "flush":
                live.flush()
            case "paint":
                page.paint()
            case "lose":
                page.deaf = not page.deaf
    page.deaf = False
    page.paint()
    page.say(type="hello", number=page.number)
    live.flush()
    assert (page.columns(), page.title()) == (columns(source), title_of(ground))
    live.close()


def test_a_browser_that_is_behind_gets_no_more_frames_until_it_has_painted(live, source):
    page = Browser(live)
    for n in range(WINDOW + 2):
        source.data = {"x": [n], "y": [n]}
        live.flush()
    assert (len(page.frames), live.ready()) == (WINDOW, False)
    page.paint()
    assert live.ready()
    assert live.flush()
    assert page.columns() == columns(source)


def test_without_a_view_one_frame_is_sent_after_a_while(live, source, monkeypatch):
    page = Browser(live)
    for n in range(WINDOW + 1):
        source.data = {"x": [n], "y": [n]}
        live.flush()
    later = time.monotonic() + GIVE_UP + 0.1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert live.flush()
    assert not live.ready()
    assert len(page.frames) == WINDOW + 1


def test_a_receipt_tells_how_long_a_change_took_to_be_painted(live, monkeypatch):
    page = Browser(live)
    live.model.title.text = "two"
    live.flush(since=10.0)
    monkeypatch.setattr(time, "monotonic", lambda: 10.25)
    page.paint()
    assert live.latencies_ms == [250.0]


def test_a_lost_frame_is_made_good_by_the_whole(live, source):
    page = Browser(live)
    page.deaf = True
    source.stream({"x": [2.0], "y": [2.0]})
    live.flush()
    page.deaf = False
    live.model.title.text = "two"
    live.flush()
    assert (page.columns(), page.title()) == (columns(source), "two")


def test_a_browser_that_has_everything_is_sent_nothing(live):
    page = Browser(live)
    live.send = lambda *_: pytest.fail("there was nothing to send")
    page.say(type="hello", number=page.number)


def test_a_late_view_gets_the_newest_and_the_first_view_loses_nothing(live, source):
    first = Browser(live)
    source.stream({"x": [2.0], "y": [2.0]})
    late = Browser(live)
    assert late.columns() == columns(source)

    def broadcast(*message: Any) -> None:
        first.hear(*message)
        late.hear(*message)

    live.__dict__["send"] = broadcast
    source.stream({"x": [3.0], "y": [3.0]})
    live.flush()
    assert first.columns() == late.columns() == columns(source)


def test_what_is_pending_reaches_the_others_before_a_late_view_gets_the_whole(live, source):
    first = Browser(live)
    source.stream({"x": [2.0], "y": [2.0]})
    first.say(type="hello", number=-1)
    assert len(first.frames) == 1
    assert first.columns() == columns(source)


def test_the_script_and_the_document_are_sent_when_asked_for_and_never_kept_in_the_state(live):
    sent: list[tuple[dict[str, Any], list[bytes]]] = []
    live.__dict__["send"] = lambda *message: sent.append(message)
    live.hear({"type": "script"}, [])
    assert b"Bokeh" in sent[0][1][0]
    assert max(len(str(value)) for name, value in live.get_state().items() if name not in {"_esm", "_css"}) < 2_000


def test_a_gesture_reaches_python_and_does_not_come_back(live, source):
    page = Browser(live)
    seen = []
    source.selected.on_change("indices", lambda _attr, _old, new: seen.append(new))
    change = {"kind": "ModelChanged", "model": source.selected.ref, "attr": "indices", "new": [0]}
    page.say(type="gestures", events=[change])
    assert (source.selected.indices, seen) == ([0], [[0]])
    assert not live.flush()


def test_the_same_key_closes_the_figure_before():
    first, second = Live(figure(), key="same"), Live(figure(), key="same")
    assert first.comm is None
    assert second.comm is not None
    second.close()


def test_after_closing_nothing_is_collected(live, source):
    page = Browser(live)
    live.close()
    source.stream({"x": [2.0], "y": [2.0]})
    assert not live.flush()
    assert page.frames == []
