"""A text as plain words: lower case, without disguises, short forms written out."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from symptoms.safety.patterns import CLAUSE_END, SENTENCE_END
from symptoms.safety.rulebook import Words

LEETSPEAK = (str.maketrans("013457@$!|", "oieastasii"), str.maketrans("013457@$!|", "oleastasil"))
FEWEST_OF_MANY = 10
"""From which number on tablets are many."""
LONGEST_COUNT = 9
ARTICLES = frozenset(["un", "una"])
"""Words of other languages that are also a piece of a sign: `un alive`."""
SHORTEST_RUN_ON = 6
LONGEST_MISSPELT = 12
SHORTEST_DOUBLED = 5
LONGEST_RUN_ON = 500

_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")
_NAMED_LETTER = re.compile(r"LETTER (?:SMALL CAPITAL |DOTLESS )?([A-Z])\b")
_STRETCHED = re.compile(r"(.)\1\1+")
_YEAR = re.compile(r"(?:19|20)\d\d")
_ENDS = (SENTENCE_END, CLAUSE_END)
_NOT_ALNUM = re.compile(r"[\W_]+")
_APOSTROPHE_SIGNS = str.maketrans(dict.fromkeys("\u2019\u2018\u02bc\u0060\u00b4\uff07", "'"))
_APOSTROPHE_SIGNS[ord("\r")] = " "


@dataclass(frozen=True)
class Lexicon:
    """What the screen knows of words; see words.toml.

    `known` are all words of the rules, `disguised` those worth finding in pieces or behind signs.
    """

    known: frozenset[str]
    disguised: frozenset[str]
    by_shape: dict[tuple[str, int], tuple[str, ...]]
    beginnings: frozenset[str]
    readable_beginnings: frozenset[str]
    written_out: dict[str, tuple[str, ...]]
    misspelt: dict[str, str]
    look_alikes: dict[str, str]


def build_lexicon(vocabulary: Iterable[str], words: Words) -> Lexicon:
    """The lexicon of the rules' vocabulary and the tables of words.toml."""
    disguised = words.reading.disguised.split()
    misspelt = {
        near: word for word in words.reading.often_misspelt.split() for near in _with_a_letter_less(word)
    }
    misspelt |= {variant: word for word, variants in words.spellings.items() for variant in variants}
    known = frozenset([*vocabulary, *disguised])
    return Lexicon(
        known=known,
        disguised=frozenset(disguised),
        by_shape={
            (first, length): tuple(word for word in disguised if word[0] == first and len(word) == length)
            for first, length in {(word[0], len(word)) for word in disguised}
        },
        beginnings=_beginnings(disguised),
        readable_beginnings=_beginnings([*known, *words.short_forms, *misspelt]),
        written_out={short: tuple(full.split()) for short, full in words.short_forms.items()},
        misspelt=misspelt,
        look_alikes={sign: letter for letter, signs in words.look_alikes.items() for sign in signs},
    )


def words_for_rules(text: str, lexicon: Lexicon) -> list[str]:
    """The words of a text, with `.` around sentences and `,` between clauses."""
    table = {
        ord(sign): _letters(sign, lexicon) for sign in set(text) if not (sign.isascii() and sign.islower())
    }
    plain = _BLANK_LINE.sub(" . ", text.translate(table))
    seen: dict[str, tuple[str, ...]] = {}
    words: list[str] = []
    for chunk in plain.split():
        if chunk not in seen:
            seen[chunk] = tuple(_words_of_chunk(chunk, lexicon))
        words.extend(seen[chunk])
    whole = _with_blanks_in_place(_join_pieces(_close_up_single_letters(words), lexicon), lexicon)
    read = {word: _words_of_letters(word, lexicon) for word in set(whole)}
    return [SENTENCE_END, *(full for word in whole for full in read[word]), SENTENCE_END]


def _letters(sign: str, lexicon: Lexicon) -> str:
    """What a character stands for: any k, wide, Cyrillic or accented, is `k`; an invisible one is nothing."""
    if sign == "\n":
        return sign
    sign = sign.translate(_APOSTROPHE_SIGNS)
    out: list[str] = []
    for part in unicodedata.normalize("NFKD", sign).casefold():
        category = unicodedata.category(part)
        if category in ("Cf", "Mn", "Me"):
            continue
        if category[0] in "CZ":
            out.append(" ")
        elif part in lexicon.look_alikes:
            out.append(lexicon.look_alikes[part])
        elif not part.isascii() and (named := _NAMED_LETTER.search(unicodedata.name(part, ""))):
            out.append(named[1].lower())
        else:
            out.append(part)
    return "".join(out)


