"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

ServiceOption = Annotated[
    str | None,
    typer.Option(
        help="local, hosted, or the address of a Tinker-compatible server; hosted when a key is set."
    ),
]
BaseModelOption = Annotated[
    str | None, typer.Option(help="Base model by name, or a local path; locally the bundled symptoms-base.")
]
