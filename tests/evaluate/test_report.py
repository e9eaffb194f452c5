"""Results are stored, read back, put side by side, and shown without a word that could act as markup."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from symptoms.cli.commands.evaluate_commands import print_result
from symptoms.data import Dataset, Example, Label
from symptoms.errors import InputError
from symptoms.evaluate.baselines import LeftOut
from symptoms.evaluate.evaluation_file import (
    Evaluation,
    FurtherTest,
    Subject,
    TestSet,
    read_evaluation,
    summary_of,
    write_evaluation,
)
from symptoms.evaluate.key_symptoms import KeySymptoms
from symptoms.evaluate.measures.abstention import Abstention
from symptoms.evaluate.measures.calibrator import Calibrator
from symptoms.evaluate.measures.intervals import Interval
from symptoms.evaluate.measures.metrics import SymptomScores, confusion
from symptoms.evaluate.predictions import Prediction
from symptoms.evaluate.scoring import (
    score_baseline,
    score_labels,
    score_predictions,
    score_written,
    worst_mistakes,
)
from symptoms.report.pages import answering, interval_text, two_accuracies, verdict, write_report

LABELS = (Label("panic", "Panic"), Label("no_clinical_concern", "No clinical concern"))
HOSTILE = '<script>alert("x")</script> | & <b>'


def made_predictions(right: int, wrong: int) -> list[Prediction]:
    """So many right and wrong answers to texts that hold markup."""
    answers = ["panic"] * right + ["no_clinical_concern"] * wrong
    return [
        Prediction(
            id=str(number),
            input=f"{HOSTILE} {number}",
            condition="panic" if number % 4 or answer != "panic" else "no_clinical_concern",
            predicted=answer if number % 4 or answer != "panic" else "no_clinical_concern",
            logprobs=(-0.1, -2.4) if answer == "panic" and number % 4 else (-1.2, -0.4),
            token_logprobs=(-0.1, -0.2),
            written="",
            written_condition=answer,
            written_symptoms=("fatigue",),
            written_recommendation="See a GP.",
            symptoms=("fatigue",),
        )
        for number, answer in enumerate(answers)
    ]


def made_evaluation(right: int = 30, wrong: int = 10, seed: int = 0, trained_on: int = 900) -> Evaluation:
    predictions = made_predictions(right, wrong)
    examples = tuple(
        Example(one.input, Label(one.condition, one.condition), one.symptoms, id=one.id)
        for one in predictions
    )
    test = Dataset(Path("test.jsonl"), examples, LABELS, "abc")
    calibrator = Calibrator(1.5, 0.4, 0.3)
    wanted = [one.condition for one in predictions]
    ids = tuple(label.id for label in LABELS)
    even = np.full((len(predictions), 2), 0.5)
    return Evaluation(
        subject=Subject(
            f"run-{seed}", "tinker://a", "base", "local", "train.jsonl", trained_on, 0.2, {"seed": seed}
        ),
        test=TestSet("test.jsonl", "abc", len(examples), ids, tuple(label.text for label in LABELS)),
        seed=seed,
        temperature=calibrator.temperature,
        threshold=calibrator.threshold,
        dev="dev.jsonl",
        risk=calibrator.risk,
        scores=score_predictions(test, predictions, calibrator, seed),
        by_label=score_labels(predictions, seed),
        written=score_written(predictions, seed),
        confusion=tuple(tuple(row) for row in confusion(wanted, [one.answered for one in predictions], ids)),
        mistakes=worst_mistakes(test, predictions, calibrator.temperature),
        seconds=1.0,
        baselines=(score_baseline("even", even, None, test, predictions, seed),),
    )


def with_second_test(evaluation: Evaluation, right: int = 20) -> Evaluation:
    """The same with the headline on another test set."""
    predictions = made_predictions(right, 10)
    examples = tuple(
        Example(one.input, Label(one.condition, one.condition), one.symptoms, id=one.id)
        for one in predictions
    )
    test = Dataset(Path("test-2.jsonl"), examples, LABELS, "def")
    even = np.full((len(predictions), 2), 0.5)
    second = FurtherTest(
        path="test-2.jsonl",
        sha256="def",
        n=len(examples),
        scores=score_predictions(test, predictions, None, 0),
        by_label=score_labels(predictions, 0),
        parse_rate=1.0,
        baselines=(score_baseline("even", even, None, test, predictions, 0),),
    )
    return replace(evaluation, further=(second,))


class Tags(HTMLParser):
    """Which elements a page has, and what it would load."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.loads += [value or "" for name, value in attrs if name in ("src", "href") and tag != "use"]


def test_a_stored_evaluation_is_read_as_it_was(tmp_path: Path):
    """Every figure comes back to the last digit."""
    evaluation = made_evaluation()
    write_evaluation(tmp_path / "result.json", evaluation)
    assert read_evaluation(tmp_path / "result.json") == evaluation


