"""What an evaluation leaves in a run for its classifier: calibration and accuracy, and where its files go."""

from pathlib import Path

from symptoms.classifier import FurtherAccuracy, RunAccuracy, RunCalibration
from symptoms.data import Dataset
from symptoms.evaluate.evaluation_file import Evaluation
from symptoms.evaluate.fitting.fitted_on_dev import FittedOnDev
from symptoms.evaluate.measures.calibrator import Calibrator
from symptoms.runs import RUNS, RunDirectory


def folder_root(run: RunDirectory | None) -> Path:
    """Where an evaluation's folder goes: into the run, and of what ships to where runs are."""
    if run is None:
        return Path()
    return RUNS / run.name if run.is_shipped else run.path


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
