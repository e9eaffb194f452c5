"""Test sets beside the first one, of which the headline is reported: what another hand wrote, say.

Nothing is chosen on them, and leakage stops them as it stops the first.
"""

from collections.abc import Sequence
from pathlib import Path

from symptoms.classifier import TrainedModel, Writing
from symptoms.data import Dataset, check_leakage
from symptoms.data.checking.duplicates import ALL, ids_as_now
from symptoms.evaluate.baselines import Baseline
from symptoms.evaluate.evaluation_file import FurtherTest
from symptoms.evaluate.key_symptoms import score_key_symptoms
from symptoms.evaluate.on_dev.fitted_on_dev import FittedOnDev, score_alone
from symptoms.evaluate.predictions import parse_rate, predict, write_predictions
from symptoms.evaluate.scoring import (
    WRITTEN_ANSWERS,
    Track,
    score_classic_baselines,
    score_labels,
    score_predictions,
)

SECOND = "-2"
"""What the name of a second test set ends in that is taken without being told."""


def further_paths(data: Path, told: Sequence[Path] | None) -> tuple[Path, ...]:
    """Those that were told, or where none were the `test-2.jsonl` beside a `test.jsonl`, if there is one."""
    if told is not None:
        return tuple(told)
    second = data.with_name(f"{data.stem}{SECOND}{data.suffix}")
    return (second,) if second.is_file() else ()


def check_held_out(
    train: Dataset | None,
    dev: Dataset | None,
    tests: Sequence[Dataset],
    allowed: Sequence[str],
    allowed_in_training: Sequence[str] = (),
    own: Dataset | None = None,
) -> None:
    """`check_leakage` from train into dev and each test set, and from dev into each test set.

    What is fitted on dev would otherwise be fitted on what was trained on, or told of what it was fitted on.
    An allowed id has to be of a test set or of dev. Those allowed in training are of dev alone, beside train:
    a test set may have the same ids. `own` is what the run itself learned from, where that is not `train`.
    """
    held_out = [*tests] if dev is None else [*tests, dev]
    known = [{example.id for example in part.examples} for part in held_out]
    for number, part in enumerate(held_out):
        elsewhere = set[str]().union(*known[:number], *known[number + 1 :])
        of_this = [one for one in allowed if one in known[number] or one not in elsewhere]
        as_now = ids_as_now(part, allowed_in_training)
        of_dev = [one for one in as_now if one in known[number] or one == ALL]
        for earlier in (train, dev, own):
            if earlier is not None and earlier is not part:
                check_leakage(earlier, part, [*of_this, *of_dev] if part is dev else of_this)


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
