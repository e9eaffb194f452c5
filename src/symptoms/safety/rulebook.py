"""The rules of the screen, read from the folder `rules`."""

import tomllib
from enum import StrEnum
from importlib.resources import files

from pydantic import BaseModel, ConfigDict


class Category(StrEnum):
    """What a text is a sign of, the most urgent first."""

    COMMAND_VOICES = "command_voices"
    SUICIDE = "suicide"
    HARM_TO_OTHERS = "harm_to_others"
    DANGER_AT_HOME = "danger_at_home"
    SELF_HARM = "self_harm"
    SOMEONE_ELSE = "someone_else"


class Reach(StrEnum):
    """Which signs an exception excuses, seen from its own phrase."""

    PHRASE = "phrase"  # that end within it: "killing myself laughing"
    NEXT = "next"  # that begin right after it: "no thoughts of ..."
    NEAR = "near"  # a few words from it, with no turn such as "but now" between: "ten years ago ..."
    ONWARD = "onward"  # that follow in the sentence before the writer comes in: "in the novel she ..."
    BESIDE = "beside"  # in its sentence and the two beside it: "I would never do it"


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DangerRule(_Entry):
    """Phrases that are a sign of danger, with texts that it must match and must leave alone."""

    id: str
    category: Category
    why: str
    patterns: tuple[str, ...]
    matches: tuple[str, ...]
    leaves: tuple[str, ...]


class ExceptionRule(_Entry):
    """Phrases that excuse a sign of danger.

    With `only`, it excuses no rules but those whose id begins so; with `also`, it holds where one of these
    phrases is in the text too; with `unless`, where none of these is. `leaves` are texts that it excuses,
    `matches` texts next to them that it must not.
    """

    id: str
    reach: Reach
    why: str
    patterns: tuple[str, ...]
    only: tuple[str, ...] = ("",)
    also: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    matches: tuple[str, ...]
    leaves: tuple[str, ...]


class Reading(_Entry):
    """Words, with blanks between them, that are found in pieces or behind signs, and with a letter wrong."""

    disguised: str
    often_misspelt: str


class Words(_Entry):
    """The tables of words.toml: what is read as another letter or word, and lists that the rules name."""

    look_alikes: dict[str, str]
    short_forms: dict[str, str]
    spellings: dict[str, tuple[str, ...]]
    reading: Reading
    lists: dict[str, str]


class RuleBook(_Entry):
    """Everything that the screen goes by."""

    rules: tuple[DangerRule, ...]
    exceptions: tuple[ExceptionRule, ...]
    words: Words


def read_rule_book() -> RuleBook:
    """The rule book that ships; raises pydantic.ValidationError where a file is not in its form."""
    folder = files(__package__ or __name__).joinpath("rules")
    read = {file.name: tomllib.loads(file.read_text(encoding="utf-8")) for file in folder.iterdir()}
    words = read.pop("words.toml")
    in_order = [read[name] for name in sorted(read)]
    return RuleBook.model_validate(
        {
            "rules": [rule for content in in_order for rule in content.get("rule", ())],
            "exceptions": [rule for content in in_order for rule in content.get("exception", ())],
            "words": words,
        }
    )
