"""What the crisis screen's third layer says of many texts, for measuring it and for setting its levels."""

from collections.abc import Generator, Iterable
from contextlib import contextmanager

from symptoms.classifier.answers import TrainedModel, in_turn
from symptoms.classifier.shipped_crisis_layer import ShippedCrisisLayer
from symptoms.errors import ServiceError
from symptoms.safety import Level
from symptoms.service import LOCAL, connect
from symptoms.shipped import CRISIS


def crisis_levels(texts: Iterable[str]) -> Generator[Level, None, None]:
    """The level of each text by the third layer alone, in order, asked of a local server that is started.

    Raises ServiceError where the layer's base model is not here, and what the service raises.
    """
    with _layer() as layer:
        yield from in_turn(map(layer.submit, texts), layer.model.descriptions_in_flight)


def crisis_scores(texts: Iterable[str]) -> Generator[float, None, None]:
    """The sum of scores that the level of each text is read from; raises as `crisis_levels`."""
    with _layer() as layer:
        yield from in_turn(map(layer.submit_scored, texts), layer.model.descriptions_in_flight)


@contextmanager
def _layer() -> Generator[ShippedCrisisLayer, None, None]:
    with connect(LOCAL, CRISIS.base_model) as service:
        layer = ShippedCrisisLayer.load(service, TrainedModel.load(service, None))
        if layer is None:
            raise ServiceError(
                f"The crisis screen's adapter for {CRISIS.base_model} is missing; install the package anew."
            )
        yield layer
