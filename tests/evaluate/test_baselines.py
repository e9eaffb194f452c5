"""Baselines learn what can be learnt from words, and their choices are made on dev alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics.pairwise import cosine_similarity

from symptoms.data import Dataset, Example, Label
from symptoms.evaluate.baselines import Baseline, fit_baselines

WORDS = {
    "panic": ("heart", "racing", "breath", "sudden", "terror", "attack"),
    "insomnia": ("awake", "night", "sleep", "clock", "bed", "tired"),
    "ocd": ("wash", "check", "door", "count", "germs", "again"),
}


def made(count: int, seed: int, conditions: tuple[str, ...] = tuple(WORDS)) -> Dataset:
    """Texts of four words of their condition and two of any."""
    generator = np.random.default_rng(seed)
    everything = [word for words in WORDS.values() for word in words]
    examples: list[Example] = []
    for number in range(count):
        condition = conditions[number % len(conditions)]
        words = [*generator.choice(WORDS[condition], 4), *generator.choice(everything, 2)]
        label = Label(condition, condition.upper())
        examples.append(Example(" ".join(words), label, (), id=str(number), line=number + 1))
    return Dataset(Path("made.jsonl"), tuple(examples), tuple(Label(c, c.upper()) for c in WORDS), "0")


@pytest.fixture(scope="module")
def fitted() -> dict[str, Baseline]:
    return {baseline.name: baseline for baseline in fit_baselines(made(90, 0), made(30, 1), seed=0).fitted}


def accuracy_of(baseline: Baseline, test: Dataset) -> float:
    ids = [label.id for label in test.labels]
    best = baseline.probabilities([example.input for example in test.examples]).argmax(axis=1)
    return float(np.mean([ids[b] == e.condition for b, e in zip(best, test.examples, strict=True)]))


def test_every_baseline_gives_probabilities(fitted: dict[str, Baseline]):
    """Rows add up to one, also for texts without a known word."""
    for baseline in fitted.values():
        probabilities = baseline.probabilities(["heart racing", "zzz", ""])
        assert probabilities.shape == (3, 3)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
        assert (probabilities >= 0).all()


def test_those_that_learn_words_learn_them(fitted: dict[str, Baseline]):
    """Linear models and the nearest neighbour tell the made conditions apart; the majority cannot."""
    test = made(60, 2)
    assert accuracy_of(fitted["majority"], test) == pytest.approx(1 / 3, abs=0.01)
    for name in ("TF-IDF + logistic regression", "TF-IDF + linear SVM", "nearest neighbour"):
        assert accuracy_of(fitted[name], test) > 0.9


def test_keyword_rules_know_the_bundled_conditions(fitted: dict[str, Baseline]):
    """A text with a condition's telltale word gets that condition."""
    best = fitted["keyword rules"].probabilities(["I keep washing because of germs"]).argmax()
    assert list(WORDS)[best] == "ocd"


def test_the_nearest_neighbour_is_that_of_the_cosine(fitted: dict[str, Baseline]):
    """The answer is the condition of the training text with the highest cosine similarity."""
    train, test = made(90, 0), made(20, 3)
    texts = [example.input for example in train.examples]
    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, min_df=2, token_pattern=r"(?u)\b\w+\b"
    )
    known = vectorizer.fit_transform(texts)
    asked = [example.input for example in test.examples]
    nearest = cosine_similarity(vectorizer.transform(asked), known).argmax(axis=1)
    expected = [train.examples[index].condition for index in nearest]
    best = fitted["nearest neighbour"].probabilities(asked).argmax(axis=1)
    assert [list(WORDS)[index] for index in best] == expected


def test_a_condition_without_training_examples_is_never_likely():
    """A label that the training set lacks keeps a small probability and is not answered."""
    train = made(60, 0, ("panic", "insomnia"))
    for baseline in fit_baselines(train, None, seed=0).fitted:
        if baseline.name != "keyword rules":
            assert baseline.probabilities(["heart racing", "wash check door"])[:, 2].max() < 0.34


def test_the_same_seed_gives_the_same_probabilities():
    """Fitting twice changes nothing."""
    dev = made(30, 1)
    shuffled = replace(dev, examples=dev.examples[::-1])
    first, second = fit_baselines(made(90, 0), dev, 0), fit_baselines(made(90, 0), shuffled, 0)
    for one, other in zip(first.fitted, second.fitted, strict=True):
        np.testing.assert_allclose(
            one.probabilities(["sleep heart"]), other.probabilities(["sleep heart"]), atol=1e-3
        )


def with_texts(dataset: Dataset, texts: Sequence[str]) -> Dataset:
    """So many of its examples with other texts."""
    changed = (replace(one, input=text) for one, text in zip(dataset.examples, texts, strict=False))
    return replace(dataset, examples=tuple(changed))


LINEAR = ("TF-IDF + logistic regression", "TF-IDF + linear SVM")


@pytest.mark.parametrize(
    ("train", "left_out", "reason"),
    [
        (made(12, 0, ("panic",)), LINEAR, "a single condition"),
        (with_texts(made(9, 0), list("abcdefghi")), ("nearest neighbour", *LINEAR), "no word occurs in two"),
        (with_texts(made(9, 0), ["...", "?!", "--"] * 3), ("nearest neighbour", *LINEAR), "no word occurs"),
        (made(1, 0), ("nearest neighbour", *LINEAR), ""),
        (made(5, 0), (), ""),
    ],
    ids=["one condition", "no repeated word", "no word characters", "one text", "fewer than three of each"],
)
def test_what_cannot_be_fitted_is_left_out_with_its_reason(
    train: Dataset, left_out: tuple[str, ...], reason: str
):
    """The others are there; a warning of scikit-learn would be an error here."""
    for dev in (None, made(6, 1)):
        baselines = fit_baselines(train, dev, seed=0)
        assert tuple(one.name for one in baselines.left_out) == left_out
        assert all(reason in one.reason for one in baselines.left_out)
        assert len(baselines.fitted) + len(left_out) == 5
        for baseline in baselines.fitted:
            np.testing.assert_allclose(baseline.probabilities(["heart", "", "?"]).sum(axis=1), 1.0)


def test_one_example_of_each_of_many_conditions_is_no_regression():
    """As in the 30 examples of the experiment; a warning of scikit-learn would be an error here."""
    ids = [f"condition_{number}" for number in range(30)]
    examples = [
        Example(f"today heart {one}", Label(one, one), (), id=one, line=number)
        for number, one in enumerate(ids, start=1)
    ]
    train = Dataset(Path("made.jsonl"), tuple(examples), tuple(Label(one, one) for one in ids), "0")
    assert fit_baselines(train, None, seed=0).left_out == ()
