"""The page in a real browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from symptoms.runs import RunDirectory
from waiting import PATIENCE
from web_texts import (
    DANGER,
    GERMAN_WORRY,
    POSSIBLE_DANGER,
    SLEEP,
    SPANISH,
    SPANISH_DANGER,
    UNCLEAR,
    UNREAD,
)

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
INJECTION = (
    "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script> I lie awake"
)
PATIENCE_MS = 1000 * PATIENCE
expect.set_options(timeout=PATIENCE_MS)

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium is installed (apt-get install chromium)"
)
OpenPage = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser: Browser, web_url: str) -> Iterator[OpenPage]:
    """Opens the page, and at the end finds no error in its console and no request to anywhere else."""
    contexts = []
    complaints: list[str] = []

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
        page.on("request", lambda asked: asked.url.startswith(web_url) or complaints.append(asked.url))
        page.goto(web_url)
        expect(page.locator("#model")).to_contain_text("The run learned answers")
        return page

    yield make
    for context in contexts:
        context.close()
    assert complaints == []


def send(page: Page, text: str) -> None:
    page.locator("#description").fill(text)
    page.locator("#submit").click()
    expect(page.locator("#result, #kept-back").filter(visible=True)).to_have_count(1)


def serious(page: Page) -> list[str]:
    """What axe finds that keeps people out."""
    found = Axe().run(page).response["violations"]
    return [one["id"] for one in found if one["impact"] in ("serious", "critical")]


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
    """With the helplines, and with the answer below."""
    page = open_page()
    send(page, UNREAD)
    expect(page.locator("#crisis")).to_contain_text("This seems to be written in Polish")
    expect(page.locator("#crisis")).to_contain_text("116 123")
    expect(page.locator("#result")).to_be_visible()
    expect(page.locator("#help")).to_be_hidden()


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
    expect(page.locator("#crisis-title")).to_have_text("Not read by the model: Spanish")
    expect(page.locator("#crisis-opening")).to_contain_text("Esto parece estar escrito en español")
    expect(page.locator("#crisis-english")).to_contain_text("the crisis screen reads and the model does not")
    expect(panel).to_contain_text("116 123")
    page.get_by_label("Helplines of").select_option("US")
    expect(panel).to_contain_text("988")
    expect(page.locator("#crisis-title")).to_have_text("Not read by the model: Spanish")


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


def test_a_training_is_shown_live_beside_others(open_page: OpenPage, live_run: RunDirectory):
    """The curve grows as steps are written; a second run gets a line of its own; a table says the same."""
    page = open_page()
    page.locator("#tab-runs").click()
    expect(page.locator("#live")).to_contain_text("live is training: step 10 of 36")
    before = page.locator("#chart path.series-1").first.get_attribute("d")
    eleventh = replace(live_run.metrics()[-1], step=11, loss=9.0)
    live_run.append_metrics(eleventh)
    expect(page.locator("#live")).to_contain_text("step 11 of 36, loss 9.000")
    assert page.locator("#chart path.series-1").first.get_attribute("d") != before
    page.get_by_label("show learned").check()
    expect(page.locator("#legend li")).to_have_text(["live", "learned"])
    words = page.locator("#chart svg").get_attribute("aria-label") or ""
    assert "live: loss from" in words
    assert "learned: loss from" in words
    page.locator("summary").click()
    expect(page.locator("#curve-table")).to_contain_text("9.000")


def test_a_phone_shows_every_figure_of_every_run(open_page: OpenPage, live_run: RunDirectory):
    """Nothing is cut off; a run that goes on has the loss of its newest step, not a final one."""
    page = open_page(viewport={"width": 320, "height": 640})
    page.locator("#tab-runs").click()
    row = page.locator("#runs tbody", has_text="live")
    expect(row).to_contain_text(f"{live_run.metrics()[-1].loss:.3f}newest step")
    expect(page.locator("#runs tbody", has_text="learned")).not_to_contain_text("newest step")
    expect(row).to_contain_text("symptoms-base · train.jsonl · learning rate 0.004 · batch size 4")
    rights = page.locator("#runs :is(th, td)").evaluate_all(
        "all => all.map(one => Math.max(one.getBoundingClientRect().right, one.scrollWidth))"
    )
    assert max(rights) <= 320


def test_the_legend_names_only_what_is_drawn(open_page: OpenPage, live_run: RunDirectory):
    """Held-out losses are dashed, a single one is a ring, and a single step a dot."""
    live_run.rewind(1)
    (live_run.path / "dev_metrics.jsonl").write_text('{"step": 1, "dev_loss": 3.0}\n')
    page = open_page()
    page.locator("#tab-runs").click()
    expect(page.locator("#legend li")).to_have_text(["live", "live, held-out"])
    assert page.locator("#chart circle").count() == 2
    assert page.locator("#chart path").count() == 0
    assert page.locator("#legend path").count() == 0
    expect(page.locator("#chart")).to_contain_text("nats per token")
    page.locator("summary").click()
    expect(page.locator("#curve-table")).to_contain_text("live, held-out")
    expect(page.locator("#curve-table")).to_contain_text("3.000")
