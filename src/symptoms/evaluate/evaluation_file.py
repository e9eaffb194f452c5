"""The evaluation of one checkpoint on one data set, with baselines on the same examples."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from symptoms.errors import InputError
from symptoms.evaluate.baselines import LeftOut
from symptoms.evaluate.key_symptoms import KeySymptoms
from symptoms.evaluate.measures.intervals import Interval
from symptoms.evaluate.measures.metrics import SymptomScores
from symptoms.evaluate.measures.scores import Scores
from symptoms.evaluate.recommendations import RecommendationChecks
from symptoms.evaluate.robustness.table import FailureRow

EVALUATION_FILE = "evaluation.json"
"""Where a run directory keeps its latest evaluation, and each evaluation's own folder that one."""
EVALUATIONS = "evaluations"
"""The folder of a run directory that has a folder for each data set it was evaluated on."""
PREDICTIONS_FILE = "predictions.jsonl"


@dataclass(frozen=True)
class Subject:
    """What was evaluated: a checkpoint on a service, with the data it was trained on, where that is known."""

    name: str
    checkpoint: str
    base_model: str
    service: str
    trained_on: str | None
    num_trained_on: int | None
    final_loss: float | None
    settings: dict[str, Any]


@dataclass(frozen=True)
class TestSet:
    """The examples it was evaluated on."""

    __test__ = False  # not a pytest class

    path: str
    sha256: str
    n: int
    label_ids: tuple[str, ...]
    label_texts: tuple[str, ...]


def evaluation_folder(root: Path, test: TestSet) -> Path:
    """Where in a run directory the files of its evaluation on this test set are."""
    return root / EVALUATIONS / f"{Path(test.path).stem}-{test.sha256[:8]}"


@dataclass(frozen=True)
class Written:
    """What was written next to the label: `parse_rate` is the share of these answers that are proper lines.

    `answers` is how many were written; None in results of before, when all were.
    `accuracy` is that of the concern as written; `agreement` the share whose written concern is the label
    that scored highest.
    """

    parse_rate: float
    accuracy: Interval
    agreement: float
    symptoms: SymptomScores | None
    recommendations: RecommendationChecks
    answers: int | None = None


@dataclass(frozen=True)
class LabelScores:
    """Scores of the likeliest label, whether or not the rest of the answer could be read."""

    accuracy: Interval
    macro_f1: Interval


@dataclass(frozen=True)
class BaselineScores:
    """A baseline on the same examples; differences are the checkpoint's figure less the baseline's."""

    name: str
    scores: Scores
    macro_f1_difference: Interval
    accuracy_difference: Interval


@dataclass(frozen=True)
class ExternalScores:
    """Scores on texts from elsewhere; `in_scope` is False for texts that no condition fits."""

    name: str
    note: str
    in_scope: bool
    scores: Scores | None
    named_a_condition_rate: float | None


@dataclass(frozen=True)
class AllowedDuplicates:
    """How many `texts` of a test set nearly repeat training texts and were allowed all the same.

    `other_labels` has a sentence on each of them whose training text has another label.
    """

    texts: int = 0
    other_labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class FurtherTest:
    """The headline on another test set, with the same calibration and the same fitted baselines."""

    path: str
    sha256: str
    n: int
    scores: Scores
    by_label: LabelScores
    parse_rate: float
    baselines: tuple[BaselineScores, ...]
    symptoms: KeySymptoms | None = None
    allowed: AllowedDuplicates = AllowedDuplicates()


@dataclass(frozen=True)
class Mistake:
    """A wrong answer with the leading labels' probabilities and the chosen line's token log-probabilities."""

    id: str
    input: str
    condition: str
    leading: tuple[tuple[str, float], ...]
    probability_of_right: float
    token_logprobs: tuple[float, ...]
    written: str


