"""One JupyterLab for all browser tests, one Chromium a module, one window a notebook."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser import chromium
from tests.browser.lab import Lab, Notebook, launch
from tests.lacking import give_up

expect.set_options(timeout=30_000)  # a busy machine paints late; nothing here is about how soon


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser/" in item.path.as_posix():
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def program() -> str:
    return chromium.find() or give_up(chromium.MISSING)


@pytest.fixture(scope="session")
def lab(program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:  # noqa: ARG001  (no browser, no server)
    with Lab(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


# Not for the session: while Playwright runs, no other test of this thread could run an event loop.
@pytest.fixture(scope="module")
def browser(program: str) -> Iterator[Browser]:
    with sync_playwright() as playwright, launch(playwright, program) as browser:
        yield browser


@pytest.fixture
def open_notebook(lab: Lab, browser: Browser) -> Iterator[Callable[[str], Notebook]]:
    """Return the function that opens a notebook of ``lab`` in a new window; windows and kernels end with the test."""
    opened: list[Notebook] = []

    def open_(name: str) -> Notebook:
        opened.append(Notebook(lab, browser))
        return opened[-1].open(name)

    yield open_
    for notebook in opened:
        notebook.close()
    lab.end_kernels()
