"""A lab for supervised fine-tuning: symptom descriptions to structured assessments. Not for clinical use."""

__version__ = "0.1.0"

DISCLAIMER = (
    "For learning only, not medical advice or a diagnosis. "
    "If you are in danger or thinking of harming yourself, call your local emergency number now."
)
