"""What the classifier says of one description, as data and as JSON."""

from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as checked

from symptoms.disclaimer import DISCLAIMER
from symptoms.safety import (
    Category,
    Language,
    Level,
    Screening,
    country_code,
    country_of_locale,
    covered_languages,
    crisis_notice,
    helplines,
    language_notice,
    lines_for,
    notice_language,
    screen,
    unread_language,
)

LEADING_LABELS = 5
MODERATE, HIGH = 0.6, 0.9
"""Probabilities from which an answer is moderately and highly certain."""
Certainty = Literal["none", "low", "moderate", "high"]
Probability = Annotated[float, Field(ge=0, le=1)]
Place = Annotated[int, Field(ge=0)]
OpensIn = Annotated[str, Field(description="ISO 639 code of what the first line of `text` is said in.")]
# The parts of an assessment are described in the API's description as they stand here.
_CLOSED = ConfigDict(extra="forbid")


@checked(frozen=True, config=_CLOSED)
class LabelProbability:
    """A label, as the taxonomy's or the data's id and as text, and how probable it is."""

    condition: str
    primary_concern: str
    probability: Probability


@checked(frozen=True, config=_CLOSED)
class Evidence:
    """Unicode code points `start` to `end` (exclusive) of the description, which read `text`.

    Half of a surrogate pair, which no file can hold, reads as U+FFFD.
    """

    start: Place
    end: Place
    text: str


@checked(frozen=True, config=_CLOSED)
class KeySymptom:
    """A symptom and the words of the description that bear it out; one without any does not stand."""

    symptom: str
    evidence: tuple[Evidence, ...]


@checked(frozen=True, config=_CLOSED)
class NoticeLine:
    """A helpline and the ways to reach it."""

    name: str
    call: str | None
    text: str | None
    url: str | None
    hours: str


@checked(frozen=True, config=_CLOSED)
class CrisisNotice:
    """What is said to someone who may be in danger.

    `level` is `clear`, then help stands before everything, or `possible`, then the opening is one calm
    line. `opens_in` is the ISO 639 code of what the opening is said in, the text's where there are words.
    `text` is the whole notice: its first line the opening, then the same in English where the first is not,
    then one line for each of `lines`, the last of which is an international directory. `emergency` is None
    where the country's number is not known here.
    """

    level: Annotated[str, Field(json_schema_extra={"enum": ["possible", "clear"]})]
    category: str
    text: str
    country: str | None
    emergency: str | None
    lines: tuple[NoticeLine, ...]
    opens_in: OpensIn = "en"


@checked(frozen=True, config=_CLOSED)
class LanguageNotice:
    """That a text is in a language which is not read, with the helplines.

    `language` is its name, and `screened` whether the crisis screen reads it, so that only the model does
    not. `text`, `country`, `emergency`, `lines` and `opens_in` are as in CrisisNotice.
    """

    language: str
    text: str
    country: str | None
    emergency: str | None
    lines: tuple[NoticeLine, ...]
    screened: Annotated[
        bool, Field(description="Whether the crisis screen reads it, so that only the model does not.")
    ] = False
    opens_in: OpensIn = "en"


