"""`symptoms evaluate` on a tiny model that was trained for a few steps, and on a real server."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from command_in_process import in_process, server_over
from conftest import ROOT
from symptoms.service import LocalServer
from tiny_models import write_tiny_llama

CONDITIONS = ("panic", "insomnia", "no_clinical_concern")
SPLITS = ("train", "dev", "test")


def write_split(folder: Path, split: str, count: int) -> Path:
    """Examples of the real data with other words at their end, so that no two splits resemble each other."""
    found = [json.loads(line) for line in (ROOT / "data" / "train-900.jsonl").read_text().splitlines()]
    chosen = []
    for condition in CONDITIONS:
        of_condition = [entry for entry in found if entry["condition"] == condition]
        offset = {"train": 0, "dev": 8, "test": 16, "test-2": 24}[split]
        chosen += of_condition[offset : offset + count]
    for entry in chosen:
        entry["input"] = entry["input"][:90]
        entry["split"] = split.removesuffix("-2")
    file = folder / f"{split}.jsonl"
    file.write_text("".join(json.dumps(entry) + "\n" for entry in chosen))
    return file


@dataclass(frozen=True)
class Trained:
    """A folder with splits and the run `small` of two steps, and the server that trained it."""

    folder: Path
    server: LocalServer

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command in the folder."""
        return in_process(self.folder, *arguments, server=self.server, settings={"COLUMNS": "120"})

    def train(self, name: str, data: str = "train.jsonl", dev: str = "dev.jsonl", *more: str) -> None:
        done = self.run(
            "train", "--data", data, "--dev", dev, "--run", name, "--steps", "2", "--lora-rank", "2",
            "--base-model", self.server.base_model, *more,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def evaluate(self, name: str, data: str, *more: str) -> str:
        """What is said of the evaluation of a run."""
        done = self.run("evaluate", name, "--data", data, *more)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    folder = tmp_path_factory.mktemp("evaluated")
    write_tiny_llama(folder / "tiny", max_position_embeddings=1024)
    for split in SPLITS:
        write_split(folder, split, 5)
    with server_over(folder, str(folder / "tiny")) as server:
        made = Trained(folder, server)
        made.train("small", "train.jsonl", "dev.jsonl", "--dev-accuracy")
        yield made


@dataclass(frozen=True)
class Evaluated:
    """The folder of `trained`, where `out/small.json` has the figures of its run on the test set.

    `said` is what the command printed, and `report` the training's own report before it.
    """

    folder: Path
    said: str
    report: bytes


@pytest.fixture(scope="module")
def evaluated(trained: Trained) -> Evaluated:
    own = trained.folder / "runs" / "small"
    report = (own / "report.html").read_bytes()
    (own / "predictions.jsonl").write_text("training's own")
    # That a copy may be allowed changes nothing where there is none.
    said = trained.evaluate("small", "test.jsonl", "--json", "out/small.json", "--allow-duplicate", "all")
    return Evaluated(trained.folder, said, report)


def test_an_evaluation_writes_its_figures_predictions_and_report(evaluated: Evaluated):
    """One command from a run to all files, with the figures that programs rely on."""
    folder = evaluated.folder
    result = json.loads((folder / "out" / "small.json").read_text())
    names = {"n", "accuracy", "macro_f1", "macro_f1_interval", "parse_rate", "ece", "symptom_micro_f1"}
    names |= {"symptom_micro_f1_interval", "symptom_micro_f1_shown", "symptom_micro_f1_written"}
    assert names | {"accuracy_at_80_coverage", "seconds"} <= set(result)
    assert result["n"] == 15
    assert result["parse_rate"] == 0.0
    assert result["accuracy"] == 0.0, "an answer that cannot be read is wrong"
    [own] = (folder / "runs" / "small" / "evaluations").glob("test-*")
    lines = (own / "predictions.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [
        json.loads(line)["id"] for line in (folder / "test.jsonl").read_text().splitlines()
    ]
    assert "TF-IDF + logistic regression" in (own / "report.html").read_text()
    assert "TF-IDF" in evaluated.said
    assert "too few to tell" in evaluated.said
    told = result["details"]["subject"]["settings"]
    assert (told["steps"], "epochs" in told) == (2, False), "it was told its steps, so no epochs counted"
    low, high = result["accuracy_interval"]
    assert (low, high) == (0.0, pytest.approx(1.96**2 / (15 + 1.96**2), abs=1e-4))


def test_an_evaluation_calibrates_the_run(trained: Trained, evaluated: Evaluated):
    """Temperature and threshold from dev are kept in the run, and the classifier goes by them."""
    stored = json.loads((evaluated.folder / "runs" / "small" / "calibration.json").read_text())
    details = json.loads((evaluated.folder / "out" / "small.json").read_text())["details"]
    assert (stored["temperature"], stored["threshold"]) == (details["temperature"], details["threshold"])
    assert (stored["fitted_on"], stored["examples"]) == ("dev.jsonl", 15)
    assert stored["checkpoint"] == details["subject"]["checkpoint"]
    answer = trained.run("assess", "--run", "small", "--json", "My heart races on the bus.")
    assessment = json.loads(answer.stdout)
    assert assessment["calibrated"] is True
    assert (stored["threshold"], stored["risk"]) == (None, 0.3), "15 texts show no threshold to keep a risk"
    assert assessment["abstained"] is True
    assert "On 15 held-out texts (test.jsonl)" in assessment["about_the_model"]
    assert "is a demonstration: trained on 15 examples" in assessment["about_the_model"]


def test_a_second_test_set_beside_the_first_is_reported_too(trained: Trained, tmp_path: Path):
    """The test-2.jsonl beside a test.jsonl has its headline, too; another only with --also."""
    folder, other = trained.folder, str(tmp_path / "other.jsonl")
    write_split(tmp_path, "test", 5)
    shutil.copy(write_split(tmp_path, "test-2", 5), other)
    data = str(tmp_path / "test.jsonl")
    assert "macro-F1, test-2" in trained.evaluate("small", data, "--json", "both.json")
    both = json.loads((folder / "both.json").read_text())
    second = both["further_tests"][str(tmp_path / "test-2.jsonl")]
    assert second["n"] == 15
    assert len(second["macro_f1_interval"]) == 2
    [details] = both["details"]["further"]
    assert [one["name"] for one in details["baselines"]][-1] == "TF-IDF + linear SVM"
    kept = json.loads((folder / "runs" / "small" / "accuracy.json").read_text())
    assert [Path(one["data"]).name for one in kept["further"]] == ["test-2.jsonl"]
    [file] = (folder / "runs" / "small" / "evaluations").glob("test-*/predictions-test-2.jsonl")
    predicted = file.read_text().splitlines()
    assert len(predicted) == 15
    trained.evaluate("small", data, "--json", "told.json", "--also", other)
    assert list(json.loads((folder / "told.json").read_text())["further_tests"]) == [other]


def test_a_training_file_that_has_changed_stops_an_evaluation(trained: Trained):
    """Baselines and leakage would be of other examples; the file that it was is named where it is found."""
    folder = trained.folder
    before = (folder / "train.jsonl").read_bytes()
    (folder / "train-5.jsonl").write_bytes(before)
    (folder / "train.jsonl").write_bytes(before + before.splitlines(keepends=True)[0].replace(b"-0", b"-9"))
    try:
        done = trained.run("evaluate", "small", "--data", "test.jsonl")
        assert done.returncode == 2
        assert "it has changed since; that is train-5.jsonl now: add --train train-5.jsonl." in done.stderr
        trained.evaluate("small", "test.jsonl", "--train", "train-5.jsonl")
    finally:
        (folder / "train.jsonl").write_bytes(before)
        (folder / "train-5.jsonl").unlink()


def test_a_file_with_inputs_and_conditions_alone_will_do(trained: Trained):
    """Without symptoms and recommendations those figures are left out, not invented."""
    folder = trained.folder
    lines = (folder / "test.jsonl").read_text().splitlines()
    bare = [{key: json.loads(line)[key] for key in ("input", "condition")} for line in lines]
    (folder / "bare.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in bare))
    trained.evaluate("small", "bare.jsonl", "--json", "bare.json")
    assert json.loads((folder / "bare.json").read_text())["symptom_micro_f1"] is None


def test_a_run_on_texts_and_labels_alone_is_asked_for_labels_alone(trained: Trained):
    """Its answers end after the concern, and neither symptoms nor recommendations are scored."""
    for split in SPLITS:
        entries = [json.loads(line) for line in (trained.folder / f"{split}.jsonl").read_text().splitlines()]
        bare = [{key: one[key] for key in ("input", "condition")} for one in entries]
        kept = entries if split == "test" else bare
        (trained.folder / f"bare-{split}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in kept))
    trained.train("bare", "bare-train.jsonl", "bare-dev.jsonl")
    trained.evaluate("bare", "bare-test.jsonl")
    folder = next((trained.folder / "runs" / "bare" / "evaluations").rglob("predictions.jsonl")).parent
    asked = [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
    assert all(one["asked_to_write"] and not one["asked_for_symptoms"] for one in asked)
    assert not any("\n" in one["written"] for one in asked)
    report = (folder / "report.md").read_text()
    assert "Recommendations" not in report
    assert "Key symptoms" not in report
    done = trained.run("assess", "--run", "bare", "--json", "I cannot sleep and lie awake every night.")
    assert json.loads(done.stdout)["key_symptoms"] == []


def test_leakage_stops_an_evaluation_unless_allowed_by_name(trained: Trained):
    """A test text that was trained on is named, and no figure is made until it is allowed."""
    folder = trained.folder
    leaked = (
        (folder / "train.jsonl").read_text().splitlines()[0].replace('"split": "train"', '"split": "test"')
    )
    (folder / "leaky.jsonl").write_text((folder / "test.jsonl").read_text() + leaked + "\n")
    done = trained.run("evaluate", "small", "--data", "leaky.jsonl", "--json", "leaky.json")
    assert done.returncode == 2
    identifier = json.loads(leaked)["id"]
    assert identifier in done.stderr
    assert not (folder / "leaky.json").exists()
    trained.evaluate("small", "leaky.jsonl", "--json", "leaky.json", "--allow-duplicate", identifier)
    assert (folder / "leaky.json").exists()


def test_what_was_trained_on_and_allowed_is_told_with_the_figures(
    trained: Trained, evaluated: Evaluated, tmp_path: Path
):
    """In the terminal, in the file and among the report's limits; labels that differ are named."""
    folder, leaky = trained.folder, tmp_path / "leaky.jsonl"
    copies = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()[:2]]
    was = copies[1]["condition"]
    copies = [copies[0] | {"split": "test"}, copies[1] | {"split": "test", "condition": "insomnia"}]
    assert was != "insomnia"
    tests = (folder / "test.jsonl").read_text()
    leaky.write_text(tests + "".join(json.dumps(one) + "\n" for one in copies))
    labels = f"with another label: 'insomnia' here and {was!r} there; remove one, or allow"
    done = trained.run("evaluate", "small", "--data", str(leaky))
    assert done.returncode == 2
    assert labels in " ".join(done.stderr.split())
    file, pages = tmp_path / "leaky.json", tmp_path / "report"
    arguments = ("--json", str(file), "--report", str(pages), "--allow-duplicate", "all")
    said = " ".join(trained.evaluate("small", str(leaky), *arguments).split())
    n = len(tests.splitlines()) + 2
    told = (
        f"2 of the {n} texts nearly repeat texts that it was trained on, 1 with another label there, and "
        "were allowed: the figures are not of held-out texts alone."
    )
    assert f"warning: {told}" in said
    assert f"({copies[1]['id']}) has another label: 'insomnia' here and {was!r} there" in said
    allowed = json.loads(file.read_text())["details"]["allowed"]
    assert (allowed["texts"], len(allowed["other_labels"])) == (2, 1)
    for page in ("report.html", "report.md"):
        assert told in (pages / page).read_text().partition("Limits")[2]
    assert "nearly repeat" not in evaluated.said


def test_another_training_set_for_baselines_does_not_free_what_the_run_learned_from(
    trained: Trained, tmp_path: Path
):
    """With --train the run's own examples are still held out of the test."""
    folder = trained.folder
    own = (folder / "train.jsonl").read_text().splitlines(keepends=True)
    other, leaky = tmp_path / "other.jsonl", tmp_path / "leaky.jsonl"
    other.write_text("".join(own[1:]))
    leaky.write_text(
        (folder / "test.jsonl").read_text() + own[0].replace('"split": "train"', '"split": "test"')
    )
    done = trained.run("evaluate", "small", "--data", str(leaky), "--train", str(other))
    assert done.returncode == 2
    assert json.loads(own[0])["id"] in done.stderr


def test_dev_is_held_out_of_training_and_tests_of_dev(trained: Trained, tmp_path: Path):
    """A calibration on training texts, or on the test itself, is stopped; a single text can be allowed."""
    dev, test = (trained.folder / f"{name}.jsonl" for name in ("dev", "test"))
    copy = tmp_path / "copy.jsonl"
    copy.write_text(test.read_text().replace('"split": "test"', '"split": "dev"'))
    for other, said in (
        ("train.jsonl", "train.jsonl is named twice"),
        ("test.jsonl", "test.jsonl is named twice"),
        (str(copy), f"test.jsonl has the very texts of {copy}"),
    ):
        done = trained.run("evaluate", "small", "--data", "test.jsonl", "--dev", other)
        assert done.returncode == 2
        assert f"{said}, so nothing is held out; name another file." in " ".join(done.stderr.split())
    shared = test.read_text().splitlines(keepends=True)[0].replace('"split": "test"', '"split": "dev"')
    leaky = tmp_path / "leaky.jsonl"
    leaky.write_text(dev.read_text() + shared)
    identifier = json.loads(shared)["id"]
    done = trained.run("evaluate", "small", "--data", "test.jsonl", "--dev", str(leaky))
    assert done.returncode == 2
    assert f"--allow-duplicate {identifier}" in done.stderr
    trained.evaluate("small", "test.jsonl", "--dev", str(leaky), "--allow-duplicate", identifier)


def test_of_a_file_with_several_splits_each_takes_its_own(trained: Trained, evaluated: Evaluated):
    """One file for all three gives the figures of three files; what was trained on is no test."""
    folder = trained.folder
    lines = [(folder / f"{split}.jsonl").read_text() for split in SPLITS]
    (folder / "all.jsonl").write_text("".join(lines))
    trained.train("together", "all.jsonl", "all.jsonl", "--dev-accuracy")
    trained.evaluate("together", "all.jsonl", "--json", "out/together.json")
    apart, together = (
        (folder / "runs" / name / "dev_metrics.jsonl").read_text().splitlines()[-1]
        for name in ("small", "together")
    )
    assert json.loads(apart)["dev_macro_f1"] == json.loads(together)["dev_macro_f1"]
    results = [json.loads((folder / "out" / f"{name}.json").read_text()) for name in ("small", "together")]
    assert [result["n"] for result in results] == [15, 15]
    assert results[0]["details"]["temperature"] == pytest.approx(
        results[1]["details"]["temperature"], rel=1e-4
    )
    assert [one["scores"]["accuracy"] for one in results[0]["details"]["baselines"]] == [
        one["scores"]["accuracy"] for one in results[1]["details"]["baselines"]
    ]


def test_stored_results_become_a_table(trained: Trained, evaluated: Evaluated):
    """`symptoms results` prints the same figures as a table."""
    done = trained.run("results", str(evaluated.folder / "out" / "small.json"))
    assert done.returncode == 0, done.stderr
    assert "15 examples" in done.stdout
    assert "nearest neighbour" in done.stdout


def test_results_of_smaller_training_sets_make_a_learning_curve(trained: Trained, evaluated: Evaluated):
    """A report beside the result of a run on fewer examples draws both."""
    folder = evaluated.folder
    fewer = json.loads((folder / "out" / "small.json").read_text())
    fewer["details"]["subject"]["num_trained_on"] = 3
    (folder / "fewer.json").write_text(json.dumps(fewer))
    trained.evaluate("small", "test.jsonl", "--curve", "fewer.json", "--report", "curve")
    assert "More examples" in (folder / "curve" / "report.html").read_text()
    [alone] = (folder / "runs" / "small" / "evaluations").glob("test-*/report.html")
    assert "More examples" not in alone.read_text()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("evaluate", "nothing", "--data", "test.jsonl"), "There is no run 'nothing'"),
        (("evaluate", "small", "--data", "missing.jsonl"), "there is no such file"),
        (("evaluate", "small", "--data", "test.jsonl", "--external", "x"), "is not KIND=PATH"),
        (("evaluate", "small", "--data", "test.jsonl", "--external", "x=."), "is not a known set"),
        (("results", "train.jsonl"), "not the result of an evaluation"),
    ],
)
def test_what_cannot_be_evaluated_is_told_in_a_sentence(
    trained: Trained, arguments: tuple[str, ...], sentence: str
):
    """Without a traceback, with an exit code that is not 0."""
    done = trained.run(*arguments)
    assert done.returncode in (1, 2)
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_training_keeps_its_report_and_predictions(trained: Trained, evaluated: Evaluated):
    """An evaluation writes beside them, a folder for each of its test sets."""
    own = trained.folder / "runs" / "small"
    texts = (trained.folder / "test.jsonl").read_text().splitlines(keepends=True)
    (trained.folder / "other.jsonl").write_text("".join(texts[:2]))
    trained.evaluate("small", "other.jsonl")
    assert (own / "report.html").read_bytes() == evaluated.report
    assert (own / "predictions.jsonl").read_text() == "training's own"
    names = {"evaluation.json", "predictions.jsonl", "report.html", "report.md"}
    for stem in ("test", "other"):
        [folder] = (own / "evaluations").glob(f"{stem}-*")
        # Other tests leave the predictions of further test sets beside these.
        assert names <= {file.name for file in folder.iterdir()}


