"""Data sets are read from JSONL, JSON and CSV, and each fault says where it is."""

from __future__ import annotations

import csv
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from conftest import ROOT
from symptoms.data import (
    Dataset,
    Description,
    Descriptions,
    Label,
    assessment_of,
    labels_of_taxonomy,
    load_dataset,
    load_experiment,
    parse_assessment,
    render_assessment,
)
from symptoms.data.dataset import read_dataset
from symptoms.data.files.records import Columns
from symptoms.errors import DataError, InputError

FULL = {
    "id": "a",
    "input": "My heart races for no reason.",
    "condition": "panic",
    "symptoms": ["panic attacks", "racing heart"],
    "recommendation": "A GP can help.",
    "split": "train",
}

OWN_LABELS = " (labels of your own go into a taxonomy.json beside the file)"
OWN_TERMS = " (terms of your own go into a symptoms.json beside the file)"


def load_text(tmp_path: Path, text: str, name: str = "data.jsonl", **given: Any) -> Dataset:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    return load_dataset(file, **given)


def faults_of(tmp_path: Path, text: str, name: str = "data.jsonl") -> list[str]:
    with pytest.raises(DataError) as caught:
        load_text(tmp_path, text, name)
    return [f"{fault.line} {fault.field}: {fault.problem}" for fault in caught.value.faults]


