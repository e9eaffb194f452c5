"""Adapters that ship with the package, offered by the local service beside what was trained here.

They lie as a server keeps checkpoints, in PEFT's layout, each with a card. `benchmarks/ship_adapter.py` makes
one of a run.
"""

from __future__ import annotations

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
        return f"tinker://{self.name}/sampler_weights/{self.version}"

    @property
    def folder(self) -> Path:
        return FOLDER / self.name / "sampler_weights" / self.version


CRISIS = ShippedAdapter("crisis-screen", "1", "smollm2-135m")
"""Asks whether a text is of danger now: the third layer of the crisis screen."""
