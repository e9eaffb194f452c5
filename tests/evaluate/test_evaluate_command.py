"""`symptoms evaluate` as a user runs it, on a tiny model that was trained for a few steps."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT
from tiny_models import write_tiny_llama

CONDITIONS = ("panic", "insomnia", "no_clinical_concern")
SPLITS = ("train", "dev", "test")


def write_split(folder: Path, split: str, count: int) -> Path:
    """Examples of the real data with other words at their end, so that no two splits resemble each other."""
    lines = (ROOT / "data" / "train.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    chosen = []
    for condition in CONDITIONS:
        of_condition = [entry for entry in found if entry["condition"] == condition]
        offset = {"train": 0, "dev": 8, "test": 16}[split]
        chosen += of_condition[offset : offset + count]
    for entry in chosen:
        entry["input"] = entry["input"][:90]
        entry["split"] = split
    file = folder / f"{split}.jsonl"
    file.write_text("".join(json.dumps(entry) + "\n" for entry in chosen))
    return file


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TINKER_")}
    return subprocess.run(
        [sys.executable, "-m", "symptoms", *arguments],
        cwd=folder,
        env={**kept, "TINKER_LOCAL_HOME": str(folder / "home"), "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with splits and a run of two steps."""
    folder = tmp_path_factory.mktemp("evaluated")
    write_tiny_llama(folder / "tiny", max_position_embeddings=1024)
    for split in SPLITS:
        write_split(folder, split, 5)
    done = run(
        folder, "train", "--data", "train.jsonl", "--dev", "dev.jsonl", "--run", "small", "--steps", "2",
        "--base-model", "tiny", "--lora-rank", "2",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def test_an_evaluation_writes_its_figures_predictions_and_report(trained: Path):
    """One command from a run to all files, with the figures that other programs rely on."""
    done = run(trained, "evaluate", "small", "--data", "test.jsonl", "--json", "out/result.json")
    assert done.returncode == 0, done.stderr
    result = json.loads((trained / "out" / "result.json").read_text())
    names = {"n", "accuracy", "macro_f1", "macro_f1_interval", "parse_rate", "ece", "symptom_micro_f1"}
    assert names | {"accuracy_at_80_coverage", "seconds"} <= set(result)
    assert result["n"] == 15
    assert result["parse_rate"] == 0.0
    assert result["accuracy"] == 0.0, "an answer that cannot be read is wrong"
    lines = (trained / "runs" / "small" / "predictions.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [
        json.loads(line)["id"] for line in (trained / "test.jsonl").read_text().splitlines()
    ]
    assert "TF-IDF + logistic regression" in (trained / "runs" / "small" / "report.html").read_text()
    assert "TF-IDF + logistic regression" in done.stdout


def test_an_evaluation_calibrates_the_run(trained: Path):
    """Temperature and threshold from dev are kept in the run, and the classifier goes by them."""
    done = run(trained, "evaluate", "small", "--data", "test.jsonl", "--json", "calibrated.json")
    assert done.returncode == 0, done.stderr
    stored = json.loads((trained / "runs" / "small" / "calibration.json").read_text())
    details = json.loads((trained / "calibrated.json").read_text())["details"]
    assert (stored["temperature"], stored["threshold"]) == (details["temperature"], details["threshold"])
    assert (stored["fitted_on"], stored["examples"]) == ("dev.jsonl", 15)
    assert stored["checkpoint"] == details["subject"]["checkpoint"]
    answer = run(trained, "assess", "--run", "small", "--json", "My heart races on the bus.")
    assessment = json.loads(answer.stdout)
    assert assessment["calibrated"] is True
    assert assessment["abstained"] == (assessment["probability"] < stored["threshold"])


def test_a_file_with_inputs_and_conditions_alone_will_do(trained: Path):
    """Without symptoms and recommendations those figures are left out, not invented."""
    lines = (trained / "test.jsonl").read_text().splitlines()
    bare = [{key: json.loads(line)[key] for key in ("input", "condition")} for line in lines]
    (trained / "bare.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in bare))
    done = run(trained, "evaluate", "small", "--data", "bare.jsonl", "--json", "bare.json")
    assert done.returncode == 0, done.stderr
    assert json.loads((trained / "bare.json").read_text())["symptom_micro_f1"] is None


def test_leakage_stops_an_evaluation_unless_allowed_by_name(trained: Path):
    """A test text that was trained on is named, and no figure is made until it is allowed."""
    leaked = (
        (trained / "train.jsonl").read_text().splitlines()[0].replace('"split": "train"', '"split": "test"')
    )
    (trained / "leaky.jsonl").write_text((trained / "test.jsonl").read_text() + leaked + "\n")
    done = run(trained, "evaluate", "small", "--data", "leaky.jsonl", "--json", "leaky.json")
    assert done.returncode == 2
    identifier = json.loads(leaked)["id"]
    assert identifier in done.stderr
    assert not (trained / "leaky.json").exists()
    allowed = run(
        trained, "evaluate", "small", "--data", "leaky.jsonl", "--json", "leaky.json",
        "--allow-duplicate", identifier,
    )  # fmt: skip
    assert allowed.returncode == 0, allowed.stderr


def test_of_a_file_with_several_splits_each_takes_its_own(trained: Path):
    """One file for all three gives the figures of three files; what was trained on is no test."""
    lines = [(trained / f"{split}.jsonl").read_text() for split in SPLITS]
    (trained / "all.jsonl").write_text("".join(lines))
    trainings = [
        run(
            trained, "train", "--data", data, "--dev", dev, "--run", name, "--steps", "2", "--dev-accuracy",
            "--base-model", "tiny", "--lora-rank", "2",
        )
        for name, data, dev in (("apart", "train.jsonl", "dev.jsonl"), ("together", "all.jsonl", "all.jsonl"))
    ]  # fmt: skip
    evaluations = [
        run(trained, "evaluate", name, "--data", data, "--json", f"{name}.json")
        for name, data in (("apart", "test.jsonl"), ("together", "all.jsonl"))
    ]
    for done in trainings + evaluations:
        assert done.returncode == 0, done.stderr
    apart, together = (
        (trained / "runs" / name / "dev_metrics.jsonl").read_text().splitlines()[-1]
        for name in ("apart", "together")
    )
    assert json.loads(apart)["dev_macro_f1"] == json.loads(together)["dev_macro_f1"]
    results = [json.loads((trained / f"{name}.json").read_text()) for name in ("apart", "together")]
    assert [result["n"] for result in results] == [15, 15]
    assert results[0]["details"]["temperature"] == pytest.approx(
        results[1]["details"]["temperature"], rel=1e-4
    )
    assert [one["scores"]["accuracy"] for one in results[0]["details"]["baselines"]] == [
        one["scores"]["accuracy"] for one in results[1]["details"]["baselines"]
    ]


def test_stored_results_become_a_table(trained: Path):
    """`symptoms results` prints the same figures as a table."""
    run(trained, "evaluate", "small", "--data", "test.jsonl", "--json", "table.json")
    done = run(trained, "results", "table.json")
    assert done.returncode == 0, done.stderr
    assert "15 examples" in done.stdout
    assert "nearest neighbour" in done.stdout


def test_results_of_smaller_training_sets_make_a_learning_curve(trained: Path):
    """A report beside the result of a run on fewer examples draws both."""
    first = run(trained, "evaluate", "small", "--data", "test.jsonl", "--json", "many.json")
    assert first.returncode == 0, first.stderr
    fewer = json.loads((trained / "many.json").read_text())
    fewer["details"]["subject"]["num_trained_on"] = 3
    (trained / "fewer.json").write_text(json.dumps(fewer))
    done = run(
        trained, "evaluate", "small", "--data", "test.jsonl", "--curve", "fewer.json", "--report", "curve"
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "More examples" in (trained / "curve" / "report.html").read_text()
    assert "More examples" not in (trained / "runs" / "small" / "report.html").read_text()


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
    trained: Path, arguments: tuple[str, ...], sentence: str
):
    """Without a traceback, with an exit code that is not 0."""
    done = run(trained, *arguments)
    assert done.returncode in (1, 2)
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
