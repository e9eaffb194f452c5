"""`symptoms export`: a run's own questions and card, and weights that other programs load."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from checkpoints_to_export import saved_source
from command_in_process import in_process
from symptoms.errors import RunError
from symptoms.exchange import ExportRequest, export_run
from symptoms.exchange.card import card_of
from symptoms.exchange.questions import descriptions, questions_to
from symptoms.runs import RunDirectory, shipped_run
from symptoms.taxonomy import conditions
from tiny_models import write_tiny_model

DATA = Path(__file__).parents[2] / "data"


def write_run(folder: Path, checkpoint: str, **manifest: object) -> RunDirectory:
    """The files of a finished run that an export reads."""
    folder.mkdir(parents=True)
    told = {
        "data": "data/mine.jsonl",
        "data_sha256": "ab" * 32,
        "num_examples": 120,
        "num_steps": 40,
        "labels": {"red": "Red", "green": "Green", "grey": "Grey (a formal name)"},
        "service": "local",
        "service_url": None,
        "loss": "mean negative log-likelihood per trained token",
        **manifest,
    }
    (folder / "manifest.json").write_text(json.dumps(told))
    (folder / "config.json").write_text(json.dumps({"lora_rank": 4, "sentence_case": True, "seed": 7}))
    line = {"path": checkpoint, "step": 40, "kind": "sampler"}
    (folder / "checkpoints.jsonl").write_text(json.dumps(line) + "\n")
    return RunDirectory(folder)


def test_a_run_leaves_with_its_card(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """30 descriptions and all labels are asked, in transformers and here; the card has the data's digest."""
    write_tiny_model(tmp_path / "base", "LlamaForCausalLM", max_position_embeddings=512)
    source = saved_source(tmp_path / "base", tmp_path / "home")
    write_run(tmp_path / "runs" / "mine", source.info.path)
    done = in_process(tmp_path, "export", "mine", "--to", "hf")
    printed = capfd.readouterr()
    assert done.returncode == 0, done.stderr + printed.err
    assert "transformers  30 of 30     30 of 30        0 of 90" in printed.out
    card = (tmp_path / "exports" / "mine-hf" / "README.md").read_text()
    assert "ab" * 32 in card
    assert "not medical advice or a diagnosis" in card
    assert "3 label lines" in card
    assert "not yet; `symptoms evaluate mine` does it" in card


def test_an_export_that_cannot_be_done_ends_with_a_sentence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    """That of the server's own command, and its exit code."""
    write_run(tmp_path / "runs" / "mine", "tinker://gone/sampler_weights/1")
    done = in_process(tmp_path, "export", "mine", "--to", "peft")
    assert done.returncode == 2
    assert capfd.readouterr().err.startswith(
        "symptoms: There is no checkpoint tinker://gone/sampler_weights/1"
    )


def test_a_run_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path):
    """One of like name, or the newest, and what ships; a checkpoint's path is for the other command."""
    for name in ("first", "second"):
        write_run(tmp_path / "runs" / name, "tinker://gone/sampler_weights/1")
    close = in_process(tmp_path, "export", "secnd", "--to", "hf")
    assert "There is no run 'secnd'; give second or shipped" in close.stderr
    other = in_process(tmp_path, "export", "nosuch", "--to", "hf")
    assert "shipped" in other.stderr
    assert "first" in other.stderr
    path = in_process(tmp_path, "export", "tinker://gone/weights/1", "--to", "hf")
    assert "'tinker-local export tinker://gone/weights/1 --to hf'" in path.stderr
    assert path.returncode != 0


def test_weights_elsewhere_are_not_exported(tmp_path: Path):
    """A hosted run's have to be downloaded first; the error says how."""
    run = write_run(tmp_path / "mine", "tinker://far/sampler_weights/1", service="hosted")
    with pytest.raises(RunError, match=r"are on hosted; download them .*tinker-local import"):
        export_run(ExportRequest(run, "hf", None, None, checked=True))


@pytest.mark.parametrize(
    ("stored", "told", "untold"),
    [
        ({"steps": 6, "epochs": 8}, "steps 6", "epochs"),
        ({"steps": None, "epochs": 8}, "epochs 8", "steps"),
    ],
    ids=["steps", "epochs"],
)
def test_the_card_tells_the_steps_or_epochs_that_a_run_went_by(
    tmp_path: Path, stored: dict[str, int | None], told: str, untold: str
):
    """Where steps are told the epochs do not count, though the run's config.json holds them."""
    run = write_run(tmp_path / "mine", "tinker://mine/sampler_weights/1")
    (run.path / "config.json").write_text(json.dumps(stored))
    card = card_of(run, "tinker://mine/sampler_weights/1")
    [settings] = [line for line in card.splitlines() if line.startswith("- **Settings**")]
    assert f", {told}, " in settings
    assert f" {untold} " not in settings


def test_what_ships_has_a_card_with_its_figures():
    """And says which part of what was measured does not leave; its questions are in sentence case."""
    run = shipped_run()
    assert run is not None
    card = card_of(run, run.final_checkpoint())
    assert "with the words' vote, which does not leave" in card
    assert "in each of 5 trainings, whose weights it has the mean of" in card
    assert "seed" not in card.partition("**Settings**")[2].partition("\n")[0], "it has five"
    assert "data/test-2.jsonl, 210 texts: the right one of its labels in 90%" in card
    asked = questions_to(run)
    assert (len(asked["prompts"]), len(set(asked["prompts"])), len(asked["lines"])) == (30, 30, 30)
    assert all(prompt.startswith("Symptoms: ") for prompt in asked["prompts"])
    assert " OCD" not in "".join(asked["prompts"])


def test_a_text_is_asked_for_each_condition():
    """One of every label of the taxonomy, in its order, and none in the words of the data."""

    def runs(text: str) -> set[tuple[str, ...]]:
        words = re.findall(r"[a-z0-9']+", text.lower())
        return {tuple(words[at : at + 8]) for at in range(len(words) - 7)}

    assert list(descriptions()) == [condition.id for condition in conditions()]
    assert len(set(descriptions().values())) == 30
    lines = [line for file in DATA.glob("*.jsonl") for line in file.read_text(encoding="utf-8").splitlines()]
    known = {run for line in lines for run in runs(json.loads(line)["input"])}
    assert known
    for condition, text in descriptions().items():
        assert not known & runs(text), condition
