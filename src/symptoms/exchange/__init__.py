"""Runs on their way to other programs: what they are asked to prove it, and the card that goes with them.

The weights are written by `tinker-local export`, in a process of its own.
"""

from symptoms.exchange.exporting import ExportRequest, Form, export_run

__all__ = ["ExportRequest", "Form", "export_run"]
