"""Helplines by country, and the notice that is shown with them."""

import os
import re
from collections.abc import Iterator
from datetime import date
from functools import cache
from typing import Literal

from pydantic import BaseModel, ConfigDict

from symptoms.errors import InputError
from symptoms.packaged import packaged
from symptoms.safety.languages import Language
from symptoms.safety.rulebook import Category
from symptoms.safety.screening import Level, Screening

ALIASES = {"UK": "GB", "EL": "GR"}
COUNTRY = re.compile(r"[a-zA-Z]{2}")
LOCALE = re.compile(r"[a-zA-Z]{2,3}[_-]([a-zA-Z]{2})\b")

ORDER = {Category.DANGER_AT_HOME: ("home", "child", "crisis")}
USUAL_ORDER = ("crisis", "child")
LEADS = {"crisis": "", "home": "", "child": "For children and young people: "}


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Helpline(_Entry):
    """One line and whom it serves; `checked` is when its number was compared with `source`."""

    serves: Literal["crisis", "home", "child"]
    name: str
    call: str | None
    text: str | None
    url: str | None
    hours: str
    checked: date
    source: str

    def __str__(self) -> str:
        ways = [
            f"call {self.call}" if self.call else "",
            f"text {self.text}" if self.text else "",
            self.url or "",
        ]
        return f"{self.name}: {', '.join(way for way in ways if way)} ({self.hours})"


class Helplines(_Entry):
    """What a country offers. `emergency` is None where its number is not known here."""

    name: str
    emergency: str | None
    lines: tuple[Helpline, ...]
    directory: Helpline


class _Country(_Entry):
    name: str
    emergency: str | None
    lines: tuple[Helpline, ...]


class _EuropeanUnion(_Country):
    members: tuple[str, ...]


class _File(_Entry):
    countries: dict[str, _Country]
    european_union: _EuropeanUnion
    elsewhere: _Country
    directory: Helpline


def helplines(country: str | None) -> Helplines:
    """What a country offers, by its ISO 3166 code such as `GB`, and an international directory with it."""
    known = _file()
    code = country_code(country) or ""
    fallback = known.european_union if code in known.european_union.members else known.elsewhere
    found = known.countries.get(code, fallback)
    return Helplines(name=found.name, emergency=found.emergency, lines=found.lines, directory=known.directory)


def known_countries() -> tuple[str, ...]:
    """ISO 3166 codes of the countries whose emergency number is known, in order."""
    known = _file()
    return tuple(sorted({*known.countries, *known.european_union.members}))


def country_of_locale() -> str | None:
    """The country that LC_ALL, LC_MESSAGES or LANG name, the first that is set, or None."""
    settings = (os.environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    match = LOCALE.match(next((setting for setting in settings if setting), ""))
    return match[1].upper() if match else None


def country_code(told: str | None) -> str | None:
    """The ISO 3166 code that helplines go by, such as `GB` for `uk`; None where none was told."""
    code = (told or "").strip().upper()
    return ALIASES.get(code, code) or None


def check_country(told: str | None) -> None:
    """Raises InputError for what is no ISO 3166 code of two letters; None is no country and fine."""
    if told is not None and not COUNTRY.fullmatch(told.strip()):
        raise InputError(f"{told!r} is no country code; write two letters, such as GB.")


def crisis_notice(screening: Screening, country: str | None) -> str:
    """Calm words with numbers to call and text, help first; empty where the screening found no danger.

    At the level `possible` the opening is one line that supposes nothing. Where the text is in another
    language than English, the opening is said in that first, and in English on the next line: the text may
    be shown to someone else, and the language may be taken for another.
    """
    if screening.category is None:
        return ""
    key = screening.category.value
    if screening.level is not Level.CLEAR:
        key = "possible_someone_else" if screening.category is Category.SOMEONE_ELSE else "possible"
    return _notice(key, screening.language, screening.category, country)


def language_notice(screening: Screening, country: str | None, unlearnt: Language | None = None) -> str:
    """That a text is in a language which is not read, with the helplines; else empty.

    It is the crisis screen that does not read it, or, where that does, the model: `unlearnt` is the
    language that the text is in and that the model has not learnt from.
    """
    language = unread_language(screening, unlearnt)
    if language is None:
        return ""
    return _notice("only_screened" if language.covered else "unread", language, Category.SUICIDE, country)


def unread_language(screening: Screening, unlearnt: Language | None = None) -> Language | None:
    """The language that `language_notice` speaks of: the text's where it is not screened, else `unlearnt`.

    None where there is nothing to say, or a crisis notice says it.
    """
    if screening.crisis:
        return None
    return unlearnt if screening.language.covered else screening.language


def _notice(key: str, language: Language, category: Category, country: str | None) -> str:
    *lines, directory = lines_for(category, country)
    lead = "In another country: " if lines else ""
    return "\n".join(
        [
            *_openings(key, language, country),
            *(f"  {LEADS[line.serves]}{line}" for line in lines),
            f"  {lead}{directory}",
        ]
    )


def _openings(key: str, language: Language, country: str | None) -> Iterator[str]:
    known = _words()
    for code in dict.fromkeys([notice_language(language), "en"]):
        words = known[code]
        emergency = helplines(country).emergency or words["elsewhere"]
        yield words[key].replace("{language}", language.name).replace("{emergency}", emergency)


def notice_language(language: Language) -> str:
    """The code of the language in which a notice for a text in this one opens, `en` where it has no words."""
    return language.code if language.covered and language.code in _words() else "en"


@cache
def _words() -> dict[str, dict[str, str]]:
    return packaged(__package__, "openings.toml")


def lines_for(category: Category, country: str | None) -> tuple[Helpline, ...]:
    """The lines that help with this danger, in the notice's order, and last the international directory."""
    offered = helplines(country)
    serves = ORDER.get(category, USUAL_ORDER)
    chosen = (line for kind in serves for line in offered.lines if line.serves == kind)
    return (*chosen, offered.directory)


@cache
def _file() -> _File:
    return _File.model_validate(packaged(__package__, "helplines.json"))
