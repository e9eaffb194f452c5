"""Text to assessment with a trained checkpoint."""

from symptoms.classifier.answers import Answer, TrainedModel, Writing
from symptoms.classifier.assessing import Classifier, check_description
from symptoms.classifier.assessment import (
    Assessment,
    Certainty,
    CrisisNotice,
    Evidence,
    KeySymptom,
    LabelProbability,
    LanguageNotice,
    language_notice_of,
    notice_for,
    notice_of,
)
from symptoms.classifier.composing import assessment_without_model, notices_without_model
from symptoms.classifier.introduction import UNCALIBRATED_THRESHOLD
from symptoms.classifier.probabilities import kept_back, out_of_scope_columns, probabilities_of
from symptoms.classifier.run_files.run_accuracy import (
    FurtherAccuracy,
    RunAccuracy,
    read_accuracy,
    write_accuracy,
)
from symptoms.classifier.run_files.run_calibration import (
    RunCalibration,
    SymptomCalibration,
    read_calibration,
    write_calibration,
)
from symptoms.classifier.word_models.spelling import Speller
from symptoms.classifier.word_models.symptom_reading import (
    SymptomModel,
    SymptomReader,
    fit_symptom_model,
    write_symptom_model,
)
from symptoms.classifier.word_models.word_vote import WordModel, WordVote, fit_word_model, write_word_model

__all__ = [
    "UNCALIBRATED_THRESHOLD",
    "Answer",
    "Assessment",
    "Certainty",
    "Classifier",
    "CrisisNotice",
    "Evidence",
    "KeySymptom",
    "LabelProbability",
    "LanguageNotice",
    "FurtherAccuracy",
    "RunAccuracy",
    "RunCalibration",
    "Speller",
    "SymptomCalibration",
    "SymptomModel",
    "SymptomReader",
    "TrainedModel",
    "Writing",
    "WordModel",
    "WordVote",
    "assessment_without_model",
    "check_description",
    "fit_symptom_model",
    "fit_word_model",
    "kept_back",
    "language_notice_of",
    "notice_for",
    "notice_of",
    "notices_without_model",
    "out_of_scope_columns",
    "probabilities_of",
    "read_accuracy",
    "read_calibration",
    "write_accuracy",
    "write_calibration",
    "write_symptom_model",
    "write_word_model",
]
