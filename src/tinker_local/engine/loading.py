"""A base model from disk, from the package, or from the model hub."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import psutil
import torch
from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer
from torch import Tensor

from tinker_local.engine.llama import Llama, LlamaConfig, RopeScaling, weight_shapes
from tinker_local.engine.products import cpu_flags
from tinker_local.errors import StartupError

BUNDLED = Path(__file__).parent.parent / "bundled"
ARCHITECTURES: Mapping[str, Mapping[str, bool]] = {
    "LlamaForCausalLM": {},
    "MistralForCausalLM": {},
    "Qwen2ForCausalLM": {"attention_bias": True},
    "Qwen3ForCausalLM": {"query_key_norm": True},
}
"""What is supported, each with what it adds to Llama as fields of LlamaConfig."""
# Some repositories hold the same weights a second time, as consolidated.safetensors.
HUB_FILES = ["*.json", "model*.safetensors", "tokenizer.model"]
LARGE_MODEL = 500_000_000
"""From this many parameters on, bfloat16 is worth its rounding, where the processor is fast at it."""


@dataclass(frozen=True)
class BaseModel:
    """A loaded base model with the name clients use and the files its tokenizer lies in."""

    name: str
    folder: Path
    architecture: str
    model: Llama
    tokenizer: Tokenizer
    end_tokens: frozenset[int]

    @property
    def tokenizer_source(self) -> str:
        """The folder from which the SDK can load the tokenizer, in a form that it does not misread.

        The SDK takes a name with exactly two slashes for `org/model/variant` and drops the last part,
        so a path such as /models/tiny gets one more slash. The hub's name would not do: the SDK looks
        for some models' tokenizers under another one, and the hub may be out of reach.
        """
        path = str(self.folder)
        return f"{path}/" if path.count("/") == 2 else path


def is_hub_name(name: str) -> bool:
    """Whether a model's name has the form `org/model`."""
    return name.count("/") == 1 and not name.startswith((".", "/", "~"))


def bundled_models() -> dict[str, Path]:
    """The base models that ship with the package, by name."""
    return {folder.name: folder for folder in sorted(BUNDLED.iterdir()) if (folder / "config.json").exists()}


def find_model(name: str) -> Path:
    """The folder of a bundled model, a local path, or a download from the hub, in this order.

    Raises StartupError where there is none.
    """
    bundled = bundled_models()
    if name in bundled:
        return bundled[name]
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if not is_hub_name(name):
        raise StartupError(
            f"There are no weights at {name!r}; give a folder with config.json and safetensors, "
            f"a hub name, or one of: {', '.join(bundled) or 'none bundled'}."
        )
    return _download(name)


def _download(name: str) -> Path:
    from huggingface_hub import snapshot_download  # pyright: ignore[reportUnknownVariableType]
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        HTTPError,  # pyright: ignore[reportPrivateImportUsage]
        RepositoryNotFoundError,
    )

    try:
        return Path(snapshot_download(name, allow_patterns=HUB_FILES))
    except GatedRepoError as error:
        raise StartupError(
            f"{name} is gated: accept its licence on the model hub and run 'hf auth login'."
        ) from error
    except RepositoryNotFoundError as error:
        raise StartupError(
            f"The model hub has no {name}; check the name, or log in if it is private."
        ) from error
    except HFValidationError as error:
        raise StartupError(
            f"{name!r} is neither a folder on this machine nor a name that the model hub allows."
        ) from error
    except (HTTPError, OSError) as error:
        # LocalEntryNotFoundError is an OSError. What the HTTP library raises is caught under the name by
        # which the hub's client has it, since its versions differ in the library that they use.
        raise StartupError(
            f"{name} is neither on this machine nor reachable on the model hub; give a local path instead."
        ) from error


