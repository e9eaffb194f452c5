"""The large data set keeps its own rules: those of data/README.md."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path

import pytest

import symptoms.taxonomy
from conftest import ROOT
from symptoms.data import (
    Dataset,
    Example,
    assessment_of,
    labels_of_taxonomy,
    load_dataset,
    load_experiment,
)
from symptoms.data.checking.checks import check_datasets
from symptoms.data.checking.duplicates import NEAR_DUPLICATE, plain_words, similar_texts
from symptoms.taxonomy import conditions, symptom_terms

FILES = ("train", "dev", "test", "test-2")
PER_CONDITION = {"train": 30, "dev": 5, "test": 10, "test-2": 7}
"""Of train that is the first set; the second has 60 but for four that stood too near a test item."""
FIRST_DIGEST = "447d53046cb8b3721eb0726e9b6e84fef3e0a306849e8e4a7a324e27c950181c"
LEFT_OUT = {"burnout-111", "insomnia-103", "insomnia-109", "insomnia-131"}
SECOND_SET = {"burnout": 59, "insomnia": 57}
MEDICINE = re.compile(
    r"\b(ssri|antidepress|antipsychotic|sertraline|fluoxetine|lithium|melatonin|diazepam|valium|stimulant|"
    r"naltrexone|medication|tablet|dose|mg\b)",
    re.IGNORECASE,
)
NAMES = {
    "ocd": r"\bocd\b|obsess|compuls",
    "ptsd": r"\bptsd\b|trauma",
    "adhd": r"\badhd\b|attention deficit",
    "alcohol_use": r"alcohol use|alcoholi",
    "borderline": r"borderline|\bbpd\b",
    "psychosis": r"psychos|psychot|schizo",
    "perinatal_depression": r"depress|postpartum|postnatal",
    "bipolar": r"bipolar|\bmania|manic",
}
FEW_CONTENT_WORDS = 4
SHORT_BY_NATURE = "not_enough_information"
STOP_WORDS = """
a about after again all always am an and any are as at back be because been before but by can cannot cant
could day days did didnt do does doesnt dont down even every for from get go going got had has have he
her him his how i id if im in into is isnt it its ive just like me month months more much my never no not
now of off on one only or our out over she so some still than that thats the their them then there they
this time to too two up very was we week weeks went were what when where which while who will with wont
would year years you your
"""


@pytest.fixture(scope="module")
def datasets() -> dict[str, Dataset]:
    return {name: load_dataset(ROOT / "data" / f"{name}.jsonl") for name in FILES}


@pytest.fixture(scope="module")
def examples(datasets: dict[str, Dataset]) -> list[Example]:
    return [example for dataset in datasets.values() for example in dataset.examples]


def test_the_taxonomy_is_the_packages():
    """data/taxonomy.json and data/symptoms.json are copies of what the package uses."""
    package = Path(symptoms.taxonomy.__file__).parent
    assert (ROOT / "data/taxonomy.json").read_bytes() == (package / "conditions.json").read_bytes()
    assert (ROOT / "data/symptoms.json").read_bytes() == (package / "symptoms.json").read_bytes()


def test_every_condition_has_its_examples_in_the_taxonomys_order(datasets: dict[str, Dataset]):
    """So many for each of the 30 conditions, each file holding its own split, with ids used once."""
    order = [condition.id for condition in conditions()]
    for name, dataset in datasets.items():
        assert dataset.labels == labels_of_taxonomy()
        assert {example.split for example in dataset.examples} == {name.removesuffix("-2")}
        expected = [condition for condition in order for _ in range(PER_CONDITION[name])]
        if name == "train":
            expected += [condition for condition in order for _ in range(SECOND_SET.get(condition, 60))]
        found = [example.condition for example in dataset.examples]
        if name == "test-2":  # as it was given, in an order of its own
            found.sort(key=order.index)
        assert found == expected
    identifiers = [example.id for dataset in datasets.values() for example in dataset.examples]
    assert len(set(identifiers)) == len(identifiers) == 3356


def test_the_first_set_is_the_beginning_of_train_and_what_was_measured_on(datasets: dict[str, Dataset]):
    """data/train-900.jsonl is byte for byte the file of earlier runs, whose manifests have its digest."""
    first = (ROOT / "data/train-900.jsonl").read_bytes()
    assert (ROOT / "data/train.jsonl").read_bytes().startswith(first)
    assert hashlib.sha256(first).hexdigest() == FIRST_DIGEST
    assert all(re.search(r"-\d\d$", example.id) for example in datasets["train"].examples[:900])
    assert all(re.search(r"-1\d\d$", example.id) for example in datasets["train"].examples[900:])


def test_all_examples_can_be_trained_on(datasets: dict[str, Dataset], examples: list[Example]):
    """Each has symptoms of the taxonomy, at most five, and a recommendation; all terms occur in train."""
    for example in examples:
        assessment = assessment_of(example)
        assert len(assessment.symptoms) <= 5
        if example.condition == "no_clinical_concern":
            assert not assessment.symptoms
        elif example.condition != SHORT_BY_NATURE:
            assert assessment.symptoms, example.id
    trained = {term for example in datasets["train"].examples for term in example.symptoms or ()}
    assert trained == {term for group in symptom_terms().values() for term in group}


def test_recommendations_are_advice_and_no_diagnosis(examples: list[Example]):
    """One sentence of 8 to 25 words without a medicine, a dose or `you have a`; none is used twice."""
    for example in examples:
        advice = example.recommendation or ""
        assert 8 <= len(advice.split()) <= 25, example.id
        assert len(re.findall(r"[.!?](?:\s|$)", advice)) == 1, example.id
        assert not MEDICINE.search(advice), example.id
        assert not re.search(
            r"\byou (?:have|suffer from) (?:a |an )?(?:\w+ )?(?:disorder|illness)", advice, re.I
        )
    assert len({example.recommendation for example in examples}) == len(examples)


def test_wishes_to_be_dead_are_answered_with_a_person_to_turn_to(examples: list[Example]):
    """Where the symptoms name self-harm or thoughts of death, the advice names urgent or personal help."""
    help_now = re.compile(
        r"crisis|safety plan|urgent|emergency|GP|doctor|someone|medical officer", re.IGNORECASE
    )
    concerned = [
        example
        for example in examples
        if {"self-harm", "thoughts of death or self-harm"} & set(example.symptoms or ())
    ]
    assert len(concerned) > 40
    assert all(help_now.search(example.recommendation or "") for example in concerned)


def test_inputs_are_of_the_length_of_a_message(examples: list[Example]):
    """8 to 90 words; only texts that say too little may be shorter, and 26 are."""
    short = [example for example in examples if len(example.input.split()) < 8]
    assert {example.condition for example in short} == {SHORT_BY_NATURE}
    assert len(short) == 26
    assert max(len(example.input.split()) for example in examples) <= 90


def test_no_input_names_its_condition(examples: list[Example]):
    """Neither the condition's names nor the usual short forms stand in its inputs."""
    for example in examples:
        condition = next(one for one in conditions() if one.id == example.condition)
        names = f"{re.escape(condition.name)}|{re.escape(condition.formal_name)}|{example.condition}"
        pattern = f"{names}|{NAMES.get(example.condition, names)}"
        assert not re.search(pattern, example.input, re.IGNORECASE), example.id


