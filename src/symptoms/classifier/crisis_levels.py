"""What the crisis screen's third layer says of many texts, for measuring it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable

from symptoms.classifier.answers import TrainedModel
from symptoms.classifier.shipped_crisis_layer import ShippedCrisisLayer
from symptoms.errors import ServiceError
from symptoms.safety import Level
from symptoms.service import LOCAL, connect
from symptoms.shipped import CRISIS


def crisis_levels(texts: Iterable[str]) -> Generator[Level, None, None]:
    """The level of each text by the third layer alone, in order, asked of a local server that is started.

    Raises ServiceError where the layer's base model is not here, and what the service raises.
    """
    with connect(LOCAL, CRISIS.base_model) as service:
        model = TrainedModel.load(service, None)
        layer = ShippedCrisisLayer.load(service, model)
        if layer is None:
            raise ServiceError(
                f"The crisis screen's adapter for {CRISIS.base_model} is missing; install the package anew."
            )
        pending: deque[Callable[[], Level]] = deque()
        for text in texts:
            pending.append(layer.submit(text))
            if len(pending) == model.descriptions_in_flight:
                yield pending.popleft()()
        while pending:
            yield pending.popleft()()
