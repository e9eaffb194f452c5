"""Asking a model: what it writes, how likely each label is to it, and what is kept of that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM

from symptoms.classifier import Answer, TrainedModel, Writing
from symptoms.classifier.label_scoring import paths_through
from symptoms.data import RECOMMENDATION, Example, Label
from symptoms.errors import InputError
from symptoms.evaluate.predictions import predict, read_predictions, write_predictions
from symptoms.evaluate.scoring import score_labels, score_written
from symptoms.service import LocalServer, connect
from symptoms.tokens import completion_text, concern_beginnings, concern_tokens, prompt_tokens

LABELS = (Label("panic", "Panic"), Label("ocd", "OCD (Obsessive-Compulsive Disorder)"), Label("pan", "Pan"))
TEXTS = ("My heart races.", "I count the tiles again and again.", "Tired.", "I dread the bus.")


@pytest.fixture
def model(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[TrainedModel]:
    """The tiny model as it is, without an adapter."""
    monkeypatch.setenv("TINKER_API_KEY", server.api_key)
    with connect(server.url, server.base_model) as service:
        yield TrainedModel.load(service, None)


def answer_of(model: TrainedModel, text: str, labels: Sequence[Label]) -> Answer:
    [answer] = model.answers([(text, Writing.WHOLE)], labels)
    return answer


def examples(condition: str = "panic") -> list[Example]:
    return [
        Example(text, Label(condition, condition), ("fatigue",), id=str(number), line=number)
        for number, text in enumerate(TEXTS)
    ]


def test_scores_are_the_log_probabilities_of_the_lines(model: TrainedModel, tiny_model: Path):
    """They equal what transformers gives, token by token, to what tells each label's line from the others."""
    reference = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    answer = answer_of(model, TEXTS[0], LABELS)
    prompt = prompt_tokens(model.tokenizer, TEXTS[0])
    lines = concern_beginnings(model.tokenizer, [label.text for label in LABELS])
    for line, logprob, by_token in zip(lines, answer.logprobs, answer.token_logprobs, strict=True):
        with torch.no_grad():
            logits = reference(torch.tensor([[*prompt, *line]])).logits[0, len(prompt) - 1 : -1]
        expected = logits.log_softmax(-1)[torch.arange(len(line)), torch.tensor(line)]
        np.testing.assert_allclose(by_token, expected.numpy(), atol=1e-4)
        assert logprob == pytest.approx(float(expected.sum()), abs=1e-3)


def test_naming_tokens_gives_the_same_scores_with_fewer_requests(model: TrainedModel):
    """All tokens of all lines get the score that they get with a request for each line."""
    names = ["P", "Pa", "Pan", "Panic", "OCD", "OC", "Grief", "Grie", "A b c", "A b d", "A b", "A", "B"]
    labels = [Label(name, name) for name in names]
    lines = concern_beginnings(model.tokenizer, names)
    assert len(paths_through(lines)) < len(lines) / 2
    one_by_one = answer_of(replace(model, scorer=None), TEXTS[0], labels)
    named = answer_of(model, TEXTS[0], labels)
    assert [len(tokens) for tokens in named.token_logprobs] == [len(line) for line in lines]
    np.testing.assert_allclose(named.logprobs, one_by_one.logprobs, atol=1e-4)


@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=5).map(tuple), min_size=1, unique=True))
def test_paths_ask_for_every_token_of_every_line_once(lines: list[tuple[int, ...]]):
    """What the paths name is exactly each distinct beginning of a line, once."""
    asked = [
        (*path.tokens[:place], token)
        for path in paths_through(lines)
        for place, named in enumerate(path.named)
        for token in named
    ]
    assert sorted(asked) == sorted({line[: end + 1] for line in lines for end in range(len(line))})


def test_many_answers_are_those_of_one_by_one(model: TrainedModel):
    """Asking at once neither mixes answers up nor changes them."""
    together = list(model.answers(((text, Writing.WHOLE) for text in TEXTS), LABELS))
    for text, answer in zip(TEXTS, together, strict=True):
        alone = answer_of(model, text, LABELS)
        assert answer.written == alone.written
        np.testing.assert_allclose(answer.logprobs, alone.logprobs, atol=1e-4)


