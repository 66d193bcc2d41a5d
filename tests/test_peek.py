"""peek: rows, columns and lateness of a source, before any query."""

from __future__ import annotations

import ast
import json
import threading
from typing import Any

import pandas as pd
import pytest

import streamnb as sn
from streamnb.errors import ColumnNotFoundError, PlanError
from tests.sources.waiting import eventually, source_of, source_threads
from tests.sources.wires import WIRES, wire

START = pd.Timestamp("2026-01-01")


def clicks(*seconds: float, arrived: bool = True) -> pd.DataFrame:
    """Return rows that arrive a second apart from 00:01 on, with event times so many seconds after midnight."""
    rows: dict[str, Any] = {"at": [START + pd.Timedelta(seconds=s) for s in seconds]}
    if arrived:
        rows |= {"seen": [START + pd.Timedelta(seconds=60 + n) for n in range(len(seconds))]}
    return pd.DataFrame(rows)


def look(frame: pd.DataFrame, **options: Any) -> sn.Peek:
    arrival = "seen" if "seen" in frame else None
    return sn.peek(sn.from_pandas(frame, arrival=arrival), **options)


def test_the_first_rows_and_how_many_there_are():
    found = look(clicks(*range(30)), n=3)
    assert (len(found.rows), found.seen) == (3, 30)
    assert found.rows["at"].tolist() == [START + pd.Timedelta(seconds=s) for s in range(3)]


def test_a_delay_keeps_what_is_no_further_behind_the_newest():
    found = look(clicks(0, 10, 5, 9.5, 0))
    assert (found.event_time, found.arrival) == ("at", "seen")
    assert [found.kept(delay) for delay in ("0s", "500 ms", "1s", "5s", "10s")] == [0.4, 0.6, 0.6, 0.8, 1.0]
    assert found.lateness.to_dict("records") == [
        {"delay": "0 seconds", "kept": 0.4},
        {"delay": "1 second", "kept": 0.6},
        {"delay": "5 seconds", "kept": 0.8},
        {"delay": "10 seconds", "kept": 1.0},
    ]


def test_the_histogram_counts_rows_by_the_time_from_event_to_arrival():
    found = look(clicks(59.5, 50, 2))
    assert found.histogram.to_dict("records") == [
        {"above": "0 seconds", "up_to": "1 second", "rows": 1},
        {"above": "10 seconds", "up_to": "30 seconds", "rows": 1},
        {"above": "30 seconds", "up_to": "1 minute", "rows": 1},
    ]


def test_the_histogram_is_shown_in_bars_of_which_the_longest_is_the_most():
    found = look(clicks(*(59.5 + n for n in range(6)), 46, 47, 48, 25))
    shown = [line.split() for line in repr(found).splitlines() if "█" in line]
    assert [(" ".join(words[:-2]), int(words[-2]), len(words[-1])) for words in shown] == [
        ("0 seconds to 1 second", 6, 30),
        ("10 seconds to 30 seconds", 3, 15),
        ("30 seconds to 1 minute", 1, 5),
    ]
    assert "█" * 30 in found._repr_html_()
    assert "rows by the time from 'at' to 'seen'" in repr(found)


def test_a_clock_that_is_ahead_is_noted():
    found = look(clicks(59, 64, 70))
    assert found.notes == ["2 rows happened after they arrived, by up to 8 seconds: a producer's clock is ahead."]
    assert found.notes[0] in repr(found)


def test_without_arrival_the_order_of_rows_tells():
    found = look(clicks(10, 0, arrived=False))
    assert found.arrival is None
    assert found.histogram.to_dict("records")[-1] == {"above": "5 seconds", "up_to": "10 seconds", "rows": 1}


def test_null_times_and_no_rows_and_no_time_at_all():
    assert look(pd.concat([clicks(1), pd.DataFrame({"at": [None], "seen": [START]})])).lateness["kept"].tolist() == [
        1.0
    ]
    empty = sn.peek(sn.MemorySource({"at": "datetime"}))
    assert (empty.seen, empty.notes, len(empty.histogram), len(empty.lateness)) == (0, ["Nothing has come."], 0, 0)
    timeless = look(pd.DataFrame({"v": [1]}))
    assert timeless.notes == ["No row has an event time."]
    with pytest.raises(PlanError, match="name its column with event_time="):
        timeless.kept("1s")


def test_nothing_is_taken_away():
    source = sn.MemorySource({"v": "int64"})
    source.add([{"v": 1}])
    sn.peek(source)
    assert sn.stream(source).query().run().result["v"].tolist() == [1]


def test_a_source_that_receives_is_waited_for_and_left():
    go = threading.Event()

    def ticks() -> Any:
        yield {"v": 1}
        go.wait(10)
        yield from ({"v": v} for v in range(2, 5))

    frame = sn.from_generator(ticks, {"v": "int64"})
    assert sn.peek(frame, wait="200 ms").seen == 1
    go.set()
    assert sn.peek(frame, n=4, wait="20 seconds").seen == 4
    eventually(lambda: not source_threads())
    query = frame.query().run()
    assert query.result["v"].tolist() == [1, 2, 3, 4]
    query.stop()
    assert source_of(frame)._spool.first == 0


def test_the_schema_of_files_is_code_to_paste(tmp_path):
    lines = [{"at": "2026-01-01T00:00:07", "k": "a", "v": 1, "x": 1.5, "ok": True, "tags": ["a"]}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = sn.peek(str(tmp_path / "*.jsonl"))
    assert found.code.endswith(
        'schema={"at": "datetime", "k": "string", "v": "int64", "x": "float64", "ok": "bool", "tags": "list[string]"})'
    )
    frame = eval(found.code, {"sn": sn})  # noqa: S307  the code to paste
    assert frame.collect()["at"].tolist() == [pd.Timestamp("2026-01-01 00:00:07")]


@pytest.mark.parametrize("name", WIRES)
def test_the_schema_that_is_shown_can_be_pasted_where_it_came_from(name, request, tmp_path):
    row = {"at": "2026-01-01 00:00:07", "k": "a", "n": 1}
    with wire(name, request, tmp_path, {"at": "datetime", "k": "string", "n": "int64"}) as one:
        one.tell(one.frame.query(), row)
        found = sn.peek(one.frame, n=1)
    shown = ast.literal_eval(found.code.removeprefix("schema="))
    assert shown == {"at": "datetime", "k": "string", "n": "int64"}
    assert found.event_time == "at"


def test_json_in_one_column_of_text_is_guessed_through():
    source = sn.MemorySource({"value": "string"})
    source.add([{"value": '{"at": "2026-01-01T00:00:07Z", "v": 1}'}, {"value": '{"v": 1.5}'}])
    assert sn.peek(source).code == 'schema={"at": "datetime[UTC]", "v": "float64"}'
    source.add([{"value": "[1]"}])
    assert sn.peek(source).code == 'schema={"value": "string"}'


def test_html_is_escaped():
    hostile = "<script>alert(1)</script>"
    page = look(pd.DataFrame({hostile: [hostile], "at": [START]}))._repr_html_()
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_columns_that_are_none_are_refused():
    with pytest.raises(ColumnNotFoundError, match="no column 'att'; did you mean 'at'"):
        look(clicks(1), event_time="att")
    with pytest.raises(PlanError, match="'v' is Int64, not a datetime"):
        look(pd.DataFrame({"v": [1]}), event_time="v")
    with pytest.raises(PlanError, match="peek before the first verb"):
        sn.peek(sn.from_pandas(clicks(1)).select("at"))
