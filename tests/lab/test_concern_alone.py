"""Texts and labels without symptoms or recommendations, which are trained on by the concern's line alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from symptoms.data import parse_concern
from symptoms.data.files.records import Columns
from symptoms.errors import AssessmentFormatError, InputError
from symptoms.tokens import as_tokenizer, concern_tokens, tokenize
from symptoms.train import load_training_data
from symptoms.train.request.training_data import subset_of
from symptoms.train.request.training_request import new_request
from tiny_models import tiny_tokenizer

THEIRS = Columns("body", "dx")
ROWS = "body;dx\nI wash and wash;ocd\nOut of the blue;panic\nAgain and again;ocd\n"


def write(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_texts_and_labels_are_trained_on_by_their_label(tmp_path: Path):
    """What is written ends after the concern, a note says so, and a part of the data can be drawn."""
    data = load_training_data(write(tmp_path, "semi.csv", ROWS), "train", THEIRS)
    assert [one.output for one in data.examples] == [
        "Primary concern: Obsessive-Compulsive Disorder",
        "Primary concern: Panic Disorder",
        "Primary concern: Obsessive-Compulsive Disorder",
    ]
    assert "no example has symptoms or a recommendation" in data.notes[-1]
    assert len(subset_of(data, 1, seed=0).examples) == 2


def test_a_label_is_trained_with_the_tokens_that_it_is_scored_with(tmp_path: Path):
    """The line end is a token of its own before the stop, so that labels which begin alike are told apart."""
    [example, *_] = load_training_data(write(tmp_path, "semi.csv", ROWS), "train", THEIRS).examples
    tokenizer = as_tokenizer(tiny_tokenizer())
    tokens = tokenize(tokenizer, example)
    trained = [token for token, weight in zip(tokens.tokens, tokens.weights, strict=True) if weight]
    line = concern_tokens(tokenizer, "Obsessive-Compulsive Disorder")
    assert trained[:-1] == line
    assert str(tokenizer.decode(trained, skip_special_tokens=False)).endswith("Disorder\n\n")


def test_examples_of_which_some_lack_something_are_counted_in_one_sentence(tmp_path: Path):
    """Not one of them is named as if it were the only one, and the next step is told."""
    rows = "input,condition,symptoms,recommendation\na,ocd,,\nb,ocd,fatigue,Rest.\nc,ocd,fatigue,\n"
    with pytest.raises(InputError) as told:
        load_training_data(write(tmp_path, "some.csv", rows), "train")
    assert "2 of 3 examples lack symptoms or recommendation, the first of them some:1 (line 2)" in str(
        told.value
    )
    assert "leave both out of all" in str(told.value)


def test_the_dev_loss_is_of_the_same_lines(tmp_path: Path):
    """Dev data may have more than the training data, and may not have less."""
    bare = write(tmp_path, "bare.csv", "input,condition\na,ocd\n")
    whole = write(tmp_path, "whole.csv", "input,condition,symptoms,recommendation\nb,ocd,fatigue,Rest.\n")
    dev = new_request({"data": str(bare), "dev": str(whole)}, None).dev
    assert dev is not None
    assert [one.output for one in dev.examples] == ["Primary concern: Obsessive-Compulsive Disorder"]
    with pytest.raises(InputError, match="1 of 1 example lack"):
        new_request({"data": str(whole), "dev": str(bare)}, None)


def test_the_line_of_a_concern_is_read_by_itself():
    """One with more after it, or of another form, is none."""
    assert parse_concern("Primary concern: Burnout").concern == "Burnout"
    for text in ("Burnout", "Primary concern: Burnout\nKey symptoms: fatigue"):
        with pytest.raises(AssessmentFormatError):
            parse_concern(text)