def test_a_second_test_is_stored_told_and_reported(tmp_path: Path):
    """Its headline is in the summary, in the verdict and on the page, beside the first one's."""
    evaluation = with_second_test(made_evaluation())
    write_evaluation(tmp_path / "result.json", evaluation)
    assert read_evaluation(tmp_path / "result.json") == evaluation
    [second] = evaluation.further
    assert summary_of(evaluation)["further_tests"]["test-2.jsonl"]["macro_f1"] == second.scores.macro_f1.value
    assert "on the 30 of test-2.jsonl" in verdict(evaluation)
    page = write_report(tmp_path / "page", evaluation)
    for file in (page, page.with_suffix(".md")):
        assert "On test-2.jsonl" in file.read_text()
    plain = write_report(tmp_path / "plain", made_evaluation())
    assert "test-2" not in plain.read_text()


@pytest.mark.parametrize("are_read", [True, False])
def test_key_symptoms_are_told_for_every_test_set(tmp_path: Path, are_read: bool):
    """As named, as shown, and beside them as the model writes them where they were read otherwise."""
    scores = SymptomScores(0.71, 0.5, 0.25, 40)
    symptoms = KeySymptoms(scores, Interval(0.71, 0.6, 0.8), scores, Interval(0.33, 0.3, 0.4), are_read)
    evaluation = with_second_test(made_evaluation())
    [second] = evaluation.further
    elsewhere = replace(symptoms, named_micro_f1=Interval(0.62, 0.5, 0.7))
    evaluation = replace(
        evaluation,
        symptoms=symptoms,
        written=replace(evaluation.written, symptoms=replace(scores, micro_f1=0.44)),
        further=(replace(second, symptoms=elsewhere),),
    )
    summary = summary_of(evaluation)
    assert (summary["symptom_micro_f1"], summary["symptom_micro_f1_interval"]) == (0.71, [0.6, 0.8])
    assert (summary["symptom_micro_f1_shown"], summary["symptom_micro_f1_written"]) == (0.33, 0.44)
    assert summary["further_tests"]["test-2.jsonl"]["symptom_micro_f1"] == 0.62
    write_evaluation(tmp_path / "result.json", evaluation)
    assert read_evaluation(tmp_path / "result.json") == evaluation
    page = write_report(tmp_path, evaluation)
    assert "\n- Key symptoms" in page.with_suffix(".md").read_text()
    for file in (page, page.with_suffix(".md")):
        told = file.read_text()
        for figure in ("0.71 (0.60 to 0.80)", "0.33 (0.30 to 0.40)", "on test-2.jsonl 0.62 (0.50 to 0.70)"):
            assert figure in told
        assert ("0.44 as the model writes them" in told) == are_read


def test_other_files_are_refused_in_a_sentence(tmp_path: Path):
    """A file without an evaluation is named."""
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(InputError, match="not the result of an evaluation"):
        read_evaluation(tmp_path / "other.json")


def test_a_report_shows_markup_in_texts_as_text(tmp_path: Path):
    """The page has no script, loads nothing, and holds the hostile text escaped."""
    page = write_report(tmp_path, made_evaluation()).read_text()
    tags = Tags()
    tags.feed(page)
    assert "script" not in tags.names
    assert [address for address in tags.loads if not address.startswith("#")] == []
    assert "&lt;script&gt;" in page
    assert "even" in (tmp_path / "report.md").read_text()


def test_a_report_has_a_learning_curve_when_sizes_differ(tmp_path: Path):
    """Runs on fewer examples beside the run make a curve; without them there is none."""
    alone = write_report(tmp_path / "a", made_evaluation()).read_text()
    others = [made_evaluation(20, 20, trained_on=90)]
    together = write_report(tmp_path / "b", made_evaluation(), others).read_text()
    assert "More examples" not in alone
    assert "More examples" in together


def test_the_verdict_follows_the_interval_of_the_difference():
    """Better, worse, or perhaps chance, as the paired interval says."""
    assert "so the model is better" in verdict(made_evaluation(40, 0))
    evaluation = made_evaluation()
    turned = tuple(
        replace(one, macro_f1_difference=replace(one.macro_f1_difference, low=-0.1, high=0.1))
        for one in evaluation.baselines
    )
    assert "may be chance" in verdict(replace(evaluation, baselines=turned))


def with_subject(evaluation: Evaluation, name: str, **settings: object) -> Evaluation:
    """The same as the result of a run of this name that was trained with these settings."""
    return replace(evaluation, subject=replace(evaluation.subject, name=name, settings=settings))


@pytest.mark.parametrize("right", [1, 2, 29])
def test_on_few_texts_no_verdict_is_given(right: int):
    """However clear the interval looks, since a handful of texts makes it as narrow as it likes."""
    said = verdict(made_evaluation(right, 0))
    assert "too few to tell" in said
    assert "is better than" not in said
    assert "(1.00 to 1.00)" not in said


