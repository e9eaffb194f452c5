"""Reports and comparisons in a real browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect, sync_playwright
from test_comparing import made_run
from test_report import made_evaluation

from symptoms.report.comparing import compare
from symptoms.report.comparison_page import write_comparison
from symptoms.report.pages import write_report

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium is installed (apt-get install chromium)"
)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A report with ten mistakes, and a comparison of two settings."""
    folder = tmp_path_factory.mktemp("pages")
    write_comparison(folder / "compare.html", compare([made_run(1, 0, 20), made_run(4, 0, 30)]))
    return {"report": write_report(folder, made_evaluation(30, 10)), "compare": folder / "compare.html"}


@pytest.fixture
def phone() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser.new_page(viewport={"width": 320, "height": 640})
        browser.close()


@pytest.mark.parametrize("name", ["report", "compare"])
def test_a_phone_shows_all_of_it(phone: Page, pages: dict[str, Path], name: str):
    """Only wide tables scroll sideways, by the keyboard, too; axe finds nothing that keeps people out."""
    phone.goto(pages[name].as_uri())
    assert phone.evaluate("document.documentElement.scrollWidth") == 320
    found = Axe().run(phone).response["violations"]
    assert [one["id"] for one in found if one["impact"] in ("moderate", "serious", "critical")] == []


def test_mistakes_unfold_by_the_keyboard(phone: Page, pages: dict[str, Path]):
    """Three are seen at first, and all of them then."""
    phone.goto(pages["report"].as_uri())
    seen = phone.locator(".mistake").filter(visible=True)
    expect(seen).to_have_count(3)
    phone.locator("summary", has_text="more").press("Enter")
    expect(seen).to_have_count(phone.locator(".mistake").count())
    expect(seen).not_to_have_count(3)
