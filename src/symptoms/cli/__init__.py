"""The `symptoms` command."""

from symptoms.cli.commands import main
from symptoms.cli.outcome import exit_with_a_sentence

__all__ = ["exit_with_a_sentence", "main"]
