"""What `tinker-local` makes of runs' checkpoints, in a process of its own.

Runs on their way to other programs, what they are asked to prove it, and the card that goes with them; and
several runs as one.
"""

from symptoms.exchange.averaging import average
from symptoms.exchange.exporting import ExportRequest, Form, export_run

__all__ = ["ExportRequest", "Form", "average", "export_run"]
