"""The figures that stand first for a model: of its answers, or of its labels where none could be read."""

from __future__ import annotations

from symptoms.evaluate.evaluation_file import Evaluation, FurtherTest, LabelScores


def nothing_was_read(test: Evaluation | FurtherTest) -> bool:
    """Whether not one of the answers that were written could be read, so that each counts as wrong."""
    parse_rate = test.parse_rate if isinstance(test, FurtherTest) else test.written.parse_rate
    return parse_rate == 0 and test.scores.accuracy.value == 0


def headline(test: Evaluation | FurtherTest) -> LabelScores:
    """Accuracy and macro-F1 of the answers; of the likeliest label alone where `nothing_was_read`.

    An accuracy of 0 would look like a result there, and would be none of the labels that people are shown.
    """
    return (
        test.by_label if nothing_was_read(test) else LabelScores(test.scores.accuracy, test.scores.macro_f1)
    )


def name_of_model(evaluation: Evaluation) -> str:
    """The model's name in tables, with what its figures are of where that is not its answers."""
    name = evaluation.subject.name
    return f"{name}, likeliest label" if nothing_was_read(evaluation) else name
