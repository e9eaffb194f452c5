"""What people point at that is no model in Hugging Face's layout, each told as what it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinker_local.errors import StartupError
from tinker_local.loading.json_file import read_json, shown

_ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin")

_MARKS: Mapping[str, str] = {
    "modules.json": "a sentence-transformers model, which makes vectors of texts and does not continue them",
    "config_sentence_transformers.json": (
        "a sentence-transformers model, which makes vectors of texts and does not continue them"
    ),
    "model_index.json": "a diffusers pipeline, which is no language model",
    "quantize_config.json": "weights quantised with GPTQ, which are not supported",
    "quant_config.json": "weights quantised with AWQ, which are not supported",
    "hf_quant_config.json": "weights quantised with ModelOpt, which are not supported",
}
"""Files that tell what else a folder is, though it may hold config.json and model.safetensors, too."""

_OTHER_WEIGHTS: Mapping[str, str] = {
    "*.bin": "pickled weights, which are not read since they can run code",
    "*.pth": "pickled weights, which are not read since they can run code",
    "*.pt": "pickled weights, which are not read since they can run code",
    "*.onnx": "an ONNX graph, which is not supported",
    "onnx/*.onnx": "an ONNX graph, which is not supported",
    "*.h5": "weights of TensorFlow, which are not supported",
    "*.msgpack": "weights of Flax, which are not supported",
    "*.npz": "weights of NumPy or MLX, which are not supported",
    "*.safetensors": "weights under another name than transformers gives them",
}
"""Weights that lie where there are no safetensors of a model."""


def refuse_other_layouts(path: Path) -> None:
    """Raise StartupError for an adapter, and what else is not a folder with a model's safetensors."""
    for name in _ADAPTER_FILES:
        if (path / name).exists():
            raise _adapter(path, name)
    for name, what in _MARKS.items():
        if (path / name).exists():
            raise StartupError(f"{path} holds {what} ({name}); choose another model.")
    if any((path / name).exists() for name in ("model.safetensors", "model.safetensors.index.json")):
        return
    graphs = sorted(path.glob("*.gguf"))
    if graphs:
        more = f" or another of its {len(graphs)} GGUF files" if len(graphs) > 1 else ""
        raise StartupError(f"{path} holds no safetensors; give {graphs[0]}{more} itself.")
    for pattern, what in _OTHER_WEIGHTS.items():
        found = sorted(path.glob(pattern))
        if found:
            raise StartupError(
                f"{path} has no model.safetensors, and {found[0].name} holds {what}; load it with "
                "transformers and save it with save_pretrained, or choose another model."
            )


def _adapter(folder: Path, found: str) -> StartupError:
    base: Any = None
    if (folder / "adapter_config.json").exists():
        base = read_json(folder / "adapter_config.json").get("base_model_name_or_path")
    if isinstance(base, str) and base:
        return StartupError(
            f"{folder} holds an adapter ({found}) and not a model; give the model that it adapts, "
            f"{shown(base)}, or merge the adapter into that and give the result."
        )
    return StartupError(
        f"{folder} holds an adapter ({found}) and not a model; give the model that it adapts, or merge the "
        "adapter into that and give the result."
    )
