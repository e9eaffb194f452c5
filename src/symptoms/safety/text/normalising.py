"""A text freed of what happened to it on its way and of disguises, once for every layer of the screen.

Case, accents and punctuation stay as they are: each layer reads them as it needs. What is undone here: HTML
entities, signs written as their codes, UTF-8 that was read as another encoding, apostrophes of every shape
and those that became another sign or lost their bytes, invisible characters, letters parted by spaces or
signs, digits inside words and letters inside numbers.
"""

import html
import re
import unicodedata

MOST_UNESCAPED = 2
"""How often `&amp;#39;` is unescaped: what was escaped twice is read, and no more."""

_BYTE_SIGNS = bytes(range(0x80, 0x100)).decode("cp1252", errors="ignore")
_CONTINUATION = re.escape(
    "".join(sign for sign in _BYTE_SIGNS if sign.encode("cp1252")[0] < 0xC0)
    + "\u0081\u008d\u008f\u0090\u009d"
)
_NEXT = f"[{_CONTINUATION}\u0080-\u00bf]"
_MISREAD = re.compile(f"[\u00c2-\u00df]{_NEXT}|[\u00e0-\u00ef]{_NEXT}{{2}}|[\u00f0-\u00f4]{_NEXT}{{3}}")
_WINDOWS_QUOTES = str.maketrans({"\u0091": "'", "\u0092": "'", "\u0093": '"', "\u0094": '"'})
_APOSTROPHES = str.maketrans(
    dict.fromkeys(
        "\u2018\u2019\u201a\u201b\u2032\u2035\u02b9\u02bb\u02bc\u02bd\u02c8\u02ca\u02cb\u0060\u00b4\u055a"
        "\u05f3\ua78c\uff07\u1fbf\u1ffd\u0374",
        "'",
    )
)
_MANY_QUOTES = re.compile(r"\\?'{2,}|\\'")
# A sign that stands where an apostrophe was: don?t, can"t, I\ufffdm.
_LOST = '[?\ufffd"^~;\\\\¿¬]'
_LOST_IN_ENGLISH = re.compile(rf"(?<=[a-zA-Z]){_LOST}(?=(?:t|s|m|re|ve|ll|d)\b)", re.IGNORECASE)
_LOST_IN_FRENCH = re.compile(rf"\b([jlndcsmt]|qu){_LOST}(?=[^\W\d_])", re.IGNORECASE)
_PARTED_NOT = re.compile(
    r"\b(do|ca|wo|is|did|does|could|would|should|have|has|had|was|were|are|ai|must|need)(n?) (n?t)\b",
    re.IGNORECASE,
)
_PARTED_I = re.compile(r"\b([Ii]) (m|ve|ll)\b(?! [a-zA-Z]\b)")
# What an apostrophe leaves where its last bytes are lost (\u00e2), and signs that stand for one in short
# forms alone, as elsewhere they are emphasis: don_t, don*t.
_REST = r"(?:[_*]|\u00e2[\u0080\u20ac]?[\u0099\u2122]?\s?)"
_LOST_IN_NOT = re.compile(
    r"(?<![\w*])((?:do|ca|wo|is|did|does|could|would|should|have|has|had|was|were|are|ai|must|need)n)"
    rf"{_REST}(t)(?![\w*])",
    re.IGNORECASE,
)
_LOST_IN_PRONOUN = re.compile(
    rf"(?<![\w*])(?:(i){_REST}(m|ve|ll|d)|(you|we|they){_REST}(re|ve)|(he|she|it|that|there|what){_REST}(s))(?![\w*])",
    re.IGNORECASE,
)
# %27 of addresses, =E2=80=99 of mail (quoted-printable), <U+2019> of R and \u2019 of JSON.
_CODES = re.compile(
    r"(?<=[^\W\d_])(?:((?:%[0-9a-fA-F]{2})+)|((?:=[0-9A-F]{2})+)|<U\+([0-9A-F]{4})>|\\u([0-9a-fA-F]{4}))(?=[^\W\d_])"
)
_OF_CODES = frozenset(" '\u2018\u2019\u02bc\u00b4\u2032")
_TURNED_MARK = re.compile("(?<=[a-zA-Z])\u00a1(?=[a-zA-Z])")
_TWO_V = re.compile(r"\b(?:v{2}(?=[aeiouh])|V{2}(?=[AEIOUH])|Vv(?=[aeiouh]))|(?<=\w)(?:vv|VV)\b")
_LETTERS_OF_NUMBER = re.compile(
    r"\b\d{1,4}(?:O{1,3}|o{1,3}(?=\s?(?:pill|tab|tablet|cap|capsule|painkiller|mg)s?\b))(?![^\W_])"
)
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff]"
)
_SPELT_OUT = re.compile(r"(?<![^\W_])[^\W\d_](?:([ .\-_*·~/|,]{1,3})[^\W\d_])(?:\1[^\W\d_])+(?![^\W_])")
_DIGITS_WITHIN = re.compile(r"(?<=[a-zA-Z])[013457@$]+(?=[a-zA-Z])")
_LETTER_OF_DIGIT = str.maketrans("013457@$", "oieastas")


