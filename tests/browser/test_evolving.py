"""All queries as a live table, and sliders bound to a query, in JupyterLab as a user has them."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.lab import ARTIFACTS, Lab, Notebook

Open = Callable[[str], Notebook]

THREE = """
import streamnb as sn
flights = sn.data.landings("JFK", "2013-02-08")
hourly = flights.with_watermark("dep", "3 hours").group_by(sn.window("dep", "1 hour")).agg(n=sn.count())
good = hourly.query(name="hourly").play(every="100 ms")
still = flights.query(name="landings")
def broken(rows, batch_id):
    if batch_id == 2:
        raise OSError("the printer is on fire <b>now</b>")
bad = flights.query(name="to the printer", sink=broken).play(every="50 ms")
"""
SLID = """
import streamnb as sn
flights = sn.data.landings("JFK", "2013-02-08")
least = sn.slider("least", 0, -60, 120)
late = flights.filter(sn.col("arr_delay") >= least)
q = late.query(name="slid")
least
"""
TWIN = 'sn.slider("least", 0, -60, 120)'
SEEN = "print([t.given['least'] for t in q.trace], len(q.result), q.exception)"


def test_all_queries_are_followed_paused_stopped_and_opened(open_notebook: Open, lab: Lab):
    notebook = open_notebook(
        lab.write("queries.ipynb", [THREE, "sn.queries()", "good.stop(); still.stop(); bad.stop()"])
    )
    notebook.run_cell(0)
    notebook.run_cell(1)
    board = notebook.cell(1)
    expect(board.get_by_text("the printer is on fire <b>now</b>")).to_be_visible(timeout=20_000)
    expect(board.get_by_text("paused").or_(board.get_by_text("done")).first).to_be_visible()
    for theme in ("Light", "Dark"):
        notebook.set_theme(f"JupyterLab {theme}")
        board.screenshot(path=ARTIFACTS / f"queries-{theme.lower()}.png")
    plays = board.locator("button", has_text="play")
    before = plays.count()
    plays.first.click()
    expect(plays).to_have_count(before - 1)
    board.locator("button", has_text="open").nth(1).click()
    expect(board.locator(".sn-dashboard")).to_have_count(1, timeout=20_000)
    board.screenshot(path=ARTIFACTS / "queries-open.png")
    board.locator("button", has_text="stop").last.click()
    expect(board.locator("button", has_text="stop")).to_have_count(2)
    notebook.run_cell(2)
    assert notebook.errors == []


def test_a_slider_moves_what_a_query_goes_by_while_it_plays(open_notebook: Open, lab: Lab):
    cells = [
        SLID,
        TWIN,
        'q.play(every="1 second")',
        f"q.pause(); q.run(); {SEEN}",
        "q.rewind(to=2); q.run()",
        SEEN,
        "least.set('many')",
    ]
    notebook = open_notebook(lab.write("slid.ipynb", cells))
    for cell in range(3):
        notebook.run_cell(cell)
    handle = notebook.cell(0).locator(".noUi-handle")
    handle.focus()
    for _ in range(15):
        notebook.page.keyboard.press("ArrowRight")
    expect(notebook.cell(1).locator(".widget-readout")).to_have_text("15")
    for theme in ("Light", "Dark"):
        notebook.set_theme(f"JupyterLab {theme}")
        notebook.screenshot(f"slider-{theme.lower()}")
    for cell in range(3, 7):
        notebook.run_cell(cell)
    played, again = (notebook.outputs(cell)[0]["text"] for cell in (3, 5))
    assert again == played
    given, rest = played.removeprefix("[").split("] ")
    assert 2 <= len(set(given.split(", "))) <= 16
    assert rest.endswith("None\n")
    assert notebook.outputs(6)[0]["evalue"] == "param: least is int and 'many' is not; set it to one."
    assert notebook.errors == []
