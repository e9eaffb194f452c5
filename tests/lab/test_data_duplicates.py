"""Near-duplicates are found, leakage stops, and splits keep copies together."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from conftest import ROOT
from symptoms.data import Dataset, Example, Label, load_dataset
from symptoms.data.checking.checks import check_datasets
from symptoms.data.checking.duplicates import (
    NEAR_DUPLICATE,
    check_leakage,
    leakage,
    near_duplicates,
    plain_words,
    shingles,
    similar_texts,
)
from symptoms.data.checking.repeated_texts import repeated_texts
from symptoms.data.files.records import Columns
from symptoms.data.splitting import split_examples, write_splits
from symptoms.errors import DataError, InputError
from symptoms.evaluate.request.held_out_sets import check_held_out

ONE = "Dogs. Any dog, even a puppy on a leash across the road, and I am up a wall or into traffic."
COPY = "dogs... any dog even a PUPPY on a leash across the street, and I'm up a wall or into traffic!"
OTHER = (
    "Nothing tastes of anything these days. It has been nearly two months of dragging myself to the couch."
)


def dataset_of(tmp_path: Path, name: str, rows: Sequence[tuple[str, str]]) -> Dataset:
    file = tmp_path / f"{name}.jsonl"
    file.write_text(
        "".join(json.dumps({"input": text, "condition": condition}) + "\n" for text, condition in rows)
    )
    return load_dataset(file)


def distinct(count: int, condition: str, seed: str = "") -> list[tuple[str, str]]:
    """Texts of random words, which share next to no triples."""
    source = random.Random(condition + seed)
    vocabulary = [f"w{number}" for number in range(500)]
    return [(" ".join(source.choices(vocabulary, k=20)), condition) for _ in range(count)]


def test_words_are_compared_without_case_apostrophes_and_marks():
    """Spelling out of habit does not hide a copy."""
    assert plain_words("Can't STOP… can\u2019t; ﬁne") == ["cant", "stop", "cant", "fine"]
    assert shingles("a b c d") == {("a", "b", "c"), ("b", "c", "d")}
    assert shingles("hello") == {("hello",)}
    assert shingles("???") != shingles("!!!")


@settings(deadline=None)
@given(
    st.lists(st.lists(st.sampled_from("abc"), max_size=20).map(" ".join), max_size=12),
    st.sampled_from([0.05, NEAR_DUPLICATE, 0.5, 1.0]),
)
def test_the_index_finds_what_comparing_all_pairs_finds(texts: list[str], threshold: float):
    """The inverted index gives the same pairs and similarities as Jaccard's definition over every pair."""
    expected: dict[tuple[int, int], float] = {}
    for (first, one), (second, other) in combinations(enumerate(map(shingles, texts)), 2):
        similarity = len(one & other) / len(one | other)
        if similarity >= threshold:
            expected[first, second] = similarity
    found = {(pair.first, pair.second): pair.similarity for pair in similar_texts(texts, threshold)}
    assert found == pytest.approx(expected)


def test_copies_with_every_eighth_word_replaced_are_found():
    """Of our 300 test texts each such copy is found, where it has ten words or more."""
    texts = [example.input for example in load_dataset(ROOT / "data/test.jsonl").examples]
    source = random.Random(0)
    vocabulary = [word for text in texts for word in plain_words(text)]
    for text in texts:
        words = plain_words(text)
        if len(words) >= 10:
            for position in range(source.randrange(8), len(words), 8):
                words[position] = source.choice(vocabulary)
            assert near_duplicates([text, " ".join(words)])


def test_texts_of_one_template_are_no_copies():
    """Neither short ones nor longer ones that say other things in one frame; copies of theirs still are."""
    feelings = ["sad", "angry", "anxious", "calm", "empty", "tense", "guilty", "proud", "lonely", "numb"]
    feelings += ["bored", "scared"]
    themes = ["work", "school", "exams", "moving", "winter", "money", "news", "dogs", "driving", "fame"]
    themes += ["sleep", "noise"]
    short = [f"I am {one} because of {other} and sleep badly" for one in feelings for other in themes]
    long = [
        f"For two weeks now I have been feeling {one} whenever somebody at home speaks about {other} with me"
        for one, other in zip(feelings, themes, strict=True)
    ]
    for texts in (short, long):
        assert near_duplicates(texts) == []
        found = near_duplicates([*texts, texts[1].upper(), f"{texts[7]} again"])
        assert [(pair.first, pair.second) for pair in found] == [(1, len(texts)), (7, len(texts) + 1)]


