"""From a checkpoint to a folder that other programs load, checked by those programs before it is there."""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from tinker_local.errors import ExportError
from tinker_local.export.card import card, modelfile
from tinker_local.export.checking.own_answers import OwnAnswer, bare_answers, own_answers
from tinker_local.export.checking.pace import paced
from tinker_local.export.checking.questions import Questions
from tinker_local.export.checking.verification import (
    HOW_TO_GET,
    LLAMA_CPP,
    TRANSFORMERS,
    Comparison,
    Reader,
    base_would_pass,
    compare,
)
from tinker_local.export.folders import (
    BASE,
    require_plain_positions,
    write_merged_folder,
    write_peft_folder,
)
from tinker_local.export.forms import Form, Tolerance, chosen_kind, gguf_file, tolerance_of
from tinker_local.export.gguf_files import write_adapter_gguf, write_merged_gguf
from tinker_local.export.source import Source
from tinker_local.export.unfinished import unfinished_folder


@dataclass(frozen=True)
class Export:
    """What was written, and how it compared; `comparisons` is empty where it was not checked.

    `note` is a sentence on what the check could not show.
    """

    folder: Path
    form: Form
    kind: str | None
    comparisons: tuple[Comparison, ...]
    note: str | None = None


BASE_PASSES = (
    "The base without the adapter would have passed this check as well, so it does not show that the adapter "
    "is in what was written; give prompts that the adapter answers otherwise (tinker-local export --prompts)."
)


def check_free(folder: Path) -> None:
    """Raise ExportError where something is in the way of an export to this folder."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ExportError(f"{folder} is there already; choose another --output, or remove it.")


def export(
    source: Source,
    form: Form,
    quantize: str | None,
    folder: Path,
    questions: Questions,
    about: str | None = None,
    checked: bool = True,
    own: Sequence[OwnAnswer] | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Export:
    """Write a folder and check it; `about` is Markdown for the top of its card.

    `own` are our engine's answers to the questions, where they are known from another export.
    It is written under another name beside, and gets its own once every reader has passed. Raises ExportError
    where the form cannot hold the adapter, a reader is not installed, or one answers otherwise; then nothing
    is left.
    """
    kind = chosen_kind(form, quantize)
    check_free(folder)
    if checked:
        for reader in _readers(source, form, kind, folder):
            if reader.missing:
                raise ExportError(
                    f"{' and '.join(reader.missing)} is not installed, which has to load the export before "
                    f"it is called done; {HOW_TO_GET}, or --unchecked to write it all the same."
                )
    try:
        with unfinished_folder(folder) as partial:
            what = f"writing {form}{f' in {kind}' if kind else ''}"
            tell(what)
            _write(source, form, kind, partial, paced(tell, what, len(source.shapes())))
            readers = _readers(source, form, kind, partial)
            found = _check(source, form, kind, readers, questions, own, tell) if checked else ((), None)
            comparisons, note = found
            text = card(source, form, kind, comparisons, questions, about, note)
            (partial / "README.md").write_text(text, encoding="utf-8")
            if form in ("gguf", "gguf-adapter"):
                (partial / "Modelfile").write_text(modelfile(source, form, kind, questions), encoding="utf-8")
            if folder.exists():
                folder.rmdir()
            partial.rename(folder)
    except OSError as error:
        raise ExportError(
            f"{folder} cannot be written ({error.strerror}); choose another --output."
        ) from error
    return Export(folder, form, kind, comparisons, note)


def _write(source: Source, form: Form, kind: str | None, folder: Path, wrote: Callable[[int], None]) -> None:
    """`wrote` is given how many tensors are written, where these are those of a whole model."""
    if form == "peft":
        require_plain_positions(source)
        write_peft_folder(source, folder, wrote)
    elif form == "hf":
        require_plain_positions(source)
        write_merged_folder(source, folder, str(kind), wrote)
    elif form == "gguf":
        write_merged_gguf(source, folder / gguf_file(form, kind), str(kind), wrote)
    else:
        write_adapter_gguf(source, folder / gguf_file(form, kind))


def _readers(source: Source, form: Form, kind: str | None, folder: Path) -> list[Reader]:
    if form == "hf":
        loads = {"folder": str(folder), "adapter": None, "merge": False}
        return [Reader("transformers", TRANSFORMERS, ("transformers",), loads)]
    if form == "peft":
        carried = source.needs_own_head or source.base_is_only_here
        base = folder / BASE if carried else source.base.folder
        return [
            Reader(
                name,
                TRANSFORMERS,
                ("transformers", "peft"),
                {"folder": str(base), "adapter": str(folder), "merge": merge},
            )
            for name, merge in (("peft", False), ("peft, merged", True))
        ]
    adapter = str(folder / gguf_file(form, kind)) if form == "gguf-adapter" else None
    file = source.gguf if form == "gguf-adapter" else folder / gguf_file(form, kind)
    loads = {
        "file": str(file),
        "adapter": adapter,
        "vocab_size": source.base.model.config.vocab_size,
        "plain": _plain_token(source),
        "threads": torch.get_num_threads(),
    }
    return [Reader("llama.cpp", LLAMA_CPP, ("xllamacpp",), loads)]


def _plain_token(source: Source) -> int:
    """A token that is a letter and nothing else, as every byte-level vocabulary has them."""
    return next(
        token
        for letter in string.ascii_letters
        if (token := source.base.tokenizer.token_to_id(letter)) is not None
    )


def _check(
    source: Source,
    form: Form,
    kind: str | None,
    readers: list[Reader],
    questions: Questions,
    own: Sequence[OwnAnswer] | None,
    tell: Callable[[str], None],
) -> tuple[tuple[Comparison, ...], str | None]:
    """How each reader compared, and a note where that says nothing about the adapter."""
    tolerance = tolerance_of(source, form, kind)
    every = len(questions.prompts)
    if own is None:
        own = own_answers(source, questions, paced(tell, "asking our own engine", every))
    comparisons: list[Comparison] = []
    for reader in readers:
        found = compare(
            reader,
            questions,
            own,
            source.base.end_tokens,
            tolerance.tie,
            lambda tokens: source.base.tokenizer.decode(list(tokens)),
            paced(tell, f"asking {reader.name}", every),
        )
        if not found.passes(tolerance):
            raise CheckFailedError(found, tolerance)
        comparisons.append(found)
    bare = bare_answers(source, questions, own, paced(tell, "asking the base without the adapter", every))
    passes = base_would_pass(bare, own, tolerance, source.base.end_tokens)
    return tuple(comparisons), BASE_PASSES if passes else None


class CheckFailedError(ExportError):
    """Another program answers otherwise than we do, with what it was that differed."""

    def __init__(self, found: Comparison, tolerance: Tolerance) -> None:
        differs = found.first_difference
        if found.apart > tolerance.apart:
            numbers = (
                f"log-probabilities up to {found.apart:.2g} nats apart, where {tolerance.apart:g} may be"
            )
            differs = f"{differs}; {numbers}" if differs else numbers
        super().__init__(
            f"{found.reader} answers otherwise than our own engine "
            f"({differs or 'another line is the likeliest'}), so the export was removed; the table says how "
            "much differs."
        )
        self.found = found
