"""Sets of other people's texts are read from their original layouts."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT
from symptoms.data import labels_of_taxonomy
from symptoms.errors import DataError, InputError
from symptoms.evaluate.external import read_external

SAMPLE = ROOT.parent / "shared" / "external" / "mentalbench"
KNOWN = {label.id for label in labels_of_taxonomy()}


def write_csv(path: Path, rows: list[dict[str, str]]) -> Path:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_mentalbench(folder: Path) -> Path:
    """Two disorders, of which the first has two cases of one symptom set."""

    def features(*symptoms: str) -> dict[str, Any]:
        return {"features": {"question": {"sampled_features": {"sampled_symptoms": list(symptoms)}}}}

    for disorder, cases in {"D016": (("S2", "S1"), ("S1", "S2")), "D008": (("S9",),)}.items():
        place = folder / "resources" / "dataset" / "medium" / disorder
        (place / "features").mkdir(parents=True)
        names = [f"{disorder}_m{number}" for number in range(len(cases))]
        questions = {name: {"question": f"I am {name}.", "answer": "A. X"} for name in names}
        (place / "main_one.json").write_text(json.dumps(questions))
        described = {name: features(*case) for name, case in zip(names, cases, strict=True)}
        (place / "features" / "main_one.json").write_text(json.dumps(described))
    return folder


def test_mentalbench_is_read_with_its_clusters(tmp_path: Path):
    """Disorders become conditions, and cases of one symptom set share a cluster whatever its order."""
    found = read_external("mentalbench", write_mentalbench(tmp_path))
    assert [example.condition for example in found.examples] == ["bipolar", "ocd", "ocd"]
    assert found.clusters == ("D008 S9", "D016 S1 S2", "D016 S1 S2")
    assert found.in_scope


@pytest.mark.skipif(not SAMPLE.exists(), reason="the MentalBench sample is not beside this checkout")
def test_the_sample_of_mentalbench_is_read_whole():
    """23 disorders with eight cases each, all mapped to conditions of the taxonomy."""
    found = read_external("mentalbench", SAMPLE)
    assert len(found.examples) == 23 * 8
    assert {example.condition for example in found.examples} <= KNOWN


def test_counselchat_keeps_each_question_of_one_topic_once(tmp_path: Path):
    """Answers repeat their question; questions of several or other topics are left out."""
    rows = [
        {"questionText": "I feel low.", "topics": "Depression"},
        {"questionText": "I feel low.", "topics": "Depression"},
        {"questionText": "He left.", "topics": "Relationships"},
        {"questionText": "Both.", "topics": "Depression,Anxiety"},
    ]
    found = read_external("counselchat", write_csv(tmp_path / "chat.csv", rows))
    assert [(example.input, example.condition) for example in found.examples] == [
        ("I feel low.", "depression")
    ]


def test_both_spellings_of_a_counselchat_topic_are_known(tmp_path: Path):
    """The two published files write a topic of several words differently."""
    newer = write_csv(tmp_path / "newer.csv", [{"questionText": "She died.", "topics": "Grief and Loss"}])
    older = write_csv(tmp_path / "older.csv", [{"questionText": "She died.", "topic": "grief-and-loss"}])
    for path in (newer, older):
        assert [one.condition for one in read_external("counselchat", path).examples] == ["prolonged_grief"]


@pytest.mark.parametrize(
    ("topics", "answer"), [("", "Hello."), ("Depression", "iVBORw0K" * 30_000)], ids=["no topic", "picture"]
)
def test_counselchat_may_lack_a_topic_and_hold_a_picture(tmp_path: Path, topics: str, answer: str):
    """As the published file does: some topics are empty, and one answer has more than 200,000 characters."""
    rows = [
        {"questionText": "I feel low.", "topics": "Depression", "answerText": "Hello."},
        {"questionText": "And I?", "topics": topics, "answerText": answer},
    ]
    found = read_external("counselchat", write_csv(tmp_path / "chat.csv", rows))
    assert [example.input for example in found.examples] == ["I feel low.", *(["And I?"] if topics else [])]


def test_generators_of_mentalbench_keep_their_cases_apart(tmp_path: Path):
    """Two texts of one case have an id each and one cluster."""
    folder = write_mentalbench(tmp_path)
    for file in list(folder.glob("**/main_one.json")):
        file.with_name("main_two.json").write_bytes(file.read_bytes())
    found = read_external("mentalbench", folder)
    assert len(found.examples) == len({example.id for example in found.examples}) == 6
    assert len(set(found.clusters)) == 2


def test_out_of_scope_sets_have_no_conditions(tmp_path: Path):
    """Bodily illness and requests to an assistant are texts that no condition fits."""
    bodily = write_csv(tmp_path / "s2d.csv", [{"label": "Psoriasis", "text": "My skin peels."}])
    queries = tmp_path / "data_full.json"
    queries.write_text(json.dumps({"oos_test": [["what is a lever", "oos"]]}))
    for kind, path in (("symptom2disease", bodily), ("clinc_oos", queries)):
        found = read_external(kind, path)
        assert len(found.examples) == 1
        assert not found.in_scope


def test_an_unknown_kind_names_those_that_are_known(tmp_path: Path):
    """The sentence lists what can be read."""
    with pytest.raises(InputError, match="mentalbench, counselchat"):
        read_external("reddit", tmp_path)


@pytest.mark.parametrize("kind", ["mentalbench", "counselchat", "symptom2disease", "clinc_oos"])
def test_another_layout_is_a_fault_of_the_file(kind: str, tmp_path: Path):
    """A missing file, an empty folder and other content end in one sentence."""
    other = tmp_path / "other.json"
    other.write_text('{"a": 1}\n')
    for path in (tmp_path / "missing", tmp_path, other):
        with pytest.raises(DataError):
            read_external(kind, path)


def test_a_query_without_text_is_a_fault(tmp_path: Path):
    """An empty entry among the queries ends in a sentence too."""
    path = tmp_path / "data_full.json"
    path.write_text('{"oos_test": [[]]}')
    with pytest.raises(DataError, match="not laid out as clinc_oos"):
        read_external("clinc_oos", path)


def test_all_mapped_conditions_are_of_the_taxonomy():
    """The mapping names no condition that does not exist."""
    text = (ROOT / "src" / "symptoms" / "evaluate" / "external.json").read_text()
    assert {condition for mapping in json.loads(text).values() for condition in mapping.values()} <= KNOWN
