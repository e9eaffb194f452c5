"""How a run did on held-out texts, kept in its directory as accuracy.json and told with every answer."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from symptoms.classifier.run_files.json_files import read_file, write_file
from symptoms.errors import RunError
from symptoms.runs import ACCURACY


class FurtherAccuracy(BaseModel):
    """How often the likeliest label was right on the `examples` texts of the file `data`.

    `accuracy` has a 95% interval from `low` to `high`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str
    examples: int = Field(ge=1)
    accuracy: float = Field(ge=0, le=1)
    low: float
    high: float


class RunAccuracy(FurtherAccuracy):
    """The same of a run, as `symptoms evaluate` writes it for one checkpoint.

    `answered` is the share of the texts for which a condition is named, and `accuracy_when_answered` the
    accuracy among them, None where that was not measured or nothing is answered. `further` are the other
    test sets of that evaluation.
    """

    answered: float | None
    accuracy_when_answered: float | None
    checkpoint: str
    further: tuple[FurtherAccuracy, ...] = ()


def write_accuracy(run: Path, accuracy: RunAccuracy) -> None:
    """Keep it in a run directory; an earlier one of the same weights stays if it is of more texts."""
    try:
        earlier = read_accuracy(run, accuracy.checkpoint)
    except RunError:
        # What cannot be read is written anew.
        earlier = None
    if earlier is not None and earlier.examples > accuracy.examples:
        return
    write_file(run / ACCURACY, accuracy)


def read_accuracy(run: Path, checkpoint: str) -> RunAccuracy | None:
    """That of this checkpoint, None where it was not measured; raises RunError for a file that is none."""
    found = read_file(run / ACCURACY, RunAccuracy)
    return found if found is not None and found.checkpoint == checkpoint else None
