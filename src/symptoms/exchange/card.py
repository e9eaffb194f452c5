"""The beginning of an export's card: what the run is, how well it does, and what does not leave with it."""

from symptoms.classifier import FurtherAccuracy, read_accuracy
from symptoms.disclaimer import DISCLAIMER
from symptoms.runs import RunDirectory
from symptoms.settings import REPORTED_SETTINGS
from symptoms.tokens import prompt_text
from symptoms.words import counted

CARD_SETTINGS = (
    *REPORTED_SETTINGS,
    "train_attn",
    "train_mlp",
    "train_unembed",
    "concern_weight",
    "sentence_case",
)
"""Those of a run that say most of how it was trained; config.json of the run has all."""


def card_of(run: RunDirectory, checkpoint: str) -> str:
    """Markdown: data with its digest, settings, measured figures, how to ask, limits; raises RunError."""
    manifest, told = run.manifest(), run.settings()
    in_force = run.settings_told()
    averaged = run.averaged()
    steps = f"{manifest.get('num_steps', '?')}"
    if averaged:
        steps += f" in each of {len(averaged)} trainings, whose weights it has the mean of"
    settings = ", ".join(f"{name} {in_force[name]}" for name in CARD_SETTINGS if name in in_force)
    asked = prompt_text("<description>").replace("\n", "\n    ")
    case = (
        "\nThe description goes in sentence case, capitals only where a sentence begins: so it was trained.\n"
        if told.sentence_case
        else ""
    )
    return f"""# A symptom classifier for learning: {run.name}

> **{DISCLAIMER}**
> It was made to learn how fine-tuning works, and not for people in distress.

- **Trained on** {counted(manifest["num_examples"], "example")} of {manifest["data"]}
- **Steps**: {steps}, the checkpoint `{checkpoint}`
- **Data**: SHA-256 `{manifest["data_sha256"]}`
- **Settings**: {settings}
- **Loss**: {manifest["loss"]}
{_figures(run, checkpoint)}

## How to ask

    {asked}

Answer greedily, up to a blank line.
{case}
## Limits

- **What leaves is the language model alone.** The crisis screen, the words' vote, the calibrated confidence,
  the threshold below which no condition is named, and the check of symptoms against the text stay in
  `symptoms assess`.
- It names which of {len(run.labels())} conditions a text resembles, in texts like those it was trained on.
  That is no diagnosis and no measure of any clinical skill.
"""


def _figures(run: RunDirectory, checkpoint: str) -> str:
    told = read_accuracy(run.path, checkpoint)
    if told is None:
        return f"- **Measured**: not yet; `symptoms evaluate {run.name}` does it"
    words = ", with the words' vote, which does not leave" if (run.path / "words.npz").exists() else ""
    lines = [f"- **Measured** in `symptoms evaluate`, on texts that it was not trained on{words}:"]
    lines += [f"  - {_figure(each)}" for each in (told, *told.further)]
    return "\n".join(lines)


def _figure(told: FurtherAccuracy) -> str:
    return (
        f"{told.data}, {told.examples} texts: the right one of its labels in {told.accuracy:.0%} "
        f"({told.low:.0%} to {told.high:.0%})"
    )
