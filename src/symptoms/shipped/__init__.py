"""Adapters that ship with the package, offered by the local service beside what was trained here.

They lie as a server keeps checkpoints, in PEFT's layout, each with a card. `benchmarks/ship_adapter.py` makes
one of a run, and `benchmarks/ship_classifier.py` the classifier with all that is known of it.
"""

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "adapters"


@dataclass(frozen=True)
class ShippedAdapter:
    """A checkpoint on a base model; `base_model` is the only one that it fits."""

    name: str
    version: str
    base_model: str

    @property
    def checkpoint(self) -> str:
        """The `tinker://` path by which the local service samples from it."""
        return f"tinker://{self.name}/sampler_weights/{self.version}"

    @property
    def folder(self) -> Path:
        """Where its files lie in the installed package: adapter, checkpoint.json and card."""
        return FOLDER / self.name / "sampler_weights" / self.version


CLASSIFIER = ShippedAdapter("symptom-classifier", "1", "smollm2-135m")
"""Answers with a condition where nobody has trained anything yet."""
CLASSIFIER_RUN = Path(__file__).parent / "runs" / "shipped"
"""What the run that made it left behind, without its metrics."""

CRISIS = ShippedAdapter("crisis-screen", "1", "smollm2-135m")
"""Asks whether a text is of danger now: the third layer of the crisis screen."""
