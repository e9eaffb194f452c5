"""What can go wrong, as types with exit codes. Every message is one sentence with the next step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class SymptomsError(Exception):
    """Base of every error that is told to the user as a sentence, without a traceback."""

    exit_code = 1


@dataclass(frozen=True)
class Fault:
    """One thing wrong in a file: where it stands, and what was expected there."""

    file: str
    line: int
    field: str
    problem: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.field}: {self.problem}"


class InputError(SymptomsError):
    """Data or configuration that cannot be used."""

    exit_code = 2


class DataError(InputError):
    """A data file with faults, all of them."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in faults))


class ServiceError(SymptomsError):
    """The Tinker service cannot be reached, started or used."""

    exit_code = 3


class RunError(SymptomsError):
    """A run directory that is missing, taken or incomplete."""


class AssessmentFormatError(SymptomsError):
    """Text that is not the three lines of an assessment."""
