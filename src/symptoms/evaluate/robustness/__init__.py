"""How answers hold up when a text changes a little, and whether they change when the facts do."""

from symptoms.evaluate.robustness.table import FailedTrial, FailureRow, failure_table
from symptoms.evaluate.robustness.trials import Trial, trials

__all__ = ["FailedTrial", "FailureRow", "Trial", "failure_table", "trials"]
