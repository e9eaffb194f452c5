"""Examples and assessments: load, validate, render and parse. No model is involved."""

from symptoms.data.assessment import Assessment, parse_assessment, render_assessment
from symptoms.data.experiment import Example, Experiment, load_experiment

__all__ = [
    "Assessment",
    "Example",
    "Experiment",
    "load_experiment",
    "parse_assessment",
    "render_assessment",
]
