"""What a Tinker-compatible server really does, beside what hosted Tinker documents: measured, row by row."""

from symptoms.conformance.findings import Row
from symptoms.conformance.first_meeting import deviations_at_first_meeting
from symptoms.conformance.probe import Probe
from symptoms.conformance.runner import ALL_CHECKS, measured_rows, report_on, with_reference

__all__ = [
    "ALL_CHECKS",
    "Probe",
    "Row",
    "deviations_at_first_meeting",
    "measured_rows",
    "report_on",
    "with_reference",
]
