"""sn.queries(): all that run, as a list and as a table that follows them."""

from __future__ import annotations

import pytest

import streamnb as sn
from streamnb.views.queries import COLUMNS, Board, told
from tests.evolving.rows import feed, source


def cells(board: Board) -> list[list[str]]:
    return [[cell.value for cell in row._cells] for row in board._rows.values()]


def test_it_is_the_list_of_those_that_run():
    query = sn.stream(source(2)).query(name="one of a list").run()
    assert query in sn.queries()
    query.stop()
    assert query not in sn.queries()


def test_it_says_how_each_stands():
    src = source(2)
    query = sn.stream(src).with_watermark("at", "0 seconds").query(name="<b>told</b>").run()
    row = dict(zip(COLUMNS, told(query), strict=True))
    assert (row["state"], row["batches"]) == ("done", "2")
    assert "&lt;b&gt;told" in sn.queries()._repr_html_()
    assert "<b>told</b>" in repr(sn.queries())
    query.stop()


def test_a_failure_is_in_its_row():
    def sink(*_: object) -> None:
        raise OSError("disk on fire")

    query = sn.stream(source(1)).query(sink=sink, name="fails")
    with pytest.raises(sn.QueryError):
        query.run()
    assert "disk on fire" in told(query)[-1]
    board = Board()
    row = board._rows[id(query)]
    assert "disk on fire" in row._error.value
    assert row._error.layout.display is None
    board.close()
    query.stop()


def test_the_table_follows_what_comes_runs_and_stops():
    board = Board()
    src = source(1)
    query = sn.stream(src).query(name="followed")
    board._draw(0.0)
    assert ["followed", "idle"] in [row[:2] for row in cells(board)]
    query.run()
    feed(src, 1)
    board._draw(0.0)
    assert ["followed", "done", "1"] in [row[:3] for row in cells(board)]
    query.stop()
    board._draw(0.0)
    assert "followed" not in [row[0] for row in cells(board)]
    board.close()


def test_its_buttons_play_and_stop():
    query = sn.stream(source(1)).query(name="pressed")
    board = Board()
    row = board._rows[id(query)]
    play, stop, open_ = row.box.children[0].children[-1].children
    open_.click()
    assert len(board._below.children) == 1
    open_.click()
    assert len(board._below.children) == 0
    play.click()
    assert query.await_termination(0.0) is False
    stop.click()
    assert query.await_termination(20)
    assert query.stopped
    board.close()


def test_a_newer_table_takes_the_place_of_the_older():
    older = Board()
    newer = Board()
    assert older._pacer._stopped.is_set()
    newer.close()
