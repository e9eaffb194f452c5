"""What held-out examples say about a run's probabilities, kept in its directory as calibration.json."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from symptoms.classifier.run_files.json_files import read_file, write_file

CALIBRATION_FILE = "calibration.json"


class SymptomCalibration(BaseModel):
    """How symptom terms are named: a logistic regression over all terms, and its threshold.

    `weights` are those of what conditions, words and cues say, in this order, each in log-odds. A term is
    named from a probability of `threshold` on, the one with the best micro-F1 on the `examples`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    weights: tuple[float, float, float]
    offset: float
    threshold: float = Field(ge=0, le=1)
    examples: int = Field(ge=1)


class RunCalibration(BaseModel):
    """The temperature of the probabilities, and the probability below which no label is the answer.

    From `threshold` on at most the share `risk` of the answers is wrong, as far as the examples can tell;
    None where no threshold is known to keep it, and then no label is the answer. A file of an earlier
    version has no `risk`; its threshold keeps none.

    `word_weight` is what the run's model of words counts beside the language model, 0 for nothing; the others
    belong to what both say together.

    From a probability of `out_of_scope_bound` on that a text gives no reason to name a condition, none is
    named; None for no such bound.

    `symptoms` is how the run's model of symptoms is read; without it the model writes them.

    `symptoms evaluate` fits them on the file `fitted_on`. They hold for one checkpoint and one set of
    labels, by their ids, alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float = Field(gt=0, allow_inf_nan=False)
    threshold: float | None = Field(ge=0, le=1)
    risk: float | None = Field(default=None, gt=0, lt=1)
    fitted_on: str
    examples: int = Field(ge=1)
    checkpoint: str
    labels: tuple[str, ...]
    word_weight: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    out_of_scope_bound: float | None = Field(default=None, ge=0, le=1)
    symptoms: SymptomCalibration | None = None


def write_calibration(run: Path, calibration: RunCalibration) -> None:
    """Keep it in a run directory."""
    write_file(run / CALIBRATION_FILE, calibration)


def read_calibration(run: Path) -> RunCalibration | None:
    """The calibration of a run directory, or None; raises RunError for a file that is none."""
    return read_file(run / CALIBRATION_FILE, RunCalibration)
