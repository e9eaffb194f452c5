"""The page's API, a batch and the command say the same of danger, whatever the model as third layer finds."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from command_in_process import in_process
from symptoms import Classifier
from symptoms.classifier import Assessment, assessing
from symptoms.disclaimer import DISCLAIMER
from symptoms.errors import InputError
from symptoms.safety import Level, ModelLayer, screen
from symptoms.service import LocalServer
from symptoms.web.app import Served, create_app
from symptoms.web.bodies import ModelAnswer
from symptoms.web.guard import LOOPBACK_NAMES, Access
from symptoms.web.rate_limit import RateLimit
from symptoms.web.waiting_line import WaitingLine

UNSURE = "I keep looking at the water under the bridge."
"""The two layers without a model call this possible; beside a model they leave it to that."""
CALM = "I sleep badly and I am tired."
MODEL = ModelAnswer(
    run=None, checkpoint="tinker://a/b", base_model="b", service="local", calibrated=False, country="GB",
    countries=["GB"], screen_languages=["English"], disclaimer=DISCLAIMER, version="0",
)  # fmt: skip
CASES = {
    "lowered": (UNSURE, Level.NONE, Level.NONE),
    "confirmed": (UNSURE, Level.POSSIBLE, Level.POSSIBLE),
    "raised": (CALM, Level.POSSIBLE, Level.POSSIBLE),
    "raised high": (CALM, Level.CLEAR, Level.CLEAR),
    "clear before": ("I want to die.", Level.NONE, Level.CLEAR),
}
"""A text, what the third layer finds in it, and what all three say."""


class Says:
    """A layer that finds a level in every text."""

    def __init__(self, level: Level) -> None:
        self.level = level
        self.asked: list[str] = []

    def submit(self, text: str) -> Callable[[], Level]:
        self.asked.append(text)
        return lambda: self.level


class Fails:
    def submit(self, text: str) -> Callable[[], Level]:
        raise ConnectionError(f"not asked about {len(text)} signs")


class Ended(BaseException):
    """Ends the thread that works off the line."""


@pytest.fixture
def page(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """The application with the tests' classifier at work behind it."""
    outcomes = classifier.outcomes

    def until_end(
        texts: Iterable[str], country: str | None = None
    ) -> Generator[Assessment | InputError, None, None]:
        texts = list(texts)
        if texts == ["end"]:
            raise Ended
        return outcomes(texts, country)

    monkeypatch.setattr(classifier, "outcomes", until_end)
    line = WaitingLine(64)

    def work() -> None:
        with pytest.raises(Ended):
            line.assess_with(classifier)

    thread = threading.Thread(target=work)
    thread.start()
    access = Access(None, LOOPBACK_NAMES)
    served = Served(line, MODEL, None, access, RateLimit(1000), screens_beside_model=True)
    try:
        yield TestClient(create_app(served), base_url="http://127.0.0.1:8000")
    finally:
        classifier.model_layer = None
        line.put(["end"])
        thread.join()


def danger(assessment: dict[str, Any]) -> tuple[str, str | None]:
    notice = assessment["crisis_notice"]
    assert assessment["crisis"] == (notice is not None)
    assert notice is None or notice["level"] == assessment["crisis_level"]
    return assessment["crisis_level"], None if notice is None else notice["category"]


@pytest.mark.parametrize(("text", "found", "level"), CASES.values(), ids=CASES)
def test_the_page_says_what_all_three_layers_say(
    page: TestClient, classifier: Classifier, text: str, found: Level, level: Level
):
    """Alone and in a batch, with the level and category of the assessment, and the request's numbers."""
    classifier.model_layer = Says(found)
    expected = danger(classifier.assess(text, "GB").to_json())
    assert expected[0] == level.value
    asked = page.post("/api/assess", json={"text": text, "country": "US"}).json()
    batch = page.post("/api/assess/batch", json={"texts": [text], "country": "US"}).json()["results"]
    assert asked == classifier.assess(text, "US").to_json()
    assert [one["assessment"] for one in batch] == [asked]
    assert danger(asked) == expected


@pytest.mark.parametrize(("text", "found", "level"), CASES.values(), ids=CASES)
def test_the_command_says_what_all_three_layers_say(
    colour_run: Path,
    colour_server: LocalServer,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    found: Level,
    level: Level,
):
    """`symptoms assess --json` has the level that the page's API has."""

    def layer(*_: object) -> ModelLayer:
        return Says(found)

    monkeypatch.setattr(assessing, "_crisis_layer", layer)
    arguments = ("assess", text, "--json", "--run", "tiny", "--country", "GB")
    done = in_process(colour_run, *arguments, server=colour_server)
    assert done.returncode == 0, done.stderr
    assert danger(json.loads(done.stdout))[0] == level.value


def test_where_the_third_layer_fails_the_first_two_speak(page: TestClient, classifier: Classifier):
    """With all that they see, as the screen says it alone."""
    classifier.model_layer = Fails()
    assert screen(UNSURE).level is Level.POSSIBLE
    assert danger(page.post("/api/assess", json={"text": UNSURE}).json())[0] == "possible"


@pytest.mark.parametrize(("before_model", "level"), [(True, "none"), (False, "possible")])
def test_the_screen_says_before_the_model_only_what_stands(page: TestClient, before_model: bool, level: str):
    """What the model may call harmless is not shown first and then taken away; asked alone it tells all."""
    body = {"text": UNSURE, "before_model": before_model}
    assert page.post("/api/screen", json=body).json()["crisis_level"] == level


def test_a_language_that_is_not_read_has_the_numbers_of_the_request(page: TestClient):
    """The notice is that of the assessment, with another country's lines."""
    text = "Ik slaap slecht en ik weet niet wat er met mij is, het gaat niet goed met me."
    told = page.post("/api/assess", json={"text": text, "country": "US"}).json()["language_notice"]
    assert (told["language"], told["emergency"]) == ("Dutch", "911")
    assert "988" in told["text"]
