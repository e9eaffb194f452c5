"""What ships of the classifier belongs together, is small, and tells nothing of the machine that made it."""

from __future__ import annotations

import json

from symptoms.classifier import read_accuracy, read_calibration
from symptoms.classifier.word_models.symptom_reading import read_symptom_model
from symptoms.classifier.word_models.word_vote import read_word_model
from symptoms.data import labels_of_taxonomy
from symptoms.runs import RunDirectory
from symptoms.shipped import CLASSIFIER, CLASSIFIER_RUN

RUN = RunDirectory(CLASSIFIER_RUN)
MOST_BYTES = 12e6


def test_all_of_it_is_of_one_checkpoint_and_one_set_of_labels() -> None:
    """Calibration, accuracy, words and symptoms are those of the adapter that lies beside them."""
    ids = tuple(label.id for label in labels_of_taxonomy())
    calibration, words = read_calibration(RUN.path), read_word_model(RUN.path)
    assert RUN.final_checkpoint() == CLASSIFIER.checkpoint
    assert calibration is not None
    assert calibration.checkpoint == CLASSIFIER.checkpoint
    assert calibration.labels == tuple(label.id for label in RUN.labels()) == ids
    assert words is not None
    assert words.labels == ids
    symptoms = read_symptom_model(RUN.path)
    assert calibration.symptoms is not None
    assert symptoms is not None
    assert symptoms.labels == ids
    assert set(symptoms.terms) == set(RUN.manifest()["symptoms"])
    assert read_accuracy(RUN.path, CLASSIFIER.checkpoint) is not None
    assert RUN.reads_sentence_case


def test_it_has_a_card_and_is_small() -> None:
    """At most 12 MB, the adapter and what lies beside it."""
    files = [*CLASSIFIER.folder.iterdir(), *RUN.path.iterdir()]
    assert "README.md" in {file.name for file in files}
    assert sum(file.stat().st_size for file in files) < MOST_BYTES


def test_it_tells_nothing_of_a_machine() -> None:
    """Paths are those of the repository, and no revision, address or time is told."""
    for file in RUN.path.glob("*.json*"):
        for line in file.read_text(encoding="utf-8").splitlines():
            assert '"/' not in line, file
    manifest = json.loads((RUN.path / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["data"] == "data/train.jsonl"
    assert not manifest["service_url"]
    assert "git_revision" not in manifest