def _words_of_chunk(chunk: str, lexicon: Lexicon) -> list[str]:
    if chunk in lexicon.written_out and "'" not in chunk and not chunk.isalnum():
        return list(lexicon.written_out[chunk])
    core = chunk.lstrip("\"'([{<#*-~_.,:;!?/\\|+=^%&").rstrip("\"')]}>*-~_.,:;!?/\\|+=^%&$@#")
    if not core:
        return [_break_of(chunk)] if _break_of(chunk) else []
    before, _, after = chunk.partition(core)
    words = [CLAUSE_END] if set(before) & set("([{") else []
    words += _words_of_core(core, lexicon)
    return [*words, _break_of(after)] if _break_of(after) else words


def _break_of(signs: str) -> str:
    if ".." not in signs and set(signs) & set(".!?"):
        return SENTENCE_END
    return CLAUSE_END if set(signs) & set(".,:;)]}-\u2013\u2014") else ""


def _words_of_core(core: str, lexicon: Lexicon) -> list[str]:
    if core.replace("'", "").isalpha():
        return [core]
    if "*" in core and (meant := _behind_stars(core, lexicon)):
        return [meant]
    plain = _NOT_ALNUM.sub("", core)
    for table in LEETSPEAK:
        letters = _NOT_ALNUM.sub("", core.translate(table))
        if letters.isalpha() and letters != plain and not plain.isdigit():
            read = _words_of_letters(letters, lexicon)
            if lexicon.known.issuperset(read):
                return read
    pieces = re.split(r"([\W_]+)", core.replace("'", ""))
    words = [CLAUSE_END if set(piece) & set(",;:\u2013\u2014") else piece for piece in pieces]
    return [word for word in words if word == CLAUSE_END or word[:1].isalnum()]


def _words_of_letters(word: str, lexicon: Lexicon) -> list[str]:
    """The words behind one written word: `dont`, `dieee`, `sucide`, `killmyself`; `YEAR`, `NUMBER`."""
    if word.isdecimal() and word not in lexicon.written_out:
        if _YEAR.fullmatch(word):
            return ["YEAR"]
        return ["MANY" if int(word[:LONGEST_COUNT]) >= FEWEST_OF_MANY else "NUMBER"]
    if word in lexicon.written_out:
        return list(lexicon.written_out[word])
    if word.endswith("'s"):
        return [*_words_of_letters(word[:-2].replace("'", ""), lexicon), "'s"]
    word = word.replace("'", "")
    for spelling in _spellings(word):
        if spelling in lexicon.written_out:
            return list(lexicon.written_out[spelling])
        if spelling in lexicon.known:
            return [spelling]
        if spelling in lexicon.misspelt:
            return [lexicon.misspelt[spelling]]
    if SHORTEST_RUN_ON <= len(word) <= LONGEST_MISSPELT:
        for near in _with_a_letter_less(word):
            if near in lexicon.misspelt and abs(len(lexicon.misspelt[near]) - len(word)) <= 1:
                return [lexicon.misspelt[near]]
    if SHORTEST_RUN_ON <= len(word) <= LONGEST_RUN_ON:
        run_on = _split_run_on(word, lexicon)
        if not lexicon.disguised.isdisjoint(run_on):
            read = {part: _words_of_letters(part, lexicon) for part in set(run_on)}
            return [full for part in run_on for full in read[part]]
    return [word]


def _spellings(word: str) -> tuple[str, ...]:
    """The word, and without stretched letters (`dieee`, `killlll`) or a doubled last one (`jumpp`)."""
    if not _STRETCHED.search(word):
        return (word, word[:-1]) if len(word) >= SHORTEST_DOUBLED and word[-1] == word[-2] else (word,)
    return word, _STRETCHED.sub(r"\1\1", word), _STRETCHED.sub(r"\1", word)


def _behind_stars(core: str, lexicon: Lexicon) -> str | None:
    if core.count("*") > len(core) // 2:
        return None
    for word in lexicon.by_shape.get((core[0], len(core)), ()):
        if all(sign in ("*", letter) for sign, letter in zip(core, word, strict=True)):
            return word
    return None


