"""What the crisis screen's third layer says of many texts, for measuring it and for setting its levels."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable

from symptoms.classifier.answers import TrainedModel
from symptoms.classifier.shipped_crisis_layer import ShippedCrisisLayer, level_of, levels_for
from symptoms.errors import ServiceError
from symptoms.safety import Level
from symptoms.service import LOCAL, connect
from symptoms.shipped import CRISIS


def crisis_levels(texts: Iterable[str]) -> Generator[Level, None, None]:
    """The level of each text by the third layer alone, in order, asked of a local server that is started.

    Raises ServiceError where the layer's base model is not here, and what the service raises.
    """
    for text, score in crisis_scores(texts):
        yield level_of(score, levels_for(text))


def crisis_scores(texts: Iterable[str]) -> Generator[tuple[str, float], None, None]:
    """Each text with the sum of scores that its level is read from; raises as `crisis_levels`."""
    with connect(LOCAL, CRISIS.base_model) as service:
        model = TrainedModel.load(service, None)
        layer = ShippedCrisisLayer.load(service, model)
        if layer is None:
            raise ServiceError(
                f"The crisis screen's adapter for {CRISIS.base_model} is missing; install the package anew."
            )
        pending: deque[tuple[str, Callable[[], float]]] = deque()
        for text in texts:
            pending.append((text, layer.submit_scored(text)))
            if len(pending) == model.descriptions_in_flight:
                yield _waited(pending.popleft())
        while pending:
            yield _waited(pending.popleft())


def _waited(one: tuple[str, Callable[[], float]]) -> tuple[str, float]:
    text, score = one
    return text, score()
