"""What is known of one training step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from symptoms.tokens import TokenizedExample


@dataclass(frozen=True)
class StepMetrics:
    """One line of metrics.jsonl; `loss` is the mean negative log-likelihood per trained token in nats."""

    step: int
    epoch: int
    loss: float
    learning_rate: float
    num_tokens: int
    num_trained_tokens: int
    seconds: float

    @classmethod
    def of(
        cls,
        step: int,
        epoch: int,
        loss: float,
        learning_rate: float,
        examples: Sequence[TokenizedExample],
        seconds: float,
    ) -> StepMetrics:
        """The line of a step on these examples."""
        num_tokens = sum(example.num_tokens for example in examples)
        num_trained_tokens = sum(example.num_trained_tokens for example in examples)
        return cls(step, epoch, loss, learning_rate, num_tokens, num_trained_tokens, round(seconds, 6))
