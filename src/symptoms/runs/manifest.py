"""The manifest of a run: its data, labels, seed, service, versions and the revision of this code."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from symptoms.data import Dataset, symptoms_of
from symptoms.safety import languages_of
from symptoms.service import HOSTED, Service
from symptoms.service.prices import price_of
from symptoms.settings import TrainingSettings

LOOKED_AT = 1000
"""Examples that tell what languages the training set is in."""
VERSIONED = ("mental-health-symptom-classifier", "tinker", "torch", "transformers")


def manifest_of(
    data: Dataset,
    settings: TrainingSettings,
    service: Service,
    loss_reduction: str,
    more: Mapping[str, Any],
) -> dict[str, Any]:
    """What manifest.json holds of a run that begins now; `more` goes into it as it is."""
    return {
        "data": str(data.path),
        "data_sha256": data.digest,
        "num_examples": len(data.examples),
        "labels": {label.id: label.text for label in data.labels},
        "symptoms": symptoms_of(data.examples),
        "languages": sorted(languages_of([one.input for one in data.examples[:LOOKED_AT]])),
        **more,
        "seed": settings.seed,
        "base_model": settings.base_model,
        "service": service.kind,
        "service_url": None if service.kind == "local" else service.url,
        "price": _price_in_json(service),
        "capabilities": service.offered,
        "training_dtype": service.training_dtype,
        "loss": "mean negative log-likelihood per trained token, in nats, from returned logprobs",
        "loss_reduction": loss_reduction,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in VERSIONED}},
        "git_revision": _git_revision(),
        "started": time_of_start(),
    }


def time_of_start() -> str:
    """Now, as a manifest tells it: to the second, with the offset of this place."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


def _price_in_json(service: Service) -> dict[str, Any] | None:
    """Dollars for a million tokens as the run begins; None off hosted Tinker, or where not known."""
    price = price_of(service.base_model) if service.kind == HOSTED else None
    return None if price is None else price.in_json


def _git_revision() -> str | None:
    """The revision of this code, marked where files were changed; None where it is not in a repository."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()
