"""The notice gives help first, in calm words, with the numbers of the right country."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from symptoms.safety import (
    Category,
    Language,
    Level,
    Screening,
    country_of_locale,
    covered_languages,
    crisis_notice,
    helplines,
    language_notice,
    notice_language,
    screen,
)
from symptoms.safety.languages import language_of

DATA = Path(__file__).parents[2] / "data" / "crisis"

COUNTRIES = ["US", "CA", "GB", "IE", "AU", "NZ", "IN", "DE", "FR"]
METHODS = re.compile(r"\b(pill|rope|gun|bridge|knife|blade|overdose|hang|jump|cut)", re.IGNORECASE)
SCOLDING = re.compile(
    r"\b(should|must|wrong|blocked|refuse|not allowed|cannot help|selfish)\b", re.IGNORECASE
)


def notice(category: Category, country: str | None, level: Level = Level.CLEAR) -> str:
    return crisis_notice(Screening(level=level, category=category, rule="test"), country)


@pytest.mark.parametrize("category", Category)
@pytest.mark.parametrize("level", [Level.POSSIBLE, Level.CLEAR])
@pytest.mark.parametrize("country", [*COUNTRIES, "ES", None, "ZZ"])
def test_every_notice_offers_help_and_no_methods(category: Category, country: str | None, level: Level):
    """Each notice names an emergency number first and a directory last, scolds nobody and names no method."""
    words = notice(category, country, level)
    emergency = helplines(country).emergency or "your local emergency number"
    assert emergency in words.splitlines()[0]
    assert "https://findahelpline.com" in words.splitlines()[-1]
    assert METHODS.search(words) is None
    assert SCOLDING.search(words.splitlines()[0]) is None


@pytest.mark.parametrize(
    ("country", "numbers"),
    [
        ("US", ["call 988", "text 988", "https://988lifeline.org", "911"]),
        ("CA", ["call 988", "911"]),
        ("GB", ["116 123", "SHOUT to 85258", "999"]),
        ("uk", ["116 123", "SHOUT to 85258", "999"]),
        ("IE", ["116 123", "HELLO to 50808", "112"]),
        ("AU", ["13 11 14", "0477 13 11 14", "000"]),
        ("NZ", ["call 1737", "111"]),
        ("IN", ["14416", "112"]),
        ("ES", ["112"]),
    ],
)
def test_a_country_has_its_numbers(country: str, numbers: list[str]):
    """The notice for thoughts of suicide has the country's own numbers to call and text."""
    words = notice(Category.SUICIDE, country)
    assert [number for number in numbers if number not in words] == []


@pytest.mark.parametrize(
    ("country", "number"), [("US", "1-800-799-7233"), ("GB", "0808 2000 247"), ("AU", "1800 737 732")]
)
def test_danger_at_home_is_told_of_its_own_line_first(country: str, number: str):
    """The line for danger at home comes before all others, and only there."""
    assert number in notice(Category.DANGER_AT_HOME, country).splitlines()[1]
    assert number not in notice(Category.SUICIDE, country)


def test_a_possible_danger_gets_one_calm_line():
    """At the level `possible` the opening supposes nothing; about someone else it is said to the helper."""
    opening = notice(Category.SUICIDE, "GB", Level.POSSIBLE).splitlines()[0]
    assert opening.startswith(
        "If any of this is about wanting to die, being hurt or hurting someone, help is here."
    )
    helper = notice(Category.SOMEONE_ELSE, "GB", Level.POSSIBLE).splitlines()[0]
    assert helper.startswith("If you are worried that someone")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Ik voel me de laatste tijd niet goed en ik weet niet wat ik met mijn leven moet", "Dutch"),
        ("Nie wiem co mam ze sobą zrobić, wszystko jest bardzo trudne", "Polish"),
        ("Я плохо сплю и ничего не хочу", "a language in Cyrillic letters"),
        ("最近よく眠れません", "Japanese"),
        ("나는 요즘 잠을 잘 못 잔다", "Korean"),
    ],
)
def test_a_language_that_is_not_read_is_said_with_the_helplines(text: str, language: str):
    """The notice names the language, says that danger is not noticed in it, and has the numbers."""
    words = language_notice(screen(text), "GB")
    assert language in words.splitlines()[0]
    assert "does not read" in words.splitlines()[0]
    assert "116 123" in words


@pytest.mark.parametrize(
    "text",
    [
        "I sleep badly.",
        "Duermo mal y estoy cansada.",
        "Je dors mal.",
        "Ich schlafe schlecht.",
        "ok",
        "",
        "12",
    ],
)
def test_a_language_that_is_read_needs_no_word(text: str):
    """Covered languages, and texts that tell too little, get no notice of this kind."""
    assert language_notice(screen(text), "GB") == ""