def lines(*records: dict[str, Any]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def test_one_data_set_in_three_formats(tmp_path: Path):
    """JSONL, a JSON list and CSV give the same examples."""
    bare = {"input": 'I "wash", and wash;\nall day', "condition": "ocd"}
    from_lines = load_text(tmp_path, lines(FULL, bare)).examples
    from_list = load_text(tmp_path, json.dumps([FULL, bare], indent=1), "data.json").examples
    with (tmp_path / "data.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.DictWriter(file, list(FULL))
        rows.writeheader()
        rows.writerow({**FULL, "symptoms": "panic attacks; racing heart"})
        rows.writerow(bare)
    from_csv = load_dataset(tmp_path / "data.csv").examples
    for examples in (from_lines, from_list, from_csv):
        one, two = examples
        assert (one.id, one.split, one.symptoms) == ("a", "train", ("panic attacks", "racing heart"))
        assert (two.id, two.input, two.condition) == ("data:2", bare["input"], "ocd")
        assert (two.symptoms, two.recommendation, two.split) == (None, None, None)
    assert [[one.line for one in examples] for examples in (from_lines, from_list, from_csv)] == [
        [1, 2],
        [2, 13],
        [2, 3],
    ]


def test_annotated_as_none_is_not_unannotated(tmp_path: Path):
    """An empty list, or `none identified` in CSV, is an annotation; a missing field or empty cell is none."""
    examples = load_text(
        tmp_path, lines({**FULL, "symptoms": []}, {**FULL, "id": "b", "symptoms": None})
    ).examples
    assert [example.symptoms for example in examples] == [(), None]
    text = "input,condition,symptoms\nx,ocd,none identified\ny,ocd,\n"
    assert [one.symptoms for one in load_text(tmp_path, text, "data.csv").examples] == [(), None]


def test_the_experiments_file_is_a_data_set():
    """`mental_health_data.json` loads as it is trained on, in whatever way other files call their columns."""
    path = ROOT / "mental_health_data.json"
    dataset, _ = load_experiment(path)
    assert dataset.labels == labels_of_taxonomy()
    assert load_dataset(path, columns=Columns("text", "label")) == dataset
    assert [render_assessment(assessment_of(one)) for one in dataset.examples] == [
        one.output for one in dataset.examples
    ]


def test_an_output_that_is_no_assessment_is_a_fault(tmp_path: Path):
    """Free text as output makes no labelled data set, but can be trained on, and its inputs be assessed."""
    text = '{"examples": [\n{"input": "a", "output": "b"}]}'
    assert [one.output for one in load_text(tmp_path, text, "data.json", any_output=True).examples] == ["b"]
    assert [one.text for one in Descriptions(tmp_path / "data.json") if isinstance(one, Description)] == ["a"]
    assert faults_of(tmp_path, text, "data.json") == [
        "2 example 1, output: expected the three lines Primary concern, Key symptoms and Recommendation"
    ]


def test_outputs_at_fault_on_one_line_are_told_one_by_one(tmp_path: Path):
    """Each by its example's number, since the line is the same for all."""
    entries = ", ".join('{"input": "a", "output": "b"}' for _ in range(12))
    text = f'{{"examples": [{entries}]}}'
    assert [fault.split(", ")[0] for fault in faults_of(tmp_path, text, "data.json")] == [
        f"1 example {number}" for number in range(1, 13)
    ]


def test_an_unknown_concern_of_an_output_is_told_of_the_output(tmp_path: Path):
    """An experiment's file has no column of conditions or symptoms that a fault could name."""
    output = "Primary concern: Wrath\\nKey symptoms: rage\\nRecommendation: Rest."
    file = tmp_path / "data.json"
    file.write_text(f'{{"examples": [{{"input": "a", "output": "{output}"}}]}}')
    _, faults = read_dataset(file, labels_of_taxonomy())
    assert {fault.field for fault in faults} == {"example 1, output"}
    assert "unknown condition 'Wrath'" in faults[0].problem


def test_all_faults_at_once(tmp_path: Path):
    """Each wrong line is told with its number and field, and with the nearest valid name."""
    text = lines(
        FULL,
        {**FULL, "id": "b", "condition": "pannic"},
        {**FULL, "id": "c", "symptoms": ["racing hart", "avoidance", "avoidance"]},
        {"inptu": "x", "condition": "ocd", "split": "half"},
        FULL,
    )
    text += '[1]\n{"input": 3, "condition": ""}\n{"input": "x", "input": "y"}\n{oops}\n'
    assert faults_of(tmp_path, text) == [
        "2 condition: unknown condition 'pannic'; did you mean 'panic'?" + OWN_LABELS,
        "3 symptoms: 'avoidance' stands twice; keep one",
        "3 symptoms: unknown symptom 'racing hart'; did you mean 'racing heart'?" + OWN_TERMS,
        "4 inptu: unknown name; did you mean 'input'?",
        "4 input: expected text, found no such field",
        "4 split: unknown split 'half'; expected one of: train, dev, test",
        "5 id: 'a' is also the id of line 1; change one",
        '6 example: expected {"input", ...}, found a list',
        "7 input: expected text, found a number",
        "7 condition: expected text, found an empty string",
        "8 input: the key stands twice in one object; keep one",
        "9 file: not valid JSON at column 2 (expecting property name enclosed in double quotes)",
    ]


@pytest.mark.parametrize(("short", "meant"), [("gad", "generalized_anxiety"), ("BPD", "borderline")])
def test_initials_are_told_with_what_they_may_mean(tmp_path: Path, short: str, meant: str):
    [fault] = faults_of(tmp_path, lines(FULL, {**FULL, "id": "b", "condition": short}))
    assert f"did you mean {meant!r}?" in fault


def test_a_split_is_known_by_its_other_names(tmp_path: Path):
    """`validation` is what Hugging Face's files call what is `dev` here."""
    named = ("train", "validation", "Val", "testing")
    file = tmp_path / "data.jsonl"
    file.write_text(lines(*({**FULL, "id": name, "split": name} for name in named)))
    dataset, faults = read_dataset(file, labels_of_taxonomy())
    assert not faults
    assert dataset is not None
    assert [example.split for example in dataset.examples] == ["train", "dev", "dev", "test"]


@pytest.mark.parametrize(
    ("text", "name", "fault"),
    [
        ("", "data.jsonl", "1 file: expected at least one example"),
        ("[]", "data.json", "1 file: expected at least one example"),
        ("3", "data.json", "1 file: expected a list of examples or"),
        (
            "x",
            "data.txt",
            "1 file: expected a file that ends in .jsonl, .ndjson, .json, .csv, .tsv, .xlsx, .parquet, "
            "found .txt",
        ),
        (lines({**FULL, "condition": "a\nb"}), "data.jsonl", "1 condition: expected one line"),
        (
            lines({**FULL, "recommendation": " "}),
            "data.jsonl",
            "1 recommendation: expected text, found an empty",
        ),
        (lines({**FULL, "input": "x" * 10_001}), "data.jsonl", "1 input: expected at most 10,000 characters"),
        (
            lines({**FULL, "input": "\x1b[2Jx"}),
            "data.jsonl",
            "1 input: expected text, found a control character",
        ),
        (
            lines({**FULL, "input": "\ud83d"}),
            "data.jsonl",
            "1 input: expected text, found half of a surrogate",
        ),
        (lines({**FULL, "symptoms": 7}), "data.jsonl", "1 symptoms: expected a list of symptoms"),
        (
            lines({"input": "x", "condition": "own", "symptoms": ["a, b"]}),
            "data.jsonl",
            "1 symptoms: expected one symptom without a comma",
        ),
        (
            lines({"input": "x", "condition": "own", "symptoms": ["none identified"]}),
            "data.jsonl",
            "1 symptoms: 'none identified' is not a symptom",
        ),
        ("input,input,condition\nx,y,ocd\n", "data.csv", "1 input: the column stands twice"),
        ("input\nx\n", "data.csv", "1 condition: expected a column of this name"),
        ("input,condition\nx, y,ocd\n", "data.csv", "2 row: expected 2 columns, found 3"),
        ('input,condition\n"two\nlines",ocd\n"x,ocd\n', "data.csv", "4 row: not valid CSV"),
        ("input,condition\n,ocd\n", "data.csv", "2 input: expected text"),
    ],
)
def test_each_fault_is_named(tmp_path: Path, text: str, name: str, fault: str):
    """A file with one fault is refused for that fault."""
    assert faults_of(tmp_path, text, name)[0].startswith(fault)


def test_the_bytes_are_utf_8_from_any_editor(tmp_path: Path):
    """A byte order mark and Windows line ends are read; another encoding is refused with its line."""
    file = tmp_path / "data.csv"
    file.write_bytes("\ufeffinput,condition\r\ncafé,ocd\r\n".encode())
    assert [(one.input, one.line) for one in load_dataset(file).examples] == [("café", 2)]
    file.write_bytes("input,condition\ncafé,ocd\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"data\.csv:2: file: expected UTF-8"):
        load_dataset(file)
    with pytest.raises(DataError, match="no such file"):
        load_dataset(tmp_path / "none.jsonl")


def test_only_line_feeds_end_a_line(tmp_path: Path):
    """U+2028 and its like, which JSON writers leave as they are, stand inside a text."""
    record = json.dumps({"input": "one\u2028two", "condition": "ocd"}, ensure_ascii=False)
    examples = load_text(tmp_path, f"{record}\n\n{record}").examples
    assert [(one.input, one.line) for one in examples] == [("one\u2028two", 1), ("one\u2028two", 3)]


def test_labels_are_the_taxonomys_where_conditions_are(tmp_path: Path):
    """One known condition makes the label set all 30; a text of a Primary concern line counts as its id."""
    dataset = load_text(
        tmp_path, lines({"input": "x", "condition": "Depression (Major Depressive Disorder)"})
    )
    assert dataset.labels == labels_of_taxonomy()
    assert len(dataset.labels) == 30
    assert dataset.examples[0].condition == "depression"


def test_own_conditions_are_their_own_labels(tmp_path: Path):
    """Conditions of which fewer than half are known are labels as written, in order of appearance."""
    conditions = ("stress", "calm", "stress", "ocd", "joy")
    dataset = load_text(tmp_path, lines(*({"input": f"text {c}", "condition": c} for c in conditions)))
    assert dataset.labels == tuple(Label(name, name) for name in ("stress", "calm", "ocd", "joy"))
    two = lines({"input": "x", "condition": "ocd"}, {"input": "y", "condition": "panik"})
    assert faults_of(tmp_path, two) == [
        "2 condition: unknown condition 'panik'; did you mean 'panic'?" + OWN_LABELS
    ]


def test_a_taxonomy_beside_the_data_takes_precedence(tmp_path: Path):
    """Its entries are the labels, in its order, whatever the conditions are; a faulty one is refused."""
    (tmp_path / "taxonomy.json").write_text(
        '[{"id": "b", "name": "Bee", "formal_name": "Apis"},\n {"id": "ocd", "name": "Own", "code": 1}]'
    )
    dataset = load_text(tmp_path, lines({"input": "x", "condition": "ocd", "symptoms": ["anything"]}))
    assert dataset.labels == (Label("b", "Bee (Apis)"), Label("ocd", "Own"))
    assert "did you mean 'b'" in faults_of(tmp_path, lines({"input": "x", "condition": "bb"}))[0]
    (tmp_path / "taxonomy.json").write_text(
        '[{"id": "b", "name": "Bee"},\n{"id": "b"},\n{"id": "b", "name": "B"}]'
    )
    with pytest.raises(DataError) as caught:
        load_text(tmp_path, lines({"input": "x", "condition": "b", "split": "tets"}))
    assert [(Path(fault.file).name, fault.line, fault.field) for fault in caught.value.faults] == [
        ("data.jsonl", 1, "split"),
        ("taxonomy.json", 2, "name"),
        ("taxonomy.json", 3, "id"),
    ]


def test_labels_can_be_given(tmp_path: Path):
    """With the labels of a trained run, data with other conditions are refused."""
    labels = (Label("calm", "Calm"), Label("stress", "Stress"))
    text = lines({"input": "x", "condition": "Calm"})
    dataset = load_text(tmp_path, text, labels=labels)
    assert (dataset.labels, dataset.examples[0].condition) == (labels, "calm")
    with pytest.raises(DataError, match="did you mean 'stress'"):
        load_text(tmp_path, lines({"input": "x", "condition": "stres"}), labels=labels)


def test_an_example_becomes_the_three_lines(tmp_path: Path):
    """An annotated example's assessment renders and parses; one with a part missing is refused by line."""
    dataset = load_text(tmp_path, lines(FULL, {"id": "b", "input": "x", "condition": "ocd", "symptoms": []}))
    whole, part = dataset.examples
    text = render_assessment(assessment_of(whole))
    assert text == (
        "Primary concern: Panic Disorder\n"
        "Key symptoms: panic attacks, racing heart\n"
        "Recommendation: A GP can help."
    )
    assert parse_assessment(text).symptoms == whole.symptoms
    with pytest.raises(InputError, match=r"Example a \(line 1\) has no condition"):
        assessment_of(replace(whole, label=None))
    with pytest.raises(InputError, match=r"Example b \(line 2\) has no recommendation"):
        assessment_of(part)


def accepted_or_refused(file: Path) -> None:
    """The file is a data set, or its faults stand on lines that it has."""
    try:
        dataset = load_dataset(file)
    except DataError as error:
        # Of a list on one line the number of the example is told.
        content = file.read_bytes()
        count = len(content.splitlines()) + 1 + content.count(b"{")
        assert error.faults
        assert all(1 <= fault.line <= count for fault in error.faults)
        return
    ids = {label.id for label in dataset.labels}
    assert dataset.examples
    assert all(one.condition in ids and one.input for one in dataset.examples)


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from([".jsonl", ".json", ".csv", ".tsv"]))
@example(b"[" * 100_000, ".json")
@example(b'{"input": ' + b"1" * 5000 + b"}", ".jsonl")
@example(b"input,condition\n" + b"x" * 200_000 + b",ocd", ".csv")
@example(b'input,condition\r"x\ry",ocd', ".csv")
@example(b"input,condition\rx,ocd,z\ry", ".csv")
@example(b'{"examples": []}\n', ".json")
def test_any_bytes_are_a_data_set_or_faults(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, suffix: str
):
    """No bytes make the loader fail in another way."""
    file = tmp_path_factory.mktemp("bytes") / f"data{suffix}"
    file.write_bytes(content)
    accepted_or_refused(file)


WORDS = st.sampled_from(["ocd", "panic", "own", "train", "x", "avoidance", "", "a\nb", "\u2028", "\x00"])
VALUES = WORDS | st.none() | st.integers() | st.lists(WORDS, max_size=3)
KEYS = st.sampled_from(["id", "input", "condition", "symptoms", "recommendation", "split", "other"])


@settings(deadline=None)
@given(
    st.lists(st.dictionaries(KEYS, VALUES, max_size=6), max_size=4),
    st.sampled_from([".jsonl", ".json", ".csv", ".tsv"]),
)
def test_any_records_are_a_data_set_or_faults(
    tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, Any]], suffix: str
):
    """Nor do records with odd fields, in any of the formats."""
    file = tmp_path_factory.mktemp("records") / f"data{suffix}"
    if suffix == ".csv":
        with file.open("w", newline="", encoding="utf-8") as opened:
            rows = csv.DictWriter(
                opened, ["input", "condition", "symptoms", "split", "id"], extrasaction="ignore"
            )
            rows.writeheader()
            rows.writerows(records)
    elif suffix == ".json":
        file.write_text(json.dumps(records))
    else:
        file.write_text(lines(*records))
    accepted_or_refused(file)


def test_a_long_list_is_read_in_linear_time(tmp_path: Path):
    """Ten times the examples take some ten times as long, where searching from the start takes a hundred."""

    def seconds(examples: int) -> float:
        records = [{**FULL, "id": str(number), "input": "word " * 100} for number in range(examples)]
        text = json.dumps(records, indent=1)
        started = time.process_time()
        assert len(load_text(tmp_path, text, "data.json").examples) == examples
        return time.process_time() - started

    seconds(300)
    assert seconds(3000) < 30 * min(seconds(300) for _ in range(3))
