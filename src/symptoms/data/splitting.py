"""Splitting a data set into train, dev and test, the same for one seed."""

import json
import random
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from symptoms.data.checking.duplicates import ALL, near_duplicates
from symptoms.data.example import SPLITS, Dataset, Example
from symptoms.data.labels import TAXONOMY_FILE, labels_of_taxonomy, taxonomy_entry
from symptoms.data.terms import TERMS_FILE, terms_beside
from symptoms.errors import InputError

CONDITIONS_NAMED = 5
"""Conditions that a sentence names."""


def split_examples(
    examples: Sequence[Example], dev: float, test: float, seed: int, allowed: Collection[str] = ()
) -> dict[str, tuple[Example, ...]]:
    """The examples by split, in their order; each condition is divided in the same proportions.

    Near-duplicates stay together, so that none is both trained and tested on, but for those whose ids are in
    `allowed`, or all where that has `ALL`; texts of the very same words stay together in any case. Every
    condition has an example in train, and from three examples on one in each split whose share is above
    zero, as far as near-duplicates and the other shares allow.
    """
    if not (0 <= dev <= 1 and 0 <= test <= 1):  # nan is neither
        raise InputError(
            f"Dev {dev:g} and test {test:g} are not both shares; give numbers from 0 to below 1."
        )
    if dev + test >= 1:
        raise InputError(
            f"Dev {dev:g} and test {test:g} leave nothing for training; give shares that sum below 1."
        )
    split_of = ["train"] * len(examples)
    groups: defaultdict[str, list[list[int]]] = defaultdict(list)
    for group in _groups(examples, allowed):
        groups[examples[group[0]].condition].append(group)
    for condition in sorted(groups):
        own = groups[condition]
        random.Random(f"{seed} {condition}").shuffle(own)
        count = sum(len(group) for group in own)
        left = {"test": min(_share(count, test), count - 1)}
        left["dev"] = min(_share(count, dev), count - 1 - left["test"])
        for group in own:
            split = next((name for name in left if len(group) <= left[name]), None)
            if split is not None:
                left[split] -= len(group)
                for position in group:
                    split_of[position] = split
    return {
        split: tuple(
            replace(example, split=split)
            for example, own in zip(examples, split_of, strict=True)
            if own == split
        )
        for split in SPLITS
    }


def write_splits(dataset: Dataset, splits: dict[str, tuple[Example, ...]], folder: Path) -> list[Path]:
    """Write `train.jsonl`, `dev.jsonl` and `test.jsonl`, those that are not empty, and return their paths.

    Where the labels are not the bundled ones a `taxonomy.json` keeps them the same for all three, and the
    terms of a `symptoms.json` beside the data set are written, too, but where they stand already. Raises
    InputError rather than overwrite a file.
    """
    contents = {
        folder / f"{split}.jsonl": "".join(_as_line(example) for example in examples)
        for split, examples in splits.items()
        if examples
    }
    paths = list(contents)
    if dataset.labels != labels_of_taxonomy():
        contents[folder / TAXONOMY_FILE] = _as_file([taxonomy_entry(label) for label in dataset.labels])
    terms = terms_beside(dataset.path)
    if terms is not None:
        contents[folder / TERMS_FILE] = _as_file(terms.get("", terms) if len(terms) == 1 else terms)
    for name in (TAXONOMY_FILE, TERMS_FILE):
        beside = dataset.path.with_name(name)
        if beside.exists() and beside.resolve() == (folder / name).resolve():
            contents.pop(folder / name, None)
    for path in contents:
        if path.exists():
            raise InputError(f"{path} exists already; choose another folder with --out.")
    folder.mkdir(parents=True, exist_ok=True)
    for path, content in contents.items():
        path.write_text(content, encoding="utf-8")
    return paths


def what_was_not_split(splits: dict[str, tuple[Example, ...]], shares: dict[str, float]) -> list[str]:
    """Sentences on conditions that a wanted split has no example of, and on splits that are empty."""
    everything = Counter(one.condition for examples in splits.values() for one in examples)
    told: list[str] = []
    for split, share in shares.items():
        missing = sorted(set(everything) - {one.condition for one in splits[split]})
        if share == 0 or not missing:
            continue
        few = sum(everything[condition] < len(SPLITS) for condition in missing)
        why = f"; with fewer than {len(SPLITS)} examples a condition stays in train" if few else ""
        why += "; near-duplicates stay together in train" if few < len(missing) else ""
        if len(missing) == len(everything):
            told.append(f"no {split}.jsonl was written{why}")
        else:
            shown = ", ".join(missing[:CONDITIONS_NAMED]) + (
                " and others" if len(missing) > CONDITIONS_NAMED else ""
            )
            told.append(f"{split}.jsonl has no {shown}{why}")
    return told


def _share(count: int, fraction: float) -> int:
    if fraction == 0 or count < len(SPLITS):
        return 0
    return max(1, int(count * fraction + 0.5))


def _groups(examples: Sequence[Example], allowed: Collection[str]) -> list[list[int]]:
    """The positions of the examples, those that are near-duplicates directly or through others together."""
    leader = list(range(len(examples)))

    def find(position: int) -> int:
        while leader[position] != position:
            position = leader[position]
        return position

    for pair in near_duplicates([example.input for example in examples]):
        if pair.similarity < 1 and {ALL, examples[pair.first].id, examples[pair.second].id} & set(allowed):
            continue
        first, second = find(pair.first), find(pair.second)
        leader[max(first, second)] = min(first, second)
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for position in range(len(examples)):
        groups[find(position)].append(position)
    return list(groups.values())


def _as_file(document: object) -> str:
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def _as_line(example: Example) -> str:
    fields: dict[str, object] = {"id": example.id, "input": example.input, "condition": example.condition}
    if example.symptoms is not None:
        fields["symptoms"] = list(example.symptoms)
    if example.recommendation is not None:
        fields["recommendation"] = example.recommendation
    return json.dumps({**fields, "split": example.split}, ensure_ascii=False) + "\n"
