"""Examples and assessments: load, validate, render and parse. No model is involved."""

from symptoms.data.assessment import WrittenAssessment, parse_assessment, render_assessment
from symptoms.data.dataset import Dataset, LabelledExample, assessment_of, load_dataset
from symptoms.data.descriptions import Description, load_descriptions
from symptoms.data.duplicates import check_leakage
from symptoms.data.evidence import Span, evidence, supported_terms
from symptoms.data.experiment import Example, Experiment, load_experiment
from symptoms.data.labels import Label, labels_of_taxonomy
from symptoms.data.vocabulary import labels_of_outputs, symptoms_of_outputs

__all__ = [
    "WrittenAssessment",
    "Dataset",
    "Description",
    "Example",
    "Experiment",
    "Label",
    "LabelledExample",
    "Span",
    "assessment_of",
    "check_leakage",
    "evidence",
    "labels_of_outputs",
    "labels_of_taxonomy",
    "load_dataset",
    "load_descriptions",
    "load_experiment",
    "parse_assessment",
    "render_assessment",
    "supported_terms",
    "symptoms_of_outputs",
]