def test_variants_of_one_text_are_copies():
    """Also where ten of them, each with a tenth of its words replaced, share a wording."""
    source, words = random.Random(0), plain_words(ONE)

    def replaced(word: str) -> str:
        return f"new{source.random()}" if source.random() < 0.1 else word

    texts = [" ".join(map(replaced, words)) for _ in range(10)]
    assert len(near_duplicates(texts)) > 30
    assert near_duplicates(texts) == similar_texts(texts, NEAR_DUPLICATE)


def test_of_few_words_one_more_is_a_copy_and_another_is_not():
    """What two short texts say may be in one word; the longer a text, the more of it may differ."""
    assert near_duplicates(["I feel sad about work", "I feel sad about school"]) == []
    words = ["I", "feel", "sad", "about", "work", "when", "alone"]
    for count in range(3, len(words) + 1):
        text = " ".join(words[:count])
        for longer in (f"{text} today", f"today {text}"):
            assert near_duplicates([text, longer]), text
            assert near_duplicates([longer, text]), text
        assert near_duplicates([text, f"{text} but not today"]) == []
    assert near_duplicates(["I feel sad today", "I feel sad again"]) == []
    eight = "nothing helps when I wake at four"
    assert near_duplicates([f"{eight} again", f"{eight} sharp"])


def test_examples_of_an_experiments_file_are_allowed_by_number_too(tmp_path: Path):
    """So a run of an earlier version, which knew them by that, is repeated, resumed and evaluated."""
    train = dataset_of(tmp_path, "train", [(OTHER, "ocd"), (ONE, "ocd")])
    file = tmp_path / "data.json"
    file.write_text(json.dumps({"examples": [{"input": COPY, "output": "Primary concern: OCD"}]}))
    dev = load_dataset(file, any_output=True)
    for allowed in ("1", "data:1"):
        check_leakage(train, dev, [allowed])
        check_held_out(train, dev, (), (), [allowed])
    with pytest.raises(InputError, match="has no example '2'"):
        check_leakage(train, dev, ["2"])
    other = dataset_of(tmp_path, "other", [(COPY, "ocd")])
    with pytest.raises(InputError, match="has no example '1'"):
        check_leakage(train, other, ["1"])


def test_all_allows_every_copy_but_no_file_twice(tmp_path: Path):
    """In place of ids; a file that is held out of itself is still refused."""
    train = dataset_of(tmp_path, "train", [(OTHER, "ocd"), (ONE, "ocd")])
    test = dataset_of(tmp_path, "test", [(COPY, "ocd"), (OTHER, "ocd")])
    check_leakage(train, test, allowed=["all"])
    with pytest.raises(DataError, match=r"--allow-duplicate test:1 \(all: every one\)"):
        check_leakage(train, test)
    with pytest.raises(InputError, match="is named twice"):
        check_leakage(train, train, allowed=["all"])


def test_leakage_is_told_with_both_places(tmp_path: Path):
    """A test text that nearly repeats a training text is a fault with its line, unless allowed by id."""
    train = dataset_of(tmp_path, "train", [(OTHER, "depression"), (ONE, "specific_phobia"), (ONE, "ocd")])
    test = dataset_of(
        tmp_path, "test", [(OTHER[:20], "depression"), (COPY, "specific_phobia"), (COPY, "ocd")]
    )
    assert [(leak.train.line, leak.test.line) for leak in leakage(train, test)] == [
        (2, 2), (3, 2), (2, 3), (3, 3),
    ]  # fmt: skip
    with pytest.raises(DataError) as caught:
        check_leakage(train, test, allowed=["test:3"])
    assert [(fault.line, fault.field) for fault in caught.value.faults] == [(2, "input"), (2, "input")]
    assert "train.jsonl:2 (train:2), similarity 0." in caught.value.faults[0].problem
    assert "--allow-duplicate test:2" in caught.value.faults[0].problem
    check_leakage(train, test, allowed=["test:2", "test:3"])
    with pytest.raises(InputError, match=r"no example 'tset:2'; did you mean 'test:2'"):
        check_leakage(train, test, allowed=["tset:2"])


def test_our_own_parts_do_not_leak():
    """Nothing of the test sets or data/dev.jsonl repeats data/train.jsonl."""
    parts = [load_dataset(ROOT / f"data/{name}.jsonl") for name in ("train", "dev", "test", "test-2")]
    for earlier, later in combinations(parts, 2):
        check_leakage(earlier, later)


