"""Many rows to a file of results: faults in their place, shares of one file, going on, and the pace."""

from __future__ import annotations

import fcntl
import itertools
import json
import subprocess
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from symptoms import Classifier
from symptoms.classifier import answers
from symptoms.cli.batch import assess_file
from symptoms.cli.batch_progress import pace, progress_of
from symptoms.cli.batch_results import WHOLE, ResultCounts, Shard
from symptoms.data import Descriptions
from symptoms.errors import InputError
from symptoms.service import LocalServer
from symptoms.taxonomy import EVERYDAY

COUNT = 11


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A file of eleven descriptions."""
    file = tmp_path / "many.txt"
    file.write_text("".join(f"sleep and fear {number}\n" for number in range(COUNT)))
    return file


def assess(classifier: Classifier, file: Path, out: Path, shard: Shard = WHOLE) -> list[dict[str, Any]]:
    assess_file(lambda _: nullcontext(classifier), Descriptions(file), out, shard)
    return [json.loads(line) for line in out.read_text().splitlines()]


def test_a_text_that_gives_no_reason_for_a_condition_is_not_counted_as_having_one():
    """Everyday life and too few words are answers too, and no conditions."""
    written = ResultCounts()
    for condition in ("insomnia", EVERYDAY, "not_enough_information", None):
        written.add(
            {"checkpoint": "c", "condition": condition, "abstained": condition is None, "crisis": False}
        )
    assert written.total == 4
    assert written.counts["answered"] == 1
    assert written.counts["no reason"] == 2


def test_an_empty_cell_of_a_csv_of_one_column_is_a_line_with_an_error(classifier: Classifier, tmp_path: Path):
    """Quoted or an empty line, it has its place among the others, and the command ends with an error."""
    file, out = tmp_path / "many.csv", tmp_path / "out.jsonl"
    file.write_text('input\nsleep\n""\nfear\n\nsleep and fear\n')
    with pytest.raises(InputError, match="2 descriptions could not be read"):
        assess(classifier, file, out)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["line"] for line in lines] == [2, 3, 4, 5, 6]
    assert [line["line"] for line in lines if "error" in line] == [3, 5]


def test_an_endless_stream_of_descriptions_is_answered_as_it_comes(classifier: Classifier):
    """Some dozens are read ahead, and no more."""
    taken = 0

    def texts():
        nonlocal taken
        for number in itertools.count():
            taken += 1
            yield InputError("none") if number % 2 else f"sleep {number}"

    outcomes = classifier.outcomes(texts())
    first, second = next(outcomes), next(outcomes)
    outcomes.close()
    assert not isinstance(first, InputError)
    assert str(second) == "none"
    assert taken < 100


def test_a_row_at_fault_is_a_line_with_its_error(classifier: Classifier, tmp_path: Path):
    """In its place and without an input; the same command again writes nothing more, and ends the same."""
    file, out = tmp_path / "odd.jsonl", tmp_path / "out.jsonl"
    file.write_text('{"input": "sleep", "id": "a"}\n{"input": 3}\n{"inp\n{"input": "fear", "id": "b"}\n')
    for _ in range(2):
        with pytest.raises(InputError, match="2 descriptions could not be read"):
            assess(classifier, file, out)
        lines = [json.loads(line) for line in out.read_text().splitlines()]
        assert [(line["number"], line["line"], line.get("id"), line["input"]) for line in lines] == [
            (1, 1, "a", "sleep"),
            (2, 2, None, None),
            (3, 3, None, None),
            (4, 4, "b", "fear"),
        ]
        assert lines[1]["error"] == "input: expected text, found a number"
        assert "not valid JSON" in lines[2]["error"]


def test_shares_of_a_file_join_to_what_one_command_writes(
    classifier: Classifier, many: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    """By the documented line of shell; the plain command then finds every line right and asks nothing."""
    for index in (1, 2, 3):
        lines = assess(classifier, many, tmp_path / f"part-{index}.jsonl", Shard(index, 3))
        assert [line["number"] for line in lines] == list(range(index, COUNT + 1, 3))
    joining = "paste -d '\\n' part-1.jsonl part-2.jsonl part-3.jsonl | sed '/^$/d' > all.jsonl"
    subprocess.run(joining, shell=True, cwd=tmp_path, check=True)
    joined = (tmp_path / "all.jsonl").read_bytes()
    capfd.readouterr()
    lines = assess(classifier, many, tmp_path / "all.jsonl")
    assert (tmp_path / "all.jsonl").read_bytes() == joined
    assert [line["input"] for line in lines] == many.read_text().splitlines()
    assert "11 descriptions" in capfd.readouterr().err


def test_a_share_goes_on_where_it_stopped_and_knows_the_share_of_others(
    classifier: Classifier, many: Path, tmp_path: Path
):
    """What was there stays; results of another share are refused, and so are shares joined too early."""
    out = tmp_path / "part.jsonl"
    assess(classifier, many, out, Shard(2, 3))
    whole = out.read_bytes()
    first = whole.split(b"\n")[0] + b"\n"
    out.write_bytes(first + b'{"number": 5')
    assert [line["number"] for line in assess(classifier, many, out, Shard(2, 3))] == [2, 5, 8, 11]
    assert out.read_bytes().startswith(first)
    with pytest.raises(InputError, match=r"part.jsonl:1: this is not the result of description 1"):
        assess(classifier, many, out, Shard(1, 3))


def test_lines_of_two_models_are_not_gone_on_with(classifier: Classifier, many: Path, tmp_path: Path):
    """As shares that were begun with different runs would be, once joined."""
    out = tmp_path / "out.jsonl"
    lines = assess(classifier, many, out)
    lines[1]["checkpoint"] = "tinker://another"
    out.write_text("".join(json.dumps(line) + "\n" for line in lines[:2]))
    with pytest.raises(InputError, match=r"out.jsonl:2: this is by tinker://another, and the lines before"):
        assess(classifier, many, out)


def test_two_processes_do_not_write_to_one_file(classifier: Classifier, many: Path, tmp_path: Path):
    """The second is refused before it asks anything, and says what to do for shares."""
    out = tmp_path / "out.jsonl"
    with open(out, "wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(InputError, match=r"another process; give each --shard an --out of its own"):
            assess(classifier, many, out)


@pytest.mark.parametrize("text", ["", "3", "0/3", "4/3", "1/x", "-1/3", "1/0"])
def test_what_is_no_share_is_refused(text: str):
    """With an example."""
    with pytest.raises(InputError, match="such as 1/4"):
        Shard.told(text)


def test_the_pace_is_told_in_words(capfd: pytest.CaptureFixture[str]):
    """How far, how fast, how long still; a line a minute where there is no terminal."""
    assert pace(1200, 200, 10_000, True, 10.0) == "1,200 of 10,000, 20.0 a second, 7 min left"
    assert pace(10, 10, 1_000_000, False, 20.0) == "10 of about 1,000,000, 30.0 a minute, 23 days left"
    assert pace(5, 0, None, False, 1.0) == "5"
    times = iter([0.0, 30.0, 61.0, 61.0, 61.0, 90.0])
    with progress_of(0, lambda: next(times)) as moved:
        moved(1, 9, True)
        moved(2, 9, True)
        moved(3, 9, True)
    assert capfd.readouterr().err == "2 of 9, 2.0 a minute, 4 min left\n"


def test_our_own_server_at_a_url_is_asked_as_the_local_one(
    classifier: Classifier, colour_run: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
):
    """By the few requests that score named labels, and with the same probabilities."""
    monkeypatch.setenv("TINKER_LOCAL_HOME", str(colour_run / "home"))
    with LocalServer(str(tiny_model)) as server:
        monkeypatch.setenv("TINKER_API_KEY", server.api_key)
        run = str(colour_run / "runs" / "tiny")
        with Classifier.load(run, server.url, server.base_model, "GB") as worker:
            assert worker.service == "url"
            asked: list[object] = []
            by_candidates = answers.submit_by_candidates
            monkeypatch.setattr(
                answers, "submit_by_candidates", lambda *_: asked.append(_) or by_candidates(*_)
            )
            here, there = classifier.assess("sleep and fear"), worker.assess("sleep and fear")
    assert there.leading == here.leading