def test_a_scored_line_is_how_a_trained_completion_begins(model: TrainedModel):
    """The tokens of a label's line are the first tokens of every completion with that label."""
    output = f"Primary concern: {LABELS[1].text}\nKey symptoms: checking\nRecommendation: See a GP."
    whole = model.tokenizer.encode(
        completion_text(output), add_special_tokens=False, split_special_tokens=True
    )
    line = concern_tokens(model.tokenizer, LABELS[1].text)
    assert whole[: len(line)] == line


def test_a_scored_beginning_belongs_to_one_label_alone(model: TrainedModel):
    """It begins its label's line and no other's, and one token less would begin another's, too."""
    lines = [tuple(concern_tokens(model.tokenizer, label.text)) for label in LABELS]
    beginnings = concern_beginnings(model.tokenizer, [label.text for label in LABELS])
    for line, beginning in zip(lines, beginnings, strict=True):
        assert [other for other in lines if other[: len(beginning)] == tuple(beginning)] == [line]
        assert sum(other[: len(beginning) - 1] == tuple(beginning[:-1]) for other in lines) > 1


def test_examples_shown_before_change_the_scores(model: TrainedModel):
    """Shots stand in the prompt of every description."""
    plain = answer_of(model, TEXTS[0], LABELS).logprobs
    shown = answer_of(replace(model, shots="Symptoms: a\nAssessment: b\n\n"), TEXTS[0], LABELS).logprobs
    assert np.abs(plain - shown).max() > 1e-3


def test_an_unreadable_answer_is_wrong_whatever_was_scored(model: TrainedModel):
    """An untrained model writes no assessment: the label is scored, and the answer does not count."""
    predictions = predict(model, examples(), LABELS)
    first = predictions[0]
    assert first.predicted in ("panic", "ocd", "pan")
    assert not first.is_parsed
    assert first.answered is None
    right = [one.predicted == one.condition for one in predictions]
    assert score_labels(predictions, 0).accuracy.value == sum(right) / len(right)


def test_predictions_are_read_as_they_were_written(model: TrainedModel, tmp_path: Path):
    """Every field comes back, with floats to the last digit."""
    predictions = predict(model, examples(), LABELS)
    write_predictions(tmp_path / "predictions.jsonl", predictions)
    assert read_predictions(tmp_path / "predictions.jsonl") == predictions


@pytest.mark.parametrize(("most", "whole"), [(None, 4), (0, 0), (1, 1), (2, 2), (9, 4)])
def test_recommendations_are_written_for_as_many_as_asked(model: TrainedModel, most: int | None, whole: int):
    """Of the others only concern and symptoms are, and what stands of these is the same either way."""
    predictions = predict(model, examples(), LABELS, most=most)
    assert sum(one.asked_for_recommendation for one in predictions) == whole
    for one, full in zip(predictions, predict(model, examples(), LABELS), strict=True):
        assert full.written.split(RECOMMENDATION)[0].startswith(one.written.split(RECOMMENDATION)[0])
        assert one.logprobs == full.logprobs


def test_answers_that_nobody_reads_are_not_written(model: TrainedModel):
    """The others are scored alone, count by their label, and are left out of what was written."""
    predictions = predict(model, examples(), LABELS, most=2, rest=Writing.NOTHING)
    assert [one.asked_to_write for one in predictions] == [False, True, False, True]
    for one, full in zip(predictions, predict(model, examples(), LABELS), strict=True):
        assert one.logprobs == full.logprobs
        assert one.written == (full.written if one.asked_to_write else "")
        assert one.answered == (None if one.asked_to_write else one.predicted)
    written = score_written(predictions, 0)
    assert written.answers == 2
    assert written.parse_rate == 0.0


def test_a_text_beyond_the_context_is_refused(model: TrainedModel):
    """Nothing is cut: the sentence says how long the text is and how long it may be."""
    with pytest.raises(InputError, match="of the model's 256 tokens"):
        answer_of(model, "x" * 300, LABELS)
