"""One self-contained page about a run: no script, no outside request."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Any

PAGE = Template(
    """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Run $name</title>
<style>
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }
img { max-width: 100%; height: auto; background: white; border-radius: 6px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.25rem; }
dt { font-weight: 600; }
dd { margin: 0; overflow-wrap: anywhere; }
article { border: 1px solid #8888; border-radius: 6px; padding: .75rem 1rem; margin: 1rem 0; }
pre { white-space: pre-wrap; margin: .25rem 0 .75rem; font: inherit; }
.note { border-left: 4px solid #b35900; padding-left: .75rem; }
h3 { margin: 0 0 .5rem; font-size: 1rem; }
</style>
</head>
<body>
<h1>Run $name</h1>
<p class="note">$disclaimer</p>
<dl>$facts</dl>
<h2>Loss</h2>
<img src="data:image/png;base64,$figure" alt="Loss curve from $initial to $final">
$cases
</body>
</html>
"""
)


CASES = """<h2>Test cases</h2>
<p>These descriptions are among the training examples, as in the original experiment: they show what the
model has memorised, and not how it does on new text.</p>
"""


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
    facts = {
        "Base model": summary["base_model"],
        "Service": summary["service"],
        "Steps": summary["num_steps"],
        "Initial loss": f"{summary['initial_loss']:.3f} ({summary['initial_loss_is']})",
        "Final loss": f"{summary['final_loss']:.3f} ({summary['final_loss_is']})",
        "Reduction": f"{summary['reduction']:.1%}",
        "Checkpoint": summary["checkpoint"],
    }
    if "best_dev_loss" in summary:
        facts["Dev loss"] = best_in_words(summary)
    cases = "\n".join(
        f"<article><h3>{'Exact match' if case['match'] else 'Different'}</h3>"
        f"<strong>Description</strong><pre>{escape(case['input'])}</pre>"
        f"<strong>Expected</strong><pre>{escape(case['expected'])}</pre>"
        f"<strong>Written by the model</strong><pre>{escape(case['output'])}</pre></article>"
        for case in summary["test_cases"]
    )
    page = PAGE.substitute(
        name=escape(name),
        disclaimer=escape(disclaimer),
        facts="".join(f"<dt>{escape(key)}</dt><dd>{escape(str(value))}</dd>" for key, value in facts.items()),
        figure=base64.b64encode(figure.read_bytes()).decode(),
        initial=f"{summary['initial_loss']:.2f}",
        final=f"{summary['final_loss']:.2f}",
        cases=CASES + cases if cases else "",
    )
    path.write_text(page, encoding="utf-8")
