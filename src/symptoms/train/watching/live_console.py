"""What is drawn anew in a terminal while it lasts, and told in lines elsewhere."""

from abc import ABC, abstractmethod
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live

from symptoms.words import say


class LiveConsole(ABC):
    """Drawn within a `with` block, where the console is a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(get_renderable=self._render, console=self._console, refresh_per_second=4)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, text: str) -> None:
        """A line that stays."""
        say(self._console, text)

    @abstractmethod
    def _render(self) -> RenderableType: ...
