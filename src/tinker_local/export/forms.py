"""The forms in which a checkpoint can leave, and how close to our own answers each has to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tinker_local.errors import ExportError
from tinker_local.export.gguf_files import KINDS
from tinker_local.export.source import Source
from tinker_local.loading.gguf.file import open_gguf

Form = Literal["peft", "hf", "gguf", "gguf-adapter"]
OFFERED = {"hf": ("f32", "f16", "bf16"), "gguf": tuple(KINDS)}
"""How weights can be stored, by form, the others store none."""
DEFAULTS = {"hf": "f32", "gguf": "f16"}


@dataclass(frozen=True)
class Tolerance:
    """When an export passes.

    The likeliest line has to be ours behind this share of the prompts, and the greedy texts as well where
    `same_texts`. Where our own engine's two likeliest are less than `tie` nats apart, either counts as ours.
    No line's log-probability may be more than `apart` nats from ours; so no rank moves either but among lines
    less than twice that apart.
    """

    best_share: float
    same_texts: bool
    tie: float
    apart: float


EXACT = Tolerance(1.0, True, 1e-3, 1e-2)
"""The same numbers, summed in another order: 1.2e-4 nats where it was measured (docs/export.md)."""
HALVED = Tolerance(1.0, True, 2e-2, 0.2)
"""Weights rounded to float16, and what is multiplied with them: 2.6e-2 nats."""
COARSE = Tolerance(0.95, False, 0.0, 3.0)
"""Quantised weights, or bfloat16: a text goes another way at some word, a label rarely does.

What was measured is 0.65 nats at most; a likelihood that is off twentyfold comes of no rounding to 8 bits.
"""


def chosen_kind(form: Form, quantize: str | None) -> str | None:
    """The type in which matrices are stored, None for an adapter; raises ExportError for one not offered."""
    if form not in OFFERED:
        if quantize is not None:
            raise ExportError(f"--to {form} leaves the adapter in float32 as it is; leave --quantize out.")
        return None
    kind = quantize.lower() if quantize is not None else DEFAULTS[form]
    if kind not in OFFERED[form]:
        other = (
            "; for another one, write f16 and give it to llama.cpp's llama-quantize" if form == "gguf" else ""
        )
        raise ExportError(
            f"{quantize!r} is not among the types that --to {form} writes and checks; use one of: "
            f"{', '.join(OFFERED[form])}{other}."
        )
    return kind


def gguf_file(form: Form, kind: str | None) -> str:
    """The name of the file in the folder, of a form that is GGUF."""
    return "adapter.gguf" if form == "gguf-adapter" else f"model-{kind}.gguf"


def tolerance_of(source: Source, form: Form, kind: str | None) -> Tolerance:
    """How close this export has to be."""
    if form == "gguf-adapter":
        assert source.gguf is not None, "an adapter in GGUF is for a GGUF file"
        stored = {tensor.kind.name for tensor in open_gguf(source.gguf).tensors.values()}
        return HALVED if stored <= {"F32", "F16"} else COARSE
    if kind == "f16":
        return HALVED
    return COARSE if kind in ("bf16", "q8_0") else EXACT
