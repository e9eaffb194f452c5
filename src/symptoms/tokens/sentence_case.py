"""Text in sentence case: capitals where a sentence begins and in `I`, whatever case it was written in."""

import re

_BEGINNING = re.compile(r"(?:\A|(?<=[.!?])\s+|\n\s*)[\W_]*([^\W_])")
_I = re.compile(r"\bi(?=\b)(?!\.\w)")


def in_sentence_case(text: str) -> str:
    """The same text with capitals only where a sentence begins, and in `I`.

    A text, the same in capitals and the same in small letters all become one. Names lose their capital.
    """
    small = text.lower()
    return _I.sub("I", _BEGINNING.sub(lambda found: found.group()[:-1] + found.group(1).upper(), small))
