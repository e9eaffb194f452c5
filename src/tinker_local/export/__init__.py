"""Checkpoints in forms that other programs load, each checked by such a program before it is called done."""

from tinker_local.export.checking.own_answers import own_answers
from tinker_local.export.checking.questions import general_questions, read_questions
from tinker_local.export.exporting import CheckFailedError, export
from tinker_local.export.source import Source, open_source

__all__ = [
    "CheckFailedError",
    "Source",
    "export",
    "general_questions",
    "open_source",
    "own_answers",
    "read_questions",
]
