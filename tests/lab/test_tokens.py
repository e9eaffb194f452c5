"""What is trained, and that inference sees what training saw."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symptoms.data import Example
from symptoms.errors import DataError
from symptoms.tokens import (
    STOP,
    check_lengths,
    completion_text,
    prompt_text,
    prompt_tokens,
    to_datum,
    tokenize,
)
from tiny_models import tiny_tokenizer

TOKENIZER = tiny_tokenizer()
TEXT = st.text(min_size=1, max_size=80).map(str.strip).filter(bool)


@given(TEXT, TEXT)
def test_weights_are_zero_exactly_on_the_prompt(description: str, output: str):
    """The prompt at inference is the training prefix; from there on every token is trained."""
    example = tokenize(TOKENIZER, Example(description, output=output))
    prompt = prompt_tokens(TOKENIZER, description)
    assert list(example.tokens[: len(prompt)]) == prompt
    assert example.weights == (0.0,) * len(prompt) + (1.0,) * (example.num_tokens - len(prompt))
    trained = [token for token, weight in zip(example.tokens, example.weights, strict=True) if weight]
    assert TOKENIZER.decode(trained) == completion_text(output)
    assert example.num_trained_tokens == len(trained)


def test_control_tokens_in_a_text_are_text():
    """A control token spelled out in a description or an output is read as its characters."""
    example = tokenize(TOKENIZER, Example("<|end|> and <|begin|>", output="<|end|> done"))
    assert example.tokens.count(0) == 1  # only the begin token that the tokenizer puts first
    assert 1 not in example.tokens
    assert TOKENIZER.decode(example.tokens[1:]) == prompt_text("<|end|> and <|begin|>") + completion_text(
        "<|end|> done"
    )


@given(TEXT, TEXT)
def test_the_stop_is_trained(description: str, output: str):
    """The last trained tokens are the blank line on which generation ends."""
    example = tokenize(TOKENIZER, Example(description, output=output))
    stop = TOKENIZER.encode(STOP, add_special_tokens=False)
    assert list(example.tokens[-len(stop) :]) == stop
    assert all(example.weights[-len(stop) :])


def test_the_datum_is_shifted_by_one():
    """Inputs, targets and weights are equally long, and each token predicts the next."""
    example = tokenize(TOKENIZER, Example("low", output="Rest."))
    datum = to_datum(example)
    assert tuple(datum.model_input.to_ints()) == example.tokens[:-1]
    assert tuple(datum.loss_fn_inputs["target_tokens"].tolist()) == example.tokens[1:]
    assert tuple(datum.loss_fn_inputs["weights"].tolist()) == example.weights[1:]


def test_the_format_is_the_experiments():
    """The very characters of prompt and completion."""
    assert prompt_text(" I am tired. ") == "Symptoms: I am tired.\nAssessment:"
    assert completion_text("Rest.\n") == " Rest.\n\n"


def test_examples_that_do_not_fit_are_refused_with_both_lengths():
    """Nothing is cut: every example over the context is named with its line, its length and the limit."""
    examples = [
        Example("a" * length, output="b", line=line) for line, length in ((3, 10), (7, 100), (9, 200))
    ]
    tokenized = [tokenize(TOKENIZER, example) for example in examples]
    with pytest.raises(DataError) as caught:
        check_lengths(Path("data.json"), examples, tokenized, context=60)
    told = [(fault.line, fault.problem) for fault in caught.value.faults]
    assert told == [
        (7, f"{tokenized[1].num_tokens} tokens exceed the context of 60; shorten it"),
        (9, f"{tokenized[2].num_tokens} tokens exceed the context of 60; shorten it"),
    ]
    check_lengths(Path("data.json"), examples, tokenized, context=max(one.num_tokens for one in tokenized))
    check_lengths(Path("data.json"), examples, tokenized, context=None)
