"""What a folder's config.json means for the computation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tinker_local.engine.model.llama import LlamaConfig
from tinker_local.errors import StartupError
from tinker_local.loading.config.architectures import Architecture, find_architecture
from tinker_local.loading.config.known_settings import refuse_unknown_settings
from tinker_local.loading.config.rope_settings import read_rope
from tinker_local.loading.json_file import read_json, shown

# Far above any model's, and low enough that products of them are numbers to compare with a memory's size.
Count = Annotated[int, Field(gt=0, lt=2**53)]


class _Settings(BaseModel):
    """The honoured settings of all architectures, in their types; nothing is converted."""

    model_config = ConfigDict(frozen=True, strict=True)

    vocab_size: Count
    hidden_size: Count
    intermediate_size: Count
    num_hidden_layers: int = Field(gt=0, le=10_000)
    num_attention_heads: Count
    num_key_value_heads: Count | None
    head_dim: Count | None
    hidden_act: str
    max_position_embeddings: Count
    rms_norm_eps: float = Field(gt=0, lt=1)
    tie_word_embeddings: bool
    layer_types: list[str] | None
    attention_bias: bool = False
    mlp_bias: bool = False
    use_sliding_window: bool = False
    sliding_window: int | None = None
    max_window_layers: int = 0


def read_config(settings: Mapping[str, Any], folder: Path) -> LlamaConfig:
    """The LlamaConfig of a config.json, in the older layout and in that of transformers 5.

    What is left out has the default that transformers gives it. Raises StartupError for a model that would
    not be computed exactly.
    """
    architecture = find_architecture(settings, folder)
    refuse_unknown_settings(settings, architecture, folder)
    read = _read_settings(settings, architecture, folder)
    for unsupported in ("attention_bias", "mlp_bias"):
        if getattr(read, unsupported):
            raise StartupError(f"{folder} sets {unsupported}, which is not supported; choose another model.")
    # Two names of one function.
    if read.hidden_act not in ("silu", "swish"):
        raise StartupError(
            f"{folder} uses {shown(read.hidden_act)}, and only silu is supported; choose another."
        )
    heads = read.num_attention_heads
    key_heads = heads if read.num_key_value_heads is None else read.num_key_value_heads
    head_dim = read.hidden_size // heads if read.head_dim is None else read.head_dim
    # transformers holds Llama alone to the first of these.
    if architecture.model_type == "llama" and read.hidden_size % heads:
        raise _does_not_fit(folder, f"hidden_size {read.hidden_size}", f"num_attention_heads {heads}")
    if heads % key_heads:
        raise _does_not_fit(folder, f"num_attention_heads {heads}", f"num_key_value_heads {key_heads}")
    if head_dim == 0 or head_dim % 2:
        raise StartupError(
            f"{folder}/config.json means heads of width {head_dim}, which has to be even; it may be damaged."
        )
    theta, scaling = read_rope(settings, read.max_position_embeddings, folder)
    _refuse_window(read, architecture, folder)
    return LlamaConfig(
        vocab_size=read.vocab_size,
        hidden_size=read.hidden_size,
        intermediate_size=read.intermediate_size,
        num_hidden_layers=read.num_hidden_layers,
        num_attention_heads=heads,
        num_key_value_heads=key_heads,
        head_dim=head_dim,
        max_position_embeddings=read.max_position_embeddings,
        rms_norm_eps=read.rms_norm_eps,
        rope_theta=theta,
        rope_scaling=scaling,
        tie_word_embeddings=read.tie_word_embeddings,
        **architecture.adds,
    )


def _read_settings(settings: Mapping[str, Any], architecture: Architecture, folder: Path) -> _Settings:
    own = {name: settings.get(name, default) for name, default in architecture.defaults.items()}
    for name in ("num_key_value_heads", "head_dim"):
        if own[name] is None and name not in architecture.worked_out:
            raise _wrong_value(folder, name, "Input should be a valid integer")
    try:
        return _Settings.model_validate(own)
    except ValidationError as error:
        fault = error.errors()[0]
        raise _wrong_value(folder, str(fault["loc"][0]), fault["msg"]) from error


def _wrong_value(folder: Path, key: str, reason: str) -> StartupError:
    return StartupError(f"{folder}/config.json has a wrong value for {key} ({reason}); it may be damaged.")


def _does_not_fit(folder: Path, whole: str, part: str) -> StartupError:
    return StartupError(f"{folder}/config.json has {whole}, no multiple of its {part}; it may be damaged.")


def _refuse_window(read: _Settings, architecture: Architecture, folder: Path) -> None:
    """Raise StartupError where some layer does not see the whole context."""
    types = read.layer_types
    if types is not None:
        unknown = set(types) - {"full_attention", "attention", "sliding_attention"}
        if unknown:
            raise StartupError(
                f"{folder} has layers of type {shown(min(unknown))} (layer_types in config.json), which is "
                "not supported; choose another model."
            )
        if len(types) != read.num_hidden_layers:
            raise StartupError(
                f"{folder}/config.json has {len(types)} layer_types for {read.num_hidden_layers} layers; it "
                "may be damaged."
            )
    switched_off = "use_sliding_window" in architecture.defaults and not read.use_sliding_window
    window = None if switched_off else read.sliding_window
    if types is not None:
        slides = "sliding_attention" in types
        if slides and window is None:
            raise StartupError(
                f"{folder}/config.json names sliding_attention in layer_types, and no window is switched on; "
                "it may be damaged."
            )
    elif "max_window_layers" in architecture.defaults:
        # Qwen's files name a window also where it is switched off, as it is in all released base models.
        slides = read.max_window_layers < read.num_hidden_layers
    else:
        slides = True
    if slides and window is not None and window < read.max_position_embeddings:
        raise StartupError(
            f"{folder} attends over a sliding window of {window} tokens, less than its context of "
            f"{read.max_position_embeddings}, which is not supported; lower max_position_embeddings in "
            "its config.json to the window, or choose another model."
        )


def end_tokens(folder: Path, settings: Mapping[str, Any], vocab_size: int) -> frozenset[int]:
    """The ids at which a generation ends, of generation_config.json, else of config.json.

    Raises StartupError for what is no id of the vocabulary in either file, since a generation would never end
    there.
    """
    generation = folder / "generation_config.json"
    generally = _end_tokens(folder / "config.json", settings, vocab_size)
    for_generation = (
        _end_tokens(generation, read_json(generation), vocab_size) if generation.exists() else None
    )
    return (generally or frozenset()) if for_generation is None else for_generation


def _end_tokens(file: Path, settings: Mapping[str, Any], vocab_size: int) -> frozenset[int] | None:
    """Those that one file names; None where it says nothing of them."""
    found = settings.get("eos_token_id")
    if found is None:
        return None
    ids = cast(list[Any], found if isinstance(found, list) else [found])
    for token in ids:
        if isinstance(token, bool) or not isinstance(token, int):
            raise StartupError(f"{file} has a wrong value for eos_token_id; it may be damaged.")
        if not 0 <= token < vocab_size:
            raise StartupError(
                f"{file} names the end token {token}, outside the vocabulary of {vocab_size} tokens; correct "
                "eos_token_id there."
            )
    return frozenset(ids)
