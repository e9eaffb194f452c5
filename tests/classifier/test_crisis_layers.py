"""The third layer of the crisis screen can raise a notice, and its failure takes none away."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from symptoms import Classifier
from symptoms.safety import Level

CALM = "I sleep badly and I am tired."
DANGER = "I want to die."
SPANISH = "Desde hace meses reviso tres veces si la cocina está apagada antes de salir."
DUTCH = "Ik slaap slecht en ik weet niet wat er met mij is, het gaat niet goed met me."


class Says:
    """A layer that finds a level in every text."""

    def __init__(self, level: Level) -> None:
        self.level = level
        self.asked: list[str] = []

    def submit(self, text: str) -> Callable[[], Level]:
        self.asked.append(text)
        return lambda: self.level


class FailsWhenAsked:
    def submit(self, text: str) -> Callable[[], Level]:
        raise ConnectionError(f"the service is gone; not asked about {len(text)} signs")


class FailsWhenAnswering:
    def submit(self, text: str) -> Callable[[], Level]:
        def fail() -> Level:
            raise TimeoutError(f"no answer about {len(text)} signs")

        return fail


@pytest.fixture
def asked(classifier: Classifier) -> Iterator[Classifier]:
    yield classifier
    classifier.model_layer = None


def test_the_model_can_raise_a_notice(asked: Classifier):
    """Where two layers see nothing and the model does, the notice is there, at its level."""
    layer = asked.model_layer = Says(Level.POSSIBLE)
    assessment = asked.assess(CALM)
    assert layer.asked == [CALM]
    assert assessment.crisis
    assert assessment.to_json()["crisis_level"] == "possible"
    assert assessment.to_json()["crisis_notice"]["level"] == "possible"


def test_the_model_takes_nothing_back(asked: Classifier):
    """A text that the first layers call clear stays so, whatever the model says."""
    without = asked.assess(DANGER)
    assert without.crisis_level is Level.CLEAR
    asked.model_layer = Says(Level.NONE)
    assert asked.assess(DANGER).crisis_notice == without.crisis_notice


@pytest.mark.parametrize("layer", [FailsWhenAsked(), FailsWhenAnswering()], ids=["asked", "answering"])
def test_a_failing_model_leaves_the_first_two_layers(
    asked: Classifier, layer: FailsWhenAsked | FailsWhenAnswering
):
    """The assessment is as without it."""
    expected = [asked.assess(text) for text in (CALM, DANGER)]
    asked.model_layer = layer
    assert [asked.assess(text) for text in (CALM, DANGER)] == expected


def test_a_language_that_is_not_read_is_said(classifier: Classifier):
    """Beside the assessment stands which language it is, with the helplines; not so for English."""
    told = classifier.assess(DUTCH).to_json()["language_notice"]
    assert told["language"] == "Dutch"
    assert told["emergency"] == "999"
    assert classifier.assess(CALM).language_notice is None


def test_a_language_that_only_the_model_has_not_learnt_is_said(classifier: Classifier):
    """The screen reads Spanish and the model, of English texts, does not: both are told, with helplines."""
    assessment = classifier.assess(SPANISH)
    assert assessment.abstained
    told = assessment.to_json()["language_notice"]
    assert (told["language"], told["screened"], told["opens_in"]) == ("Spanish", True, "es")
    first, second, *_ = told["text"].splitlines()
    assert first.startswith("Esto parece estar escrito en español")
    assert "the crisis screen reads and the model does not" in second
    assert told["emergency"] == "999"
    elsewhere = assessment.in_country("US").to_json()["language_notice"]
    assert {**elsewhere, "text": "", "lines": [], "country": "GB", "emergency": "999"} == {
        **told,
        "text": "",
        "lines": [],
    }
    assert "988" in elsewhere["text"]


def test_a_few_words_that_neither_reads_are_not_said_to_be_screened(classifier: Classifier):
    """The notice for Polish says that danger is not noticed, that for Spanish does not."""
    polish = classifier.assess("chcę umrzeć")
    for told in (polish, polish.in_country("US")):
        assert told.language_notice is not None
        assert (told.language_notice.language, told.language_notice.screened) == ("Polish", False)
        assert "which the crisis screen does not read" in told.language_notice.text
    spanish = classifier.assess(SPANISH).language_notice
    assert spanish is not None
    assert (spanish.language, spanish.screened) == ("Spanish", True)


def test_a_notice_of_the_assessment_is_said_in_the_language_of_the_text(classifier: Classifier):
    """In JSON with its code, also after another country was asked for."""
    for notice in (
        classifier.assess("Ich will nicht mehr leben.").crisis_notice,
        classifier.assess("Ich will nicht mehr leben.").in_country("US").crisis_notice,
    ):
        assert notice is not None
        assert notice.opens_in == "de"
        assert notice.text.startswith("Du musst da nicht allein durch.")
