"""Robustness: perturbations, the trials made of them, pairs written by hand, the table of failures."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symptoms.data import Example, Label, labels_of_taxonomy
from symptoms.evaluate.robustness import FailedTrial, FailureRow, Trial, failure_table, trials
from symptoms.evaluate.robustness.groups import INTRODUCTIONS, introduce, swap_gender_of_others
from symptoms.evaluate.robustness.pairs import minimal_pairs, negations
from symptoms.evaluate.robustness.perturbations import (
    IRRELEVANT_SENTENCES,
    TRIED_OPENINGS,
    add_irrelevant_sentence,
    contract,
    expand_contractions,
    make_typos,
    open_otherwise,
    reorder_sentences,
    retell,
    sentences,
)
from symptoms.evaluate.robustness.trials import INVARIANCES

TEXT = "My sleep is poor. I don't eat much. We're worried about it. Nothing I've tried helps."
IDS = [label.id for label in labels_of_taxonomy()]
DATA = Path(__file__).parents[2] / "data"


def example(text: str, condition: str = "insomnia", identifier: str = "one") -> Example:
    return Example(text, Label(condition, condition), id=identifier)


def row_of(rows: tuple[FailureRow, ...], capability: str) -> FailureRow:
    return next(row for row in rows if row.capability == capability)


@pytest.mark.parametrize("seed", range(20))
def test_a_typo_is_one_or_two_slips_in_long_words(seed: int):
    """No more than four letters differ, the first letters and the short words stay."""
    changed = make_typos("I cannot sleep through the night", Random(seed))
    assert changed is not None
    differing = [a != b for a, b in zip("I cannot sleep through the night", changed, strict=True)]
    assert 1 <= sum(differing) <= 4
    assert [word[0] for word in changed.split()] == list("Icsttn")
    assert (changed.split()[0], changed.split()[4]) == ("I", "the")


def test_short_words_get_no_typos():
    """Where a slip would make another word there is none."""
    assert make_typos("I am so low now", Random(0)) is None


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("I'm fine, I can't complain", "I am fine, I cannot complain"),
        (
            "We\u2019ve tried, it won't help, and I don\u2019t care",
            "We have tried, it will not help, and I do not care",
        ),
        ("Don't you think? It's been long, he'd say", None),
    ],
)
def test_contractions_are_expanded(text: str, expanded: str | None):
    """With either apostrophe, but for turned questions and for what could mean two things."""
    assert expand_contractions(text) == expanded


@pytest.mark.parametrize(
    ("text", "contracted"),
    [
        ("I am fine, I cannot complain", "I'm fine, I can't complain"),
        (
            "It will not help. We have never said more than we are.",
            "It won't help. We've never said more than we are.",
        ),
        ("They have a dog", None),
    ],
)
def test_contractions_are_made(text: str, contracted: str | None):
    """Only where a word follows, and not of `have` as possession."""
    assert contract(text) == contracted


def test_an_opening_leaves_names_large():
    """A common first word is written small after it, any other is not."""
    assert open_otherwise("My dog ran", Random(0)).endswith("my dog ran")
    assert open_otherwise("Marek ran", Random(0)).endswith("Marek ran")
    assert open_otherwise("I ran", Random(0)).startswith(TRIED_OPENINGS)


def test_sentences_keep_titles_whole():
    """`Dr.` ends no sentence."""
    assert sentences("I saw Dr. Lee. She was kind! Why?") == ["I saw Dr. Lee.", "She was kind!", "Why?"]


def test_only_the_sentences_after_the_first_change_places():
    """The same sentences, the first in its place."""
    changed = reorder_sentences(TEXT, Random(1))
    assert changed is not None
    assert changed != TEXT
    assert sorted(sentences(changed)) == sorted(sentences(TEXT))
    assert sentences(changed)[0] == "My sleep is poor."


@pytest.mark.parametrize("text", ["One. Two.", "I lost him. Then I drank. I am alone.", "Low. Low. Low."])
def test_some_sentences_keep_their_order(text: str):
    """Too few, one that leans on the one before, or all alike."""
    assert reorder_sentences(text, Random(0)) is None


def test_an_irrelevant_sentence_comes_last():
    """The text itself stays as it is."""
    changed = add_irrelevant_sentence(TEXT, Random(0))
    assert changed.startswith(TEXT)
    assert changed.endswith(IRRELEVANT_SENTENCES)


def test_a_retold_text_is_quoted():
    """Braces in a text are no placeholders."""
    assert '"I {am} low"' in retell("I {am} low", Random(0))


@pytest.mark.parametrize(
    ("text", "swapped"),
    [
        ("My wife says she is worried.", "My husband says he is worried."),
        ("I miss her. Her coat is here, I told her so.", "I miss him. His coat is here, I told him so."),
        ("His keys, the fault was his, not him.", "Her keys, the fault was hers, not her."),
        ("MUM rang, Dad too", "DAD rang, Mum too"),
        ("I am alone", None),
        ("My wife gave birth in May", None),
    ],
)
def test_the_gender_of_others_is_swapped(text: str, swapped: str | None):
    """Throughout, possession told from object, capitals kept, and not where a birth is told of."""
    assert swap_gender_of_others(text) == swapped


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("age", "i'm 23 and low"),
        ("age", "Our baby is here"),
        ("gender", "As a young mother I try"),
        ("ethnicity", "They stare at my skin"),
        ("country", "I came from Ghana"),
    ],
)
def test_no_introduction_contradicts_the_text(subject: str, text: str):
    """Where the text speaks of it, nothing is inserted; elsewhere the introduction comes first."""
    introduction = INTRODUCTIONS[subject][0]
    assert introduce(text, subject, introduction) is None
    assert introduce("I feel low", subject, introduction) == introduction + "I feel low"


@given(st.text(), st.integers())
def test_no_text_breaks_a_perturbation(text: str, seed: int):
    """Each gives another text or None, and the same one for the same seed."""
    for change in [*INVARIANCES.values(), lambda given, random: retell(given, random)]:
        changed = change(text, Random(seed))
        assert changed is None or changed != text
        assert change(text, Random(seed)) == changed


def test_trials_depend_on_the_example_and_the_seed_alone():
    """The same in any company, others with another seed."""
    one, two = example(TEXT), example("My wife and I cannot sleep. She snores. It is hot.", identifier="two")
    alone = [trial for trial in trials([one], 0) if trial.original == "one"]
    assert alone == [trial for trial in trials([two, one], 0) if trial.original == "one"]
    assert alone != [trial for trial in trials([one], 1) if trial.original == "one"]


def test_two_groups_are_tried_for_each_text():
    """Two different introductions a subject, each a trial of its own."""
    found = [trial for trial in trials([example(TEXT)], 0) if trial.capability in INTRODUCTIONS]
    assert Counter(trial.capability for trial in found) == dict.fromkeys(INTRODUCTIONS, 2)
    assert len({trial.text for trial in found}) == len(found)


def test_everyday_texts_are_not_retold():
    """Of somebody else's fine day one may be as sure as of one's own."""
    benign = trials([example(TEXT, "no_clinical_concern")], 0)
    assert not [trial for trial in benign if trial.capability == "third person"]
    assert [trial for trial in trials([example(TEXT)], 0) if trial.capability == "third person"]


def test_minimal_pairs_cover_the_taxonomy():
    """At least 60 pairs, of two conditions each, with every condition of the taxonomy in them."""
    pairs = minimal_pairs()
    assert len(pairs) >= 60
    assert len({pair.id for pair in pairs}) == len(pairs)
    assert all(pair.first_condition != pair.second_condition for pair in pairs)
    assert {c for pair in pairs for c in (pair.first_condition, pair.second_condition)} == set(IDS)


def test_negations_deny_a_condition():
    """20 to 30 texts, each of another condition, against life being fine."""
    conditions = [pair.first_condition for pair in negations()]
    assert 20 <= len(conditions) <= 30
    assert len(set(conditions)) == len(conditions)
    assert set(conditions) <= set(IDS) - {"no_clinical_concern"}
    assert {pair.second_condition for pair in negations()} == {"no_clinical_concern"}


def test_no_pair_shares_its_words_with_the_data():
    """No text of the pairs has eight words in a row from the data that models are trained and tested on."""

    def runs(text: str) -> set[tuple[str, ...]]:
        words = re.findall(r"[a-z0-9']+", text.lower())
        return {tuple(words[at : at + 8]) for at in range(len(words) - 7)}

    files = [DATA / f"{split}.jsonl" for split in ("train", "dev", "test")]
    lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    known = {run for line in lines for run in runs(json.loads(line)["input"])}
    for pair in (*minimal_pairs(), *negations()):
        assert not known & (runs(pair.first) | runs(pair.second)), pair.id


LABELS = ["panic", "ocd", "no_clinical_concern"]


def table(*asked: tuple[Trial, list[float]], labels: list[str] = LABELS) -> tuple[FailureRow, ...]:
    original = {"one": np.array([0.7, 0.2, 0.1])}
    return failure_table([one for one, _ in asked], np.array([row for _, row in asked]), original, labels)


def test_invariance_fails_when_the_answer_changes():
    """The same label with less probability is no failure; the surest changed answer comes first."""
    typo = [Trial("one", "typos", "invariance", f"text {number}", None) for number in range(5)]
    answers = [[0.4, 0.3, 0.3], [0.1, 0.8, 0.1], [0.1, 0.2, 0.7], [0.2, 0.5, 0.3], [0.1, 0.1, 0.8]]
    (row,) = table(*zip(typo, answers, strict=True))
    assert (row.capability, row.kind, row.n, row.failures, row.rate) == ("typos", "invariance", 5, 4, 0.8)
    assert [failed.text for failed in row.worst] == ["text 1", "text 4", "text 2"]
    assert row.worst[0] == FailedTrial("text 1", "panic", 0.7, "ocd", 0.8)


def test_the_third_person_has_to_make_less_sure():
    """It fails where the label that led is no less probable."""
    told = [Trial("one", "third person", "change", f"text {number}", None) for number in range(3)]
    (row,) = table((told[0], [0.6, 0.2, 0.2]), (told[1], [0.7, 0.2, 0.1]), (told[2], [0.0, 0.1, 0.9]))
    assert (row.failures, row.worst[0].text) == (1, "text 1")


def pair_of(identifier: str, capability: str, first: str, second: str) -> tuple[Trial, Trial]:
    return (
        Trial(identifier, capability, "change", "first", first),
        Trial(identifier, capability, "change", "second", second),
    )


def test_a_pair_has_to_change_and_then_to_be_right():
    """Of three pairs one does not change, and of the two that do one is wrong."""
    same, wrong, right = (pair_of(name, "minimal pairs", "panic", "ocd") for name in "abc")
    panic, ocd, none = [0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]
    answers = [
        (same[0], ocd),
        (same[1], ocd),
        (wrong[0], none),
        (wrong[1], ocd),
        (right[0], panic),
        (right[1], ocd),
    ]
    rows = table(*answers)
    assert [row.n for row in rows] == [3, 3]
    assert row_of(rows, "minimal pairs").failures == 1
    assert row_of(rows, "minimal pairs, both right").failures == 2
    assert row_of(rows, "minimal pairs").worst == (FailedTrial("first / second", "ocd", 0.8, "ocd", 0.8),)


def test_a_negation_has_to_change_the_answer():
    """One row, and no demand of which label it should become."""
    trial, negated = pair_of("a", "negation", "ocd", "no_clinical_concern")
    (row,) = table((trial, [0.1, 0.8, 0.1]), (negated, [0.6, 0.3, 0.1]))
    assert (row.capability, row.n, row.failures, row.worst) == ("negation", 1, 0, ())


def test_other_label_sets_have_no_rows_of_pairs():
    """Where a pair's conditions are not among the labels nothing is asked of it."""
    trial, other = pair_of("a", "minimal pairs", "panic", "ptsd")
    assert table((trial, [0.1, 0.8, 0.1]), (other, [0.1, 0.8, 0.1])) == ()


def test_trials_and_table_fit_together():
    """With the same answer to everything no invariance fails and no pair changes."""
    asked = trials([example(TEXT)], 0)
    answer = np.linspace(0.0, 1.0, len(IDS)) / np.linspace(0.0, 1.0, len(IDS)).sum()
    rows = failure_table(asked, np.tile(answer, (len(asked), 1)), {"one": answer}, IDS)
    assert {row.rate for row in rows if row.kind == "invariance"} == {0.0}
    assert {row.rate for row in rows if row.kind == "change"} == {1.0}
    assert sum(row.n for row in rows) == len(asked) - len(negations())