def test_of_few_texts_no_difference_is_told_and_accuracy_has_bounds(tmp_path: Path):
    """All right of three may be much worse with others, and beside them no baseline can be told apart."""
    evaluation = with_second_test(made_evaluation(3, 0), right=20)
    [baseline] = evaluation.baselines
    alike = replace(baseline, macro_f1_difference=Interval(1.0, 1.0, 1.0))
    page = write_report(tmp_path, replace(evaluation, baselines=(alike,)))
    for file in (page, page.with_suffix(".md")):
        told = file.read_text()
        assert "+1.00 (+1.00 to +1.00)" not in told
        assert told.count("too few to tell") == 2, "in the verdict and beside the baseline"
        difference = evaluation.further[0].baselines[0].macro_f1_difference
        assert f"{difference.value:+.2f} ({difference.low:+.2f} to" in told, "of 30 texts it is told"
    right = [replace(one, condition="panic", predicted="panic") for one in made_predictions(3, 0)]
    for accuracy in (score_labels(right, 0).accuracy, score_written(right, 0).accuracy):
        assert (accuracy.value, accuracy.low, accuracy.high) == (1.0, pytest.approx(0.4385, abs=1e-4), 1.0)


def test_where_nothing_could_be_read_the_figures_are_of_the_label(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """No accuracy of 0 stands there like a result: the likeliest label's does, with a sentence why."""
    evaluation = made_evaluation()
    unread = [replace(one, written_condition=None) for one in made_predictions(30, 10)]
    examples = tuple(Example(one.input, Label(one.condition, one.condition), id=one.id) for one in unread)
    scores = score_predictions(Dataset(Path("test.jsonl"), examples, LABELS, "abc"), unread, None, 0)
    evaluation = replace(evaluation, scores=scores, written=score_written(unread, 0), further=())
    assert scores.accuracy.value == 0
    of_label = interval_text(evaluation.by_label.accuracy)
    print_result(evaluation, write_report(tmp_path, evaluation))
    said = " ".join(capsys.readouterr().out.split())
    assert said.index(of_label.partition(" ")[0]) < said.index("Nothing of what")
    assert "The likeliest label of run-0 reaches a macro-F1 of" in said
    for text in (said, (tmp_path / "report.md").read_text(), (tmp_path / "report.html").read_text()):
        assert "Nothing of what the model wrote could be read" in text
        assert of_label in text
        assert "is better than" not in text
    assert " 0.00" not in said.partition("the likeliest label is right")[0]


def test_two_accuracies_that_differ_are_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Once in the report and by the command, in one sentence, and not where they are the same."""
    evaluation = made_evaluation()
    assert two_accuracies(evaluation) is None
    assert "counts an answer as wrong" not in write_report(tmp_path / "same", evaluation).read_text()
    lower = replace(evaluation.scores, accuracy=Interval(0.25, 0.2, 0.3))
    apart = replace(evaluation, scores=lower, written=replace(evaluation.written, parse_rate=0.4))
    said = two_accuracies(apart)
    assert said is not None
    assert "An accuracy of 0.25 counts" in said
    assert "as 60% cannot" in said
    assert f"{apart.by_label.accuracy.value:.2f} is that of the likeliest label" in said
    page = write_report(tmp_path / "apart", apart)
    for file in (page, page.with_suffix(".md")):
        assert file.read_text().count(said) == 1
    for shown, times in ((evaluation, 0), (apart, 1)):
        print_result(shown, page)
        assert " ".join(capsys.readouterr().out.split()).count(said) == times


@pytest.mark.parametrize("path", ["texts/mine/test-2.jsonl", r"C:\texts\mine\test-2.jsonl"])
def test_a_further_test_is_called_by_the_name_of_its_file(tmp_path: Path, path: str):
    """Whichever system the path was written on; the whole of it is a hover away."""
    evaluation = with_second_test(made_evaluation())
    [second] = evaluation.further
    evaluation = replace(evaluation, further=(replace(second, path=path),))
    page = write_report(tmp_path, evaluation).read_text()
    assert f'<h3 title="{path}">On test-2.jsonl, on which' in page
    assert "on the 30 of test-2.jsonl" in verdict(evaluation)


def test_what_the_threshold_does_is_said_in_words():
    """How many are answered and how many of them rightly, or that no threshold was found."""
    evaluation = made_evaluation()
    assert "are answered, " in answering(evaluation)
    assert "to keep at most 30% wrong" in answering(evaluation)
    never = Abstention(None, 0.0, None, 0.5)
    none = replace(evaluation, threshold=None, scores=replace(evaluation.scores, abstention=never))
    assert answering(none).startswith("No threshold was found on dev")
    without_dev = replace(evaluation, scores=replace(evaluation.scores, abstention=None))
    assert "The run stays uncalibrated" in answering(without_dev)
    assert "only from 97% on" in answering(without_dev)
    assert "evaluate it again with --dev" in answering(without_dev)


def test_a_baseline_that_was_left_out_is_named_with_its_reason(tmp_path: Path):
    """In both forms of the report."""
    left_out = (LeftOut("nearest neighbour", "no word occurs in two of the training texts"),)
    page = write_report(tmp_path, replace(made_evaluation(), left_out=left_out))
    for text in (page.read_text(), (tmp_path / "report.md").read_text()):
        assert "Left out: nearest neighbour, because no word occurs in two" in text
