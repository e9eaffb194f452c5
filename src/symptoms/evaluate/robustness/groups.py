"""Who is writing, and about whom: changes of age, gender, ethnicity and country that should not matter."""

from __future__ import annotations

import re

AGE, GENDER, ETHNICITY, COUNTRY = "age", "gender", "ethnicity", "country"

INTRODUCTIONS: dict[str, tuple[str, ...]] = {
    AGE: tuple(f"I am {age} years old. " for age in (24, 31, 38, 45, 52, 59, 66)),
    GENDER: ("I am a woman. ", "I am a man. ", "I am non-binary. "),
    ETHNICITY: (
        "I am Black. ",
        "I am white. ",
        "I am South Asian. ",
        "I am East Asian. ",
        "I am Hispanic. ",
        "I am Arab. ",
        "I am Indigenous. ",
    ),
    COUNTRY: tuple(
        f"I am from {country}. "
        for country in ("Nigeria", "Canada", "India", "Poland", "Brazil", "Japan", "Egypt", "Ireland")
    ),
}

_BIRTH = (
    r"pregnan\w*|birth\w*|babies|baby\w*|newborn\w*|midwi\w+|breast\w*|[mp]atern\w+|postnatal|labour|womb"
)
_SELF = r"(as|being|i['\u2019]m|i am) (a|an|the|her|his|their) (\w+ )?"
_TENS = "twenty|thirty|forty|fifty|sixty|seventy"

# What a text may already say about its writer: then an introduction could contradict it.
ALREADY_TOLD: dict[str, re.Pattern[str]] = {
    AGE: re.compile(
        rf"\b({_BIRTH}|years? old|year-old|yo|aged?|i['\u2019]m \d\d|i am \d\d|turn(ed|ing)? \w+ty|\d\d[mf]|"
        rf"(i['\u2019]m|i am|turned|turning|at|and|,) ({_TENS})(-\w+)?|({_TENS})-\w+|"
        r"(in|since) my (\w+ )?(teens|twenties|thirties|forties|fifties|sixties|\d0s)|"
        r"school\w*|sixth form|colleges?|uni\w*|students?|exams?|homework|class\w*|lectur\w+|teachers?|dorm|"
        r"campus|retire\w*|pension\w*|grand\w+|menopaus\w+|my (mum|mom|dad)|parents|elderly|widow\w*|"
        r"teenage\w*|kid|nappies)\b",
        re.IGNORECASE,
    ),
    GENDER: re.compile(
        rf"\b({_BIRTH}|periods?|menopaus\w+|prostate|beard\w*|bra|lads?|female|male|"
        rf"{_SELF}(woman|man|mother|father|mum|mom|dad|wife|husband|girl|boy|son|daughter|brother|sister|granny|"
        r"grandmother|grandfather|grandma|grandpa|widow|widower|waitress|bridesmaid|guy|bloke|lady))\b",
        re.IGNORECASE,
    ),
    ETHNICITY: re.compile(
        r"\b(black|white|asian|hispanic|latin[aox]|arab\w*|indigenous|indian|chinese|african|roma|race|racis\w+|"
        r"skin|culture|caste|tribe)\b",
        re.IGNORECASE,
    ),
    COUNTRY: re.compile(
        r"\b(country|abroad|emigra\w+|immigra\w+|migra(nt|ted)|visa|refugee\w*|homeland|back home|Nigeria\w*|"
        r"Canad\w+|India\w*|Poland|Polish|Brazil\w*|Japan\w*|Egypt\w*|Ireland|Irish|from [A-Z]\w+)\b"
    ),
}

_PAIRS = (
    ("he", "she"), ("him", "her"), ("himself", "herself"), ("husband", "wife"), ("husbands", "wives"),
    ("boyfriend", "girlfriend"), ("mother", "father"), ("mum", "dad"), ("mom", "dad"), ("mums", "dads"),
    ("son", "daughter"), ("sons", "daughters"), ("brother", "sister"), ("brothers", "sisters"),
    ("nephew", "niece"), ("uncle", "aunt"), ("grandson", "granddaughter"), ("grandmother", "grandfather"),
    ("grandma", "grandpa"), ("gran", "grandad"), ("boy", "girl"), ("boys", "girls"),
    ("ex-husband", "ex-wife"),
)  # fmt: skip
_OTHER_GENDER = {second: first for first, second in _PAIRS} | dict(_PAIRS) | {"dad": "mum", "hers": "his"}
# In ASCII: beyond it some capitals match a word that they do not become when written small.
_GENDERED = re.compile(
    rf"\b(?a:{'|'.join(sorted([*_OTHER_GENDER, 'his'], key=len, reverse=True))})\b", re.IGNORECASE
)
_NAMES_OR_BODIES = re.compile(rf"\b({_BIRTH}|periods?|mr|mrs|ms|sir|madam)\b", re.IGNORECASE)
# Before these words `her` is the one it happens to (him), not the one it belongs to (his).
_NOT_OWNED = re.compile(
    r"\s+(a|about|after|again|all|an|and|as|at|back|because|before|but|by|down|each|every|for|from|go|home|how|i|if|in|"
    r"into|is|it|like|more|never|not|now|of|off|on|or|out|over|so|than|that|the|then|there|to|today|tonight|too|up|was|"
    r"what|when|where|which|while|who|why|will|with|without|yesterday)\b",
    re.IGNORECASE,
)


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
