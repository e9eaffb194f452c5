"""The page in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from web_page import NEEDS_CHROMIUM, OpenPage, send, serious
from web_texts import DANGER, SLEEP, UNCLEAR

pytestmark = NEEDS_CHROMIUM
INJECTION = (
    "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script> I lie awake"
)


def test_the_card_tells_what_the_description_resembles(open_page: OpenPage):
    """With bars, symptoms, a suggestion and the standing line."""
    page = open_page()
    send(page, SLEEP)
    expect(page.locator("#result")).to_contain_text("This description strongly resembles")
    expect(page.locator("#result-concern")).to_have_text("Insomnia (Chronic Insomnia Disorder)")
    expect(page.locator("#bars li")).to_have_count(5)
    expect(page.locator("#bars li").first).to_contain_text("%")
    expect(page.locator("#recommendation")).to_have_text(
        "Cognitive behavioural therapy for sleep helps many people; a doctor can point you to it."
    )
    expect(page.locator("header")).to_contain_text("Not medical advice or a diagnosis")
    expect(page.locator("#crisis")).to_be_hidden()
    assert "you have " not in page.inner_text("body").lower()


def test_the_card_shows_how_sure_it_is_and_how_good_the_run_is(open_page: OpenPage):
    """A demonstration says so above its answer, and what is not certain is set smaller than what is."""
    page = open_page()
    send(page, SLEEP)
    about, concern = page.locator("#about-model"), page.locator("#result-concern")
    expect(about).to_contain_text("is a demonstration: trained on 4 examples")
    expect(about).to_contain_text("was not measured")
    above, below = about.bounding_box(), concern.bounding_box()
    assert above is not None
    assert below is not None
    assert above["y"] < below["y"]
    sizes: list[float] = []
    for certainty in ("high", "moderate", "low", "none"):
        concern.evaluate("(place, certainty) => { place.dataset.certainty = certainty; }", certainty)
        sizes.append(concern.evaluate("place => parseFloat(getComputedStyle(place).fontSize)"))
    assert sizes[0] > sizes[1] > sizes[2] == sizes[3]


def test_words_are_marked_where_they_are(open_page: OpenPage):
    """Also behind characters that are two units long in JavaScript."""
    page = open_page()
    send(page, f"😀🫠 {SLEEP}")
    assert page.locator("#words mark").all_inner_texts() == ["lie awake", "tired"]
    assert page.inner_text("#words") == f"😀🫠 {SLEEP}"


def test_an_unclear_description_gets_a_plain_no(open_page: OpenPage):
    """The nearest conditions are there, and none is called the answer."""
    page = open_page()
    send(page, UNCLEAR)
    expect(page.locator("#result-title")).to_have_text("No clear answer")
    expect(page.locator("#result-concern")).to_contain_text("No condition is clearly resembled")


def test_the_empty_page_says_what_it_reads_and_offers_examples(open_page: OpenPage):
    """One click sends an example; then they make room for the answer."""
    page = open_page()
    expect(page.locator("#screen-languages")).to_contain_text("English, Spanish, French")
    examples = page.locator("#try button")
    expect(examples).to_have_count(4)
    told = examples.first.inner_text()
    examples.first.click()
    expect(page.locator("#result")).to_be_visible()
    assert page.inner_text("#words") == told
    expect(page.locator("#try")).to_be_hidden()
    expect(page.locator("#crisis")).to_be_hidden()


def test_all_of_it_works_with_the_keyboard(open_page: OpenPage):
    """Tab reaches the form, Ctrl and Enter sends it, arrows change the tab."""
    page = open_page()
    for _ in range(2):
        page.keyboard.press("Tab")
    expect(page.locator("#tab-assess")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator("#description")).to_be_focused()
    page.keyboard.type(SLEEP)
    page.keyboard.press("Control+Enter")
    expect(page.locator("#result")).to_be_focused()
    page.locator("#tab-assess").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#tab-runs")).to_be_focused()
    expect(page.locator("#panel-runs")).to_be_visible()
    expect(page.locator("#panel-assess")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_all_and_axe_finds_nothing_serious(open_page: OpenPage, scheme: str):
    """No scrolling sideways at 320 pixels, in light and in the dark, on both tabs, in a crisis, too."""
    page = open_page(viewport={"width": 320, "height": 640}, color_scheme=scheme)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, ground[4:-1].split(","))) < 150) == (scheme == "dark")
    assert serious(page) == []
    send(page, f"{DANGER} {SLEEP} " + "W" * 200)
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    assert serious(page) == []
    page.locator("#show-anyway").click()
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    assert serious(page) == []
    page.locator("#tab-runs").click()
    expect(page.locator("#chart path").first).to_be_attached()
    page.locator("summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    assert serious(page) == []


def test_markup_in_a_text_stays_text(open_page: OpenPage):
    """In the card and in the history."""
    page = open_page()
    send(page, INJECTION)
    assert page.inner_text("#words") == INJECTION
    send(page, SLEEP)
    expect(page.locator("#history-list")).to_contain_text("<img src=x")
    assert page.locator("main img, main script").count() == 0
    assert page.title() == "Mental Health Symptom Classifier"


def test_the_history_lives_in_the_page_alone(open_page: OpenPage):
    """It lists earlier cards but not the one on show, opens them, is stored nowhere, gone after a reload."""
    page = open_page()
    send(page, SLEEP)
    expect(page.locator("#history")).to_be_hidden()
    send(page, UNCLEAR)
    expect(page.locator("#history-list li")).to_have_count(1)
    page.locator("#history-list button", has_text="At night I lie awake").click()
    expect(page.locator("#result-concern")).to_contain_text("Insomnia")
    expect(page.locator("#history-list")).not_to_contain_text("At night")
    page.get_by_role("button", name="Clear the history").click()
    expect(page.locator("#history")).to_be_hidden()
    send(page, SLEEP)
    send(page, UNCLEAR)
    expect(page.locator("#history")).to_be_visible()
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
    page.reload()
    expect(page.locator("#model")).to_contain_text("answers")
    expect(page.locator("#history")).to_be_hidden()
    assert page.input_value("#description") == ""
