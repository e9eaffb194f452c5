"""Ctrl-C once to stop in good order, twice to stop at once."""

import signal
from types import FrameType
from typing import Self

from rich.console import Console

from symptoms.service import Service


class Interruption:
    """Within its `with` block the first Ctrl-C only sets `wanted`; the second ends at once.

    The death of a local server also comes as this signal, and always ends at once.
    """

    def __init__(self, service: Service, console: Console) -> None:
        self.wanted = False
        self._service = service
        self._console = console

    def __enter__(self) -> Self:
        self._previous = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._previous)

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        if self.wanted or self._service.is_lost:
            raise KeyboardInterrupt
        self.wanted = True
        self._console.print("\nStopping after this step; press Ctrl-C again to stop at once.")
