"""What is said where files are not what a run was trained on any more, and of a start that was cut short."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from command_in_process import in_process
from server_in_threads import in_threads
from symptoms.errors import RunError
from symptoms.report.comparing import compare, read_run
from symptoms.runs.directory import RunDirectory
from symptoms.service.model_folder import digest_of_weights
from tiny_models import write_tiny_llama
from training_runs import write_examples

SHORT = ("--data", "train.jsonl", "--steps", "1", "--lora-rank", "2", "--base-model")


def run(folder: Path, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command that knows no weights yet, as one in a process of its own; its server reads them anew."""
    digest_of_weights.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        in_threads(patch)
        return in_process(folder, command, *arguments)


def train(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(folder, "train", *arguments)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one name and settings on the weights `base` as they were and as they are."""
    folder = tmp_path_factory.mktemp("changed")
    write_examples(folder / "train.jsonl", 4)
    write_tiny_llama(folder / "base", seed=0)
    done = train(folder, *SHORT, "base", "--run", "before")
    assert done.returncode == 0, done.stderr
    write_tiny_llama(folder / "base", seed=1)
    done = train(folder, *SHORT, "base", "--run", "after")
    assert done.returncode == 0, done.stderr
    return folder


def test_a_run_is_not_repeated_on_other_weights(folder: Path):
    """The same name in the settings is not the same base model."""
    again = train(folder, "--repeat", "before", "--run", "again")
    assert again.returncode != 0
    assert "are not those that the run began with" in again.stderr
    assert not (folder / "runs" / "again").exists()
    assert train(folder, "--repeat", "after", "--run", "again").returncode == 0


def test_runs_on_other_weights_are_no_seeds_of_one_setting(folder: Path):
    """They stand side by side, and what differs is named."""
    runs = [read_run(RunDirectory(folder / "runs" / name)) for name in ("before", "after")]
    comparison = compare(runs)
    assert [len(group.runs) for group in comparison.groups] == [1, 1]
    assert comparison.differing == ("base weights",)


def test_runs_on_other_data_are_no_seeds_of_one_setting(folder: Path):
    """A file that was changed under its name counts as another."""
    write_examples(folder / "train.jsonl", 4, first=4)
    done = train(folder, *SHORT, "base", "--run", "changed")
    assert done.returncode == 0, done.stderr
    runs = [read_run(RunDirectory(folder / "runs" / name)) for name in ("after", "changed")]
    assert compare(runs).differing == ("data digest",)


def test_a_base_model_that_cannot_be_had_leaves_the_others_their_turn(folder: Path):
    """Its runs are noted as failed, and the exit code says that something was."""
    digest_of_weights.cache_clear()
    # On servers in processes of their own, of which one cannot start.
    done = in_process(
        folder, "sweep", "--name", "two", "--data", "train.jsonl", "--steps", "1",
        "--lora-rank", "2", "--set", "base_model=nowhere,base", "--seeds", "1",
    )  # fmt: skip
    assert done.returncode != 0
    record = json.loads((folder / "runs" / "two" / "sweep.json").read_text())
    assert [entry["outcome"]["state"] for entry in record["runs"]] == ["failed", "finished"]
    assert "nowhere" in done.stdout + done.stderr


def test_a_sweep_is_not_gone_on_with_on_other_data(folder: Path):
    """What is finished could not be compared with what would be added."""
    write_examples(folder / "train.jsonl", 4)
    plan = (
        "sweep", "--name", "one", "--data", "train.jsonl", "--steps", "1",
        "--lora-rank", "2", "--base-model", "base", "--seeds",
    )  # fmt: skip
    begun = run(folder, *plan, "1")
    assert begun.returncode == 0, begun.stderr
    write_examples(folder / "train.jsonl", 4, first=4)
    more = run(folder, *plan, "2")
    assert more.returncode != 0
    assert "begin a sweep of another --name" in more.stderr


def test_a_start_that_was_cut_short_does_not_take_a_name(tmp_path: Path):
    """What is not a run yet can neither be resumed nor removed, so it is begun anew."""
    begun = RunDirectory.create("mine", tmp_path)
    (begun.path / "config.json").write_text("{}")
    again = RunDirectory.create("mine", tmp_path)
    (again.path / "manifest.json").write_text("{}")
    with pytest.raises(RunError, match="exists already"):
        RunDirectory.create("mine", tmp_path)


def test_a_folder_of_something_else_is_never_taken_for_a_run(tmp_path: Path):
    """Such as a sweep's, or one that someone keeps notes in."""
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "today.txt").touch()
    with pytest.raises(RunError, match="exists already"):
        RunDirectory.create("notes", tmp_path)
