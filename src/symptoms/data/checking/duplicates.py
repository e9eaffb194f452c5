"""Near-duplicates: texts that share a large part of their wording, found by their word triples."""

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from symptoms.data.example import Dataset, Example
from symptoms.errors import DataError, Fault, InputError
from symptoms.text_files import nearest

SHINGLE = 3
NEAR_DUPLICATE = 0.2
"""Jaccard similarity of two texts' word triples (Broder 1997) from which they count as one text.

Of the 5.6 million pairs in our 3,356 examples one reaches 0.12, while a copy with every eighth word replaced
has about 0.45 and one with every fifth still 0.25. A paraphrase in other words is not found by this.
"""
SHORT, SHORTER = 8, 6
"""Texts of fewer triples than these, which is two fewer than words, have to be more alike than others."""
SHORT_DUPLICATE, SHORTER_DUPLICATE = 0.4, 0.75
"""What short texts say may be in one word: `I feel sad about work` is no copy of the one about school.

Of eight or nine words one may differ; of three to seven none, but one may stand before or after them.
"""
COMMON = 10
"""A triple that more different texts than this have is wording that they share, as a template's is.

Two texts are copies only where they are as alike without it, unless they differ in little at all. Of one text
ten variants are found: the usual number where words are replaced to have more data.
"""
LITTLE_DIFFERS = 0.5
ALL = "all"
"""In place of an id it allows every near-duplicate."""


@dataclass(frozen=True)
class NearDuplicate:
    """Two texts by their positions, the earlier one first, and their similarity."""

    first: int
    second: int
    similarity: float


@dataclass(frozen=True)
class Leak:
    """A test example and the training example that it nearly repeats."""

    train: Example
    test: Example
    similarity: float

    @property
    def other_labels(self) -> str | None:
        """Both labels in words, where they are known and differ."""
        here, there = self.test.condition, self.train.condition
        return f"{here!r} here and {there!r} there" if here and there and here != there else None


def plain_words(text: str) -> list[str]:
    """The words in lower case, without apostrophes, so that `Can't` is `cant`."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return re.findall(r"\w+", re.sub("['`\u2019]", "", plain))


def shingles(text: str) -> frozenset[tuple[str, ...]]:
    """All runs of three words; a shorter text is one run, and one without words is itself."""
    words = plain_words(text) or [text]
    count = max(1, len(words) - SHINGLE + 1)
    return frozenset(tuple(words[start : start + SHINGLE]) for start in range(count))


def near_duplicates(texts: Sequence[str]) -> list[NearDuplicate]:
    """All pairs that count as one text, by position.

    The similarity that it takes is `NEAR_DUPLICATE`, and higher for short texts. Pairs that have in common
    what many texts have in common, as those of a template, count only where they differ in little.
    """
    sets = [shingles(text) for text in texts]
    # A text that stands there many times makes its own wording no more common.
    frequency = Counter(shingle for own in set(sets) for shingle in own)
    rare = [frozenset(shingle for shingle in own if frequency[shingle] <= COMMON) for own in sets]

    def is_copy(pair: NearDuplicate) -> bool:
        if pair.similarity >= LITTLE_DIFFERS:
            return True
        first, second = rare[pair.first], rare[pair.second]
        return len(first & second) >= NEAR_DUPLICATE * len(first | second) > 0

    return [pair for pair in _similar(sets, _needed) if is_copy(pair)]


def _needed(count: int) -> float:
    """The similarity from which texts of so many triples count as one."""
    if count < SHORTER:
        # Of one or two triples it is less that they are of those with a word more.
        return min(SHORTER_DUPLICATE, count / (count + 1))
    return SHORT_DUPLICATE if count < SHORT else NEAR_DUPLICATE


def similar_texts(texts: Sequence[str], threshold: float) -> list[NearDuplicate]:
    """All pairs whose similarity is at least `threshold`, which is above 0, by position."""
    return _similar([shingles(text) for text in texts], lambda _: threshold)


def _similar(
    sets: Sequence[frozenset[tuple[str, ...]]], threshold: Callable[[int], float]
) -> list[NearDuplicate]:
    """The pairs as similar as `threshold` wants it of the smaller set, by its size.

    Similar texts must share one of their rarer triples, so only those are looked up (prefix filtering,
    Chaudhuri et al. 2006): an opening that thousands of texts have in common costs nothing.
    """
    frequency = Counter(shingle for own in sets for shingle in own)
    holders: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    found: list[NearDuplicate] = []
    # What is wanted of a set and of any smaller one, by size.
    least = [1.0]
    for size in range(1, max(map(len, sets), default=0) + 1):
        least.append(min(least[-1], threshold(size)))
    for position, own in enumerate(sets):
        rarest_first = sorted(own, key=lambda shingle: (frequency[shingle], shingle))
        # The small amount keeps 0.2 * 15, which is a little above 3, from being rounded up to 4.
        needed = math.ceil(least[len(own)] * len(own) - 1e-9)
        candidates: set[int] = set()
        for shingle in rarest_first[: len(own) - needed + 1]:
            candidates.update(holders[shingle])
            holders[shingle].append(position)
        for earlier in sorted(candidates):
            similarity = len(own & sets[earlier]) / len(own | sets[earlier])
            if similarity >= threshold(min(len(own), len(sets[earlier]))):
                found.append(NearDuplicate(earlier, position, similarity))
    return found


def leakage(train: Dataset, test: Dataset) -> tuple[Leak, ...]:
    """Every pair of a training and a test example that are near-duplicates."""
    texts = [example.input for example in (*train.examples, *test.examples)]
    border = len(train.examples)
    return tuple(
        Leak(train.examples[pair.first], test.examples[pair.second - border], pair.similarity)
        for pair in near_duplicates(texts)
        if pair.first < border <= pair.second
    )


def ids_as_now(data: Dataset, ids: Collection[str]) -> tuple[str, ...]:
    """The ids as the data have them: of an experiment's file a number alone was one in earlier versions."""
    if data.experiment is None:
        return tuple(ids)
    known = {example.id for example in data.examples}
    numbered = {one: f"{data.path.stem}:{one}" for one in ids if one not in known}
    return tuple(numbered[one] if numbered.get(one) in known else one for one in ids)


