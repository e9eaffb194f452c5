"""`symptoms data`: what it prints, and how it ends."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from command_in_process import in_process
from conftest import ROOT
from symptoms.data import load_dataset

PARTS = [str(ROOT / f"data/{name}.jsonl") for name in ("train", "dev", "test", "test-2")]


def data(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return in_process(folder, "data", *arguments)


def write(file: Path, *records: dict[str, object]) -> None:
    file.write_text("".join(json.dumps(record) + "\n" for record in records))


def test_our_data_passes_its_check(tmp_path: Path):
    """The four files have no error, and the count of their examples is shown."""
    done = data(tmp_path, "check", *PARTS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("warning: ") == 12
    assert "train.jsonl: 2,696 examples, 30 conditions" in done.stdout
    assert done.stdout.endswith("0 errors, 12 warnings\n")
    assert done.stderr == ""


def test_errors_of_all_files_are_told_together(tmp_path: Path):
    """Faults of a file that cannot be loaded and copies between those that can end in exit code 2."""
    same = {"input": "Every dog in the street makes me cross the road.", "condition": "specific_phobia"}
    write(tmp_path / "train.jsonl", same)
    write(tmp_path / "test.jsonl", same)
    write(tmp_path / "odd.jsonl", {"input": "x", "condition": "ocdd"}, {"condition": "ocd"})
    done = data(tmp_path, "check", "train.jsonl", "test.jsonl", "odd.jsonl")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "test.jsonl:1: input: nearly repeats train.jsonl:1 (train:1), similarity 1.00, "
        "which is in another part of the data; remove one, or allow it with "
        "--allow-duplicate test:1 (all: every one)",
        "odd.jsonl:1: condition: unknown condition 'ocdd'; did you mean 'ocd'? "
        "(labels of your own go into a taxonomy.json beside the file)",
        "odd.jsonl:2: input: expected text, found no such field",
    ]
    assert done.stdout.endswith("3 errors, 2 warnings\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["check", "none.jsonl"], "none.jsonl:1: file: there is no such file; check the path"),
        (["check", PARTS[0], PARTS[0]], "A file is given twice"),
        (
            ["preview", str(ROOT / "mental_health_data.json"), "--condition", "acute_stress"],
            "has no example of acute_stress; 'symptoms data stats",
        ),
        (
            ["preview", PARTS[0], "--condition", "pannic"],
            "There is no condition 'pannic'; did you mean 'panic'?",
        ),
        (["split", PARTS[0], "--out", "x", "--dev", "0.5", "--test", "0.5"], "leave nothing for training"),
        (
            ["split", PARTS[2], "--out", "x", "--allow-duplicate", "xdepression-36"],
            "test.jsonl has no example 'xdepression-36'; did you mean 'depression-36'",
        ),
        (
            ["check", PARTS[2], PARTS[1], "--allow-duplicate", "xdepression-36"],
            "dev.jsonl have no example 'xdepression-36'; did you mean 'depression-36'",
        ),
        (["split", PARTS[0], "--out", "x", "--dev", "-1"], "Dev -1 and test 0.2 are not both shares"),
        (["split", PARTS[0], "--out", "x", "--test", "nan"], "Dev 0.1 and test nan are not both shares"),
    ],
)
def test_mistakes_end_in_a_sentence(tmp_path: Path, arguments: list[str], sentence: str):
    """A wrong path, name or number is told on stderr, with exit code 2 and no traceback."""
    done = data(tmp_path, *arguments)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_copies_and_odd_texts_are_told_beside_unknown_labels(tmp_path: Path):
    """A fault of one line does not keep the others from being looked at."""
    text = "Every dog in the street makes me cross the road."
    write(
        tmp_path / "mine.jsonl",
        {"body": text, "dx": "specific_fobia"},
        {"body": text, "dx": "specific_phobia"},
        {"body": "hi", "dx": "ocd"},
    )
    done = data(tmp_path, "check", "mine.jsonl", "--text-column", "body", "--label-column", "dx")
    assert done.returncode == 2
    first, second = done.stderr.splitlines()
    assert first.startswith("mine.jsonl:1: dx: unknown condition 'specific_fobia'")
    assert second.startswith("mine.jsonl:2: condition: nearly repeats mine.jsonl:1 (mine:1), similarity 1.00")
    assert "warning: mine.jsonl:3: input: has fewer than 3 words" in done.stdout
    assert done.stdout.endswith("mine.jsonl: 3 examples, 3 conditions\n2 errors, 1 warning\n")


@pytest.mark.parametrize(("indent", "places"), [(None, (3, 5)), (1, (10, 18))])
def test_faults_in_a_list_name_the_place_of_each_example(
    tmp_path: Path, indent: int | None, places: tuple[int, int]
):
    """By its line, or by its number where all of the list stands on one line, which is said."""
    rows: list[dict[str, object]] = [
        {"input": "I check the stove ten times", "condition": "ocd"},
        {"input": "My heart races in every shop", "condition": "panic"},
        {"input": "Nothing ever brings me joy", "condition": "joylessness"},
        {"input": "Awake until the birds begin", "condition": "insomnia"},
        {"input": "Dogs frighten both of us", "condition": "dogs"},
    ]
    (tmp_path / "list.json").write_text(json.dumps(rows, indent=indent))
    done = data(tmp_path, "check", "list.json")
    told = [line.split(": ")[0] for line in done.stderr.splitlines()]
    assert told == [f"list.json:{place}" for place in places]
    assert ("their numbers stand in place of lines" in done.stdout) == (indent is None)


def test_one_of_a_thing_is_told_as_one(tmp_path: Path):
    """`1 error`, `1 example`, `1 condition`."""
    write(tmp_path / "one.jsonl", {"input": "I wash and wash all day", "condition": "ocdd", "split": "train"})
    done = data(tmp_path, "check", "one.jsonl")
    assert done.stdout.endswith("one.jsonl: 1 example, 1 condition\n0 errors, 0 warnings\n")
    write(tmp_path / "one.jsonl", {"input": "I wash and wash all day", "condition": "ocd", "split": "tran"})
    assert data(tmp_path, "check", "one.jsonl").stdout.endswith("1 error, 0 warnings\n")


def test_labels_and_terms_are_listed(tmp_path: Path):
    """The bundled ones without a file, and those that apply to a file."""
    shown = data(tmp_path, "labels").stdout
    assert "specific_phobia" in shown
    assert "Depression (Major Depressive Disorder)" in shown
    assert "mood: low mood, loss of interest," in shown
    write(tmp_path / "mine.jsonl", {"body": "x", "dx": "a"})
    (tmp_path / "taxonomy.json").write_text('[{"id": "a", "name": "Ay"}]')
    named = ("--text-column", "body", "--label-column", "dx")
    own = data(tmp_path, "labels", "mine.jsonl", *named)
    assert own.returncode == 0, own.stderr
    assert "Ay" in own.stdout
    assert "panic" not in own.stdout
    assert "Any symptom term will do" in own.stdout
    (tmp_path / "symptoms.json").write_text('["cold feet"]')
    assert "symptoms: cold feet" in data(tmp_path, "labels", "mine.jsonl", *named).stdout


def test_a_small_file_is_split_as_far_as_it_goes(tmp_path: Path):
    """What could not be done is told behind what was."""
    write(tmp_path / "mine.jsonl", {"input": "I wash and wash all day", "condition": "ocd"})
    done = data(tmp_path, "split", "mine.jsonl", "--out", "parts")
    assert done.stdout.splitlines() == [
        f"{Path('parts/train.jsonl')}: 1 example",
        "note: no dev.jsonl was written; with fewer than 3 examples a condition stays in train",
        "note: no test.jsonl was written; with fewer than 3 examples a condition stays in train",
    ]


def test_statistics_are_those_of_the_file(tmp_path: Path):
    """A row for each condition with its counts and words, and a row for all."""
    file = tmp_path / "own.jsonl"
    write(
        file,
        {"input": "one two three", "condition": "ocd", "split": "train", "symptoms": ["avoidance"]},
        {"input": "one two three four five", "condition": "ocd", "split": "test"},
        {
            "input": "one",
            "condition": "panic",
            "split": "train",
            "symptoms": [],
            "recommendation": "Ask a GP.",
        },
    )
    done = data(tmp_path, "stats", "own.jsonl")
    assert done.returncode == 0, done.stderr
    rows = [
        [cell.strip() for cell in line.strip("│┃ ").replace("┃", "│").split("│")]
        for line in done.stdout.splitlines()
    ]
    assert ["condition", "train", "test", "all", "words, median", "least", "most"] in rows
    assert ["panic", "1", "0", "1", "1", "1", "1"] in rows
    assert ["ocd", "1", "1", "2", "4", "3", "5"] in rows
    assert ["all", "2", "1", "3", "3", "1", "5"] in rows
    assert ["avoidance", "1"] in rows
    assert "3 examples; 1 with symptoms and recommendation" in done.stdout


def test_a_split_is_written_and_counted(tmp_path: Path):
    """Three files whose sizes are told; a second time they are not overwritten."""
    done = data(tmp_path, "split", PARTS[2], "--dev", "0.1", "--test", "0.2", "--seed", "1", "--out", "parts")
    assert done.returncode == 0, done.stderr
    sizes = {
        split: len(load_dataset(tmp_path / f"parts/{split}.jsonl").examples)
        for split in ("train", "dev", "test")
    }
    assert sizes == {"train": 210, "dev": 30, "test": 60}
    assert [line.split(": ")[1] for line in done.stdout.splitlines()] == [
        "210 examples",
        "30 examples",
        "60 examples",
    ]
    again = data(tmp_path, "split", PARTS[2], "--out", "parts")
    assert (again.returncode, again.stdout) == (2, "")
    assert "exists already; choose another folder with --out." in again.stderr


def test_a_preview_shows_the_three_lines(tmp_path: Path):
    """The first examples of a condition, by id or by the text of its label; one without advice says so."""
    done = data(tmp_path, "preview", PARTS[2], "--condition", "Panic Disorder", "--count", "2")
    assert done.returncode == 0, done.stderr
    example = next(one for one in load_dataset(Path(PARTS[2])).examples if one.id == "panic-36")
    assert (
        f"panic-36 (line {example.line})\n{example.input}\n\nPrimary concern: Panic Disorder\n" in done.stdout
    )
    assert (
        f"Key symptoms: {', '.join(example.symptoms or ())}\nRecommendation: {example.recommendation}\n"
        in done.stdout
    )
    assert done.stdout.endswith("2 of 10 examples\n")
    write(tmp_path / "bare.jsonl", {"input": "x", "condition": "ocd"})
    shown = data(tmp_path, "preview", "bare.jsonl").stdout
    assert (
        "Primary concern: Obsessive-Compulsive Disorder\n(symptoms or recommendation are not annotated)"
        in shown
    )


def test_help_names_the_commands(tmp_path: Path):
    """`symptoms data --help` lists all five."""
    shown = data(tmp_path, "--help").stdout
    assert all(command in shown for command in ("check", "stats", "split", "preview", "labels"))
