"""Small changes of a text, after CheckList (Ribeiro et al. 2020): each gives another text, or None where it does not apply."""

from __future__ import annotations

import re
from random import Random

NEIGHBOURING_KEYS = {
    "q": "wa", "w": "qes", "e": "wrd", "r": "etf", "t": "ryg", "y": "tuh", "u": "yij", "i": "uok", "o": "ipl", "p": "o",
    "a": "sqz", "s": "adw", "d": "sfe", "f": "dgr", "g": "fht", "h": "gjy", "j": "hku", "k": "jli", "l": "ko",
    "z": "xa", "x": "zcs", "c": "xvd", "v": "cbf", "b": "vng", "n": "bmh", "m": "nj",
}  # fmt: skip

OPENINGS = (
    "For context, ",
    "Not sure where to start, but ",
    "Sorry if this is long, ",
    "First time writing about this: ",
    "So, to put it briefly, ",
)

IRRELEVANT_SENTENCES = (
    "It has been raining here since this morning.",
    "The bus into town goes from the other side of the road now.",
    "We are having lentil soup with bread tonight.",
    "The library is open until six on Thursdays.",
    "I am writing this on a new phone.",
    "They are repainting the front door of our building green.",
)

RETELLINGS = (
    'This is from a novel I am reading: "{text}"',
    'My neighbour told me: "{text}"',
    'A character in the play we saw says: "{text}"',
    'I heard a caller on the radio say: "{text}"',
)

NEGATABLE = "do|does|did|is|are|was|were|have|has|had|could|would|should|must|need"

# Openings of sentences that lean on the sentence before them.
LEANING = re.compile(
    r"(then|so|but|and|or|because|which|except|otherwise|instead|afterwards|again|that|this|those|these|same|until|"
    r"not|nor|only|even|also|plus|later|now|after|before|well|yes|still|mine)\b",
    re.IGNORECASE,
)

# First words that may be written small after an inserted opening; any other may be a name.
COMMON_FIRST_WORDS = frozenset(
    "a about after all an any at because before but every everyone for from how if in it it's it’s just last lately "
    "most my no nobody not nothing of on once one our people some someone something sometimes since that the there "
    "there's there’s these they they're they’re this to we we're we’re what whatever when whenever with".split()
)


def make_typos(text: str, random: Random) -> str | None:
    """One or two slips of the finger inside words of five letters or more: two letters exchanged, or a key beside."""
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
            key = random.choice(NEIGHBOURING_KEYS[text[at].lower()])
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
    expanded = re.sub(r"\b(w)on['’]t\b", r"\1ill not", text, flags=re.IGNORECASE)
    expanded = re.sub(r"\b(ca)n['’]t\b(?! (?:I|you|he|she|it|we|they)\b)", r"\1nnot", expanded, flags=re.IGNORECASE)
    expanded = re.sub(
        rf"\b({NEGATABLE})n['’]t\b(?! (?:I|you|he|she|it|we|they)\b)", r"\1 not", expanded, flags=re.IGNORECASE
    )
    for short, long in (("m", "am"), ("re", "are"), ("ve", "have"), ("ll", "will")):
        expanded = re.sub(rf"\b(I|you|we|they)['’]{short}\b", rf"\1 {long}", expanded, flags=re.IGNORECASE)
    return _if_other(text, expanded)


def contract(text: str) -> str | None:
    """`I am` becomes `I'm`, only where another word follows."""
    shorter = re.sub(r"\b(w)ill not\b", r"\1on't", text, flags=re.IGNORECASE)
    shorter = re.sub(r"\b(ca)nnot\b", r"\1n't", shorter, flags=re.IGNORECASE)
    shorter = re.sub(r"\b(do|does|did|is|are|was|were|could|would|should) not\b", r"\1n't", shorter, flags=re.IGNORECASE)
    shorter = re.sub(r"\b(I) am(?= \w)", r"\1'm", shorter)
    shorter = re.sub(r"\b(you|we|they) are(?= \w)", r"\1're", shorter, flags=re.IGNORECASE)
    shorter = re.sub(r"\b(I|you|we|they) have(?= (?:been|had|never|always|lost|got)\b)", r"\1've", shorter, flags=re.IGNORECASE)
    return _if_other(text, shorter)


def open_otherwise(text: str, random: Random) -> str:
    """A few words before the first one."""
    return random.choice(OPENINGS) + _small_first(text)


def reorder_sentences(text: str, random: Random) -> str | None:
    """The sentences after the first in another order; None below three, or where one leans on the one before."""
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
    first = re.match(r"[\w'’]+", text)
    return text[0].lower() + text[1:] if first and first[0].lower() in COMMON_FIRST_WORDS else text


def _if_other(text: str, changed: str) -> str | None:
    return None if changed == text else changed