def load_base_model(name: str, dtype: str, device: torch.device) -> BaseModel:
    """Load weights and tokenizer; raises StartupError where they are missing, wrong or too large."""
    folder = find_model(name)
    settings = _read_json(folder / "config.json")
    config = read_config(settings, folder)
    files = _weight_files(folder)
    num_parameters = sum(math.prod(shape) for shape in weight_shapes(config).values())
    chosen = choose_dtype(dtype, num_parameters, device)
    _check_memory(num_parameters * chosen.itemsize, device)
    weights = _read_weights(files, config, chosen, device)
    return BaseModel(
        name=name,
        folder=folder.resolve(),
        architecture=find_architecture(settings, folder),
        model=Llama(config, weights),
        tokenizer=_read_tokenizer(folder),
        end_tokens=_end_tokens(folder, settings),
    )


def choose_dtype(wanted: str, num_parameters: int, device: torch.device) -> torch.dtype:
    """The type to compute in: as told, or by the model's size and what the machine is fast at."""
    if wanted != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16}[wanted]
    if device.type == "cuda":
        return torch.bfloat16
    # A small model's steps are dominated by overhead, so it may as well have float32's accuracy.
    fast = bool({"avx512_bf16", "amx_bf16"} & cpu_flags())
    return torch.bfloat16 if fast and num_parameters >= LARGE_MODEL else torch.float32


def find_architecture(settings: Mapping[str, Any], folder: Path) -> str:
    """The architecture that a config.json names; raises StartupError for one that is not supported."""
    architectures = settings.get("architectures") or ["model without architecture"]
    supported = [name for name in architectures if name in ARCHITECTURES]
    if not supported:
        raise StartupError(
            f"{folder} holds a {architectures[0]}, which is not supported; supported: "
            f"{', '.join(ARCHITECTURES)}."
        )
    return supported[0]


