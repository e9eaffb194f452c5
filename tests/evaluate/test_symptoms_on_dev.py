"""How key symptoms are read: what dev weighs, the threshold, when the model writes them, and their scores."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import pytest

from dataset_parts import part_with
from symptoms.classifier import Answer, SymptomReader, TrainedModel, Writing
from symptoms.data import Dataset, Example, Label
from symptoms.evaluate.fitting.fitted_on_dev import fit_on_dev
from symptoms.evaluate.fitting.symptoms_on_dev import FEWEST_ON_DEV, best_threshold, fit_symptom_reader
from symptoms.evaluate.key_symptoms import score_key_symptoms
from symptoms.evaluate.predictions import Prediction, predict

LABELS = ("panic", "ocd", "insomnia", "hoarding", "bulimia", "adhd")


TRAIN, DEV, TEST = (part_with(LABELS, f"data/{name}.jsonl") for name in ("train-900", "dev", "test"))
BY_TEXT = {one.input: one for one in (*DEV.examples, *TEST.examples)}


def untracked(_what: str, _count: int) -> Callable[[], None]:
    return lambda: None


@dataclass(frozen=True)
class Knowing:
    """A model that knows the condition of every text, and writes the annotated terms or none."""

    writes_terms: bool = False

    def mended(self, text: str) -> str:
        return text

    def answers(
        self, asked: Iterable[tuple[str, Writing]], labels: Sequence[Label]
    ) -> Generator[Answer, None, None]:
        for text, writing in asked:
            example = BY_TEXT[text]
            terms = ", ".join(example.symptoms or ()) if self.writes_terms else ""
            written = f"Primary concern: {example.label and example.label.text}\nKey symptoms: "
            written += terms or "none identified"
            yield Answer(written if writing.value else None, certain([example])[0], ((),) * len(labels))


@dataclass(frozen=True)
class Fixed(Knowing):
    """The same with the place for a vote of words that a model has."""

    words: object = None


def certain(examples: Sequence[Example]) -> np.ndarray:
    """Log-probabilities [n, labels] of who knows the right one almost surely."""
    return np.log(np.full((len(examples), len(LABELS)), 0.001)) + 6.9 * np.array(
        [[one.condition == label for label in LABELS] for one in examples]
    )


def fit(model: Knowing | None = None, train: Dataset = TRAIN, dev: Dataset = DEV) -> SymptomReader | None:
    probabilities = np.exp(certain(dev.examples))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return fit_symptom_reader(cast(TrainedModel, model or Knowing()), train, dev, probabilities, untracked)


def predictions(model: Knowing, test: Dataset) -> list[Prediction]:
    return predict(cast(TrainedModel, model), test.examples, test.labels, most=0)


def test_conditions_words_and_cues_all_speak_for_a_term() -> None:
    """Each of the three figures has a weight above nothing on dev."""
    found = fit()
    assert found is not None
    assert min(found.fitted.weights) > 0
    assert found.fitted.examples == len(DEV.examples)


def test_the_model_writes_where_it_does_so_better() -> None:
    """A model whose own list is right on dev goes on writing it."""
    assert fit(Knowing(writes_terms=True)) is None


@pytest.mark.parametrize(
    ("train", "dev"),
    [
        (replace(TRAIN, examples=TRAIN.examples[:4]), DEV),
        (TRAIN, replace(DEV, examples=DEV.examples[: FEWEST_ON_DEV - 1])),
        (TRAIN, replace(DEV, examples=tuple(replace(one, symptoms=None) for one in DEV.examples))),
        (replace(TRAIN, examples=tuple(replace(one, symptoms=None) for one in TRAIN.examples)), DEV),
        (TRAIN, replace(DEV, examples=tuple(replace(one, symptoms=()) for one in DEV.examples))),
    ],
    ids=["four training texts", "a small dev set", "dev not annotated", "training not", "no term on dev"],
)
def test_without_enough_annotated_texts_the_model_writes(train: Dataset, dev: Dataset) -> None:
    """Too little to fit the figures or their weights on is no reader."""
    assert fit(train=train, dev=dev) is None


def test_a_switch_leaves_the_list_to_the_model() -> None:
    """Without a training set, or where the switch says so, nothing is read."""
    model = cast(TrainedModel, Fixed())
    assert fit_on_dev(model, DEV, TRAIN, 0.3, untracked).symptoms is not None
    assert fit_on_dev(model, DEV, TRAIN, 0.3, untracked, read_symptoms=False).symptoms is None
    assert fit_on_dev(model, DEV, None, 0.3, untracked).symptoms is None


def test_the_threshold_is_the_one_with_the_best_micro_f1() -> None:
    """Two right terms above a wrong one: from between the second and the third on."""
    probabilities = np.array([[0.9, 0.2], [0.6, 0.1]])
    right = np.array([[True, False], [True, False]])
    assert best_threshold(probabilities, right) == pytest.approx(0.4)


def test_a_test_set_is_scored_as_it_is_named_and_as_it_is_shown() -> None:
    """What is read does better than a model that names nothing; what is shown is a part of what is named."""
    reader = fit()
    read = score_key_symptoms(cast(TrainedModel, Knowing()), predictions(Knowing(), TEST), reader, 1.0, 0)
    written = score_key_symptoms(cast(TrainedModel, Knowing()), predictions(Knowing(), TEST), None, 1.0, 0)
    assert read is not None
    assert written is not None
    assert (read.are_read, written.are_read) == (True, False)
    assert written.named.micro_f1 == written.named_micro_f1.value == 0.0
    assert read.named_micro_f1.low < read.named.micro_f1 == pytest.approx(read.named_micro_f1.value)
    assert read.named.micro_f1 > 0.4
    assert read.shown.unsupported_rate == 0.0 < read.named.unsupported_rate


def test_what_misspelt_words_bear_out_counts_as_shown() -> None:
    """A test set is scored as `assess` shows it, which reads misspelt words as they were meant."""
    one = replace(
        predictions(Knowing(), DEV)[0],
        input="I cant slep",
        symptoms=("difficulty falling asleep",),
        written_symptoms=("difficulty falling asleep",),
    )
    found = score_key_symptoms(cast(TrainedModel, Knowing()), [one], None, 1.0, 0)
    assert found is not None
    assert found.shown.micro_f1 == found.named.micro_f1 == 1.0


def test_a_test_set_without_annotations_has_no_scores() -> None:
    """Nothing is said of symptoms that nobody annotated."""
    bare = [replace(one, symptoms=None) for one in predictions(Knowing(), TEST)]
    assert score_key_symptoms(cast(TrainedModel, Knowing()), bare, None, 1.0, 0) is None
