"""The view of sources: what is read, what waits, who is silent, and who holds the watermark back."""

from __future__ import annotations

import json

import pytest

import streamnb as sn
from streamnb.views.shapes import Figure, Grid, Sheet, Words
from streamnb.views.sources import Sources

SCHEMA = {"at": "datetime", "k": "string"}


@pytest.fixture
def two():
    """A query over two inputs, the second of which stops after three batches."""
    left, right, clock = sn.MemorySource(SCHEMA), sn.MemorySource(SCHEMA), sn.ManualClock("2026-01-01 09:00")
    frames = [sn.stream(source).with_watermark("at", "10 seconds") for source in (left, right)]
    both = frames[0].union(frames[1]).group_by(sn.window("at", "1 minute")).agg(n=sn.count())
    query = both.query(clock=clock, name="test-sources")
    for minute in range(8):
        left.add([{"at": f"2026-01-01 09:{minute:02d}", "k": "a"}] * 2)
        if minute < 3:
            right.add([{"at": f"2026-01-01 09:{minute:02d}", "k": "b"}])
    for _ in range(6):
        clock.advance("1 minute")
        query.step()
    yield query
    query.stop()


def grid(sheet: Sheet, start: str) -> Grid:
    return next(part for part in sheet.parts if isinstance(part, Grid) and part.title.startswith(start))


def test_the_title_names_who_holds_the_watermark_back(two):
    assert Sources(two).sheet(5).title.endswith("holds the watermark back by 3 min.")
    assert Sources(two).sheet(2).title == "3 rows read in this batch, 10 rows waiting."


def test_each_source_tells_what_is_read_what_waits_and_since_when_it_is_silent(two):
    left, right = (row.cells for row in grid(Sources(two).sheet(5), "Sources").rows)
    assert left[1:] == ("2", "6", "4", "")
    assert right[1:] == ("0", "3", "0", "2026-01-01 09:03, 3 batches")


def test_what_waits_and_what_each_input_asks_for_are_drawn_batch_by_batch(two):
    figures = [part for part in Sources(two).sheet(5).parts if isinstance(part, Figure)]
    assert [figure.label for figure in figures] == ["Rows waiting, by batch", "What each input asks for, by batch"]
    for figure in figures:
        assert figure.table is not None
        assert len(figure.table.rows) == 6
    lines = [s for s in figures[1].shapes if s["kind"] == "line" and s["role"] == "watermark"]
    assert len(lines) == 1
    words = [s["text"] for s in figures[1].shapes if s["kind"] == "text"]
    assert {"input 1 · MemorySource", "input 2 · MemorySource"} <= set(words)


def test_with_the_policy_max_nobody_is_waited_for():
    left, right = sn.MemorySource(SCHEMA), sn.MemorySource(SCHEMA)
    frames = [sn.stream(source).with_watermark("at", "10 seconds") for source in (left, right)]
    both = frames[0].union(frames[1]).group_by(sn.window("at", "1 minute")).agg(n=sn.count())
    query = both.query(watermark_policy="max", name="test-max")
    left.add([{"at": "2026-01-01 09:00", "k": "a"}])
    query.step()
    sheet = Sources(query).sheet(0)
    assert "holds" not in json.dumps(sheet.to_json()["parts"][2]["rows"])
    assert sheet.title == "1 row read in this batch, 0 rows waiting."
    query.stop()


def test_a_sink_that_was_tried_again_says_so():
    rows, failures = sn.MemorySource(SCHEMA), iter([True, True, False])

    class Flaky:
        def write(self, batch_id: int, rows: object, mode: str) -> None:
            if next(failures):
                raise OSError("away")

    query = sn.stream(rows).query(sink=Flaky(), clock=sn.ManualClock(), name="test-flaky")
    rows.add([{"at": "2026-01-01", "k": "a"}])
    query.step()
    words = next(part.text for part in Sources(query).sheet(0).parts if isinstance(part, Words))
    assert words == "The sink was given 1 row in this batch. It was tried again 2 times."
    query.stop()


@pytest.mark.parametrize("at", [-1, 0, 3])
def test_it_goes_back_in_time_and_is_plain_json(two, at):
    sheet = Sources(two).sheet(at)
    assert json.loads(json.dumps(sheet.to_json()))["title"] == sheet.title
    if at >= 0:
        assert grid(sheet, "Sources").rows[0].cells[2] == str(at + 1)
