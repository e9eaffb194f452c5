"""From an adapter made elsewhere to a checkpoint of this server, which computes the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from tinker_local.engine.model.llama import Llama, LlamaConfig, linear_layer_shapes
from tinker_local.engine.model.lora import ALPHA, Adapter, LoraConfig
from tinker_local.errors import AdapterError
from tinker_local.importing.files import AdapterFiles, read_adapter_files
from tinker_local.importing.layers import UNEMBEDDING, ForeignAdapter
from tinker_local.importing.mlx_adapter import read_mlx_adapter
from tinker_local.importing.peft_adapter import read_peft_adapter
from tinker_local.loading import load_base_model
from tinker_local.service.checkpoints import CheckpointPath, CheckpointStore, check_run_name

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Imported:
    """The checkpoints that were written, and what a person has to know of them."""

    base_model: str
    weights: str
    """The path to train on from, without an optimizer's state."""
    sampler_weights: str
    """The path to sample from."""
    rank: int
    notes: tuple[str, ...]


def import_adapter(
    path: Path,
    home: Path,
    name: str,
    base_model: str | None,
    tell: Callable[[str], None] = lambda _: None,
) -> Imported:
    """Write `tinker://<name>/weights/1` and `tinker://<name>/sampler_weights/1`.

    The base is the one that the adapter names, or `base_model`. Raises AdapterError for what would not be
    computed exactly, StartupError for the base, CheckpointError where the name is taken, or none.
    """
    check_run_name(name)
    files = read_adapter_files(path)
    foreign = read_mlx_adapter(files) if files.is_mlx else read_peft_adapter(files)
    chosen = base_model or _named_base(foreign.base_model, path)
    if chosen is None:
        raise AdapterError(f"{path} names no base model; say which with --base-model.")
    tell(f"loading {chosen}")
    base = load_base_model(chosen, "float32", CPU, tell)
    _check_copies(foreign, base.model, files)
    adapter, notes = as_own(foreign, base.model.config, files)
    store = CheckpointStore(home)
    metadata = {"imported_from": path.resolve().name}
    places = (CheckpointPath(name, "weights", "1"), CheckpointPath(name, "sampler_weights", "1"))
    saved = [store.save(place, chosen, adapter, user_metadata=metadata).path for place in places]
    return Imported(chosen, saved[0], saved[1], adapter.config.rank, notes)


def _named_base(named: str | None, path: Path) -> str | None:
    """The base that an adapter names; a folder that lies beside it is found from wherever it is imported."""
    if named is None or Path(named).is_absolute():
        return named
    beside = (path if path.is_dir() else path.parent).resolve() / named
    return str(beside) if beside.is_dir() else named


def as_own(
    foreign: ForeignAdapter, model: LlamaConfig, files: AdapterFiles
) -> tuple[Adapter, tuple[str, ...]]:
    """The same function as an adapter of one rank and alpha 32, with sentences on what that took.

    B takes up whatever makes another scale of alpha / rank, smaller ranks are filled up, and layers that a
    group lacks come in at the beginning of a training: with A as it starts and B zero, which changes nothing.
    Raises AdapterError for a layer that the base does not have, or has in another shape, and for numbers that
    are not finite.
    """
    shapes = linear_layer_shapes(model)
    _check(foreign, shapes, files)
    rank = max(term.rank for term in foreign.terms.values())
    config = LoraConfig(
        rank,
        train_attn=any(".self_attn." in layer for layer in foreign.terms),
        train_mlp=any(".mlp." in layer for layer in foreign.terms),
        train_unembed=UNEMBEDDING in foreign.terms,
    )
    adapter = Adapter.initial(model, config, seed=0, device=CPU)
    for layer, term in foreign.terms.items():
        a, b = adapter.matrices[layer]
        a[: term.rank] = term.a.float()
        b[:, : term.rank] = term.b.float() * (term.scale / adapter.scale)
        # Of what was written: float64, or a scale, may hold more than float32 does.
        if not bool(torch.isfinite(a).all() and torch.isfinite(b).all()):
            raise AdapterError(
                f"{files.path} has numbers at {layer} that are not finite in float32; get it again."
            )
    return adapter, _notes(foreign, adapter)


def _check_copies(foreign: ForeignAdapter, model: Llama, files: AdapterFiles) -> None:
    for name, copy in foreign.copies.items():
        tied = name not in model.weights and model.config.tie_word_embeddings
        own = model.weights["model.embed_tokens.weight" if tied else name]
        if copy.shape != own.shape or not torch.equal(own.to(copy.dtype), copy):
            raise AdapterError(
                f"{files.path} brings a {name} of its own, which differs from the base's; say which base it "
                "belongs on with --base-model, or merge it in PEFT and use the merged model as a base."
            )


def _check(foreign: ForeignAdapter, shapes: dict[str, tuple[int, int]], files: AdapterFiles) -> None:
    if not foreign.terms:
        raise AdapterError(f"{files.path} changes no layer; get it again.")
    for layer, term in foreign.terms.items():
        shape = shapes.get(layer)
        if shape is None and layer.endswith("embed_tokens"):
            raise AdapterError(
                f"{files.path} changes the embedding ({layer}), which is not adapted here; train without it, "
                "or, where tinker-cookbook's build_lora_adapter made this of an unembedding, import what "
                "Tinker itself gave."
            )
        if shape is None:
            raise AdapterError(
                f"{files.path} changes {layer!r}, which this base does not have; say which base it belongs "
                "on with --base-model."
            )
        found = (term.b.shape[0], term.a.shape[1])
        if term.b.shape[1] != term.rank or found != shape:
            raise AdapterError(
                f"{files.path} has a term of shape {tuple(term.b.shape)} by {tuple(term.a.shape)} at "
                f"{layer}, which is {shape} in this base; say which base it belongs on with --base-model."
            )


def _notes(foreign: ForeignAdapter, adapter: Adapter) -> tuple[str, ...]:
    notes: list[str] = []
    scales = sorted({term.scale for term in foreign.terms.values()})
    if scales != [adapter.scale]:
        shown = ", ".join(f"{scale:g}" for scale in scales)
        notes.append(
            f"Its terms count {shown} times, and here {adapter.scale:g} (alpha {ALPHA:g} / rank "
            f"{adapter.config.rank}); B took up the difference, so a step of a training moves them otherwise."
        )
    ranks = sorted({term.rank for term in foreign.terms.values()})
    if len(ranks) > 1:
        notes.append(
            f"Its ranks {', '.join(map(str, ranks))} all became {adapter.config.rank}; what was added starts "
            "at no effect."
        )
    added = [layer for layer in adapter.matrices if layer not in foreign.terms]
    if added:
        kinds = ", ".join(sorted({layer.rpartition(".")[2] for layer in added}))
        notes.append(
            f"{len(added)} layers without a term in it ({kinds}) start at no effect, and a training on it "
            "trains them as well."
        )
    return tuple(notes)