def known_ids(datasets: Sequence[Dataset], ids: Collection[str]) -> tuple[str, ...]:
    """The ids as the data sets have them, `ALL` among them; raises InputError for one that none has."""
    known = [example.id for data in datasets for example in data.examples]
    for data in datasets:
        ids = ids_as_now(data, ids)
    for identifier in ids:
        if identifier not in known and identifier != ALL:
            paths = " and ".join(str(data.path) for data in datasets)
            have = "has" if len(datasets) == 1 else "have"
            raise InputError(f"{paths} {have} no example {identifier!r}{nearest(identifier, known)}")
    return tuple(ids)


def check_leakage(train: Dataset, test: Dataset, allowed: Collection[str] = ()) -> tuple[Leak, ...]:
    """The pairs that are allowed; raises DataError with each other near-duplicate among the tests.

    Those whose ids are in `allowed` pass, and every one where that has `ALL`. Dev stands for either: it is
    held out of training, and tests are held out of what is fitted on it. Raises InputError for an allowed id
    that the test data lack, and where the two have the very same texts.
    """
    allowed = known_ids([test], allowed)
    faults: list[Fault] = []
    passed: list[Leak] = []
    for leak in leakage(train, test):
        if leak.test.id in allowed or ALL in allowed:
            passed.append(leak)
        else:
            trained = f"{train.path}:{leak.train.line} ({leak.train.id}), similarity {leak.similarity:.2f}"
            if leak.other_labels:
                trained += f", with another label: {leak.other_labels}"
            allow = f"remove one, or allow it with --allow-duplicate {leak.test.id} ({ALL}: every one)"
            problem = f"nearly repeats {trained}; {allow}"
            faults.append(Fault(str(test.path), leak.test.line, "input", problem))
    texts_of_train, texts_of_test = ([one.input for one in part.examples] for part in (train, test))
    if (faults or ALL in allowed) and texts_of_train == texts_of_test:
        is_one = train.path == test.path
        known = f"{test.path} {'is named twice' if is_one else f'has the very texts of {train.path}'}"
        raise InputError(f"{known}, so nothing is held out; name another file.")
    if faults:
        raise DataError(faults)
    return tuple(passed)
