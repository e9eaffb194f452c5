"""`symptoms export`: a run for other programs; `symptoms settings`: their configurations as ours."""

from pathlib import Path
from typing import Annotated

import typer

from symptoms.data.files.row_stream import count_rows
from symptoms.errors import InputError, RunError
from symptoms.exchange import ExportRequest, Form, export_run
from symptoms.runs import run_by_name
from symptoms.settings.translated import Tool, translate
from symptoms.settings.translated.toml_page import as_toml
from symptoms.train.request.other_tools_file import read_other_tools_file
from symptoms.words import counted

settings_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Bring settings from another tool."
)


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


@settings_app.callback()
def _settings() -> None:
    """Bring settings from another tool."""


@settings_app.command("translate")
def translate_file(
    file: Annotated[Path, typer.Argument(help="Its configuration, YAML or JSON.")],
    tool: Annotated[Tool, typer.Option("--from", help="The tool whose configuration it is.")],
    out: Annotated[
        Path | None, typer.Option(help="Write the settings into this file and not to the screen.")
    ] = None,
    examples: Annotated[
        int | None,
        typer.Option(min=1, help="So many training examples; turns a share of all steps into a number."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="The training file, whose examples are counted for that.")
    ] = None,
) -> None:
    """Write settings for `symptoms train` with the reason of each, and name what cannot be carried over."""
    if data is not None:
        if examples is not None:
            raise InputError("--examples and --data both say how many examples there are; give one of them.")
        examples = count_rows(data)
    translation = translate(tool, read_other_tools_file(file), examples)
    page = as_toml(translation, file.name)
    if out is None:
        typer.echo(page, nl=False)
        return
    try:
        with out.open("x", encoding="utf-8") as written:
            written.write(page)
    except FileExistsError as error:
        raise InputError(f"{out} exists already; choose another file, or remove it.") from error
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error.strerror}); choose another file.") from error
    carried, left = counted(len(translation.carried), "setting"), len(translation.left)
    typer.echo(f"{out}: {carried}; {left} of {translation.tool}'s not carried over, as its end tells.")
