"""Commands explain themselves and their mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from command_in_process import in_process
from training_runs import run


def test_help_names_every_command(tmp_path: Path):
    """`symptoms --help` lists the commands and says what this is not."""
    done = run(tmp_path, "-m", "symptoms", "--help")
    assert done.returncode == 0
    assert "assess" in done.stdout
    assert "tokens" in done.stdout
    assert "not medical advice" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["assess", "I am tired"], 1, "There is no trained run in runs/"),
        (["assess", "--run", "nope", "I am tired"], 1, "There is no run 'nope'"),
        (["assess", "   "], 2, "The description is empty"),
        (["assess", "--country", "Britain", "tired"], 2, "'Britain' is no country code"),
        (["assess", "--file", "a.txt", "tired"], 2, "give one of them"),
        (["assess", "--file", "none.txt"], 2, "no such file"),
        (["assess", "--out", "a.jsonl", "tired"], 2, "--out is for the results of --file"),
        (["tokens", "none.json"], 2, "no such file"),
        (
            ["assess", "--run", "tinker://x/weights/y", "--service", "nowhere", "tired"],
            3,
            "--service 'nowhere' is none",
        ),
        (
            ["assess", "--run", "tinker://x/weights/y", "tired"],
            3,
            "There is no checkpoint tinker://x/weights/y",
        ),
    ],
)
def test_mistakes_end_in_a_sentence(tmp_path: Path, arguments: list[str], code: int, sentence: str):
    """Each mistake has its exit code and says what to do, without a traceback."""
    done = in_process(tmp_path, *arguments)
    assert done.returncode == code
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
