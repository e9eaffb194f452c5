"""The models that are measured: the two that have a name, and random weights in the shape of larger ones."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.environments import Threads, ours
from benchmarks.flops import Shape
from benchmarks.places import cache

SHAPES = {
    "symptoms-base": Shape(8192, 256, 6, 8, 4, 704, 32),
    "smollm2-135m": Shape(49152, 576, 30, 9, 3, 1536, 64),
    "smollm2-360m-shape": Shape(49152, 960, 32, 15, 5, 2560, 64),
    "llama-3.2-1b-shape": Shape(128256, 2048, 16, 32, 8, 8192, 64),
}
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "factor": 32.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


@dataclass(frozen=True)
class Model:
    """A base model as ours names it, and where it lies for the others."""

    name: str
    folder: Path
    """In Hugging Face's layout."""
    source: Path
    """What ours made it from: a GGUF file, or that folder."""


def find_model(name: str) -> Model:
    """A model that has a name, or random weights of a shape, written at the first time."""
    wanted = str(random_model(name)) if name.endswith("-shape") else name
    environment = ours()
    described = subprocess.run(
        [environment.python, "-m", "benchmarks.ours.describe", wanted],
        stdout=subprocess.PIPE, check=True, text=True, env=environment.variables(Threads()),
    ).stdout  # fmt: skip
    told = json.loads(described)
    return Model(wanted, Path(told["folder"]), Path(told["source"]))


def random_model(name: str) -> Path:
    """A folder with random weights of this shape in bfloat16, and the tokenizer of the bundled base model."""
    import torch
    from safetensors.torch import save_file

    from base_models import resolve

    folder = cache() / "models" / name
    if (folder / "model.safetensors").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    shape = SHAPES[name]
    generator = torch.Generator().manual_seed(0)

    def matrix(outputs: int, inputs: int) -> torch.Tensor:
        return torch.randn(outputs, inputs, generator=generator).mul_(0.02).bfloat16()

    def ones() -> torch.Tensor:
        return torch.ones(shape.width, dtype=torch.bfloat16)

    names = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj")
    names = (*names, "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
    weights = {
        "model.embed_tokens.weight": matrix(shape.vocabulary, shape.width),
        "model.norm.weight": ones(),
    }
    for layer in range(shape.layers):
        prefix = f"model.layers.{layer}."
        weights |= {
            prefix + f"{norm}.weight": ones() for norm in ("input_layernorm", "post_attention_layernorm")
        }
        for name_of_matrix, (inputs, outputs) in zip(names, shape.layer_matrices(), strict=True):
            weights[prefix + f"{name_of_matrix}.weight"] = matrix(outputs, inputs)
    (folder / "config.json").write_text(json.dumps(config_of(shape), indent=1))
    bundled = resolve("symptoms-base").path
    for file in ("tokenizer.json", "tokenizer_config.json"):
        if (bundled / file).exists():
            shutil.copy(bundled / file, folder / file)
    # Last and by another name at first, since its presence says that the folder is whole.
    save_file(weights, folder / "model.part")
    (folder / "model.part").rename(folder / "model.safetensors")
    return folder


def config_of(shape: Shape) -> dict[str, Any]:
    """The config.json of a shape; the large vocabulary comes with Llama 3's positions."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.width,
        "intermediate_size": shape.inner,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.key_heads,
        "head_dim": shape.head_width,
        "max_position_embeddings": 8192,
        "rms_norm_eps": 1e-5,
        "rope_theta": 500000.0 if shape.vocabulary > 100_000 else 100000.0,
        "rope_scaling": LLAMA3_ROPE if shape.vocabulary > 100_000 else None,
        "tie_word_embeddings": True,
        "hidden_act": "silu",
        "torch_dtype": "bfloat16",
        "bos_token_id": 1,
        "eos_token_id": 2,
    }


def in_q8_0(model: Model) -> Path:
    """The same weights as a GGUF file in Q8_0, made once from a GGUF file in another type."""
    import gguf
    from gguf import GGMLQuantizationType as Type

    target = cache() / "models" / f"{model.name}.Q8_0.gguf"
    if target.exists():
        return target
    if model.source.suffix != ".gguf":
        raise ValueError(f"{model.name} does not come as a GGUF file, so llama.cpp cannot be given it.")
    target.parent.mkdir(parents=True, exist_ok=True)
    reader = gguf.GGUFReader(model.source)
    part = target.with_suffix(".part")
    architecture = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(part, architecture)
    for field in reader.fields.values():
        kept = not field.name.startswith("GGUF.") and field.name not in (
            "general.architecture",
            "general.file_type",
        )
        if kept:
            sub_type = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(field.name, field.contents(), field.types[0], sub_type=sub_type)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    for tensor in reader.tensors:
        numbers = gguf.dequantize(tensor.data, tensor.tensor_type)
        # Norms are vectors, and stay as they are.
        kind = Type.Q8_0 if len(tensor.shape) > 1 else Type.F32
        writer.add_tensor(tensor.name, gguf.quantize(numbers, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    part.rename(target)
    return target
