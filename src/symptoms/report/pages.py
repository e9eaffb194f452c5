"""The report of an evaluation as one self-contained HTML page, and the same in Markdown."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path, PureWindowsPath
from typing import Any

from symptoms import __version__
from symptoms.classifier import UNCALIBRATED_THRESHOLD
from symptoms.disclaimer import DISCLAIMER
from symptoms.evaluate.evaluation_file import Evaluation
from symptoms.evaluate.fitting.fitted_on_dev import MODEL_ALONE
from symptoms.evaluate.measures.abstention import CONFIDENCE
from symptoms.evaluate.measures.intervals import Interval
from symptoms.report import figures
from symptoms.report.headline import headline, name_of_model, nothing_was_read
from symptoms.words import counted

ENOUGH_FOR_A_VERDICT = 30
"""On fewer texts no verdict is given: a bootstrap interval of a handful can be as narrow as it likes."""
WORTH_A_SENTENCE = 0.02
"""By how much two accuracies of one model differ before a reader will ask why."""
FIRST_MISTAKES = 3
"""So many stand open on the page; the others unfold."""
COVERAGE_STEPS = (1.0, 0.9, 0.8, 0.7, 0.5)


def write_report(folder: Path, evaluation: Evaluation, others: Sequence[Evaluation] = ()) -> Path:
    """Write `report.html` and `report.md`; `others` are evaluations of runs on more or fewer examples."""
    folder.mkdir(parents=True, exist_ok=True)
    content = _content(evaluation, others)
    pictures = {
        "comparison": figures.comparison(evaluation),
        "reliability": figures.reliability(evaluation.scores),
        "risk_coverage": figures.risk_coverage(evaluation),
        "conditions": figures.conditions(evaluation),
        "confusion": figures.confusion(evaluation),
        "learning_curve": figures.learning_curve([evaluation, *others]),
    }
    page = folder / "report.html"
    page.write_text(template("report.html.j2", True).render(**content, figures=pictures), encoding="utf-8")
    text = template("report.md.j2", False).render(**content)
    (folder / "report.md").write_text(text, encoding="utf-8")
    return page


@cache
def template(name: str, escapes: bool) -> Any:
    """A template of this package with the filters that reports use, compiled once; `escapes` for HTML."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("symptoms.report"),
        autoescape=escapes,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["interval"] = interval_text
    environment.filters["file_name"] = file_name
    environment.filters["percent"] = percent_text
    environment.filters["words"] = lambda text: str(text).replace("_", " ")
    environment.filters["cell"] = lambda text: str(text).replace("|", "\\|").replace("\n", " ")
    return environment.get_template(name)


def interval_text(interval: Interval) -> str:
    """As in `0.41 (0.36 to 0.47)`; without the bounds where resampling cannot tell any."""
    if interval.low == interval.high:
        return f"{interval.value:.2f}"
    return f"{interval.value:.2f} ({interval.low:.2f} to {interval.high:.2f})"


def difference_text(difference: Interval, texts: int) -> str:
    """As in `+0.05 (+0.01 to +0.09)`; of fewer than `ENOUGH_FOR_A_VERDICT` that they are too few to tell."""
    if texts < ENOUGH_FOR_A_VERDICT:
        return "too few to tell"
    return f"{difference.value:+.2f} ({difference.low:+.2f} to {difference.high:+.2f})"


def file_name(path: str) -> str:
    """The last part of a path, whichever system it was written on."""
    return PureWindowsPath(path).name


def percent_text(share: float | None) -> str:
    """As in `41%`; a dash where the figure does not apply."""
    return "-" if share is None else f"{100 * share:.0f}%"


def _content(evaluation: Evaluation, others: Sequence[Evaluation]) -> dict[str, Any]:
    curve = evaluation.scores.risk_coverage
    at_coverage = [
        (wanted, 1 - curve.risk[next(i for i, c in enumerate(curve.coverage) if c >= wanted - 1e-9)])
        for wanted in COVERAGE_STEPS
    ]
    return {
        "evaluation": evaluation,
        "scores": evaluation.scores,
        "rows": [
            (name_of_model(evaluation), evaluation.scores, None),
            *((one.name, one.scores, one) for one in evaluation.baselines),
        ],
        "at_coverage": at_coverage,
        "headline": headline,
        "nothing_was_read": nothing_was_read,
        "others": others,
        "difference": difference_text,
        "verdict": verdict(evaluation),
        "two_accuracies": two_accuracies(evaluation),
        "answering": answering(evaluation),
        "groups": groups_in_words(evaluation),
        "unrecognised": unrecognised(evaluation),
        "first_mistakes": FIRST_MISTAKES,
        "limits": limits(evaluation),
        "disclaimer": DISCLAIMER,
        "version": __version__,
    }


