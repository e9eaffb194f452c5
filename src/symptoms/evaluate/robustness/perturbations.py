"""Small changes of a text, after CheckList (Ribeiro et al. 2020).

Each gives another text, or None where it does not apply.
"""

import re
from collections.abc import Iterable
from random import Random

from symptoms.data.misspelling.keyboard import keys_beside
from symptoms.packaged import packaged

_TOLD = packaged(__package__, "perturbations.toml")
TRIED_OPENINGS: tuple[str, ...] = tuple(_TOLD["openings"])
IRRELEVANT_SENTENCES: tuple[str, ...] = tuple(_TOLD["irrelevant_sentences"])
RETELLINGS: tuple[str, ...] = tuple(_TOLD["retellings"])
NEGATABLE = "do|does|did|is|are|was|were|have|has|had|could|would|should|must|need"

LEANING, COMMON_FIRST_WORD = (
    re.compile(rf"({'|'.join(_TOLD[name].split())})\b", re.IGNORECASE)
    for name in ("leaning", "common_first_word")
)

APOSTROPHE = r"['\u2019]"
NOT_A_QUESTION = r"\b(?! (?:I|you|he|she|it|we|they)\b)"


def make_typos(text: str, random: Random) -> str | None:
    """One or two slips in words of five letters or more: two letters exchanged, or the key beside."""
    words = [match.span() for match in re.finditer(r"[a-zA-Z]{5,}", text)]
    if not words:
        return None
    changed = list(text)
    for start, end in random.sample(words, min(len(words), random.choice((1, 2)))):
        # The first letter of a word is seldom missed, and carries most of it.
        exchangeable = [at for at in range(start + 1, end - 1) if text[at] != text[at + 1]]
        if exchangeable and random.random() < 0.5:
            at = random.choice(exchangeable)
            changed[at], changed[at + 1] = changed[at + 1], changed[at]
        else:
            at = random.randrange(start + 1, end)
            key = random.choice(keys_beside(text[at]))
            changed[at] = key.upper() if text[at].isupper() else key
    return "".join(changed)


def lower_case(text: str) -> str | None:
    """Everything small."""
    return _if_other(text, text.lower())


def upper_case(text: str) -> str | None:
    """Everything in capitals."""
    return _if_other(text, text.upper())


def expand_contractions(text: str) -> str | None:
    """`I'm` becomes `I am`. What could stand for two things ('s and 'd) and turned questions stay."""
    rules = [
        (rf"\b(w)on{APOSTROPHE}t{NOT_A_QUESTION}", r"\1ill not"),
        (rf"\b(ca)n{APOSTROPHE}t{NOT_A_QUESTION}", r"\1nnot"),
        (rf"\b({NEGATABLE})n{APOSTROPHE}t{NOT_A_QUESTION}", r"\1 not"),
        *(
            (rf"\b(I|you|we|they){APOSTROPHE}{short}\b", rf"\1 {long}")
            for short, long in (("m", "am"), ("re", "are"), ("ve", "have"), ("ll", "will"))
        ),
    ]
    return _if_other(text, _replaced(text, rules))


def contract(text: str) -> str | None:
    """`I am` becomes `I'm`, only where another word follows."""
    rules = [
        (r"\b(w)ill not\b", r"\1on't"),
        (r"\b(ca)nnot\b", r"\1n't"),
        (rf"\b({NEGATABLE}) not\b", r"\1n't"),
        (r"\b(I) am(?= \w)", r"\1'm"),
        (r"\b(you|we|they) are(?= \w)", r"\1're"),
        (r"\b(I|you|we|they) have(?= (?:been|had|never|always|lost|got)\b)", r"\1've"),
    ]
    return _if_other(text, _replaced(text, rules))


def open_otherwise(text: str, random: Random) -> str:
    """A few words before the first one."""
    return random.choice(TRIED_OPENINGS) + _small_first(text)


def reorder_sentences(text: str, random: Random) -> str | None:
    """The sentences after the first in another order; None below two, or where one leans on another."""
    first, *others = sentences(text)
    if len(set(others)) < 2 or any(LEANING.match(sentence) for sentence in others):
        return None
    shuffled = others
    while shuffled == others:
        shuffled = random.sample(others, len(others))
    return " ".join([first, *shuffled])


def add_irrelevant_sentence(text: str, random: Random) -> str:
    """One sentence at the end, about the weather, a bus or dinner."""
    return f"{text.rstrip()} {random.choice(IRRELEVANT_SENTENCES)}"


def retell(text: str, random: Random) -> str:
    """The text as somebody else's words, of whom less is known than of the writer."""
    return random.choice(RETELLINGS).format(text=text)


def sentences(text: str) -> list[str]:
    """The sentences of a text, at least one; titles such as `Dr.` end none."""
    return re.split(r"(?<=[.!?])(?<!\bDr\.)(?<!\bMr\.)(?<!\bMrs\.)(?<!\bMs\.)(?<!\bSt\.)\s+", text.strip())


def _small_first(text: str) -> str:
    return text[0].lower() + text[1:] if COMMON_FIRST_WORD.match(text) else text


def _replaced(text: str, rules: Iterable[tuple[str, str]]) -> str:
    for pattern, replacement in rules:
        text = re.sub(pattern, replacement, text, flags=re.IGNORECASE)
    return text


def _if_other(text: str, changed: str) -> str | None:
    return None if changed == text else changed
