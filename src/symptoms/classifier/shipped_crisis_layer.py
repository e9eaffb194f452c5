"""The crisis screen's third layer: an adapter that was trained on the question is asked it.

It ships with the package and fits one base model alone, so it is asked where the local service has that one
loaded anyway. The prompt is that of every description; of the two answers the first tokens are scored.

How sure it is counts together with the learned layer's score, since the two err on different texts: alone
the adapter orders held-out texts with an AUC of 0.93 in English and 0.86 in other languages, the learned
layer with 0.82 and 0.86, both with 0.92 and 0.89 (docs/safety.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from symptoms.classifier.answers import TrainedModel, Writing
from symptoms.data import Label
from symptoms.safety import ENGLISH, Level, is_near, language_other_than, learned_scores
from symptoms.service import Service
from symptoms.service.sdk import resolved
from symptoms.shipped import CRISIS

LABELS = (Label("danger", "Danger now"), Label("safe", "No danger now"))
"""The answers that the adapter was trained on, by `benchmarks/crisis_adapter_data.py`."""
WEIGHT = 1.6
"""Of the adapter's log-odds beside the learned layer's score."""
LEAST_TOPIC = -3.5
"""Topic score of the learned layer below which a text is of something else, and the adapter is not asked: it
has read few ordinary sentences, and the learned layer many."""
OFF_TOPIC = 7.0
"""What is taken from the sum where that layer calls a text of something else, from `LEAST_TOPIC` on."""


@dataclass(frozen=True)
class Levels:
    """Sums from which on a text is of each level, fitted on the held-out texts."""

    possible: float
    clear: float


IN_ENGLISH, ELSEWHERE = Levels(-6.0, 5.0), Levels(-4.5, 3.5)
"""The base model was made of English texts; in other languages it calls more of them danger."""


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
        sampler = resolved(service.client.create_sampling_client(model_path=CRISIS.checkpoint))
        return cls(
            TrainedModel(
                sampler,
                beside.tokenizer,
                beside.context,
                scorer=service.path_scorer(sampler),
                sentence_case=True,
            )
        )

    def submit(self, text: str) -> Callable[[], Level]:
        """Ask without waiting; the result waits for the answer."""
        score = self.submit_scored(text)
        at = IN_ENGLISH if language_other_than(text, {ENGLISH.name}) is None else ELSEWHERE
        return lambda: level_of(score(), at)

    def submit_scored(self, text: str) -> Callable[[], float]:
        """The same for the sum of both scores; minus infinity, unasked, where a text is of something else."""
        learned = learned_scores(text)
        if learned.topic < LEAST_TOPIC:
            return lambda: -math.inf
        asked = self.model.submit(text, LABELS, Writing.NOTHING)

        def score() -> float:
            danger, safe = asked().logprobs
            total = learned.danger + WEIGHT * float(danger - safe)
            return total if is_near(learned) else total - OFF_TOPIC

        return score


def level_of(score: float, at: Levels) -> Level:
    """The level of a text with this sum of both scores."""
    if score >= at.clear:
        return Level.CLEAR
    return Level.POSSIBLE if score >= at.possible else Level.NONE
