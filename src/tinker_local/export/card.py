"""The card of an export: what it is, how it was checked, and how each program runs it."""

from __future__ import annotations

from collections.abc import Sequence

from tinker_local.export.checking.questions import Questions
from tinker_local.export.checking.verification import HEADS, Comparison, row
from tinker_local.export.folders import BASE
from tinker_local.export.forms import Form, gguf_file
from tinker_local.export.source import Source
from tinker_local.loading.chat_template import stored_chat_template

VLLM_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM takes as --max-lora-rank, besides 1; without it, it refuses adapters above 16."""
RUN, NOT_RUN = "run when this was written", "not run here"


def card(
    source: Source,
    form: Form,
    kind: str | None,
    comparisons: Sequence[Comparison],
    questions: Questions,
    about: str | None,
    note: str | None = None,
) -> str:
    """README.md of the folder, in Markdown; `note` is what else there is to say of the check."""
    parts = [
        (about or f"# {source.info.path}").strip(),
        "## What is here",
        _what(source, form, kind),
        "## How it was checked",
        _checked(comparisons, questions) + (f"\n\n**{note}**" if note else ""),
        "## How to run it",
        _how(source, form, kind, bool(comparisons)),
    ]
    return "\n\n".join(parts) + "\n"


def modelfile(source: Source, form: Form, kind: str | None, questions: Questions) -> str:
    """Ollama's description of the model: where it lies, what a prompt is, and greedy answers."""
    if form == "gguf-adapter":
        assert source.gguf is not None, "an adapter in GGUF is for a GGUF file"
        lines = [
            "# The base has to be the very file that the adapter was trained on; put it beside this one.",
            f"FROM ./{source.gguf.name}",
            f"ADAPTER ./{gguf_file(form, kind)}",
        ]
    else:
        lines = [f"FROM ./{gguf_file(form, kind)}"]
    # A TEMPLATE here would stand before the chat template that the file itself holds.
    if questions.template or stored_chat_template(source.base.folder) is None:
        lines.append(f'TEMPLATE """{questions.template or "{{ .Prompt }}"}"""')
    lines.append("PARAMETER temperature 0")
    if questions.stop:
        lines.append(f'PARAMETER stop "{_escaped(questions.stop)}"')
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _what(source: Source, form: Form, kind: str | None) -> str:
    config = source.adapter.config
    layers = [
        name
        for name, is_adapted in (
            ("attention", config.train_attn),
            ("feed-forward", config.train_mlp),
            ("unembedding", config.train_unembed),
        )
        if is_adapted
    ]
    lines = [
        f"- checkpoint: `{source.info.path}` of {source.info.created:%Y-%m-%d}",
        f"- base: `{source.info.base_model}`" + (f", the file {source.gguf.name}" if source.gguf else ""),
        f"- adapter: LoRA of rank {config.rank}, alpha {config.alpha:g}, on {', '.join(layers)}",
        f"- form: {_FORMS[form]}{f', weights in {kind}' if kind else ''}",
    ]
    if source.needs_own_head and form in ("hf", "gguf"):
        lines.append(
            "- the base shares its unembedding with its embedding; here the two are apart, since the adapter "
            "changes how tokens are scored and not how they are read"
        )
    if form == "peft" and (source.needs_own_head or source.base_is_only_here):
        why = (
            "it has an unembedding of its own, so that merging the adapter leaves the embedding alone"
            if source.needs_own_head
            else "no other program gets exactly these weights by the base's name"
        )
        lines.append(f"- `{BASE}/` holds the base to load the adapter on: {why}")
    return "\n".join(lines)


_FORMS = {
    "peft": "adapter in PEFT's layout",
    "hf": "merged model in Hugging Face's layout",
    "gguf": "merged model in GGUF, for llama.cpp and what is built on it",
    "gguf-adapter": "LoRA adapter in GGUF, for the file that was the base",
}


def _checked(comparisons: Sequence[Comparison], questions: Questions) -> str:
    if not comparisons:
        return "**It was not checked**: it was written with `--unchecked`."
    lines = len(questions.lines) or 30
    of = "label lines" if questions.lines else "likeliest next tokens"
    rule = "|".join("---" for _ in HEADS)
    rows = [f"| {' | '.join(row(one))} |" for one in comparisons]
    versions = "; ".join(dict.fromkeys(one.versions for one in comparisons))
    return "\n".join(
        [
            f"Against our own engine in float32, with {len(questions.prompts)} prompts and {lines} {of} "
            f"ranked behind each ({versions}):",
            "",
            f"| {' | '.join(HEADS)} |",
            f"|{rule}|",
            *rows,
        ]
    )


def _how(source: Source, form: Form, kind: str | None, checked: bool) -> str:
    run = RUN if checked else NOT_RUN
    base = f"FOLDER/{BASE}" if source.needs_own_head or source.base_is_only_here else source.info.base_model
    file = gguf_file(form, kind)
    commands: list[tuple[str, str, str]]
    if form == "hf":
        commands = [
            (
                "transformers",
                run,
                "from transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
                'tokenizer = AutoTokenizer.from_pretrained("FOLDER")\n'
                'model = AutoModelForCausalLM.from_pretrained("FOLDER")',
            ),
            ("vLLM", NOT_RUN, "vllm serve FOLDER --dtype float32"),
        ]
    elif form == "peft":
        commands = [
            (
                "PEFT",
                run,
                "from peft import PeftModel\nfrom transformers import AutoModelForCausalLM\n\n"
                f'model = AutoModelForCausalLM.from_pretrained("{base}")\n'
                'model = PeftModel.from_pretrained(model, "FOLDER")\n'
                "model = model.merge_and_unload()  # or leave it unmerged",
            ),
            ("vLLM", NOT_RUN, _vllm_with_adapter(source, base)),
        ]
    else:
        model = f"-m {file}"
        if form == "gguf-adapter":
            assert source.gguf is not None, "an adapter in GGUF is for a GGUF file"
            model = f"-m {source.gguf.name} --lora {file}"
        commands = [
            ("llama.cpp, by the package xllamacpp", run, f"# as symptoms export does: {model}"),
            ("llama.cpp", NOT_RUN, f"llama-server {model} --temp 0"),
            ("Ollama", NOT_RUN, "ollama create mine -f Modelfile\nollama run mine"),
        ]
        if form == "gguf":
            commands.append(("LM Studio", NOT_RUN, f"lms import {file}"))
    return "\n\n".join(
        f"{name} ({how}):\n\n" + "\n".join(f"    {line}" for line in text.splitlines())
        for name, how, text in commands
    )


def _vllm_with_adapter(source: Source, base: str) -> str:
    """The command, or why there is none."""
    rank = source.adapter.config.rank
    most = next((each for each in VLLM_RANKS if each >= rank), None)
    if most is None:
        return f"# vLLM takes adapters up to rank {VLLM_RANKS[-1]}, and this has {rank}: export --to hf"
    return (
        f"vllm serve {base} --dtype float32 --enable-lora --max-lora-rank {most} --lora-modules mine=FOLDER"
    )