def read_config(settings: Mapping[str, Any], folder: Path) -> LlamaConfig:
    """The LlamaConfig of a config.json, in the older layout and in that of transformers 5.

    Raises StartupError for a model that would not be computed exactly.
    """
    architecture = find_architecture(settings, folder)
    for unsupported in ("attention_bias", "mlp_bias"):
        if settings.get(unsupported):
            raise StartupError(f"{folder} sets {unsupported}, which is not supported; choose another model.")
    if settings.get("hidden_act", "silu") != "silu":
        raise StartupError(
            f"{folder} uses {settings['hidden_act']}, and only silu is supported; choose another."
        )
    # Where both are given, transformers lets the older one win.
    rope: Mapping[str, Any] = settings.get("rope_scaling") or settings.get("rope_parameters") or {}
    rope_type = rope.get("rope_type", rope.get("type", "default"))
    if rope_type not in ("default", "llama3"):
        raise StartupError(f"{folder} scales its positions by {rope_type!r}; supported: default, llama3.")
    try:
        scaling = (
            RopeScaling(
                factor=float(rope["factor"]),
                low_freq_factor=float(rope["low_freq_factor"]),
                high_freq_factor=float(rope["high_freq_factor"]),
                original_max_position_embeddings=int(rope["original_max_position_embeddings"]),
            )
            if rope_type == "llama3"
            else None
        )
        heads = int(settings["num_attention_heads"])
        config = LlamaConfig(
            vocab_size=int(settings["vocab_size"]),
            hidden_size=int(settings["hidden_size"]),
            intermediate_size=int(settings["intermediate_size"]),
            num_hidden_layers=int(settings["num_hidden_layers"]),
            num_attention_heads=heads,
            num_key_value_heads=int(settings.get("num_key_value_heads") or heads),
            head_dim=int(settings.get("head_dim") or settings["hidden_size"] // heads),
            max_position_embeddings=int(settings["max_position_embeddings"]),
            rms_norm_eps=float(settings["rms_norm_eps"]),
            rope_theta=float(rope.get("rope_theta") or settings.get("rope_theta") or 10000.0),
            rope_scaling=scaling,
            tie_word_embeddings=bool(settings.get("tie_word_embeddings", False)),
            **ARCHITECTURES[architecture],
        )
    except KeyError as error:
        raise StartupError(f"{folder}/config.json has no {error.args[0]}; it may be incomplete.") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise StartupError(f"{folder}/config.json has a wrong value ({error}); it may be damaged.") from error
    window = _attention_window(settings, architecture)
    if window is not None and window < config.max_position_embeddings:
        raise StartupError(
            f"{folder} attends over a sliding window of {window} tokens, less than its context of "
            f"{config.max_position_embeddings}, which is not supported; lower max_position_embeddings in "
            "its config.json to the window, or choose another model."
        )
    return config


def _attention_window(settings: Mapping[str, Any], architecture: str) -> int | None:
    """How many tokens back some layer sees, None for all; the defaults are those of transformers."""
    if architecture == "MistralForCausalLM":
        return settings.get("sliding_window", 4096)
    # Qwen's files name a window also where it is switched off, as it is in all released base models.
    if architecture in ("Qwen2ForCausalLM", "Qwen3ForCausalLM") and settings.get("use_sliding_window"):
        layers = settings.get("layer_types")
        if layers is None:
            slides = settings.get("max_window_layers", 28) < settings["num_hidden_layers"]
        else:
            slides = "sliding_attention" in layers
        return settings.get("sliding_window", 4096) if slides else None
    return None


def _weight_files(folder: Path) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    names: list[str] = ["model.safetensors"]
    # A whole file wins over shards, as in transformers.
    if index.exists() and not (folder / names[0]).exists():
        names = sorted(set(_read_json(index).get("weight_map", {"": "model.safetensors"}).values()))
    missing = [name for name in names if not (folder / name).exists()]
    if missing:
        raise StartupError(
            f"{folder} has no {missing[0]}; point --base-model at a folder that holds weights."
        )
    return [folder / name for name in names]


def _check_memory(needed: int, device: torch.device) -> None:
    available = (
        torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    )
    if needed > available:
        raise StartupError(
            f"The weights take {needed / 2**30:.1f} GiB and {available / 2**30:.1f} GiB of memory are free; "
            "choose a smaller base model."
        )


def _read_weights(
    files: list[Path], config: LlamaConfig, dtype: torch.dtype, device: torch.device
) -> dict[str, Tensor]:
    wanted = weight_shapes(config)
    weights: dict[str, Tensor] = {}
    for file in files:
        try:
            # Tensor by tensor, so that what is stored in another type never lies in memory twice. What the
            # model does not use, such as the stored unembedding of a tied model, is not read at all.
            opened: Any = safe_open(file, framework="pt")
            with opened as stored:
                for name in wanted.keys() & set(stored.keys()):
                    weights[name] = stored.get_tensor(name).to(device=device, dtype=dtype)
        except SafetensorError as error:
            raise StartupError(f"{file} is damaged ({error}); download it again.") from error
    for name, shape in wanted.items():
        if name not in weights:
            raise StartupError(f"The weights in {files[0].parent} lack {name}; they do not fit config.json.")
        if tuple(weights[name].shape) != shape:
            raise StartupError(
                f"{name} in {files[0].parent} has shape {tuple(weights[name].shape)} "
                f"where config.json means {shape}."
            )
    return weights


def _end_tokens(folder: Path, settings: Mapping[str, Any]) -> frozenset[int]:
    generation = folder / "generation_config.json"
    found = _read_json(generation).get("eos_token_id") if generation.exists() else None
    if found is None:
        found = settings.get("eos_token_id")
    if found is None:
        return frozenset()
    return frozenset([found] if isinstance(found, int) else found)


def _read_tokenizer(folder: Path) -> Tokenizer:
    file = folder / "tokenizer.json"
    if not file.exists():
        raise StartupError(f"{folder} has no tokenizer.json; save the model's fast tokenizer there.")
    try:
        return Tokenizer.from_str(file.read_text(encoding="utf-8"))
    # The library raises a bare Exception for any fault in the file.
    except Exception as error:
        raise StartupError(f"{file} is damaged ({error}); save the tokenizer again.") from error


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StartupError(
            f"There is no {file}; point --base-model at a folder that holds a model."
        ) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise StartupError(f"{file} is not valid JSON ({error}); it may be damaged.") from error
    if not isinstance(content, dict):
        raise StartupError(f"{file} does not hold a JSON object; it may be damaged.")
    return cast(dict[str, Any], content)
