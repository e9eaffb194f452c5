"""`symptoms export`: a run in a form that other programs load."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from symptoms.errors import RunError
from symptoms.exchange import ExportRequest, Form, export_run
from symptoms.runs import run_by_name


def export(
    run: Annotated[str, typer.Argument(help="A run by name or folder, or 'shipped'.")],
    to: Annotated[
        Form,
        typer.Option(
            help="peft: the adapter for PEFT and vLLM; hf: merged, for transformers and vLLM; gguf: merged, "
            "for llama.cpp, Ollama and LM Studio; gguf-adapter: the adapter for the GGUF file of the base."
        ),
    ],
    quantize: Annotated[
        str | None,
        typer.Option(
            metavar="TYPE",
            help="How weights are stored: f32, f16, bf16, in gguf also q8_0. [default: hf f32; gguf f16]",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="A new folder. [default: exports/RUN-FORM]", show_default=False)
    ] = None,
    unchecked: Annotated[
        bool, typer.Option("--unchecked", help="Write it without loading it in another program.")
    ] = False,
) -> None:
    """Write a run's weights for other programs, and check them there.

    Before it is done, the program that the form is for loads what was written. Tokens, the labels' ranks and
    greedy answers to 30 descriptions have to be those of the local server; the differences are shown, and an
    export that answers otherwise is removed. PEFT and llama.cpp come with
    pip install '.[export]' in the checkout.
    """
    if run.startswith("tinker://"):
        raise RunError(f"{run} is a checkpoint and no run; 'tinker-local export {run} --to {to}' writes it.")
    code = export_run(ExportRequest(run_by_name(run), to, quantize, output, checked=not unchecked))
    if code:
        # The process has said why.
        raise typer.Exit(code)
