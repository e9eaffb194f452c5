"""A run's checkpoint handed to `tinker-local export`, with the run's own questions and card."""

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from symptoms.errors import RunError
from symptoms.exchange.card import card_of
from symptoms.exchange.questions import questions_to
from symptoms.runs import RunDirectory, refuse_ensemble
from symptoms.service import LOCAL
from symptoms.shipped import FOLDER as SHIPPED

Form = Literal["peft", "hf", "gguf", "gguf-adapter"]


@dataclass(frozen=True)
class ExportRequest:
    """What is exported, and how; None leaves the choice to `tinker-local export`."""

    run: RunDirectory
    form: Form
    quantize: str | None
    output: Path | None
    checked: bool


def export_run(asked: ExportRequest) -> int:
    """Write and check; the exit code of `tinker-local export`, which has told what there is to tell.

    Raises RunError for a run whose weights are elsewhere, or that has none, or many.
    """
    run = asked.run
    refuse_ensemble(run, "and other programs ask one model at a time; export its members")
    checkpoint, manifest = run.final_checkpoint(), run.manifest()
    if manifest["service"] != LOCAL:
        raise RunError(
            f"The weights of {run.name} are on {manifest['service_url'] or manifest['service']}; download "
            "them ('tinker checkpoint download'), and give the folder to 'tinker-local import'."
        )
    # The process takes --output from where the user is.
    folder = asked.output or Path("exports") / "-".join(
        filter(None, (run.name.replace("/", "-"), asked.form, (asked.quantize or "").lower()))
    )
    with tempfile.TemporaryDirectory() as beside:
        prompts, card = Path(beside) / "prompts.json", Path(beside) / "card.md"
        prompts.write_text(json.dumps(questions_to(run)), encoding="utf-8")
        card.write_text(card_of(run, checkpoint), encoding="utf-8")
        command = [sys.executable, "-m", "tinker_local", "export", checkpoint, "--to", asked.form]
        command += ["--output", str(folder), "--prompts", str(prompts), "--card", str(card)]
        command += ["--adapters", str(SHIPPED), "--signed-as", "symptoms", "--stop-with-stdin"]
        command += ["--quantize", asked.quantize] if asked.quantize else []
        command += [] if asked.checked else ["--unchecked"]
        return _ends_with_us(command)


def _ends_with_us(command: list[str]) -> int:
    """The exit code of a process that is told to end, by its standard input, when this one ends."""
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        try:
            return process.wait()
        finally:
            # An interruption from the terminal has reached it as well; it clears away what it had begun.
            process.stdin.close()
