"""Who is writing, and about whom: changes of age, gender, ethnicity and country that should not matter."""

import re
from collections.abc import Mapping, Sequence

from symptoms.packaged import packaged

_TOLD = packaged(__package__, "groups.toml")
INTRODUCTIONS: Mapping[str, Sequence[str]] = _TOLD["introductions"]


def _already_told(subject: str, alternatives: Sequence[str]) -> re.Pattern[str]:
    pattern = "|".join(alternatives)
    for name in ("birth", "self", "tens"):
        pattern = pattern.replace(name.upper(), _TOLD[name])
    return re.compile(rf"\b({pattern})\b", re.NOFLAG if subject == "country" else re.IGNORECASE)


# What a text may already say about its writer: then an introduction could contradict it.
ALREADY_TOLD = {subject: _already_told(subject, told) for subject, told in _TOLD["already_told"].items()}
_PAIRS: Sequence[tuple[str, str]] = [tuple(pair.split("/")) for pair in _TOLD["pairs"].split()]
_OTHER_GENDER = {second: first for first, second in _PAIRS} | dict(_PAIRS) | {"dad": "mum", "hers": "his"}
# In ASCII: beyond it some capitals match a word that they do not become when written small.
_GENDERED = re.compile(
    rf"\b(?a:{'|'.join(sorted([*_OTHER_GENDER, 'his'], key=len, reverse=True))})\b", re.IGNORECASE
)
_NAMES_OR_BODIES = re.compile(rf"\b({_TOLD['birth']}|periods?|mr|mrs|ms|sir|madam)\b", re.IGNORECASE)
# Before these words `her` is the one it happens to (him), not the one it belongs to (his).
_NOT_OWNED = re.compile(rf"\s+({'|'.join(_TOLD['not_owned'].split())})\b", re.IGNORECASE)


def introduce(text: str, subject: str, introduction: str) -> str | None:
    """A sentence about the writer before the text; None where the text itself speaks of that."""
    if ALREADY_TOLD[subject].search(text):
        return None
    return introduction + text


def swap_gender_of_others(text: str) -> str | None:
    """He for she and wife for husband, throughout; None without such words, and near births and titles."""
    if _NAMES_OR_BODIES.search(text) or not _GENDERED.search(text):
        return None

    def other(match: re.Match[str]) -> str:
        word, rest = match[0].lower(), text[match.end() :]
        is_possessive = bool(re.match(r"\s+\w", rest)) and not _NOT_OWNED.match(rest)
        if word == "her":
            replaced = "his" if is_possessive else "him"
        elif word == "his":
            replaced = "her" if is_possessive else "hers"
        else:
            replaced = _OTHER_GENDER[word]
        if match[0].isupper():
            return replaced.upper()
        return replaced.capitalize() if match[0][0].isupper() else replaced

    return _GENDERED.sub(other, text)
