"""Tables on a terminal, and in a pipe, which has no width to fit into."""

from rich.console import Console
from rich.table import Table

WIDE = 300


def print_table(table: Table) -> None:
    """As wide as the terminal, or as the table itself."""
    console = Console()
    (console if console.is_terminal else Console(width=WIDE)).print(table)
