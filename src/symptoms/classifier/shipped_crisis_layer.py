"""The crisis screen's third layer: an adapter that was trained on the question is asked it.

It ships with the package and fits one base model alone, so it is asked where the local service has that one
loaded anyway. The prompt is that of every description; of the two answers the first tokens are scored.

How sure it is counts together with the learned layer's score, since the two err on different texts: alone
the adapter orders the held-out English texts with an AUC of 0.86, the learned layer with 0.77, both with
0.87, and those of the other languages with 0.81, 0.82 and 0.86 (docs/safety.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from symptoms.classifier.answers import TrainedModel
from symptoms.data import Label
from symptoms.safety import Level, danger_score
from symptoms.service import Service
from symptoms.shipped import CRISIS

LABELS = (Label("danger", "Danger now"), Label("safe", "No danger now"))
"""The answers that the adapter was trained on, by `benchmarks/crisis_adapter_data.py`."""
WEIGHT = 0.8
"""Of the adapter's log-odds beside the learned layer's score."""
POSSIBLE, CLEAR = -6.4, -2.5
"""Sums from which on a text is of each level, fitted on the held-out texts."""


@dataclass(frozen=True)
class ShippedCrisisLayer:
    """A `ModelLayer` of the shipped adapter."""

    model: TrainedModel

    @classmethod
    def load(cls, service: Service, beside: TrainedModel) -> ShippedCrisisLayer | None:
        """The layer on a service, `beside` a model of the same base; None where the adapter does not fit.

        At a URL it is asked of our own server alone, which has it where it was started with `--adapters`.
        """
        if not service.is_ours or service.base_model != CRISIS.base_model or not CRISIS.folder.exists():
            return None
        sampler = service.client.create_sampling_client(model_path=CRISIS.checkpoint).result()
        return cls(TrainedModel(sampler, beside.tokenizer, beside.context, scores_named_tokens=True))

    def submit(self, text: str) -> Callable[[], Level]:
        """Ask without waiting; the result waits for the answer."""
        asked = self.model.submit(text, LABELS, write=False)
        learned = danger_score(text)

        def level() -> Level:
            danger, safe = asked().logprobs
            return level_of(learned + WEIGHT * float(danger - safe))

        return level


def level_of(score: float) -> Level:
    """The level of a text with this sum of both scores."""
    if score >= CLEAR:
        return Level.CLEAR
    return Level.POSSIBLE if score >= POSSIBLE else Level.NONE
