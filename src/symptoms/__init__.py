"""A lab for supervised fine-tuning: symptom descriptions to structured assessments. Not for clinical use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from symptoms.classifier import Assessment as Assessment
    from symptoms.classifier import Classifier as Classifier

__version__ = "0.2.0"


def __getattr__(name: str) -> Any:
    # Loaded on demand, so that `import symptoms` stays light and importing a layer does not import all.
    if name in ("Assessment", "Classifier"):
        import symptoms.classifier

        return getattr(symptoms.classifier, name)
    raise AttributeError(f"module 'symptoms' has no attribute {name!r}")
