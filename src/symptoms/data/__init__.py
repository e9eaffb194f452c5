"""Examples and assessments: load, validate, render and parse. No model is involved."""

from symptoms.data.checking.duplicates import check_leakage
from symptoms.data.dataset import load_dataset
from symptoms.data.descriptions import Description, Descriptions
from symptoms.data.evidence import (
    Span,
    TextWords,
    cue_forms,
    cued_terms,
    evidence,
    placed_words,
    supported_terms,
)
from symptoms.data.example import Dataset, Example, assessment_of, naming_its_concern_alone, symptoms_of
from symptoms.data.files.experiment_file import load_experiment
from symptoms.data.labels import Label, labels_of_taxonomy
from symptoms.data.phrases import phrases
from symptoms.data.written_assessment import (
    RECOMMENDATION,
    WrittenAssessment,
    WrittenFindings,
    parse_assessment,
    parse_concern,
    parse_findings,
    render_assessment,
)

__all__ = [
    "RECOMMENDATION",
    "WrittenAssessment",
    "WrittenFindings",
    "Dataset",
    "Description",
    "Descriptions",
    "Example",
    "Label",
    "Span",
    "TextWords",
    "assessment_of",
    "check_leakage",
    "cue_forms",
    "cued_terms",
    "evidence",
    "labels_of_taxonomy",
    "load_dataset",
    "load_experiment",
    "naming_its_concern_alone",
    "parse_assessment",
    "parse_concern",
    "parse_findings",
    "phrases",
    "render_assessment",
    "supported_terms",
    "symptoms_of",
    "placed_words",
]
