"""The page in a real browser. What drives that is imported where it is used: only tests/web needs it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

import pytest

from waiting import PATIENCE

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Request

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
NEEDS_CHROMIUM = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium is installed (apt-get install chromium)"
)
PATIENCE_MS = 1000 * PATIENCE
OpenPage = Callable[..., "Page"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium, closed after a file's tests: its loop must not run beside those of other tests."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser: Browser, web_url: str) -> Iterator[OpenPage]:
    """Opens the page, and at the end finds no error in its console and no request to anywhere else."""
    from playwright.sync_api import expect

    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def note_where(asked: Request) -> None:
        if not asked.url.startswith(web_url):
            complaints.append(asked.url)

    def make(**settings: object) -> Page:
        context = browser.new_context(**{"locale": "en-GB", **settings})  # type: ignore[arg-type]
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        # That a request failed is told on purpose in one test; everything else is an error of ours.
        page.on(
            "console",
            lambda said: (
                complaints.append(said.text)
                if said.type == "error" and "net::ERR_FAILED" not in said.text
                else None
            ),
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", note_where)
        page.goto(web_url)
        expect(page.locator("#model")).to_contain_text("The run learned answers")
        return page

    yield make
    for context in contexts:
        context.close()
    assert complaints == []


def send(page: Page, text: str) -> None:
    """Have a description read, and wait for its card or for that it is kept back."""
    from playwright.sync_api import expect

    page.locator("#description").fill(text)
    page.locator("#submit").click()
    expect(page.locator("#result, #kept-back").filter(visible=True)).to_have_count(1)


def serious(page: Page) -> list[str]:
    """What axe finds that keeps people out."""
    from axe_playwright_python.sync_playwright import Axe

    found = cast("list[dict[str, Any]]", Axe().run(page).response["violations"])
    return [one["id"] for one in found if one["impact"] in ("serious", "critical")]
