"""The words' own vote: scikit-learn's probabilities from plain arrays, kept in a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from symptoms.classifier import WordModel, WordVote, fit_word_model, write_word_model
from symptoms.classifier.word_models.word_vote import WORD_STRENGTH, WORDS_FILE, read_word_model
from symptoms.data import load_dataset
from symptoms.errors import RunError

TRAIN = load_dataset(Path("data/train-900.jsonl"))
DEV = load_dataset(Path("data/dev.jsonl"))
CHOSEN = [one for one in TRAIN.examples if one.condition in ("ocd", "panic", "insomnia")]


def fitted(labels: tuple[str, ...] = ("panic", "ocd", "insomnia")) -> WordModel:
    examples = [one for one in CHOSEN if one.condition in labels]
    model = fit_word_model([one.input for one in examples], [one.condition for one in examples], labels)
    assert model is not None
    return model


def test_the_probabilities_are_those_of_scikit_learn() -> None:
    """On texts that were not fitted on they agree with its own pipeline to a thousandth."""
    texts, wanted = [one.input for one in CHOSEN], [one.condition for one in CHOSEN]
    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, min_df=2, token_pattern=r"(?u)\b\w+\b"
    )
    reference = make_pipeline(vectorizer, LogisticRegression(C=WORD_STRENGTH, max_iter=1000)).fit(
        texts, wanted
    )
    asked = [one.input for one in DEV.examples]
    model = fitted()
    order = [list(reference.classes_).index(label) for label in model.labels]
    ours = np.exp([model.log_probabilities(text) for text in asked])
    np.testing.assert_allclose(ours, reference.predict_proba(asked)[:, order], atol=2e-3)


def test_two_labels_are_as_good_as_many() -> None:
    """With two labels, for which scikit-learn keeps one column, the probabilities are its own as well."""
    model = fitted(("panic", "ocd"))
    examples = [one for one in CHOSEN if one.condition in ("panic", "ocd")]
    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, min_df=2, token_pattern=r"(?u)\b\w+\b"
    )
    reference = make_pipeline(vectorizer, LogisticRegression(C=WORD_STRENGTH, max_iter=1000))
    reference.fit([one.input for one in examples], [one.condition for one in examples])
    asked = [one.input for one in DEV.examples]
    ours = np.exp([model.log_probabilities(text)[0] for text in asked])
    np.testing.assert_allclose(ours, reference.predict_proba(asked)[:, 1], atol=2e-3)


def test_a_file_keeps_all_of_it(tmp_path: Path) -> None:
    """What is read back says the same, to the last bit."""
    model = fitted()
    write_word_model(tmp_path, model)
    again = read_word_model(tmp_path)
    assert again is not None
    for example in DEV.examples[:20]:
        assert np.array_equal(again.log_probabilities(example.input), model.log_probabilities(example.input))


def test_a_broken_file_is_told(tmp_path: Path) -> None:
    """A file that is none ends in a sentence, and no file is none."""
    assert read_word_model(tmp_path) is None
    (tmp_path / WORDS_FILE).write_bytes(b"nothing")
    with pytest.raises(RunError, match=r"words.npz cannot be read"):
        read_word_model(tmp_path)


def test_words_that_nobody_has_seen_say_what_is_common() -> None:
    """A text without a known word gets the labels' offsets, and adds up to one."""
    said = fitted().log_probabilities("xyzzy")
    assert np.exp(said).sum() == pytest.approx(1.0)


def test_too_little_to_learn_from_is_no_model() -> None:
    """No word twice, a label without a text, a single label: None."""
    assert fit_word_model(["one", "two"], ["a", "b"], ("a", "b")) is None
    assert fit_word_model(["same", "same"], ["a", "a"], ("a", "b")) is None
    assert fit_word_model(["same", "same"], ["a", "a"], ("a",)) is None


def test_a_vote_of_weight_nothing_changes_nothing() -> None:
    """The vote is the words' log-probabilities times its weight."""
    model, own = fitted(), np.log(np.array([0.5, 0.3, 0.2]))
    assert np.array_equal(WordVote(model, 0.0).added_to(own, "panic"), own)
    text = DEV.examples[0].input
    np.testing.assert_allclose(
        WordVote(model, 2.0).added_to(own, text), own + 2 * model.log_probabilities(text)
    )
