"""`symptoms assess` as a user runs it: one description for people and programs, and files of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from command_in_process import in_process
from symptoms.service import LocalServer
from training_runs import environment
from waiting import PATIENCE, wait_until

DANGER = "I want to die."
COUNT = 300
BRITISH = {"LC_ALL": "en_GB.UTF-8"}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "symptoms", "assess", *arguments]


Assess = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def assess(colour_run: Path, colour_server: LocalServer) -> Assess:
    """The command for a British user, on a server that runs already."""
    return lambda *arguments: in_process(
        colour_run, "assess", *arguments, server=colour_server, settings=BRITISH
    )


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_people_get_the_notice_first_and_no_colours_in_a_pipe(colour_run: Path):
    """Helplines of the locale's country, then what the run is, its answer, and what this is not."""
    done = subprocess.run(
        command(DANGER, "--show-anyway"),
        cwd=colour_run,
        env={**environment(colour_run), **BRITISH},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shown = done.stdout.decode()
    places = [
        shown.index(part)
        for part in (
            "Samaritans",
            "The run tiny is a demonstration: trained on 8 examples",
            "No condition is clearly resembled",
            "How probable",
            "advice",
        )
    ]
    assert places == sorted(places)
    assert "\x1b" not in shown
    assert "█" in shown


def test_with_a_notice_no_condition_is_shown(assess: Assess):
    """Help alone, and how to see what the model says anyway."""
    shown = assess(DANGER).stdout
    assert "Samaritans" in shown
    assert "--show-anyway" in shown
    assert "resembles" not in shown
    assert "Primary concern" not in shown


def test_a_language_that_is_not_read_is_said_once(assess: Assess):
    """With the helplines; what is nearest means little, and is shown below when it is asked for."""
    dutch = "Ik slaap slecht en ik weet niet wat er met mij is"
    shown = assess(dutch).stdout
    assert shown.index("Dutch") < shown.index("Samaritans") < shown.index("--show-anyway")
    assert shown.count("Dutch") == 1
    assert "How probable" not in shown
    anyway = assess(dutch, "--show-anyway").stdout
    assert anyway.index("Samaritans") < anyway.index("How probable") < anyway.index("Key symptoms")


def test_help_does_not_depend_on_the_model(colour_run: Path):
    """Without a usable run the notice is printed all the same, for people and as JSON; the code is 1."""
    shown = in_process(colour_run, "assess", DANGER, "--run", "nope", "--country", "us")
    assert shown.returncode == 1
    assert "988" in shown.stdout
    assert "There is no run 'nope'" in shown.stderr
    answer = in_process(colour_run, "assess", DANGER, "--run", "nope", "--json")
    assert answer.returncode == 1
    assert json.loads(answer.stdout)["crisis"] is True


def test_a_file_becomes_a_line_for_each_description(assess: Assess, colour_run: Path):
    """In order and with ids; one that cannot be read has its error, and the exit code says so."""
    texts = ["sleep fear", "", DANGER, "half \\ud800 of a pair", "x" * 1000]
    rows = [f'{{"id": {number}, "input": "{text}"}}\n' for number, text in enumerate(texts)]
    (colour_run / "odd.jsonl").write_text("".join(rows))
    done = assess("--file", "odd.jsonl", "--country", "GB")
    assert done.returncode == 2
    assert "2 descriptions could not be read" in done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(line["number"], line["line"], line["id"]) for line in lines] == [
        (number + 1, number + 1, str(number)) for number in range(5)
    ]
    assert [line.get("error") is not None for line in lines] == [False, True, False, False, True]
    assert lines[2]["crisis_notice"]["country"] == "GB"
    assert lines[3]["input"] == "half \ud800 of a pair"


def test_rows_that_nothing_looked_for_danger_in_are_counted(assess: Assess, colour_run: Path):
    """At the end it is said how many are in a language that the screen does not read."""
    (colour_run / "mixed.txt").write_text("sleep fear\nIk slaap slecht en ik weet niet wat er met mij is\n")
    done = assess("--file", "mixed.txt")
    assert "1 is in a language that the crisis screen does not read" in done.stderr
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert first["language_notice"] is None
    assert second["language_notice"]["screened"] is False


def test_a_killed_batch_goes_on_where_it_stopped(assess: Assess, colour_run: Path):
    """After kill -9, and with half a line at the end, the same command does the rest, and nothing twice."""
    (colour_run / "many.txt").write_text("".join(f"sleep and fear {number}\n" for number in range(COUNT)))
    out = colour_run / "out" / "many.jsonl"
    arguments = ("--file", "many.txt", "--out", "out/many.jsonl")
    with subprocess.Popen(
        command(*arguments), cwd=colour_run, env=environment(colour_run), stderr=subprocess.DEVNULL
    ) as batch:
        wait_until(
            lambda: batch.poll() is not None or (out.exists() and out.read_bytes().count(b"\n") >= 3),
            "the first answers",
        )
        children = psutil.Process(batch.pid).children(recursive=True)
        os.kill(batch.pid, signal.SIGKILL)
    psutil.wait_procs(children, timeout=PATIENCE)
    before = out.read_bytes().split(b"\n")[:-1]
    assert 3 <= len(before) < COUNT, "it was killed in the middle"
    with open(out, "ab") as file:
        file.write(b'{"number": 99, "inp')
    done = assess(*arguments)
    assert done.returncode == 0, done.stderr
    after = out.read_bytes().split(b"\n")[:-1]
    assert after[: len(before)] == before
    assert [json.loads(line)["number"] for line in after] == list(range(1, COUNT + 1))
    assert [json.loads(line)["input"] for line in after] == [
        f"sleep and fear {number}" for number in range(COUNT)
    ]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"input": "other", "checkpoint": "a", "error": "e"}\n', "not the result of description 1"),
        ('{"input": "sleep", "checkpoint": "tinker://a", "error": "e"}\n', "was begun with tinker://a"),
        ("my notes\n", "this is no result of 'symptoms assess'"),
    ],
)
def test_a_file_of_something_else_is_not_gone_on_with(
    assess: Assess, colour_run: Path, content: str, sentence: str
):
    """Other descriptions, another checkpoint or no results at all: refused, and left as it was."""
    (colour_run / "one.txt").write_text("sleep\n")
    (colour_run / "taken.jsonl").write_text(content)
    done = assess("--file", "one.txt", "--out", "taken.jsonl", "--run", "tiny")
    assert done.returncode == 2
    assert sentence in done.stderr
    assert (colour_run / "taken.jsonl").read_text() == content


@pytest.mark.parametrize("text", [".", "?!", "... 3."])
def test_a_text_without_words_is_refused(colour_run: Path, text: str):
    """No condition is named for a full stop, whether it is told or comes by standard input."""
    for done in (in_process(colour_run, "assess", text), in_process(colour_run, "assess", stdin=text)):
        assert done.returncode == 2
        assert done.stdout == ""
        assert done.stderr == "The description has no words; tell in a sentence or two what is going on.\n"