ODD_TRAININGS = {
    "single": [("I lie awake at night", "insomnia"), ("awake again at night", "insomnia")],
    "unrepeated": [("sleepless", "insomnia"), ("panicking", "panic"), ("washing", "ocd")],
    "wordless": [("...", "insomnia"), ("?!", "panic"), ("--", "panic"), ("***", "ocd")],
}


@pytest.mark.parametrize("name", ODD_TRAININGS)
def test_small_and_odd_training_data_end_in_a_report(trained: Trained, name: str):
    """Without dev, what cannot be fitted is left out with its reason; a warning would be an error here."""
    runs, rows = trained.folder / "runs", ODD_TRAININGS[name]
    (trained.folder / f"{name}.jsonl").write_text(
        "".join(json.dumps({"input": text, "condition": condition}) + "\n" for text, condition in rows)
    )
    shutil.copytree(runs / "small", runs / name, dirs_exist_ok=True)
    manifest = json.loads((runs / "small" / "manifest.json").read_text())
    (runs / name / "manifest.json").write_text(json.dumps({**manifest, "dev": None}))
    said = trained.evaluate(name, "test.jsonl", "--train", f"{name}.jsonl")
    assert "Left out: TF-IDF + logistic regression, because" in said


def test_what_is_wrong_with_the_data_is_told_before_the_model_is_asked(trained: Trained):
    """A set from elsewhere that cannot be read stops the evaluation before any prediction is written."""
    (trained.folder / "unasked.jsonl").write_text((trained.folder / "test.jsonl").read_text() + "\n")
    done = trained.run("evaluate", "small", "--data", "unasked.jsonl", "--external", "mentalbench=missing")
    assert done.returncode == 2
    assert "mentalbench" in done.stderr
    assert not list((trained.folder / "runs" / "small" / "evaluations").glob("unasked-*"))
