"""The `symptoms` command."""

from symptoms.imports import collector_at_rest

# What the imports make lives as long as the process, so that looking through it finds nothing to free.
with collector_at_rest():
    from symptoms.cli.app import main
    from symptoms.cli.outcome import exit_with_a_sentence

__all__ = ["exit_with_a_sentence", "main"]
