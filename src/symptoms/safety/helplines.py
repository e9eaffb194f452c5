"""Helplines by country, and the notice that is shown with them."""

from __future__ import annotations

import json
import os
import re
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Literal

from pydantic import BaseModel, ConfigDict

from symptoms.errors import InputError
from symptoms.safety.layers import Level, Screening
from symptoms.safety.rulebook import Category

ALIASES = {"UK": "GB", "EL": "GR"}
EMERGENCY_ELSEWHERE = "your local emergency number (112 works on most mobile phones)"
COUNTRY = re.compile(r"[a-zA-Z]{2}")
LOCALE = re.compile(r"[a-zA-Z]{2,3}[_-]([a-zA-Z]{2})\b")

OPENINGS = {
    Category.COMMAND_VOICES: (
        "You do not have to do what a voice tells you, however strong it is. If you might act on it, call "
        "{emergency} now, and stay near someone you trust. There is help for this; these people will listen:"
    ),
    Category.SUICIDE: (
        "You do not have to go through this alone. If you might act on these thoughts, or already have, call "
        "{emergency} now. If you can, be with someone, and away from anything that could harm you. People "
        "who know these thoughts well are there to talk:"
    ),
    Category.HARM_TO_OTHERS: (
        "If someone could get hurt, put distance between you and them now, and call {emergency}. Frightening "
        "thoughts about harm can be talked about, and asking for help is the right thing to do. These people "
        "listen without judging:"
    ),
    Category.DANGER_AT_HOME: (
        "You deserve to be safe, and what someone does to you is not your fault. In danger now, call "
        "{emergency} as soon as you can do so safely. These people help in confidence; if somebody may look "
        "at your phone or computer, use another one if you can:"
    ),
    Category.SELF_HARM: (
        "You deserve care, also for this. If you are badly hurt, or afraid that you may be, call {emergency} "
        "now. These people listen without judging:"
    ),
    Category.SOMEONE_ELSE: (
        "It is good that you are there for them. If they are in danger now, call {emergency}, and stay with "
        "them if it is safe. You can ask them openly about suicide: asking does not put the idea in their "
        "head. These lines are for people who worry about someone, too:"
    ),
}
POSSIBLE = (
    "If any of this is about wanting to die, being hurt or hurting someone, help is here. In danger now, "
    "call {emergency}:"
)
POSSIBLE_SOMEONE_ELSE = (
    "If you are worried that someone may want to die or may be hurt, help is here for you and for them. In "
    "danger now, call {emergency}:"
)
UNREAD = (
    "This seems to be written in {language}, which the crisis screen does not read, so it cannot notice "
    "danger here. If any of this is about wanting to die, being hurt or hurting someone, help is here. In "
    "danger now, call {emergency}:"
)
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

    At the level `possible` the opening is one line that supposes nothing.
    """
    if screening.category is None:
        return ""
    if screening.level is Level.CLEAR:
        opening = OPENINGS[screening.category]
    elif screening.category is Category.SOMEONE_ELSE:
        opening = POSSIBLE_SOMEONE_ELSE
    else:
        opening = POSSIBLE
    return _notice(opening, screening.category, country)


def language_notice(screening: Screening, country: str | None) -> str:
    """That a text is in a language which the screen does not read, with the helplines; else empty."""
    if screening.language.covered or screening.crisis:
        return ""
    opening = UNREAD.replace("{language}", screening.language.name)
    return _notice(opening, Category.SUICIDE, country)


def _notice(opening: str, category: Category, country: str | None) -> str:
    *lines, directory = lines_for(category, country)
    first = opening.format(emergency=helplines(country).emergency or EMERGENCY_ELSEWHERE)
    lead = "In another country: " if lines else ""
    return "\n".join([first, *(f"  {LEADS[line.serves]}{line}" for line in lines), f"  {lead}{directory}"])


def lines_for(category: Category, country: str | None) -> tuple[Helpline, ...]:
    """The lines that help with this danger, in the notice's order, and last the international directory."""
    offered = helplines(country)
    serves = ORDER.get(category, USUAL_ORDER)
    chosen = (line for kind in serves for line in offered.lines if line.serves == kind)
    return (*chosen, offered.directory)


@cache
def _file() -> _File:
    text = files(__package__ or __name__).joinpath("helplines.json").read_text(encoding="utf-8")
    return _File.model_validate(json.loads(text))