def test_the_checks_tell_errors_from_warnings(tmp_path: Path):
    """A copy is an error in another file or with another label, and a warning beside its like."""
    train = dataset_of(tmp_path, "train", [(ONE, "ocd"), (ONE, "ocd"), (OTHER, "ocd"), (OTHER, "panic")])
    test = dataset_of(tmp_path, "test", [(COPY, "ocd")])
    findings = check_datasets([train, test])
    errors = [(Path(fault.file).stem, fault.line, fault.field) for fault in findings.errors]
    assert errors == [("train", 4, "condition"), ("test", 1, "input"), ("test", 1, "input")]
    assert "'panic' here and 'ocd' there" in findings.errors[0].problem
    assert "train.jsonl:1 (train:1)" in findings.errors[1].problem
    assert [(fault.line, fault.problem[:14]) for fault in findings.warnings] == [(2, "nearly repeats")]


def test_copies_between_the_splits_of_one_file_are_errors(tmp_path: Path):
    """A file that names its own splits is checked between them like two files."""
    file = tmp_path / "data.jsonl"
    rows = [{"input": ONE, "condition": "ocd", "split": split} for split in ("train", "train", "test")]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    findings = check_datasets([load_dataset(file)])
    assert [fault.line for fault in findings.errors] == [3, 3]
    assert [fault.line for fault in findings.warnings] == [2]


def test_odd_data_is_warned_of(tmp_path: Path):
    """Few words, many words, another language, a wrong encoding, imbalance, spellings, untrained labels."""
    usual = [(" ".join(words), "calm") for words in combinations(map(str, range(9)), 4)]
    odd = [
        ("help", "calm"),
        ("1 2 3 4 " * 100, "calm"),
        ("je ne dors plus depuis des mois", "calm"),
        ("1 2 3 4 5 6 caf\u00c3\u00a9", "Calm "),
        ("1 2 3 5 6 7 8 4", "joy"),
    ]
    findings = check_datasets(
        [
            dataset_of(tmp_path, "train", [*usual, *odd]),
            dataset_of(tmp_path, "test", [("8 1 7 2 6", "grief")]),
        ]
    )
    problems = Counter(
        kind
        for fault in findings.warnings
        for kind in (
            "fewer than 3 words", "words; a small", "in no other example", "wrong encoding", "read macro-F1",
            "write them alike", "does not occur in",
        )
        if kind in fault.problem
    )  # fmt: skip
    assert problems["fewer than 3 words"] == 1
    assert problems["words; a small"] == 1
    assert problems["in no other example"] == 1
    assert problems["wrong encoding"] == 1
    assert problems["read macro-F1"] == 1
    assert problems["write them alike"] == 1
    assert problems["does not occur in"] == 1


def test_repeated_texts_are_counted_with_their_first_lines(tmp_path: Path):
    """One sentence says how many, and of how many the labels contradict each other; None without any."""
    once = [(ONE, "ocd"), (OTHER, "panic")]
    assert repeated_texts(dataset_of(tmp_path, "once", once)) is None
    alike = repeated_texts(dataset_of(tmp_path, "alike", [*once, (OTHER.upper(), "panic")]))
    assert alike is not None
    assert "1 text stands there more than once (lines 2 and 3); each counts" in alike
    apart = repeated_texts(dataset_of(tmp_path, "apart", [*once, (OTHER, "panic"), (ONE, "panic")]))
    assert apart is not None
    assert "2 texts stand there more than once (the first in lines 1 and 4)" in apart
    assert "1 of them with different labels ('ocd' in line 1, 'panic' in line 4)" in apart


def test_the_hint_on_repeated_texts_reads_the_file_as_it_was_read(tmp_path: Path):
    """It has the columns that were told, and ids where lines do not tell two examples apart."""
    rows = [{"my text": ONE, "dx": "ocd"}, {"my text": ONE, "dx": "panic"}]
    file, columns = tmp_path / "mine.jsonl", Columns("my text", "dx")
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = repeated_texts(load_dataset(file, columns=columns), columns)
    assert told is not None
    assert f"'symptoms data check {file} --text-column 'my text' --label-column dx' names them" in told
    entries = [{"input": ONE, "output": f"Primary concern: {one}"} for one in ("Panic attacks", "OCD")]
    file = tmp_path / "data.json"
    file.write_text(json.dumps({"examples": entries}))
    told = repeated_texts(load_dataset(file, any_output=True))
    assert told is not None
    assert "more than once (data:1 and data:2)" in told
    assert "in data:1, " in told


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=60),
    st.floats(0, 0.95),
    st.floats(0, 0.95),
    st.integers(0, 5),
)
@example(["a", "a", "a"], 0.5, 0.4, 0)
@example(["a", "a", "a"], 0.05, 0.9, 0)
def test_a_split_is_a_partition_by_condition(conditions: list[str], dev: float, test: float, seed: int):
    """Each example is in one split, shares hold for each condition but for rounding, train is never empty."""
    examples = [
        Example(f"{number} x{number} y{number}", Label(condition, condition), id=str(number), line=number)
        for number, condition in enumerate(conditions)
    ]
    assume(dev + test < 1)
    splits = split_examples(examples, dev, test, seed)
    assert sorted(int(one.id) for part in splits.values() for one in part) == list(range(len(examples)))
    assert all(one.split == name for name, part in splits.items() for one in part)
    for condition, count in Counter(conditions).items():
        for name, share in (("dev", dev), ("test", test)):
            got = sum(one.condition == condition for one in splits[name])
            assert abs(got - share * count) <= (1 if dev + test <= 0.5 else 2)
        assert any(one.condition == condition for one in splits["train"])


