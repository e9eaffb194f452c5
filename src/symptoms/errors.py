"""What can go wrong, as types with exit codes. Every message is one sentence with the next step."""

from collections import defaultdict
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


ONE_BY_ONE = 10
"""So many faults that differ in their line alone are told one by one; of more, the first and their number."""


def in_lines(faults: Sequence[Fault]) -> list[str]:
    """The faults as they are told, in their order: a line each, and one for many of the same."""
    alike: defaultdict[tuple[str, str, str], list[Fault]] = defaultdict(list)
    for fault in faults:
        alike[fault.file, fault.field, fault.problem].append(fault)
    lines: list[str] = []
    for fault in faults:
        same = alike[fault.file, fault.field, fault.problem]
        if len(same) <= ONE_BY_ONE:
            lines.append(str(fault))
        elif fault is same[0]:
            lines.append(f"{fault}, and {len(same) - 1:,} more rows like it")
    return lines


class InputError(SymptomsError):
    """Data or configuration that cannot be used."""

    exit_code = 2


class DataError(InputError):
    """A data file with faults, all of them; those that are the same in many rows are told once."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(in_lines(faults)))


class ServiceError(SymptomsError):
    """The Tinker service cannot be reached, started or used."""

    exit_code = 3


class RunError(SymptomsError):
    """A run directory that is missing, taken or incomplete."""


class AssessmentFormatError(SymptomsError):
    """Text that is not the three lines of an assessment."""