def normalised(text: str) -> str:
    """The text as it was meant; the same again for its own result, and never an error, whatever the text."""
    for _ in range(MOST_UNESCAPED):
        if "&" not in text:
            break
        text = html.unescape(text)
    text = _CODES.sub(_of_codes, text)
    if not text.isascii():
        text = _read_as_meant(text)
        text = unicodedata.normalize("NFC", text).translate(_APOSTROPHES)
    text = _MANY_QUOTES.sub("'", text.replace("`", "'"))
    text = _LOST_IN_NOT.sub(r"\1'\2", text)
    text = _LOST_IN_PRONOUN.sub(_joined_pronoun, text)
    text = _LOST_IN_ENGLISH.sub("'", text)
    text = _LOST_IN_FRENCH.sub(r"\1'", text)
    # Before an exclamation it is what Spanish begins it with, a blank forgotten.
    text = text if "!" in text else _TURNED_MARK.sub("i", text)
    text = _TWO_V.sub(lambda letters: "W" if letters[0][0] == "V" else "w", text)
    text = _LETTERS_OF_NUMBER.sub(lambda number: number[0].replace("O", "0").replace("o", "0"), text)
    text = _PARTED_NOT.sub(_joined_not, text)
    return _PARTED_I.sub(r"\1'\2", text)


def _read_as_meant(text: str) -> str:
    """Without what was read in another encoding than it was written in, and without what is not seen."""
    before = ""
    while text != before:
        before = text
        text = _MISREAD.sub(lambda misread: _read_as_utf8(misread[0]), text)
        # What was not seen may have stood between the signs of one.
        text = _INVISIBLE.sub("", text.translate(_WINDOWS_QUOTES))
    return text


def closed_up(text: str) -> str:
    """`k i l l`, `k.i.l.l` and `k1ll` as one word."""
    text = _SPELT_OUT.sub(lambda spelt: "".join(sign for sign in spelt[0] if sign.isalpha()), text)
    return _DIGITS_WITHIN.sub(lambda digits: digits[0].translate(_LETTER_OF_DIGIT), text)


def _read_as_utf8(signs: str) -> str:
    try:
        return b"".join(_byte_of(sign) for sign in signs).decode("utf-8")
    except UnicodeError:
        return signs


def _byte_of(sign: str) -> bytes:
    try:
        return sign.encode("cp1252")
    except UnicodeError:
        return sign.encode("latin-1")


def _of_codes(codes: re.Match[str]) -> str:
    """The apostrophe or space that is written as its codes; what they say otherwise stays as it is."""
    in_address, in_mail, *points = codes.groups()
    in_bytes = in_address or in_mail
    if in_bytes:
        sign = bytes.fromhex(in_bytes.replace(in_bytes[0], "")).decode("utf-8", errors="replace")
    else:
        sign = chr(int(points[0] or points[1], 16))
    return sign if sign in _OF_CODES else codes[0]


def _joined_pronoun(parts: re.Match[str]) -> str:
    return "'".join(part for part in parts.groups() if part)


def _joined_not(parts: re.Match[str]) -> str:
    verb, first, rest = parts[1], parts[2], parts[3]
    # "is t" is no "isn't", and "do nt" is.
    return f"{verb}n't" if (first + rest).lower() == "nt" else parts[0]
