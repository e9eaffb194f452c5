"""What an evaluation leaves in a run for its classifier: calibration and accuracy, and where its files go."""

from pathlib import Path

from symptoms.classifier import (
    FurtherAccuracy,
    RunAccuracy,
    RunCalibration,
    write_accuracy,
    write_calibration,
    write_symptom_model,
    write_word_model,
)
from symptoms.data import Dataset
from symptoms.evaluate.evaluation_file import EVALUATION_FILE, Evaluation, write_evaluation
from symptoms.evaluate.fitting.fitted_on_dev import FittedOnDev
from symptoms.evaluate.measures.calibrator import Calibrator
from symptoms.runs import RUNS, RunDirectory


def folder_root(run: RunDirectory | None) -> Path:
    """Where an evaluation's folder goes: into the run, and of what ships to where runs are."""
    if run is None:
        return Path()
    return RUNS / run.name if run.is_shipped else run.path


def keep_fitted(run: RunDirectory, fitted: FittedOnDev, dev: Dataset, checkpoint: str) -> None:
    """Write what was fitted on dev into the run, for its classifier; what ships is left as it is."""
    if run.is_shipped or fitted.calibrator is None:
        return
    if fitted.words is not None:
        write_word_model(run.path, fitted.words.model)
    if fitted.symptoms is not None:
        write_symptom_model(run.path, fitted.symptoms.model)
    write_calibration(run.path, calibration_of_run(fitted, fitted.calibrator, dev, checkpoint))


def keep_evaluation(run: RunDirectory, folder: Path, evaluation: Evaluation) -> None:
    """Write it into its folder, and into the run with the accuracy; what ships is left as it is."""
    write_evaluation(folder / EVALUATION_FILE, evaluation)
    if not run.is_shipped:
        write_evaluation(run.path / EVALUATION_FILE, evaluation)
        write_accuracy(run.path, accuracy_of_run(evaluation))


def accuracy_of_run(evaluation: Evaluation) -> RunAccuracy:
    """What is told of the run above its answers."""
    accuracy, abstention = evaluation.by_label.accuracy, evaluation.scores.abstention
    further: list[FurtherAccuracy] = []
    for one in evaluation.further:
        own = one.by_label.accuracy
        further.append(
            FurtherAccuracy(data=one.path, examples=one.n, accuracy=own.value, low=own.low, high=own.high)
        )
    return RunAccuracy(
        data=evaluation.test.path,
        examples=evaluation.test.n,
        accuracy=accuracy.value,
        low=accuracy.low,
        high=accuracy.high,
        answered=abstention and abstention.coverage,
        accuracy_when_answered=abstention and abstention.accuracy_when_answered,
        checkpoint=evaluation.subject.checkpoint,
        further=tuple(further),
    )


def calibration_of_run(
    fitted: FittedOnDev, calibrator: Calibrator, dev: Dataset, checkpoint: str
) -> RunCalibration:
    """What the classifier of this run needs of it: all that the calibrator says, and what it belongs to."""
    return RunCalibration(
        **vars(calibrator),
        fitted_on=str(dev.path),
        examples=len(dev.examples),
        checkpoint=checkpoint,
        labels=tuple(label.id for label in dev.labels),
        word_weight=0.0 if fitted.words is None else fitted.words.weight,
        symptoms=None if fitted.symptoms is None else fitted.symptoms.fitted,
    )
