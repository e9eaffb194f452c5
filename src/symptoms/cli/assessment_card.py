"""An assessment for people, in the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from symptoms.classifier import Assessment, CrisisNotice, KeySymptom, LanguageNotice
from symptoms.config import DISCLAIMER
from symptoms.safety import Level

BAR_WIDTH, BESIDE_BAR, NARROWEST_NAME = 24, 14, 12
"""Columns of a bar, of what stands beside bar and name (indent, gaps, percentage), and of a name at least."""
QUOTES = 3


def print_notice(console: Console, notice: CrisisNotice | LanguageNotice) -> None:
    """The crisis notice with its helplines: framed where it is clear, else as plain calm lines."""
    framed = isinstance(notice, CrisisNotice) and notice.level == Level.CLEAR
    if console.is_terminal and framed:
        console.print(Panel(Text(notice.text), border_style="bold", padding=(1, 2)))
    else:
        # A pipe has no width to fit into.
        console.print(Text(notice.text), soft_wrap=not console.is_terminal)
    console.print()


def print_kept_back(console: Console) -> None:
    """In place of the assessment where there is a crisis notice: no condition, only how to see it."""
    console.print("What the model says is kept back; with --show-anyway it is shown.", soft_wrap=True)
    console.print()
    console.print(Text(DISCLAIMER, style="dim"), soft_wrap=True)


def print_assessment(console: Console, assessment: Assessment) -> None:
    """All but the crisis notice: the three lines, how probable labels are, and the words behind symptoms."""
    if assessment.abstained:
        console.print(Text(assessment.abstained_because or ""), soft_wrap=True)
    else:
        console.print("This description resembles:")
    console.print()
    for line in assessment.text.split("\n"):
        name, separator, rest = line.partition(": ")
        console.print(Text.assemble((name + separator, "bold"), rest), soft_wrap=True)
    if assessment.leading:
        console.print()
        console.print(_probabilities_title(assessment), soft_wrap=True)
        console.print(_bars(console, assessment))
    supported = [symptom for symptom in assessment.key_symptoms if symptom.evidence]
    if supported:
        console.print()
        console.print("Words of the description that support a symptom:")
        for symptom in supported:
            console.print(Text(f"  {symptom.symptom}: {_quotes(symptom)}"), soft_wrap=True)
    console.print()
    console.print(Text(DISCLAIMER, style="dim"), soft_wrap=True)


def _probabilities_title(assessment: Assessment) -> str:
    if assessment.calibrated:
        return "How probable each is to the model:"
    return "How probable each is to the model (not checked on held-out examples yet, so likely too sure):"


def _bars(console: Console, assessment: Assessment) -> Padding:
    block = "█" if console.encoding.lower().startswith("utf") else "#"
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    # Long names are cut, so that in a narrow window the figures are not.
    table.add_column(no_wrap=True, max_width=max(NARROWEST_NAME, console.width - BAR_WIDTH - BESIDE_BAR))
    table.add_column(width=BAR_WIDTH, no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    for place, label in enumerate(assessment.leading):
        filled = round(label.probability * BAR_WIDTH)
        style = "bold" if place == 0 and not assessment.abstained else ""
        percent = f"{label.probability:.0%}" if label.probability >= 0.005 else "<1%"
        table.add_row(Text(label.primary_concern, style), Text(block * filled, "cyan"), percent)
    return Padding(table, (0, 0, 0, 2))


def _quotes(symptom: KeySymptom) -> str:
    quoted = [f"“{_printable(span.text)}”" for span in symptom.evidence[:QUOTES]]
    more = len(symptom.evidence) - len(quoted)
    return ", ".join(quoted) + (f" and {more} more" if more else "")


def _printable(text: str) -> str:
    """The text on one line, without what could steer the terminal."""
    shown = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(shown.split())
