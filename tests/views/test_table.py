"""The result table: what is new, what changed, and how values are written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from streamnb.views.table import Cell, Table, content, html


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(columns)


def marks(before: pd.DataFrame | None, now: pd.DataFrame, *key: str) -> list[str]:
    return [row.mark for row in content(before, now, key).rows]


def texts(now: pd.DataFrame) -> list[list[str]]:
    return [[cell.text for cell in row.cells] for row in content(None, now, ()).rows]


def test_without_an_earlier_result_nothing_is_marked():
    assert marks(None, frame(k=["a", "b"])) == ["", ""]


def test_after_the_first_batch_every_row_is_new():
    now = frame(k=["a", "b"])
    assert marks(now.iloc[:0], now, "k") == ["new", "new"]


def test_a_row_of_a_known_key_is_changed_and_tells_its_old_value():
    rows = content(frame(k=["a", "b"], n=[1, 2]), frame(k=["a", "b", "c"], n=[1, 5, 1]), ["k"]).rows
    assert [row.mark for row in rows] == ["", "changed", "new"]
    assert rows[1].cells == (Cell("b"), Cell("5", was="2"))


def test_the_order_of_rows_does_not_matter_where_there_is_a_key():
    assert marks(frame(k=["a", "b"], n=[1, 2]), frame(k=["b", "a"], n=[2, 1]), "k") == ["", ""]


def test_without_a_key_rows_after_the_old_ones_are_new():
    assert marks(frame(k=["a"]), frame(k=["a", "a"])) == ["", "new"]


@pytest.mark.parametrize("missing", [None, np.nan, pd.NaT])
def test_null_is_equal_to_null_and_differs_from_a_value(missing):
    before, now = frame(k=[1, 2], v=[missing, missing]), frame(k=[1, 2], v=[missing, 3.0])
    assert marks(before, now, "k") == ["", "changed"]


def test_lists_are_compared_as_a_whole():
    before, now = frame(k=[1, 2], v=[[1], [1, 2]]), frame(k=[1, 2], v=[np.array([1]), [1, 2, 3]])
    assert marks(before, now, "k") == ["", "changed"]


def test_marked_rows_are_shown_before_others_and_the_rest_is_counted():
    before = frame(k=range(10), n=[0] * 10)
    now = frame(k=range(10), n=[1] + [0] * 9)
    shown = content(before, now, ["k"], limit=3)
    assert [row.cells[0].text for row in shown.rows] == ["0", "8", "9"]
    assert shown.more == 7


def test_times_of_one_day_name_the_day_once():
    times = pd.to_datetime(["2013-02-08 09:00", "2013-02-08 10:30"])
    assert texts(frame(t=times)) == [["09:00"], ["10:30"]]
    assert content(None, frame(t=times), ()).columns[0].note == "Feb 8"


def test_times_of_several_days_name_the_day_each():
    times = pd.to_datetime(["2013-02-08 09:00:05", "2013-02-09 10:30:00"])
    assert texts(frame(t=times)) == [["Feb 8 09:00:05"], ["Feb 9 10:30:00"]]


def test_numbers_of_a_column_have_the_same_decimals_and_stand_right():
    now = frame(n=[1000, 2], v=[1.5, 2.25], flag=[True, False])
    assert texts(now) == [["1,000", "1.50", "True"], ["2", "2.25", "False"]]
    assert [column.numeric for column in content(None, now, ()).columns] == [True, True, False]


def test_null_is_written_as_null_and_long_text_is_cut():
    assert texts(frame(v=["x" * 100, None])) == [["x" * 79 + "…"], ["null"]]


def test_an_empty_result_has_its_columns():
    shown = content(None, frame(a=[], b=[]), ())
    assert ([column.name for column in shown.columns], shown.rows) == (["a", "b"], [])


def test_the_still_table_escapes_every_text():
    page = html(frame(**{"<b>": ["<script>1</script>"]}), "<i>title</i>")
    assert "<script>" not in page
    assert "<b>" not in page
    assert "<i>" not in page
    assert "&lt;script&gt;" in page


def test_the_widget_sends_only_what_changed():
    table = Table()
    seen = []
    table.observe(lambda _: seen.append(1), "shown")
    for _ in range(2):
        table.show(None, frame(k=["a"]), (), "Result")
    table.show(None, frame(k=["b"]), (), "Result")
    assert len(seen) == 2
    table.close()