@dataclass(frozen=True)
class Evaluation:
    """Everything that a report shows; `temperature`, `threshold` and `risk` are None without a dev set.

    `threshold` is None, too, where none is known to keep `risk`. `left_out` are baselines that could not be
    had, with the reasons. `word_weight` is what the words' vote counts beside the model, 0 for none.
    `symptoms` are the key symptoms as the classifier names them, `written.symptoms` as the model wrote them.
    """

    subject: Subject
    test: TestSet
    seed: int
    temperature: float | None
    threshold: float | None
    dev: str | None
    scores: Scores
    written: Written
    by_label: LabelScores
    confusion: tuple[tuple[int, ...], ...]
    mistakes: tuple[Mistake, ...]
    seconds: float
    baselines: tuple[BaselineScores, ...] = ()
    robustness: tuple[FailureRow, ...] = ()
    external: tuple[ExternalScores, ...] = ()
    further: tuple[FurtherTest, ...] = ()
    versions: dict[str, str] = field(default_factory=dict[str, str])
    left_out: tuple[LeftOut, ...] = ()
    risk: float | None = None
    word_weight: float = 0.0
    symptoms: KeySymptoms | None = None
    allowed: AllowedDuplicates = AllowedDuplicates()


_EVALUATION = TypeAdapter(Evaluation)


def summary_of(evaluation: Evaluation) -> dict[str, Any]:
    """The figures that other programs rely on."""
    scores, written, abstention = (
        evaluation.scores,
        evaluation.written.symptoms,
        evaluation.scores.abstention,
    )
    return {
        **_headline(scores, evaluation.by_label, evaluation.written.parse_rate),
        "balanced_accuracy": scores.balanced_accuracy,
        "brier": scores.calibration.brier,
        "temperature": evaluation.temperature,
        "threshold": evaluation.threshold,
        "risk": evaluation.risk,
        "answered": abstention and abstention.coverage,
        "accuracy_when_answered": abstention and abstention.accuracy_when_answered,
        "symptom_micro_f1_written": written and written.micro_f1,
        **_figures_of(evaluation.symptoms, written),
        "accuracy_at_80_coverage": scores.accuracy_at_80_coverage,
        "out_of_scope_auroc": scores.out_of_scope.auroc,
        "over_diagnosis_rate": scores.out_of_scope.over_diagnosis_rate,
        "seconds": evaluation.seconds,
        "further_tests": {
            one.path: {
                **_headline(one.scores, one.by_label, one.parse_rate),
                **_figures_of(one.symptoms),
            }
            for one in evaluation.further
        },
    }


def _headline(scores: Scores, by_label: LabelScores, parse_rate: float) -> dict[str, Any]:
    """What is told of every test set."""
    return {
        "n": scores.n,
        "accuracy": scores.accuracy.value,
        "accuracy_interval": [scores.accuracy.low, scores.accuracy.high],
        "macro_f1": scores.macro_f1.value,
        "macro_f1_interval": [scores.macro_f1.low, scores.macro_f1.high],
        "label_accuracy": by_label.accuracy.value,
        "label_macro_f1": by_label.macro_f1.value,
        "parse_rate": parse_rate,
        "ece": scores.calibration.ece,
    }


def _figures_of(symptoms: KeySymptoms | None, written: SymptomScores | None = None) -> dict[str, Any]:
    """What is `written` stands for what is named in results of before that was told apart."""
    if symptoms is None:
        return {
            "symptom_micro_f1": None if written is None else written.micro_f1,
            "symptom_micro_f1_interval": None,
            "symptom_micro_f1_shown": None,
        }
    interval = symptoms.named_micro_f1
    return {
        "symptom_micro_f1": interval.value,
        "symptom_micro_f1_interval": [interval.low, interval.high],
        "symptom_micro_f1_shown": symptoms.shown_micro_f1.value,
    }


def write_evaluation(path: Path, evaluation: Evaluation) -> None:
    """The summary's figures, and everything else under `details`."""
    content = {**summary_of(evaluation), "details": _EVALUATION.dump_python(evaluation, mode="json")}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_evaluation(path: Path) -> Evaluation:
    """What `write_evaluation` wrote; raises InputError for anything else."""
    try:
        return _EVALUATION.validate_python(json.loads(path.read_text(encoding="utf-8"))["details"])
    except (OSError, KeyError, TypeError, json.JSONDecodeError, ValidationError) as error:
        raise InputError(
            f"{path} is not the result of an evaluation; give a file that --json wrote."
        ) from error
