"""A saved page, with neither kernel nor network: it steps, plays, changes its delay, and runs nothing of the data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Dialog, Page, Request

import streamnb as sn
from tests.browser.lab import ARTIFACTS

EVIL = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 900, "height": 1000})
    told: list[str] = []

    def refuse(dialog: Dialog) -> None:
        told.append(dialog.message)
        dialog.dismiss()

    def note(request: Request) -> None:
        if not request.url.startswith("file:"):
            told.append(request.url)

    opened.on("pageerror", lambda error: told.append(str(error)))
    opened.on("dialog", refuse)
    opened.on("request", note)
    yield opened
    opened.close()
    assert told == []


def test_a_saved_query_plays_back(page: Page, tmp_path: Path):
    flights = sn.data.landings("JFK", "2013-02-08")
    frame = flights.with_watermark("dep", "3 hours").group_by(sn.window("dep", "1 hour")).agg(n=sn.count())
    query = frame.query(name="test-page").run()
    path = sn.save_html(sn.plane(query), tmp_path / "plane.html", delays=["6 hours"])
    assert path.stat().st_size < 300_000
    page.goto(path.as_uri())
    title, where = page.locator(".sn-finding"), page.locator("#sn-where")
    title.filter(has_text="A 3-hour watermark drops 23 of 145 rows.").wait_for()
    page.locator("#sn-delay").fill("1")
    title.filter(has_text=re.compile(r"A 6-hour watermark drops \w+ of 1\d\d rows")).wait_for()
    page.locator("#sn-back").click()
    where.filter(has_text=re.compile("batch 3[0-9] of 3")).wait_for()
    page.keyboard.press("Home")
    where.filter(has_text="batch 0 of ").wait_for()
    page.keyboard.press("ArrowRight")
    where.filter(has_text="batch 1 of ").wait_for()
    page.locator("#sn-play").click()
    where.filter(has_text="batch 3 of ").wait_for()
    page.locator("#sn-theme").click()
    page.screenshot(path=ARTIFACTS / "page.png")
    query.stop()


def test_the_ladder_of_rules_is_climbed_in_a_saved_page(page: Page, tmp_path: Path):
    flights = sn.data.landings("JFK", "2013-02-08").with_watermark("dep", "3 hours")
    frame = flights.with_columns(late=sn.col("arr_delay") > 15).filter(sn.col("dest") == "BOS")
    query = frame.query(name="test-ladder").run()
    for shown in (frame, query):
        page.goto(sn.save_html(sn.plan(shown), tmp_path / "plan.html").as_uri())
        page.locator(".sn-control:visible select").select_option("1")
        page.locator(".sn-finding", has_text="Rule 1 of ").wait_for()
    page.locator("#sn-back").click()
    page.locator("#sn-where", has_text=re.compile(r"batch \d+ of ")).wait_for()
    page.locator(".sn-finding", has_text="Rule 1 of ").wait_for()
    page.locator(".sn-control:visible select").select_option("0")
    page.locator(".sn-finding", has_text="operators run").wait_for()
    query.stop()


def test_a_figure_that_follows_no_query_answers_as_far_as_it_was_recorded(page: Page, tmp_path: Path):
    cards = ["ann"] * 6 + ["bob"] * 3 + ["eve"]
    page.goto(sn.save_html(sn.workers(cards, n=8), tmp_path / "workers.html").as_uri())
    title, where = page.locator(".sn-finding"), page.locator("#sn-where")
    title.filter(has_text="8 workers are done after 0.01 s").wait_for()
    page.locator("#sn-step").click()
    title.filter(has_text="16 workers are done").wait_for()
    page.locator(".sn-control:visible", has_text="how slow").locator("input").press("End")
    page.locator(".sn-picture", has_text="×4 slower").wait_for()
    title.filter(has_text="16 workers are done").wait_for()
    page.locator(".sn-control:visible select").select_option("yes")
    page.locator("#sn-batch").fill("2")
    where.filter(has_text=re.compile("^workers 4$")).wait_for()
    assert page.locator(".sn-control:visible select").input_value() == "yes"
    page.get_by_text("240 settings of this figure are recorded").wait_for()


def test_a_picture_without_a_choice_is_shown_as_it_is(page: Page, tmp_path: Path):
    flights = sn.data.landings("JFK", "2013-02-08")
    race = sn.race(
        sn.objects(flights).map(lambda row: row["dest"]).count_by_value(), flights.group_by("dest").agg(n=sn.count())
    )
    page.goto(sn.save_html(race, tmp_path / "race.html").as_uri())
    page.locator(".sn-finding", has_text=race.subject.sheet().title).wait_for()
    assert not page.locator("#sn-bar").is_visible()
    faults: list[object] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.getElementById('sn-batch').oninput()") is None
    assert faults == []


def test_a_click_on_a_mark_is_answered_in_a_saved_page(page: Page, tmp_path: Path):
    rows = sn.data.landings("JFK", "2013-02-08").collect().head(9)
    page.goto(sn.save_html(sn.clocks(rows, "dep", "arr"), tmp_path / "clocks.html").as_uri())
    page.locator("[data-pick='3']").click()
    told = page.locator(".sn-words", has_text="it counts by dep in the window of")
    words = told.inner_text()
    page.locator("#sn-step").click()
    page.locator("#sn-where", has_text="windows by arr").wait_for()
    assert told.inner_text() == words


STEPPED = """() => {
  document.getElementById("sn-step").click();
  return document.getAnimations().length;
}"""


def test_a_step_moves_what_stays_and_nothing_for_those_who_ask_for_calm(page: Page, tmp_path: Path):
    left, right = (sn.MemorySource({"at": "datetime", "k": "string"}) for _ in range(2))
    frames = [sn.stream(source).with_watermark("at", "2 minutes") for source in (left, right)]
    other = frames[1].rename({"at": "seen"})
    query = frames[0].join(other, on="k", within=sn.between("seen", after="0s", before="5 min", of="at")).query()
    for minute in range(6):
        row = [{"at": f"2026-01-01 09:0{minute}", "k": f"k{minute}"}]
        sn.add({left: row, right: row})
        query.step()
    page.goto(sn.save_html(sn.joins(query), tmp_path / "joins.html").as_uri())
    page.locator(".sn-picture svg").first.wait_for()
    page.keyboard.press("Home")
    page.wait_for_function("() => document.getAnimations().length === 0")
    page.wait_for_function("before => performance.now() > before + 300", arg=page.evaluate("() => performance.now()"))
    assert page.evaluate(STEPPED) > 3
    page.emulate_media(reduced_motion="reduce")
    page.wait_for_function("() => document.getAnimations().length === 0")
    page.wait_for_function("before => performance.now() > before + 300", arg=page.evaluate("() => performance.now()"))
    assert page.evaluate(STEPPED) == 0
    query.stop()


def test_data_in_a_saved_page_is_text(page: Page, tmp_path: Path):
    source = sn.MemorySource({"at": "datetime", EVIL: "string"})
    frame = sn.stream(source).with_watermark("at", "1 minute").group_by(sn.window("at", "1 minute"), EVIL)
    query = frame.agg(n=sn.count()).query("update", name=EVIL)
    for minute in (1, 9, 9, 1, 1):
        source.add([{"at": f"2024-01-01 09:0{minute}:00", EVIL: EVIL}])
        query.step()
    page.goto(sn.save_html(query, tmp_path / "evil.html").as_uri())
    for tab in ("late", "state", "plane"):
        page.locator(f"[data-tab={tab}]").click()
        page.locator(".sn-picture svg").first.wait_for()
        page.locator("summary:visible").first.click()
        assert page.locator("img").count() == 0
    page.locator("td", has_text="onerror").first.wait_for()
    query.stop()