def test_inputs_of_a_condition_differ_in_opening_and_words(examples: list[Example]):
    """No two share their first four words or more than half of their content words, but for those told.

    The second test was written without sight of the others; data/CHANGES.md names where they coincide.
    """
    by_condition: defaultdict[str, list[tuple[str, list[str]]]] = defaultdict(list)
    for example in examples:
        by_condition[example.condition].append((example.id, plain_words(example.input)))
    alike: set[tuple[str, str]] = set()
    for texts in by_condition.values():
        contents = [(name, words[:4], set(words) - set(STOP_WORDS.split())) for name, words in texts]
        for (one, opening, words), (other, other_opening, other_words) in combinations(contents, 2):
            fewest = min(len(words), len(other_words))
            many_shared = fewest >= FEW_CONTENT_WORDS and 2 * len(words & other_words) > fewest
            if opening == other_opening or many_shared:
                alike.add((one, other))
    last_section = (ROOT / "data/CHANGES.md").read_text(encoding="utf-8").split("## The second test")[1]
    assert len(alike) == 11
    for one, other in alike:
        assert other.startswith("t2-"), (one, other)
        assert {one, other} <= set(re.findall(r"[\w-]+", last_section)), (one, other)


def test_the_threshold_for_near_duplicates_is_far_above_distinct_texts(examples: list[Example]):
    """No pair reaches 0.12, nor does one with the experiment's 30, but one that the data card tells."""
    experiment = load_experiment(ROOT / "mental_health_data.json")[0].examples
    texts = [*(example.input for example in examples), *(example.input for example in experiment)]
    pairs = sorted(similar_texts(texts, threshold=0.05), key=lambda pair: -pair.similarity)
    told = {examples[pairs[0].first].id, examples[pairs[0].second].id}
    assert told == {"agoraphobia-01", "t2-agoraphobia-05"}
    assert all(name in (ROOT / "data/README.md").read_text(encoding="utf-8") for name in told)
    assert pairs[1].similarity < 0.12 < pairs[0].similarity < NEAR_DUPLICATE
    training = [pair for pair in pairs if pair.second < len(examples) - 210]
    assert max(pair.similarity for pair in training) < NEAR_DUPLICATE / 2


