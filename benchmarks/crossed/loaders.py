"""One adapter through four loaders, each held against our own engine: a table of docs/field.md.

python -m benchmarks.crossed.loaders      # a minute, more the first time

The base is the small random model of `ingredients`, in float32; the adapter changes every layer but the head,
with both of its matrices random. It lies there as our checkpoint, PEFT's folder, mlx-lm's and a GGUF file.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file

from benchmarks.crossed.ingredients import TEXTS
from benchmarks.crossed.trainers import mlx, said_by, write_ingredients
from tinker_local.engine.model.lora import Adapter, LoraConfig, num_parameters
from tinker_local.export import Source, own_answers
from tinker_local.export.checking.own_answers import OwnAnswer
from tinker_local.export.checking.questions import Questions, general_questions
from tinker_local.export.checking.verification import LLAMA_CPP, TRANSFORMERS, Reader, _answers
from tinker_local.export.exporting import _plain_token
from tinker_local.export.folders import write_peft_folder
from tinker_local.export.gguf_files import write_adapter_gguf, write_merged_gguf
from tinker_local.loading import load_base_model
from tinker_local.service.checkpoints import CheckpointPath, CheckpointStore

RANK = 8


def main() -> None:
    """Write the adapter in every form, ask each loader, and print a line of the table for it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_ingredients(folder)
        source = source_of(folder)
        questions = general_questions(source.base.tokenizer, TEXTS)
        own = own_answers(source, questions)
        print("| loader | likeliest of 30 the same | ranks moved | apart, nats |\n|---|---|---|---|")
        tell("`tinker_local`, without the adapter", own, own_scores(without(source), questions, own))
        write_peft_folder(source, made(folder / "peft"))
        base = str(folder / "model")
        for merge in (False, True):
            loads = {"folder": base, "adapter": str(folder / "peft"), "merge": merge}
            reader = Reader("peft", TRANSFORMERS, ("transformers", "peft"), loads)
            tell(f"PEFT{', merged' if merge else ''}", own, answers(reader, source, questions, own))
        file, adapter = folder / "base.gguf", folder / "adapter.gguf"
        write_merged_gguf(without(source), file, "f32")
        write_adapter_gguf(replace(source, gguf=file), adapter)
        for kind, put_on in (("f32", str(adapter)), ("merged f32", None), ("merged f16", None)):
            if put_on is None:
                file = folder / f"{kind}.gguf"
                write_merged_gguf(source, file, kind.removeprefix("merged "))
            loads = {
                "file": str(file), "adapter": put_on, "plain": _plain_token(source), "threads": 1,
                "vocab_size": source.base.model.config.vocab_size,
            }  # fmt: skip
            reader = Reader("llama.cpp", LLAMA_CPP, ("xllamacpp",), loads)
            name = f"llama.cpp, {kind}{' base and adapter' if put_on else ''}"
            tell(name, own, answers(reader, source, questions, own))
        write_mlx_folder(source, made(folder / "mlx"))
        asked = [{"tokens": one.tokens} for one in questions.prompts]
        (folder / "asked.json").write_text(json.dumps([asked, [one.lines for one in own]]))
        for way in ("apart", "fused"):
            said = said_by("mlx-lm", mlx(), "load_mlx_lm", str(folder), way)
            tell(f"mlx-lm{', fused' if way == 'fused' else ''}", own, said["scores"])


def source_of(folder: Path) -> Source:
    """A checkpoint with a random adapter on the small model."""
    base = load_base_model(str(folder / "model"), "float32", torch.device("cpu"))
    config = LoraConfig(RANK, train_unembed=False)
    flat = torch.randn(num_parameters(base.model.config, config), generator=torch.Generator().manual_seed(1))
    adapter = Adapter(base.model.config, config, flat * 0.05)
    path = CheckpointPath("crossed", "sampler_weights", "1")
    info = CheckpointStore(folder / "home").save(path, base.name, adapter, None, True, None, None)
    return Source(info, base, adapter, None)


def without(source: Source) -> Source:
    """The base alone."""
    return replace(
        source,
        adapter=Adapter(source.adapter.model, source.adapter.config, torch.zeros_like(source.adapter.flat)),
    )


def made(folder: Path) -> Path:
    """A folder that is new."""
    folder.mkdir()
    return folder


def write_mlx_folder(source: Source, folder: Path) -> None:
    """As mlx-lm saves an adapter: matrices the other way round, a scale that the rank does not divide."""
    tensors: dict[str, torch.Tensor] = {}
    for layer, (a, b) in source.adapter.matrices.items():
        tensors |= {f"{layer}.lora_a": a.T.contiguous(), f"{layer}.lora_b": b.T.contiguous()}
    save_file(tensors, folder / "adapters.safetensors")
    settings = {"rank": RANK, "scale": source.adapter.scale, "dropout": 0.0}
    config = {"fine_tune_type": "lora", "num_layers": -1, "lora_parameters": settings}
    (folder / "adapter_config.json").write_text(json.dumps(config))


def own_scores(source: Source, questions: Questions, own: Sequence[OwnAnswer]) -> list[list[float]]:
    """Of the lines of `own`, by another set of weights in our engine."""
    model, project = source.base.model, source.adapter.project
    scores: list[list[float]] = []
    for prompt, answer in zip(questions.prompts, own, strict=True):
        with torch.no_grad():
            hidden = model.hidden(torch.tensor([prompt.tokens]), project)
            logprobs = model.logits(hidden, project)[0, -1].log_softmax(-1)
        scores.append([float(logprobs[line[0]]) for line in answer.lines])
    return scores


def answers(
    reader: Reader, source: Source, questions: Questions, own: Sequence[OwnAnswer]
) -> list[list[float]]:
    """Log-probabilities of the lines behind each prompt, by one reader."""
    return [one["scores"] for one in _answers(reader, questions, own, source.base.end_tokens)]


def tell(name: str, own: Sequence[OwnAnswer], scores: Sequence[Sequence[float]]) -> None:
    """A row of the table."""
    ours, theirs = torch.tensor([one.scores for one in own]), torch.tensor(scores)
    best = int((ours.argmax(1) == theirs.argmax(1)).sum())
    orders = [one.argsort(dim=1, descending=True, stable=True) for one in (ours, theirs)]
    moved = int((orders[0] != orders[1]).sum())
    apart = float((ours - theirs).abs().max())
    print(f"| {name} | {best} of {len(own)} | {moved} of {ours.numel()} | {apart:.1e} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
