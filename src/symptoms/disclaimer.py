"""What is said beside every answer."""

DISCLAIMER = (
    "For learning only, not medical advice or a diagnosis. "
    "If you are in danger or thinking of harming yourself, call your local emergency number now."
)
