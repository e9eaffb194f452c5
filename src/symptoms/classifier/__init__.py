"""Text to assessment with a trained checkpoint."""

from symptoms.classifier.answers import Answer, TrainedModel
from symptoms.classifier.assessing import ClassifiedText, Classifier
from symptoms.classifier.probabilities import probabilities_of

__all__ = ["Answer", "ClassifiedText", "Classifier", "TrainedModel", "probabilities_of"]