def test_the_checks_find_no_error(datasets: dict[str, Dataset]):
    """What `symptoms data check` tells of it are warnings on texts that say too little."""
    findings = check_datasets(list(datasets.values()))
    assert findings.errors == ()
    lines = {(Path(warning.file).stem, warning.line) for warning in findings.warnings}
    flagged = [one for split, line in lines for one in datasets[split].examples if one.line == line]
    assert {example.condition for example in flagged} == {SHORT_BY_NATURE}


def test_the_data_card_counts_right(datasets: dict[str, Dataset], examples: list[Example]):
    """The table of data/README.md is what the files hold."""
    card = (ROOT / "data/README.md").read_text(encoding="utf-8")
    first = datasets["train"].examples[:900]
    tables = {name: dataset.examples for name, dataset in datasets.items()}
    for name, own in {**tables, "train-900, a part of train": first, "all": examples}.items():
        each = sorted(Counter(example.condition for example in own).values())
        of_each = f"{each[0]}" if each[0] == each[-1] else f"{each[0]} to {each[-1]}"
        words = sorted(len(one.input.split()) for one in own)
        middle = (words[len(words) // 2] + words[(len(words) - 1) // 2]) / 2
        mean = sum(len(one.symptoms or ()) for one in own) / len(own)
        counts = f"{len(own):,} | {of_each}"
        assert f"| {name} | {counts} | {words[0]}, {middle:g}, {words[-1]} | {mean:.1f} |" in card


def test_each_change_names_an_example(examples: list[Example]):
    """The ids in data/CHANGES.md exist."""
    changes = (ROOT / "data/CHANGES.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\b(?:t2-)?[a-z_]+-\d{2,3}\b", changes)) - {"train-900"}
    assert len(named) > 50
    assert named - {example.id for example in examples} == LEFT_OUT


def test_the_files_are_plain_json_lines():
    """Each line is one object with the six fields in one order."""
    for name in FILES:
        for line in (ROOT / "data" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
            assert list(json.loads(line)) == [
                "id",
                "input",
                "condition",
                "symptoms",
                "recommendation",
                "split",
            ]