@dataclass(frozen=True)
class Assessment:
    """What a description resembles. It is for learning, and not a diagnosis.

    `leading` are the most probable labels, the first of them is the answer. Where `abstained`, no label is
    the answer: `condition` and `primary_concern` are None, and `abstained_because` says why in a sentence.
    `recommendation` is None for what resembles everyday life. `calibrated` tells whether the probabilities,
    and when to abstain, were fitted on held-out examples; `about_the_model` says what the model is and how
    often it was right. `crisis_notice` is there whatever the model did, and then `crisis` is true.
    Where `unread`, the model has learnt from no texts in the description's language, and names nothing.
    `language_notice` is there where the description is in a language that the crisis screen or the model does
    not read, and there is no crisis notice.
    """

    condition: str | None
    primary_concern: str | None
    probability: float
    leading: tuple[LabelProbability, ...]
    key_symptoms: tuple[KeySymptom, ...]
    recommendation: str | None
    abstained: bool
    abstained_because: str | None
    calibrated: bool
    crisis_notice: CrisisNotice | None
    text: str
    about_the_model: str = ""
    language_notice: LanguageNotice | None = None
    unread: bool = False

    @property
    def crisis(self) -> bool:
        """Whether there is a notice at either level, `possible` as well as `clear`."""
        return self.crisis_notice is not None

    @property
    def certainty(self) -> Certainty:
        """How sure the answer is; an uncalibrated one is never more than `low`."""
        if self.abstained:
            return "none"
        if not self.calibrated or self.probability < MODERATE:
            return "low"
        return "high" if self.probability >= HIGH else "moderate"

    @property
    def crisis_level(self) -> Level:
        """`none`, `possible` or `clear`, by all layers of the screen that were asked."""
        return Level.NONE if self.crisis_notice is None else Level(self.crisis_notice.level)

    @property
    def alternatives(self) -> tuple[LabelProbability, ...]:
        """The next labels, most probable first; all of the leading ones where none is the answer."""
        return self.leading if self.abstained else self.leading[1:]

    def in_country(self, country: str | None) -> Self:
        """The same with the helplines of another country, an ISO 3166 code, or of the locale.

        The text is not screened again: levels and categories are those that all layers found.
        """
        notice, unread = self.crisis_notice, self.language_notice
        if notice is not None:
            found = Screening(
                Level(notice.level),
                Category(notice.category),
                language=Language(notice.opens_in, notice.opens_in, covered=True),
            )
            notice = notice_of(found, country)
        if unread is not None:
            language = next(
                (one for one in covered_languages() if one.name == unread.language),
                Language(None, unread.language, covered=False),
            )
            screening = Screening() if unread.screened else Screening(language=language)
            unread = language_notice_of(screening, country, language)
        return replace(self, crisis_notice=notice, language_notice=unread)

    def to_json(self) -> dict[str, Any]:
        """All of it with the standing disclaimer, in types that JSON has; docs/cli.md explains the fields."""
        return {
            "condition": self.condition,
            "primary_concern": self.primary_concern,
            "probability": self.probability,
            "certainty": self.certainty,
            "alternatives": [asdict(label) for label in self.alternatives],
            "leading": [asdict(label) for label in self.leading],
            "key_symptoms": [
                {"symptom": one.symptom, "evidence": [asdict(span) for span in one.evidence]}
                for one in self.key_symptoms
            ],
            "recommendation": self.recommendation,
            "abstained": self.abstained,
            "abstained_because": self.abstained_because,
            "unread": self.unread,
            "calibrated": self.calibrated,
            "about_the_model": self.about_the_model,
            "crisis": self.crisis,
            "crisis_level": self.crisis_level.value,
            "crisis_notice": None if self.crisis_notice is None else _notice_to_json(self.crisis_notice),
            "language_notice": None
            if self.language_notice is None
            else _notice_to_json(self.language_notice),
            "text": self.text,
            "disclaimer": DISCLAIMER,
        }


def notice_for(description: str, country: str | None = None) -> CrisisNotice | None:
    """The notice for a description that may speak of danger now, else None; no model is asked.

    `country` is an ISO 3166 code, by default that of the locale.
    """
    return notice_of(screen(description), country)


def notice_of(screening: Screening, country: str | None = None) -> CrisisNotice | None:
    """The same for a screening that was made already."""
    if screening.category is None:
        return None
    code, lines = _lines_for(screening.category, country)
    return CrisisNotice(
        level=screening.level.value,
        category=screening.category.value,
        text=crisis_notice(screening, code),
        country=code,
        emergency=helplines(code).emergency,
        lines=lines,
        opens_in=notice_language(screening.language),
    )


def language_notice_of(
    screening: Screening, country: str | None = None, unlearnt: Language | None = None
) -> LanguageNotice | None:
    """The notice that a description is in a language which is not read, else None.

    `unlearnt` is the language, where the model has not learnt from the one that the description is in.
    """
    language = unread_language(screening, unlearnt)
    if language is None:
        return None
    code, lines = _lines_for(Category.SUICIDE, country)
    return LanguageNotice(
        language=language.name,
        text=language_notice(screening, code, unlearnt),
        country=code,
        emergency=helplines(code).emergency,
        lines=lines,
        screened=language.covered,
        opens_in=notice_language(language),
    )


def _lines_for(category: Category, country: str | None) -> tuple[str | None, tuple[NoticeLine, ...]]:
    code = country_code(country) or country_of_locale()
    lines = lines_for(category, code)
    return code, tuple(NoticeLine(line.name, line.call, line.text, line.url, line.hours) for line in lines)


def _notice_to_json(notice: CrisisNotice | LanguageNotice) -> dict[str, Any]:
    return {**asdict(notice), "lines": [asdict(line) for line in notice.lines]}
