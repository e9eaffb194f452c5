"""Test sets beside the first one, of which the headline is reported: what another hand wrote, say.

Nothing is chosen on them, and leakage stops them as it stops the first.
"""

from collections.abc import Sequence
from pathlib import Path

from symptoms.classifier import TrainedModel, Writing
from symptoms.data import Dataset
from symptoms.evaluate.baselines import Baseline
from symptoms.evaluate.evaluation_file import FurtherTest
from symptoms.evaluate.fitting.fitted_on_dev import FittedOnDev, score_alone
from symptoms.evaluate.key_symptoms import score_key_symptoms
from symptoms.evaluate.predictions import parse_rate, predict, write_predictions
from symptoms.evaluate.scoring import (
    WRITTEN_ANSWERS,
    Track,
    score_classic_baselines,
    score_labels,
    score_predictions,
)


def score_further_test(
    model: TrainedModel,
    test: Dataset,
    fitted: FittedOnDev,
    baselines: Sequence[Baseline],
    seed: int,
    folder: Path,
    track: Track,
) -> FurtherTest:
    """Ask about one of them and score it as the first is scored; its predictions are kept in `folder`."""
    advance = track(test.path.stem, len(test.examples))
    predictions = predict(
        model,
        test.examples,
        test.labels,
        advance,
        WRITTEN_ANSWERS,
        Writing.CONCERN if fitted.names_concern_alone else Writing.FINDINGS,
        fitted.asked_of_all,
    )
    write_predictions(folder / f"predictions-{test.path.stem}.jsonl", predictions)
    return FurtherTest(
        path=str(test.path),
        sha256=test.digest,
        n=len(test.examples),
        scores=score_predictions(test, predictions, fitted.calibrator, seed),
        by_label=score_labels(predictions, seed),
        parse_rate=parse_rate(predictions),
        symptoms=score_key_symptoms(
            model,
            predictions,
            fitted.symptoms,
            fitted.calibrator.temperature if fitted.calibrator else 1.0,
            seed,
        ),
        baselines=(
            *score_alone(fitted, model, test, predictions, seed),
            *score_classic_baselines(baselines, test, predictions, seed),
        ),
    )