def test_copies_that_are_allowed_are_warned_of_and_divided(tmp_path: Path):
    """By id or all; what has the very same words is never divided."""
    train = dataset_of(tmp_path, "train", [(ONE, "ocd")])
    test = dataset_of(tmp_path, "test", [(COPY, "ocd")])
    for allowed in ("all", "test:1"):
        findings = check_datasets([train, test], [allowed])
        assert findings.errors == ()
        assert "which is allowed" in findings.warnings[0].problem
    assert check_datasets([train, test], ["test:2"]).errors
    texts = [f"{ONE} {word}" for word in ["again", "today", "always", "often"]]
    both = dataset_of(tmp_path, "both", [(text, "ocd") for text in (*texts, *texts)])
    for seed in range(5):
        assert len(split_examples(both.examples, 0, 0.5, seed)["train"]) == 8
        splits = split_examples(both.examples, 0, 0.5, seed, ["all"])
        assert Counter(one.input for one in splits["test"]) == dict.fromkeys(
            {one.input for one in splits["test"]}, 2
        )
        assert len(splits["train"]) == len(splits["test"]) == 4


def test_copies_stay_in_one_split_and_a_seed_decides(tmp_path: Path):
    """A text and its near-copies end up together for every seed; one seed gives one split."""
    rows = [*distinct(30, "ocd"), *distinct(30, "panic")]
    copies = [(f"also {text.rsplit(maxsplit=2)[0]}", condition) for text, condition in rows[:20]]
    examples = dataset_of(tmp_path, "data", [*rows, *copies]).examples
    for seed in range(5):
        splits = split_examples(examples, 0.2, 0.2, seed)
        where = {one.line: name for name, part in splits.items() for one in part}
        assert all(where[line] == where[line + 60] for line in range(1, 21))
        assert len(splits["test"]) == 16
    assert split_examples(examples, 0.2, 0.2, 0) == split_examples(examples, 0.2, 0.2, 0)
    assert split_examples(examples, 0.2, 0.2, 0) != split_examples(examples, 0.2, 0.2, 1)


def test_written_splits_load_with_the_same_labels(tmp_path: Path):
    """The files hold all fields, own labels keep their order in all of them, and nothing is overwritten."""
    dataset = dataset_of(tmp_path, "data", [*distinct(10, "calm"), *distinct(10, "stress"), (ONE, "rare")])
    splits = split_examples(dataset.examples, 0, 0.3, 0)
    paths = write_splits(dataset, splits, tmp_path / "out")
    assert [path.name for path in paths] == ["train.jsonl", "test.jsonl"]
    for path in paths:
        loaded = load_dataset(path)
        assert loaded.labels == dataset.labels
        fields = [(one.id, one.input, one.condition, one.split) for one in loaded.examples]
        assert fields == [(one.id, one.input, one.condition, one.split) for one in splits[path.stem]]
    with pytest.raises(InputError, match=r"train\.jsonl exists already"):
        write_splits(dataset, splits, tmp_path / "out")
    with pytest.raises(InputError, match="leave nothing for training"):
        split_examples(dataset.examples, 0.5, 0.5, 0)


def test_ours_splits_with_everything_it_has(tmp_path: Path):
    """A split of our training data keeps symptoms and recommendations, 6 and 3 of each condition's 30."""
    dataset = load_dataset(ROOT / "data/train-900.jsonl")
    paths = write_splits(dataset, split_examples(dataset.examples, 0.1, 0.2, 0), tmp_path)
    parts = {path.stem: load_dataset(path).examples for path in paths}
    assert [set(Counter(one.condition for one in part).values()) for part in parts.values()] == [
        {21},
        {3},
        {6},
    ]
    again = {one.id: (one.symptoms, one.recommendation) for part in parts.values() for one in part}
    assert again == {one.id: (one.symptoms, one.recommendation) for one in dataset.examples}
    assert not (tmp_path / "taxonomy.json").exists()
