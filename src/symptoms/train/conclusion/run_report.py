"""One self-contained page about a run: no script, no outside request."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def best_in_words(summary: Mapping[str, Any]) -> str:
    """The dev loss of the weights that are used, and by what they were chosen."""
    said = f"{summary['used_dev_loss']:.3f} after step {summary['used_step']}"
    match summary["best_by"]:
        case "last":
            lowest = f"{summary['best_dev_loss']:.3f} after step {summary['best_step']}"
            return f"{said}, the last, whose weights are used; the lowest was {lowest}"
        case "dev_concern_loss":
            return f"{said}, where the concern's line had the lowest"
        case _:
            return f"{said}, the lowest"


def write_report(path: Path, name: str, summary: Mapping[str, Any], figure: Path, disclaimer: str) -> None:
    """Write the page for a run's summary and its loss curve."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("symptoms.train.conclusion", "")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    page = environment.get_template("run.html.j2").render(
        name=name,
        summary=summary,
        dev_loss=best_in_words(summary) if "best_dev_loss" in summary else None,
        figure=base64.b64encode(figure.read_bytes()).decode(),
        disclaimer=disclaimer,
    )
    path.write_text(page, encoding="utf-8")
