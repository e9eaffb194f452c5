"""The crisis screen's third layer: an adapter that was trained on the question is asked it.

It ships with the package and fits one base model alone, so it is asked where the local service has that one
loaded anyway. The prompt is that of every description; of the two answers the first tokens are scored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from symptoms.classifier.answers import TrainedModel
from symptoms.classifier.probabilities import probabilities_of
from symptoms.data import Label
from symptoms.safety import Level
from symptoms.service import LOCAL, Service
from symptoms.shipped import CRISIS

LABELS = (Label("danger", "Danger now"), Label("safe", "No danger now"))
"""The answers that the adapter was trained on, by `benchmarks/crisis_adapter_data.py`."""
POSSIBLE, CLEAR = 0.5, 0.9
"""Probabilities of danger from which on a text is of each level."""


@dataclass(frozen=True)
class ShippedCrisisLayer:
    """A `ModelLayer` of the shipped adapter."""

    model: TrainedModel

    @classmethod
    def load(cls, service: Service, beside: TrainedModel) -> ShippedCrisisLayer | None:
        """The layer on a service, `beside` a model of the same base; None where the adapter does not fit."""
        if service.kind != LOCAL or service.base_model != CRISIS.base_model or not CRISIS.folder.exists():
            return None
        sampler = service.client.create_sampling_client(model_path=CRISIS.checkpoint).result()
        return cls(TrainedModel(sampler, beside.tokenizer, beside.context, scores_named_tokens=True))

    def submit(self, text: str) -> Callable[[], Level]:
        """Ask without waiting; the result waits for the answer."""
        asked = self.model.submit(text, LABELS, write=False)
        return lambda: level_of(float(probabilities_of(asked().logprobs, 1.0)[0]))


def level_of(danger: float) -> Level:
    """The level of a text that speaks of danger with this probability."""
    if danger >= CLEAR:
        return Level.CLEAR
    return Level.POSSIBLE if danger >= POSSIBLE else Level.NONE
