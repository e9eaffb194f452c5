"""What is wrong, or odd, with data sets whose every line is well-formed."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from symptoms.data.checking.duplicates import ALL, near_duplicates, plain_words
from symptoms.data.example import Dataset, Example
from symptoms.errors import Fault
from symptoms.words import counted

FEW_WORDS = 3
MANY_WORDS = 300
IMBALANCE = 10
ENOUGH_FOR_USUAL_WORDS = 100
"""Fewer texts than this say little about which words are usual."""
MISREAD = ("\ufffd", "Ã©", "Ã¨", "Ã¼", "â€")
"""What UTF-8 looks like after it was read in another encoding."""


@dataclass(frozen=True)
class Findings:
    """Errors make figures wrong; warnings are for a person to look at."""

    errors: tuple[Fault, ...]
    warnings: tuple[Fault, ...]


@dataclass(frozen=True)
class _Placed:
    path: Path
    example: Example

    def __str__(self) -> str:
        return f"{self.path}:{self.example.line} ({self.example.id})"

    @property
    def part(self) -> tuple[Path, str | None]:
        """What is to be kept apart: files from each other, and splits within a file."""
        return self.path, self.example.split


def check_datasets(datasets: Sequence[Dataset], allowed: Collection[str] = ()) -> Findings:
    """Near-duplicates within and across the data sets, conflicting labels, balance, lengths, odd words.

    Near-duplicates of which one's id is in `allowed`, or all where that has `ALL`, are warnings wherever they
    stand. Examples at fault, as `read_dataset` has them, are looked at as far as they could be read.
    """
    placed = [_Placed(dataset.path, one) for dataset in datasets for one in dataset.examples if one.input]
    errors: list[Fault] = []
    warnings = [*_lengths(placed), *_odd_words(placed)]
    for dataset in datasets:
        warnings.extend(_balance(dataset) if dataset.examples else ())
    warnings.extend(_conditions_apart(datasets))
    for pair in near_duplicates([one.example.input for one in placed]):
        first, second = placed[pair.first], placed[pair.second]
        what = f"nearly repeats {first}, similarity {pair.similarity:.2f}"
        if _are_known(first, second) and first.example.condition != second.example.condition:
            labels = f"{second.example.condition!r} here and {first.example.condition!r} there"
            errors.append(_fault(second, "condition", f"{what}, with another label: {labels}; keep one"))
        elif first.part != second.part and not {ALL, first.example.id, second.example.id} & set(allowed):
            what += ", which is in another part of the data"
            allow = f"--allow-duplicate {second.example.id} ({ALL}: every one)"
            errors.append(_fault(second, "input", f"{what}; remove one, or allow it with {allow}"))
        else:
            counts = "it counts twice in training" if first.part == second.part else "which is allowed"
            warnings.append(_fault(second, "input", f"{what}; {counts}"))
    order = {str(dataset.path): number for number, dataset in enumerate(datasets)}
    return Findings(*(_sorted(found, order) for found in (errors, warnings)))


def _sorted(faults: Sequence[Fault], order: dict[str, int]) -> tuple[Fault, ...]:
    return tuple(sorted(faults, key=lambda fault: (order[fault.file], fault.line)))


def _fault(placed: _Placed, field: str, problem: str) -> Fault:
    return Fault(str(placed.path), placed.example.line, field, problem)


def _lengths(placed: Sequence[_Placed]) -> Iterator[Fault]:
    for one in placed:
        count = len(plain_words(one.example.input))
        if count < FEW_WORDS:
            yield _fault(
                one, "input", f"has fewer than {FEW_WORDS} words, which seldom say what a person feels"
            )
        elif count > MANY_WORDS:
            yield _fault(one, "input", f"has {count:,} words; a small model's context may not hold it")


def _odd_words(placed: Sequence[_Placed]) -> Iterator[Fault]:
    texts_with = Counter(word for one in placed for word in set(plain_words(one.example.input)))
    for one in placed:
        if any(sign in one.example.input for sign in MISREAD):
            yield _fault(one, "input", "looks like text read in the wrong encoding; save the source as UTF-8")
        words = set(plain_words(one.example.input))
        unknown = [word for word in words if texts_with[word] == 1]
        if (
            len(placed) >= ENOUGH_FOR_USUAL_WORDS
            and len(words) >= FEW_WORDS
            and 2 * len(unknown) > len(words)
        ):
            problem = (
                f"{len(unknown)} of {len(words)} words occur in no other example; is it another language?"
            )
            yield _fault(one, "input", problem)


def _are_known(*placed: _Placed) -> bool:
    """Whether both have a condition; one that is no label is a fault of its own."""
    return all(one.example.condition for one in placed)


def _balance(dataset: Dataset) -> Iterator[Fault]:
    ids = {label.id for label in dataset.labels}
    counts = Counter(one.condition for one in dataset.examples if one.condition in ids)
    if not counts:
        return
    most, least = counts.most_common()[0], counts.most_common()[-1]
    if most[1] >= IMBALANCE * least[1]:
        problem = (
            f"{most[0]!r} has {counted(most[1], 'example')} and {least[0]!r} {least[1]}; "
            "read macro-F1, not accuracy"
        )
        yield Fault(str(dataset.path), 1, "condition", problem)
    spellings: defaultdict[str, list[str]] = defaultdict(list)
    for condition in counts:
        spellings[" ".join(plain_words(condition.replace("_", " ")))].append(condition)
    for alike in spellings.values():
        if len(alike) > 1:
            problem = f"{' and '.join(map(repr, alike))} count as different labels; write them alike"
            yield Fault(str(dataset.path), 1, "condition", problem)


def _conditions_apart(datasets: Sequence[Dataset]) -> Iterator[Fault]:
    """Conditions of later files that the first, taken for the training data, does not have."""
    for dataset in datasets[1:]:
        ids = {label.id for label in dataset.labels}
        trained = {example.condition for example in datasets[0].examples}
        for condition in dict.fromkeys(one.condition for one in dataset.examples if one.condition in ids):
            if trained and condition not in trained:
                line = next(one.line for one in dataset.examples if one.condition == condition)
                problem = f"{condition!r} does not occur in {datasets[0].path}, so nothing can learn it there"
                yield Fault(str(dataset.path), line, "condition", problem)
