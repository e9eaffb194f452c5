"""Words in the plainest form that can still be told apart, for the learned layer and languages."""

import re
import unicodedata

_TOKEN = re.compile(r"[^\W_]+|[\U0001f300-\U0001faff]")
_APOSTROPHE_WITHIN = re.compile(r"(?<=[^\W\d_])'(?=[^\W\d_])")
_REPEATED = re.compile(r"(.)\1+")
_LETTERS = str.maketrans(
    {"ß": "ss", "ø": "o", "ł": "l", "\u0131": "i", "æ": "ae", "œ": "oe", "đ": "d"}
    | dict(
        zip(
            "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u0501\u04bb",
            "aeopcyxijsdh",
            strict=True,
        )
    )
)
"""Letters that NFKD leaves whole, and Cyrillic ones that stand for Latin ones which look the same."""


def folded(text: str) -> str:
    """Lower case, without accents or apostrophes within words."""
    text = text.lower() if text.isascii() else _folded(text)
    return _APOSTROPHE_WITHIN.sub("", text)


def tokens_of_folded(text: str) -> list[str]:
    """The words, numbers and pictograms of a folded text, each with its repeated letters once."""
    return [squeezed(token) for token in _TOKEN.findall(text)]


def squeezed(word: str) -> str:
    """The word with every letter once where it is repeated, so that `killl`, `kil` and `kill` are one."""
    return word if word.isdecimal() else _REPEATED.sub(r"\1", word)


def _folded(text: str) -> str:
    text = unicodedata.normalize("NFKD", text.casefold().translate(_LETTERS))
    return "".join(sign for sign in text if unicodedata.category(sign) != "Mn")
