"""Help for a crisis, and languages that are not read, on the page in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import Route, expect

from web_page import NEEDS_CHROMIUM, OpenPage, send, serious
from web_texts import DANGER, GERMAN_WORRY, POSSIBLE_DANGER, SLEEP, SPANISH, SPANISH_DANGER, UNCLEAR, UNREAD

pytestmark = NEEDS_CHROMIUM


def test_the_crisis_panel_comes_first(open_page: OpenPage):
    """Above everything, in focus, with numbers that follow the chosen country; another text takes it away."""
    page = open_page()
    send(page, DANGER)
    panel = page.locator("#crisis")
    expect(panel).to_be_focused()
    expect(panel).to_be_in_viewport()
    expect(panel).to_contain_text("116 123")
    tops = [place.bounding_box()["y"] for place in (panel, page.locator("header"), page.locator("main"))]  # type: ignore[index]
    assert tops == sorted(tops)
    expect(panel.get_by_role("link", name="999").first).to_have_attribute("href", "tel:999")
    page.get_by_label("Helplines of").select_option("US")
    expect(panel).to_contain_text("988")
    page.get_by_label("Helplines of").select_option("")
    expect(panel).to_contain_text("your local emergency number")
    send(page, SLEEP)
    expect(panel).to_be_hidden()


@pytest.mark.parametrize(
    ("text", "level"), [("I want to kill myself.", "clear"), (POSSIBLE_DANGER, "possible")]
)
def test_with_a_crisis_notice_no_condition_is_named_before_a_click(
    open_page: OpenPage, text: str, level: str
):
    """Neither on a card nor in the history; the link leads up to the help, the button to the card."""
    page = open_page(viewport={"width": 390, "height": 700})
    send(page, f"{text} {SLEEP}")
    panel = page.locator("#crisis")
    expect(panel).to_have_attribute("data-level", level)
    expect(page.locator("#result")).to_be_hidden()
    assert "Insomnia" not in page.locator("body").inner_html()
    page.get_by_role("link", name="Help is listed at the top").press("Enter")
    expect(panel).to_be_focused()
    expect(panel).to_be_in_viewport()
    assert "#" not in page.url
    page.get_by_role("button", name="Show what the model says anyway").press("Enter")
    expect(page.locator("#result")).to_be_focused()
    expect(page.locator("#bars")).to_contain_text("Insomnia")
    expect(page.locator("#result")).to_contain_text("call your local emergency number now")
    expect(panel).to_be_visible()
    send(page, UNCLEAR)
    expect(page.locator("#history-list")).to_contain_text("help is listed at the top")
    assert "resembles" not in page.inner_text("#history-list")
    page.locator("#history-list button").click()
    expect(page.locator("#kept-back")).to_be_visible()
    expect(page.locator("#result")).to_be_hidden()


def test_a_possible_danger_gets_a_few_calm_lines(open_page: OpenPage):
    """At the top, with the numbers as links, and lower than the panel for a clear one."""
    page = open_page()
    send(page, POSSIBLE_DANGER)
    panel = page.locator("#crisis")
    expect(panel).to_contain_text("If any of this is about wanting to die")
    expect(panel.get_by_role("link", name="999")).to_have_count(1)
    expect(panel.get_by_role("link", name="116 123")).to_have_attribute("href", "tel:116123")
    expect(panel).not_to_contain_text("Emergency:")
    lines = panel.locator("li").evaluate_all(
        "all => new Set(all.map(one => one.getBoundingClientRect().top)).size"
    )
    assert lines < panel.locator("li").count()
    low = panel.bounding_box()
    send(page, DANGER)
    expect(panel).to_have_attribute("data-level", "clear")
    high = panel.bounding_box()
    assert low is not None
    assert high is not None
    assert low["height"] < 0.6 * high["height"]


def test_a_language_that_is_not_read_is_told(open_page: OpenPage):
    """Once, with the helplines; what the model finds nearest means little, and is shown when asked for."""
    page = open_page()
    send(page, UNREAD)
    expect(page.locator("#crisis-title")).to_have_text("Help is here")
    expect(page.locator("#crisis")).to_contain_text("This seems to be written in Polish")
    expect(page.locator("#crisis")).to_contain_text("116 123")
    expect(page.locator("#help")).to_be_hidden()
    expect(page.locator("#kept-back")).to_be_visible()
    expect(page.locator("#result")).to_be_hidden()
    assert page.inner_text("body").count("Polish") == 1
    assert "%" not in page.inner_text("main")
    page.locator("#show-anyway").click()
    expect(page.locator("#bars li").first).to_contain_text("%")


@pytest.mark.parametrize(
    ("text", "level", "title", "opening", "tag"),
    [
        (
            SPANISH_DANGER,
            "clear",
            "Nos importas, y ahora hay ayuda",
            "No tienes que pasar por esto a solas",
            "es",
        ),
        (GERMAN_WORRY, "possible", "Hier ist Hilfe", "Wenn es hier darum geht, sterben zu wollen", "de"),
    ],
)
def test_the_panel_speaks_the_language_of_the_text(
    open_page: OpenPage, text: str, level: str, title: str, opening: str, tag: str
):
    """First in that, marked for screen readers, and then in English, with the number as a link in both."""
    page = open_page(viewport={"width": 390, "height": 844})
    send(page, text)
    panel = page.locator("#crisis")
    expect(panel).to_have_attribute("data-level", level)
    expect(page.locator("#crisis-title")).to_have_text(title)
    for place, words, language in (
        ("#crisis-opening", opening, tag),
        ("#crisis-english", "You do not have to go" if level == "clear" else "If any of this is about", "en"),
    ):
        expect(page.locator(place)).to_contain_text(words)
        expect(page.locator(place)).to_have_attribute("lang", language)
        expect(page.locator(place).get_by_role("link", name="999")).to_have_attribute("href", "tel:999")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert serious(page) == []
    send(page, DANGER)
    expect(page.locator("#crisis-title")).to_have_text("You matter, and help is there now")
    expect(page.locator("#crisis-english")).to_be_hidden()


def test_a_language_that_only_the_model_does_not_read_is_told(open_page: OpenPage):
    """With the helplines of the chosen country, in that language and in English."""
    page = open_page()
    send(page, SPANISH)
    panel = page.locator("#crisis")
    expect(page.locator("#crisis-title")).to_have_text("Aquí hay ayuda")
    expect(page.locator("#crisis-opening")).to_contain_text("Esto parece estar escrito en español")
    expect(page.locator("#crisis-english")).to_contain_text("the crisis screen reads and the model does not")
    expect(panel).to_contain_text("116 123")
    page.get_by_label("Helplines of").select_option("US")
    expect(panel).to_contain_text("988")
    expect(page.locator("#crisis-title")).to_have_text("Aquí hay ayuda")


def test_a_danger_that_the_model_alone_has_found_stays_with_another_country(open_page: OpenPage):
    """The screen without the model does not know of it, so the model is asked for the numbers anew."""
    page = open_page()

    def nothing(route: Route) -> None:
        answer = {"crisis": False, "crisis_level": "none", "crisis_notice": None, "language_notice": None}
        route.fulfill(json=answer)

    page.route("**/api/screen", nothing)
    send(page, POSSIBLE_DANGER)
    expect(page.locator("#crisis")).to_contain_text("116 123")
    page.get_by_label("Helplines of").select_option("US")
    expect(page.locator("#crisis")).to_contain_text("988")
    expect(page.locator("#kept-back")).to_be_visible()


def test_the_crisis_panel_needs_no_model(open_page: OpenPage):
    """It is there while the model still reads, and stays when that fails."""
    page = open_page()
    page.route("**/api/assess", lambda route: route.abort())
    page.locator("#description").fill(DANGER)
    page.locator("#submit").click()
    expect(page.locator("#crisis")).to_contain_text("116 123")
    expect(page.locator("#problem")).to_contain_text("does not answer")


@pytest.mark.parametrize(
    ("locale", "country"), [("de", "DE"), ("en-US", "US"), ("en", ""), ("fr-CA", "CA"), ("ja-JP", "")]
)
def test_the_country_is_the_browsers(open_page: OpenPage, locale: str, country: str):
    """By its language's region; English alone says nothing."""
    expect(open_page(locale=locale).locator("#country")).to_have_value(country)
