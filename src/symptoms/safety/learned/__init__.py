"""The learned screen: small linear models of words, pieces of words and concepts, which ask no service."""

from symptoms.safety.learned.features import features_of
from symptoms.safety.learned.weights import Scores, Thresholds, Weights, scores_of, shipped_weights

__all__ = ["Scores", "Thresholds", "Weights", "features_of", "scores_of", "shipped_weights"]
