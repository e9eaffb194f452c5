"""Tokens to the datums of the Tinker API, and its log-probabilities to a loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from symptoms.tokens.example_tokens import TokenizedExample

if TYPE_CHECKING:
    import tinker


def to_datum(example: TokenizedExample) -> tinker.Datum:
    """The datum of the Tinker API, shifted by one: each token predicts the next."""
    import tinker

    return tinker.Datum(
        model_input=tinker.ModelInput.from_ints(list(example.tokens[:-1])),
        loss_fn_inputs={
            "target_tokens": tinker.TensorData(data=list(example.tokens[1:]), dtype="int64"),
            "weights": tinker.TensorData(data=list(example.weights[1:]), dtype="float32"),
        },
    )


def mean_loss(outputs: Sequence[Any], examples: Sequence[TokenizedExample]) -> float:
    """Mean negative log-likelihood per trained token, in nats, from the logprobs a service returned.

    Computed here and not taken from the service, because services normalise their own figure differently.
    """
    total = sum(
        -logprob * weight
        for output, example in zip(outputs, examples, strict=True)
        for logprob, weight in zip(output["logprobs"].tolist(), example.weights[1:], strict=True)
    )
    return total / sum(example.num_trained_tokens for example in examples)
