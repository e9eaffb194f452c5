"""The `symptoms` command."""

import gc

# What the imports make lives as long as the process, so that looking through it finds nothing to free.
gc.disable()

from symptoms.cli.commands import main  # noqa: E402 - the collector rests first
from symptoms.cli.outcome import exit_with_a_sentence  # noqa: E402 - likewise

gc.freeze()
gc.enable()

__all__ = ["exit_with_a_sentence", "main"]
