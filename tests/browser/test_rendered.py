"""A rendered lesson, opened as a file: it steps, folds and changes its theme with neither kernel nor network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.lab import ARTIFACTS
from tests.course.__main__ import main

LESSON = "02_two_clocks"


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("course")
    main(folder, ["02"])
    return folder


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 900, "height": 1100}, color_scheme="light")
    told: list[str] = []
    opened.on("pageerror", lambda error: told.append(str(error)))
    opened.on("console", lambda message: told.append(message.text) if message.type == "error" else None)
    opened.on("request", lambda asked: None if asked.url.startswith(("file:", "about:")) else told.append(asked.url))
    yield opened
    opened.close()
    assert told == []


def test_a_rendered_lesson_steps_without_a_kernel(page: Page, rendered: Path):
    page.goto((rendered / f"{LESSON}.html").as_uri())
    page.locator("iframe").first.scroll_into_view_if_needed()
    clocks = page.frame_locator("iframe").first
    clocks.locator("#sn-where", has_text="windows by dep").wait_for()
    clocks.locator("#sn-step").click()
    clocks.get_by_text("145 rows lie in 17 windows").first.wait_for()
    clocks.locator(".sn-control select").select_option("event")
    clocks.get_by_text("145 rows lie in 13 windows").first.wait_for()
    page.locator("iframe").nth(1).scroll_into_view_if_needed()
    figure = page.frame_locator("iframe").nth(1)
    where = figure.locator("#sn-where")
    where.filter(has_text="batch 0 of 31").wait_for()
    marks = figure.locator(".sn-picture circle[style*='sn-ontime']")
    before = marks.count()
    for _ in range(8):
        figure.locator("#sn-step").click()
    where.filter(has_text="batch 8 of 31").wait_for()
    assert marks.count() > before
    figure.locator("[data-tab=state]").click()
    figure.locator("td").first.wait_for()
    page.screenshot(path=ARTIFACTS / "rendered-light.png")
    page.locator("#theme").click()
    assert figure.locator("body").get_attribute("data-jp-theme-light") == "false"
    page.screenshot(path=ARTIFACTS / "rendered-dark.png")
    measure = "frames => frames.map(frame => [frame.clientHeight, frame.contentDocument.body.scrollHeight])"
    heights = page.locator("iframe").evaluate_all(measure)
    assert all(outer >= inner > 200 for outer, inner in heights)


def test_a_guess_is_asked_and_its_answer_folded(page: Page, rendered: Path):
    page.goto((rendered / f"{LESSON}.html").as_uri())
    page.get_by_text("how many left in that hour?").first.wait_for()
    happened = page.locator("details.guess").first
    assert not happened.locator("b").is_visible()
    happened.locator("summary").click()
    assert happened.locator("b").inner_text() == "0"
    page.get_by_text("One way").click()
    page.get_by_text("start=").first.wait_for()


def test_the_path_leads_to_every_lesson(page: Page, rendered: Path):
    page.goto((rendered / "index.html").as_uri())
    links = page.locator("main a").evaluate_all("links => links.map(link => link.getAttribute('href'))")
    assert f"{LESSON}.html" in links
    assert [link for link in links if not re.fullmatch(r"[\w/]+\.html", link)] == []
    page.locator(f"a[href='{LESSON}.html']").click()
    page.get_by_role("heading", name="Two clocks").wait_for()
    assert page.locator("nav a[rel=next]").get_attribute("href", timeout=5000) == "03_how_long_to_wait.html"