def verdict(evaluation: Evaluation) -> str:
    """One sentence on how the model compares with the best baseline."""
    reached = interval_text(headline(evaluation).macro_f1)
    n = evaluation.scores.n
    name = evaluation.subject.name
    subject = f"The likeliest label of {name}" if nothing_was_read(evaluation) else name
    own = f"{subject} reaches a macro-F1 of {reached} on {counted(n, 'text')}"
    for one in evaluation.further:
        own += f" and {interval_text(headline(one).macro_f1)} on the {one.n} of {file_name(one.path)}"
    # A part of what is evaluated is no baseline of it.
    baselines = [one for one in evaluation.baselines if one.name != MODEL_ALONE]
    if not baselines:
        return f"{own}; no baseline was computed beside it."
    if n < ENOUGH_FOR_A_VERDICT:
        return f"{own}; {'that is' if n == 1 else 'these are'} too few to tell whether a baseline is better."
    best = max(baselines, key=lambda one: one.scores.macro_f1.value)
    gap = best.macro_f1_difference
    compared = f"{best.name}, the best baseline, reaches {interval_text(best.scores.macro_f1)}"
    if nothing_was_read(evaluation):
        # The differences that are stored are of whole answers, of which there were none.
        return f"{own}; {compared}."
    if gap.low > 0:
        return f"{own}; {compared}, so the model is better than it."
    if gap.high < 0:
        return f"{own}; {compared}, so that baseline is better than the model."
    return f"{own}; {compared}; the difference of {difference_text(gap, n)} may be chance."


def two_accuracies(evaluation: Evaluation) -> str | None:
    """Why two accuracies are told, or one in place of the other; None where they are alike."""
    if nothing_was_read(evaluation):
        return (
            "Nothing of what the model wrote could be read, so there are no figures of whole answers; those "
            "told are of the likeliest label alone, which is what people are shown."
        )
    in_all, of_label = evaluation.scores.accuracy.value, evaluation.by_label.accuracy.value
    if abs(of_label - in_all) <= WORTH_A_SENTENCE:
        return None
    return (
        f"An accuracy of {in_all:.2f} counts an answer as wrong whose written lines cannot be read, as "
        f"{percent_text(1 - evaluation.written.parse_rate)} cannot; {of_label:.2f} is that of the likeliest "
        "label alone, which is what people are shown."
    )


def answering(evaluation: Evaluation) -> str:
    """What the threshold that was fitted on dev does on the test set, or that there is none."""
    abstention, risk = evaluation.scores.abstention, evaluation.risk
    if abstention is None:
        return (
            "The run stays uncalibrated, since no dev set was given: assess names a condition only from "
            f"{UNCALIBRATED_THRESHOLD:.0%} on. To calibrate it, evaluate it again with --dev and labelled "
            "texts that are in neither the training nor the test data."
        )
    # Stored results of earlier versions have a threshold by coverage.
    aim = "" if risk is None else f" to keep at most {risk:.0%} wrong with {CONFIDENCE:.0%} confidence"
    if abstention.threshold is None:
        return f"No threshold was found on dev{aim}, so no condition is named."
    told = f"With the threshold {abstention.threshold:.2f}, fitted on dev{aim}"
    if abstention.accuracy_when_answered is None:
        return f"{told}, none of these texts is answered."
    answered = (
        f"{told}, {percent_text(abstention.coverage)} are answered, "
        f"{percent_text(abstention.accuracy_when_answered)} of them rightly."
    )
    if abstention.named_without_reason is None:
        return answered
    named = percent_text(abstention.named_without_reason)
    return f"{answered} Of the texts that give no reason to name a condition, {named} get one named."


def groups_in_words(evaluation: Evaluation) -> str:
    """How sure the answers were and how many were right, for where a picture would say too much."""
    told = [
        f"{one.count} {'was' if one.count == 1 else 'were'} {one.confidence:.0%} sure, {one.accuracy:.0%} of "
        "them right"
        for one in evaluation.scores.calibration.bins
    ]
    return (
        f"Of the answers, {'; '.join(told)}. So few groups do not show whether probabilities can be believed."
    )


def unrecognised(evaluation: Evaluation) -> list[tuple[str, int, int]]:
    """Conditions of which no text was recognised: name, texts, and answers that named it in vain."""
    return [
        (one.condition.replace("_", " "), one.support, one.predicted)
        for one in evaluation.scores.conditions
        if one.f1 == 0
    ]


def not_held_out(evaluation: Evaluation) -> list[str]:
    """A sentence on each test set of which some texts were trained on, and allowed."""
    sets = [(evaluation.allowed, evaluation.scores.n, "")]
    sets += [(one.allowed, one.n, f" of {file_name(one.path)}") for one in evaluation.further]
    told: list[str] = []
    for allowed, n, of_set in sets:
        if allowed.texts:
            one = allowed.texts == 1
            repeat = "nearly repeats a text" if one else "nearly repeat texts"
            others = len(allowed.other_labels)
            labelled = f", {others:,} with another label there" if others else ""
            told.append(
                f"{allowed.texts:,} of the {counted(n, 'text')}{of_set} {repeat} that it was trained on"
                f"{labelled}, and {'was' if one else 'were'} allowed: the figures are not of held-out texts "
                "alone."
            )
    return told


def limits(evaluation: Evaluation) -> list[str]:
    """What these figures do not show, in plain words."""
    known = [
        *not_held_out(evaluation),
        f"{counted(evaluation.scores.n, 'text')} are few: the intervals say how far each figure could move "
        "with other texts of the same kind, and nothing about texts of another kind.",
        "One run was evaluated; another seed gives another model, which the intervals leave out.",
        "A label is what an author of the data had in mind, not a clinician's finding about a real person.",
    ]
    if evaluation.dev is None:
        known.append(
            "There was no dev set, so the probabilities are as the model gives them, not calibrated."
        )
    known += [f"Left out: {one.name}, because {one.reason}." for one in evaluation.left_out]
    if not any(one.in_scope for one in evaluation.external):
        known.append("No texts from elsewhere were tried, so how the scores carry over is not known.")
    return known
