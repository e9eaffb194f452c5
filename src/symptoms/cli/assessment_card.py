"""An assessment for people, in the terminal."""

from collections.abc import Mapping

from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from symptoms.classifier import Assessment, Certainty, CrisisNotice, KeySymptom, LanguageNotice
from symptoms.disclaimer import DISCLAIMER
from symptoms.safety import Level
from symptoms.taxonomy import EVERYDAY, TOO_LITTLE

BAR_WIDTH, BESIDE_BAR, NARROWEST_NAME = 24, 14, 12
"""Columns of a bar, of what stands beside bar and name (indent, gaps, percentage), and of a name at least."""
QUOTES = 3
STYLES: Mapping[Certainty, str] = {"none": "", "low": "", "moderate": "bold", "high": "bold"}
"""How an answer is set, by how sure it is."""
CONDITION = ("strongly", "resembles", "resemble")
"""What leads to a condition: what is said where it is sure, and the verb, also after "may"."""
SAID: Mapping[str, tuple[str, str, str]] = {
    EVERYDAY: ("most likely", "tells of", "tell of"),
    TOO_LITTLE: ("most likely", "gives", "give"),
}
"""The same words for labels that are no condition, which nothing can resemble."""


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
    """In place of the assessment where there is a notice: no condition, only how to see it."""
    console.print("What the model says is kept back; with --show-anyway it is shown.", soft_wrap=True)
    console.print()
    console.print(Text(DISCLAIMER, style="dim"), soft_wrap=True)


def print_assessment(console: Console, assessment: Assessment) -> None:
    """All but the crisis notice: what the model is, its answer, how probable labels are, and why."""
    # A pipe has no width to fit into.
    flows = not console.is_terminal
    if assessment.about_the_model:
        console.print(Text(assessment.about_the_model), soft_wrap=flows)
        console.print()
    if assessment.abstained:
        console.print(Text(assessment.abstained_because or ""), soft_wrap=flows)
    else:
        concern = Text(assessment.primary_concern or "", STYLES[assessment.certainty])
        console.print(Text.assemble(f"{_headline(assessment)} ", concern, "."), soft_wrap=flows)
    if assessment.leading:
        console.print()
        console.print(_probabilities_title(assessment), soft_wrap=flows, highlight=False)
        console.print(_bars(console, assessment))
    console.print()
    if assessment.key_symptoms:
        console.print("Key symptoms, and the words that bear them out:")
        for symptom in assessment.key_symptoms:
            console.print(Text(f"  {symptom.symptom}: {_quotes(symptom)}"), soft_wrap=flows)
    else:
        console.print("Key symptoms: none that words of the description bear out")
    if assessment.recommendation is not None:
        console.print()
        console.print(Text(assessment.recommendation), soft_wrap=flows)
    console.print()
    console.print(Text(DISCLAIMER, style="dim"), soft_wrap=flows)


def _headline(assessment: Assessment) -> str:
    surely, verb, infinitive = SAID.get(assessment.condition or "", CONDITION)
    if assessment.certainty == "low":
        return f"This description may {infinitive}, without much certainty,"
    return f"This description {surely if assessment.certainty == 'high' else 'probably'} {verb}"


def _probabilities_title(assessment: Assessment) -> str:
    if assessment.calibrated:
        return "How probable each is to the model:"
    return "How probable each is to the model (not calibrated, so likely too sure):"


def _bars(console: Console, assessment: Assessment) -> Padding:
    block = "█" if console.encoding.lower().startswith("utf") else "#"
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    # Long names are cut, so that in a narrow window the figures are not.
    table.add_column(no_wrap=True, max_width=max(NARROWEST_NAME, console.width - BAR_WIDTH - BESIDE_BAR))
    table.add_column(width=BAR_WIDTH, no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    bar = "cyan" if assessment.certainty in ("moderate", "high") else "dim"
    for place, label in enumerate(assessment.leading):
        filled = round(label.probability * BAR_WIDTH)
        style = STYLES[assessment.certainty] if place == 0 and not assessment.abstained else ""
        table.add_row(
            Text(label.primary_concern, style),
            Text(block * filled, bar),
            Text(_percent(label.probability)),
        )
    return Padding(table, (0, 0, 0, 2))


def _percent(probability: float) -> str:
    """Never 0% or 100%, which no model knows."""
    if probability < 0.005:
        return "<1%"
    return f"{probability:.0%}" if probability < 0.995 else ">99%"


def _quotes(symptom: KeySymptom) -> str:
    quoted = [f"“{_printable(span.text)}”" for span in symptom.evidence[:QUOTES]]
    more = len(symptom.evidence) - len(quoted)
    return ", ".join(quoted) + (f" and {more} more" if more else "")


def _printable(text: str) -> str:
    """The text on one line, without what could steer the terminal."""
    shown = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(shown.split())