def _split_run_on(letters: str, lexicon: Lexicon) -> list[str]:
    """`killmyself` as its words, taking the longest known word each time; empty where that fails."""
    words: list[str] = []
    at = 0
    while at < len(letters):
        word = _longest_word(letters, at, lexicon)
        if not word:
            return []
        words.append(word)
        at += len(word)
    return words


def _longest_word(letters: str, at: int, lexicon: Lexicon) -> str:
    best, end = "", at + 1
    while end <= len(letters) and letters[at:end] in lexicon.readable_beginnings:
        part = letters[at:end]
        is_word = part in lexicon.known or part in lexicon.written_out or part in lexicon.misspelt
        if is_word and (len(part) > 1 or part in "ai"):
            best = part
        end += 1
    return best


def _is_letter(word: str) -> bool:
    return len(word) == 1 and word.isalnum()


def _is_spelt_on(words: list[str], at: int) -> bool:
    """Whether an `i` before this place is one of `i. c. i. d. e.` rather than the word."""
    following = [word for word in words[at : at + 2] if word not in _ENDS]
    return bool(following) and _is_letter(following[0])


def _close_up_single_letters(words: list[str]) -> list[str]:
    """Drops the breaks inside `k, i. l. l.`, and reads the 1 of `k 1 l l` as a letter."""
    out: list[str] = []
    for at, word in enumerate(words):
        between = 0 < at < len(words) - 1 and _is_letter(words[at - 1]) and _is_letter(words[at + 1])
        if between and word.isdigit():
            out.append(word.translate(LEETSPEAK[0]))
        elif not (between and word in _ENDS and (words[at + 1] != "i" or _is_spelt_on(words, at + 2))):
            out.append(word)
    return out


def _join_pieces(words: list[str], lexicon: Lexicon) -> list[str]:
    """Puts `k i l l`, `sui cide` and `i w a n t` together again."""
    out: list[str] = []
    at = 0
    while at < len(words):
        if words[at] not in lexicon.beginnings and not _is_letter(words[at]):
            out.append(words[at])
            at += 1
            continue
        whole, end = _whole_of_pieces(words, at, lexicon)
        if whole:
            out.append(whole)
            at = end
            continue
        end = at
        while end < len(words) and _is_letter(words[end]):
            end += 1
        if end - at >= 3:
            out += _read_letters("".join(words[at:end]), lexicon)
        else:
            end = at + 1
            out.append(words[at])
        at = end
    return out


def _whole_of_pieces(words: list[str], at: int, lexicon: Lexicon) -> tuple[str, int]:
    whole, end, joined = "", at, words[at]
    all_known = joined in lexicon.known and joined not in ARTICLES
    for following in range(at + 1, len(words)):
        joined += words[following]
        if joined not in lexicon.beginnings:
            break
        all_known = all_known and words[following] in lexicon.known
        if joined in lexicon.disguised and not all_known:
            whole, end = joined, following + 1
    return whole, end


def _with_blanks_in_place(words: list[str], lexicon: Lexicon) -> list[str]:
    """Reads `tod ie` as `to die`: two unknown words, where a letter over the blank makes both known ones."""
    out: list[str] = []
    for word in words:
        before = out[-1] if out else ""
        both = before.isalpha() and word.isalpha() and lexicon.known.isdisjoint((before, word))
        out[-1:] = _moved_blank(before, word, lexicon) if both else [*out[-1:], word]
    return out


def _moved_blank(before: str, word: str, lexicon: Lexicon) -> tuple[str, str]:
    for pair in ((before[:-1], before[-1] + word), (before + word[0], word[1:])):
        if all(_is_read(part, lexicon) for part in pair) and not lexicon.disguised.isdisjoint(pair):
            return pair
    return before, word


def _is_read(word: str, lexicon: Lexicon) -> bool:
    return word in lexicon.known or word in lexicon.misspelt or word in lexicon.written_out


def _read_letters(letters: str, lexicon: Lexicon) -> list[str]:
    words: list[str] = []
    at = 0
    while at < len(letters):
        word = _longest_word(letters, at, lexicon) or letters[at]
        words.append(word)
        at += len(word)
    return words


@lru_cache(maxsize=1024)
def _with_a_letter_less(word: str) -> tuple[str, ...]:
    return (word, *(word[:at] + word[at + 1 :] for at in range(len(word))))


def _beginnings(words: Iterable[str]) -> frozenset[str]:
    return frozenset(word[:end] for word in words for end in range(1, len(word) + 1))
