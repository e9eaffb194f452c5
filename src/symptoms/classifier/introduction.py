"""What is said of a model above its answers: what it is, and how often it was right on which texts."""

from pathlib import Path

from symptoms.classifier.run_files.run_accuracy import FurtherAccuracy, RunAccuracy
from symptoms.classifier.run_files.run_calibration import RunCalibration
from symptoms.runs import DEMONSTRATION, SHIPPED
from symptoms.words import counted

UNCALIBRATED_THRESHOLD = 0.97
"""The probability from which a run that was not calibrated answers, as it is likely too sure of itself.

Uncalibrated, a run of symptoms-base on 30 examples gave 3 of 300 test texts 0.9 or more, and was wrong about
all of them; none reached 0.97. A run of smollm2-135m on 900 examples answers 40 of them then, 34 rightly.
"""


def introduction(
    name: str | None,
    examples: int | None,
    calibration: RunCalibration | None,
    accuracy: RunAccuracy | None,
    members: int = 1,
) -> str:
    """A few sentences on the run `name`, trained on so many examples; None where it is not a run here.

    `members` is how many runs answer together.
    """
    return " ".join(
        (_what_it_is(name, examples, members), _how_good(accuracy), _when_it_answers(calibration, accuracy))
    )


def _what_it_is(name: str | None, examples: int | None, members: int) -> str:
    if name is None:
        return "A checkpoint that no run here saved answers; what it was trained on is not known."
    if name == SHIPPED:
        trained = "" if examples is None else f", trained on {counted(examples, 'example')}"
        return f"The classifier that ships with this program answers{trained}."
    if examples is None:
        return f"The run {name} answers."
    if examples < DEMONSTRATION:
        return (
            f"The run {name} is a demonstration: trained on {counted(examples, 'example')}, it shows how "
            "training works and knows too little to be believed about new texts."
        )
    if members > 1:
        return f"{name} answers, which is {members} runs together, trained on {counted(examples, 'example')}."
    return f"The run {name} answers, trained on {counted(examples, 'example')}."


def _how_good(accuracy: RunAccuracy | None) -> str:
    if accuracy is None:
        return "How often it is right on texts that it has not seen was not measured."
    told = f"On {_texts(accuracy)} its likeliest label was right for {_share(accuracy)}"
    others = [f"on {_texts(one)} for {_share(one)}" for one in accuracy.further]
    return f"{', '.join([told, *others])}."


def _texts(accuracy: FurtherAccuracy) -> str:
    # The file's name alone: the page shows it to others, whom the folders of this machine do not concern.
    return f"{counted(accuracy.examples, 'held-out text')} ({Path(accuracy.data).name})"


def _share(accuracy: FurtherAccuracy) -> str:
    return f"{accuracy.accuracy:.0%} ({accuracy.low:.0%} to {accuracy.high:.0%})"


def _when_it_answers(calibration: RunCalibration | None, accuracy: RunAccuracy | None) -> str:
    if calibration is None:
        return (
            "Its probabilities were not calibrated and are likely too high, so it names a condition only "
            f"from {UNCALIBRATED_THRESHOLD:.0%} on."
        )
    risk = f"at most {calibration.risk or 0:.0%} of its answers are wrong"
    if calibration.threshold is None:
        return f"No probability is known above which {risk}, so it names no condition."
    fitted_on = counted(calibration.examples, "other text")
    said = f"It names a condition from {calibration.threshold:.0%} on, fitted on {fitted_on} so that {risk}"
    if accuracy is None or accuracy.answered is None:
        return f"{said}."
    rightly = accuracy.accuracy_when_answered
    told = "" if rightly is None else f", {rightly:.0%} of these rightly"
    if rightly is not None and 1 - rightly > (calibration.risk or 0):
        told += ", fewer than aimed for"
    return f"{said}: it did so for {accuracy.answered:.0%} of the held-out texts{told}."