IN_THEIR_LANGUAGE = [
    ("quiero matarme esta noche", "es", "No tienes que pasar por esto a solas", "llama ahora al 112"),
    ("je veux me tuer ce soir", "fr", "Vous n'avez pas à traverser cela", "appelez maintenant le 112"),
    ("ich will mich heute nacht umbringen", "de", "Du musst da nicht allein durch", "wähle jetzt 112"),
    ("eu quero me matar hoje", "pt", "Você não precisa passar por isso", "ligue agora para 112"),
    ("mi voglio uccidere stasera", "it", "Non devi affrontare tutto questo", "chiama adesso il 112"),
    ("main apni jaan lena chahta hoon aaj raat", "hi", "Aapko ye sab akele nahi", "abhi 112 par call kijiye"),
]


@pytest.mark.parametrize(("text", "code", "opening", "call"), IN_THEIR_LANGUAGE)
def test_a_notice_is_said_in_the_language_of_the_text_and_then_in_english(
    text: str, code: str, opening: str, call: str
):
    """Each covered language has its own first line, with the number to call, and the English one next."""
    found = screen(text)
    assert found.crisis
    assert (found.language.code, notice_language(found.language)) == (code, code)
    first, second, *_ = crisis_notice(replace(found, level=Level.CLEAR), "DE").splitlines()
    assert first.startswith(opening)
    assert call in first
    assert second == notice(found.category or Category.SUICIDE, "DE").splitlines()[0]
    calm = crisis_notice(replace(found, level=Level.POSSIBLE), "DE").splitlines()
    assert calm[0] != first
    assert "112" in calm[0]
    assert calm[1].startswith("If any of this is about wanting to die")


@pytest.mark.parametrize("language", covered_languages(), ids=lambda language: language.code)
@pytest.mark.parametrize("category", Category)
@pytest.mark.parametrize("level", [Level.CLEAR, Level.POSSIBLE])
@pytest.mark.parametrize("country", ["IE", None])
def test_each_language_has_words_for_each_danger(
    language: Language, category: Category, level: Level, country: str | None
):
    """With the country's number or, where it is not known, the words for that; nothing is left to fill in."""
    told = crisis_notice(Screening(level=level, category=category, language=language), country)
    *openings, _ = told.splitlines()[: 2 if language.code == "en" else 3]
    assert len(set(openings)) == len(openings) == (1 if language.code == "en" else 2)
    for opening in openings:
        assert ("112 or 999" if country else "112") in opening
        assert opening.endswith(":")
        assert "{" not in opening
        assert not METHODS.search(opening)


def test_a_language_that_only_the_model_does_not_read_is_told_with_the_helplines():
    """In that language and in English; nothing of the kind stands beside a crisis notice."""
    spanish = screen("Duermo mal y estoy cansada, no tengo ganas de nada.").language
    first, second, *lines = language_notice(Screening(), "GB", spanish).splitlines()
    assert first.startswith("Esto parece estar escrito en español")
    assert second.startswith(
        "This seems to be written in Spanish, which the crisis screen reads and the model does not"
    )
    assert "116 123" in "".join(lines)
    assert language_notice(Screening(Level.POSSIBLE, Category.SUICIDE), "GB", spanish) == ""


def test_a_notice_is_rarely_in_a_language_that_is_not_the_texts():
    """Of all texts of data/crisis at most one in a hundred; most in another language get their own."""
    rows = [
        json.loads(row)
        for file in sorted(DATA.glob("*.jsonl"))
        for row in file.read_text(encoding="utf-8").splitlines()
    ]
    found = [(notice_language(language_of(row["input"])), row["language"][:2]) for row in rows]
    wrong = [pair for pair in found if pair[0] not in ("en", pair[1])]
    assert len(wrong) <= 0.01 * len(found)
    others = [pair for pair in found if pair[1] != "en"]
    assert sum(said == written for said, written in others) >= 0.9 * len(others)


def test_no_danger_no_notice():
    """A text without a sign of danger gets no words at all."""
    assert crisis_notice(screen("I sleep badly."), "GB") == ""


@pytest.mark.parametrize("country", [*COUNTRIES, None])
def test_each_entry_says_where_and_when_it_was_checked(country: str | None):
    """Every line has a way to reach it, a source and a date that is not in the future."""
    offered = helplines(country)
    for line in (*offered.lines, offered.directory):
        assert line.call or line.text or line.url
        assert line.source.startswith("https://")
        assert line.checked <= date.today()


@pytest.mark.parametrize(
    ("settings", "country"),
    [
        ({"LANG": "en_GB.UTF-8"}, "GB"),
        ({"LC_ALL": "en_IN", "LANG": "en_US.UTF-8"}, "IN"),
        ({"LC_MESSAGES": "de_AT@euro", "LANG": "en_US"}, "AT"),
        ({"LC_ALL": "C.UTF-8", "LANG": "en_US.UTF-8"}, None),
        ({"LC_ALL": "", "LANG": "en_NZ"}, "NZ"),
        ({"LANG": "eo"}, None),
        ({}, None),
    ],
)
def test_the_country_is_that_of_the_locale(
    settings: dict[str, str], country: str | None, monkeypatch: pytest.MonkeyPatch
):
    """The first of LC_ALL, LC_MESSAGES and LANG that is set decides, and may name no country."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert country_of_locale() == country
