"""How it is said: dialect, formality, haste. Each register turns finished sentences into other ones."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random

WORDS = Path(__file__).parent / "words"


def read_words(name: str) -> list[str]:
    """The lines of a word list, without comments."""
    lines = (WORDS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def read_pairs(name: str) -> list[tuple[str, str]]:
    """Word and replacement in each line, with ` | ` between."""
    return [(left, right) for left, _, right in (line.partition(" | ") for line in read_words(name))]


AMERICAN = dict(read_pairs("american"))


def read_paraphrases() -> dict[str, tuple[str, ...]]:
    """What can stand for a phrase: of `first > others` for the first, of other lines for each."""
    found: dict[str, tuple[str, ...]] = {}
    for line in read_words("paraphrases"):
        first, arrow, others = line.partition(" > ")
        if arrow:
            found[first] = tuple(others.split(" | "))
        else:
            group = tuple(line.split(" | "))
            found.update(dict.fromkeys(group, group))
    return found


PARAPHRASES = read_paraphrases()
PARAPHRASE = re.compile(
    r"(?<![\w'])(?:" + "|".join(map(re.escape, sorted(PARAPHRASES, key=len, reverse=True))) + r")(?![\w'])"
)
LONG_FORMS = dict(read_pairs("long_forms"))
WORD = re.compile(r"[A-Za-z']+")
MISSPELLINGS = dict(read_pairs("misspelt"))
PROPER = frozenset(read_words("capitals"))


def start_small(sentence: str, names: frozenset[str]) -> str:
    """The sentence as it reads in the middle of another one."""
    first = sentence.split(" ", 1)[0].rstrip(",.'s:;")
    if first in PROPER or first in names or sentence.split(" ", 1)[0] in PROPER or not sentence[:1].isupper():
        return sentence
    return sentence[0].lower() + sentence[1:]


def start_big(sentence: str) -> str:
    """A sentence with its first letter in upper case."""
    return sentence[:1].upper() + sentence[1:]


ARTICLE = re.compile(r"\b([Aa])n? (?=[A-Za-z0-9])")
INNER_START = re.compile(r"(?<=[a-z0-9)\"][.!?] )[a-z]")
SPACES = re.compile(r" {2,}")
BEFORE_MARK = re.compile(r" +([,.!?;:])")
VOWEL_SOUND = re.compile(r"(?i)(?:[aeio]|u(?!ni[a-z]|s[eu]|k)|hour|honest|heir|8|11\b|18)(?!ne\b|nce\b|uro)")


def paraphrase(text: str, random: Random) -> str:
    """Most of the words and phrases that have an equal, exchanged for it."""

    def other(match: re.Match[str]) -> str:
        found = match.group()
        if random.random() < 0.3:
            return found
        options = PARAPHRASES[found]
        return options[int(random.random() * len(options))]

    return PARAPHRASE.sub(other, text)


SHORT_AFTERTHOUGHT = re.compile(r"(?<=[a-z])\. (?=[A-Z][a-z']*(?: [\w']+){0,5}[.]$)")


def fold(text: str, random: Random, names: frozenset[str]) -> str:
    """A short last sentence is often only an afterthought of the one before."""
    found = SHORT_AFTERTHOUGHT.search(text)
    if found is None or random.random() < 0.2:
        return text
    link = (" - ", ", ", "; ", ": ", ", and ", "... ")[int(random.random() * 6)]
    return text[: found.start()] + link + start_small(text[found.end() :], names)


def articles(text: str) -> str:
    """A before consonant sounds, an before vowel sounds."""

    def article(match: re.Match[str]) -> str:
        return match.group(1) + ("n " if VOWEL_SOUND.match(text, match.end()) else " ")

    return ARTICLE.sub(article, text)


def tidy(text: str) -> str:
    """Articles that fit the next word, one space, a capital after a full stop."""
    if "  " in text:
        text = SPACES.sub(" ", text)
    text = articles(BEFORE_MARK.sub(r"\1", text))
    return start_big(INNER_START.sub(lambda match: match.group().upper(), text).strip())


def american(text: str) -> str:
    """In American spelling and words, upper case as it was."""

    def other(match: re.Match[str]) -> str:
        word = match.group()
        found = AMERICAN.get(word) or AMERICAN.get(word.lower())
        if found is None:
            return word
        return start_big(found) if word[0].isupper() and word != "GP" else found

    return articles(WORD.sub(other, text))


def formal(text: str) -> str:
    """With contractions written out."""

    def other(match: re.Match[str]) -> str:
        word = match.group()
        found = LONG_FORMS.get(word)
        if found is None and word[0].isupper() and word[1:2] != "'":
            found = LONG_FORMS.get(word.lower())
            return start_big(found) if found else word
        return found or word

    return WORD.sub(other, text)


TERSE_STARTS = (
    "I have been ",
    "I've been ",
    "I am ",
    "I'm ",
    "It is ",
    "It's ",
    "There is ",
    "There's ",
    "I have ",
    "I've ",
    "I ",
    "My ",
)


def terse(sentence: str) -> str:
    """A note rather than a sentence: the subject is left out."""
    for start in TERSE_STARTS:
        if sentence.startswith(start):
            return start_big(sentence[len(start) :])
    return sentence


def hasty(text: str, random: Random) -> str:
    """Lower case, apostrophes lost, here and there a slip of the finger."""
    if random.random() < 0.8:
        text = text.lower()
    if random.random() < 0.6:
        text = text.replace("'", "")
    words = text.split(" ")
    for _ in range(1 + len(words) // 30):
        at = int(random.random() * len(words))
        words[at] = MISSPELLINGS.get(words[at]) or slip(words[at], random)
    text = " ".join(words)
    if random.random() < 0.35:
        text = text.replace(". ", random.choice((" ", ", ", "... ", " - ")))
    if random.random() < 0.6:
        text = text.rstrip(".")
    return text


def slip(word: str, random: Random) -> str:
    """A word of four letters or more with two swapped, one left out or one doubled inside it."""
    if len(word) < 4 or not word.isalpha():
        return word
    at = 1 + int(random.random() * (len(word) - 3))
    how = random.random()
    if how < 0.4:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if how < 0.7:
        return word[:at] + word[at + 1 :]
    return word[:at] + word[at] + word[at:]


SINCE = re.compile(
    r"\bfor ((?:about |nearly |over |at least |roughly )?(?:\w+|a couple of) (?:days|weeks|months|years))\b"
)


SENTENCE_I = re.compile(r"(^|[.!?] )I ")


def indian(text: str, random: Random) -> str:
    """With turns of Indian English."""
    text = SINCE.sub(r"since \1", text) if random.random() < 0.7 else text
    for old, new in (
        ("I don't know what to do", "I am not understanding what to do"),
        ("I don't understand", "I am not understanding"),
        ("I feel ", "I am feeling "),
        ("I think ", "I am thinking "),
        (" every day", " daily"),
        (" nowadays", " these days only"),
        ("friends ", "friends and all "),
        ("my mum", "my mummy"),
        ("my dad", "my papa"),
        ("My mum", "My mummy"),
        ("My dad", "My papa"),
        ("parents-in-law", "in-laws"),
    ):
        if old in text and random.random() < 0.6:
            text = text.replace(old, new, 1)
    if random.random() < 0.3:
        text = (
            text.replace(". ", " only. ", 1)
            if random.random() < 0.4
            else SENTENCE_I.sub(r"\1Actually I ", text, count=1)
        )
    return text


ARTICLES = re.compile(r"\b(?:the|a|an) (?=[a-z])")


def second_language(text: str, random: Random) -> str:
    """English learned later: articles lost, the perfect tense avoided, a few plain verbs."""
    text = SINCE.sub(r"since \1", text)
    text = ARTICLES.sub(lambda match: "" if random.random() < 0.35 else match.group(), text)
    for old, new in (
        ("I've been ", "I am "),
        ("I have been ", "I am "),
        ("didn't ", "did not "),
        ("doesn't ", "don't "),
        ("can't ", "cannot "),
        (" every night", " all nights"),
        (" makes me ", " make me "),
        (" quickly", " fast"),
        ("It's ", "Is "),
        ("There's ", "There is "),
        (" at night", " in the night"),
    ):
        if old in text and random.random() < 0.6:
            text = text.replace(old, new)
    return text
