"""GGUF files for llama.cpp: a merged model, and a LoRA adapter for the very file that the base came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf import GGMLQuantizationType, GGUFValueType, GGUFWriter, LlamaFileType
from numpy.typing import NDArray

from tinker_local.engine.model.llama import RopeDivisors, RopeScaling, rope_frequencies
from tinker_local.errors import ExportError
from tinker_local.export.folders import finite
from tinker_local.export.gguf_keys import gguf_architecture, model_keys
from tinker_local.export.source import Source
from tinker_local.loading.gguf.config import ROPE_DIVISORS
from tinker_local.loading.gguf.tensors import REORDERED, gguf_name

Array = NDArray[Any]

KINDS: Mapping[str, GGMLQuantizationType] = {
    "f32": GGMLQuantizationType.F32,
    "f16": GGMLQuantizationType.F16,
    "bf16": GGMLQuantizationType.BF16,
    "q8_0": GGMLQuantizationType.Q8_0,
}
"""What --quantize offers: types that the library writes as llama.cpp does, bit for bit."""
FILE_TYPES: Mapping[str, LlamaFileType] = {
    "f32": LlamaFileType.ALL_F32,
    "f16": LlamaFileType.MOSTLY_F16,
    "bf16": LlamaFileType.MOSTLY_BF16,
    "q8_0": LlamaFileType.MOSTLY_Q8_0,
}
QUANTIZATION_VERSION = 2


def write_merged_gguf(
    source: Source, file: Path, kind: str, wrote: Callable[[int], None] = lambda _: None
) -> None:
    """The merged model, its matrices in a type of KINDS; an adapted head becomes its own output.weight.

    Vectors stay float32, and so does, as float16, a matrix whose rows are no whole blocks: as llama.cpp's
    own tools have it. `wrote` is given how many tensors are written. Raises ExportError.
    """
    architecture = gguf_architecture(source)
    writer = GGUFWriter(file, architecture)
    _add_keys(writer, model_keys(source))
    writer.add_file_type(FILE_TYPES[kind])
    if kind == "q8_0":
        writer.add_quantization_version(QUANTIZATION_VERSION)
    divisors = _rope_divisors(source, architecture)
    shapes = source.shapes()
    if divisors is not None:
        writer.add_tensor_info(ROPE_DIVISORS, divisors.shape, divisors.dtype, divisors.nbytes)
    for name, shape in shapes.items():
        wanted = _kind_of(shape, kind)
        block, size = gguf.GGML_QUANT_SIZES[wanted]
        nbytes = int(np.prod(shape)) // block * size
        writer.add_tensor_info(gguf_name(name), shape, np.dtype(np.float32), nbytes, wanted)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    if divisors is not None:
        writer.write_tensor_data(divisors)
    # One after another, so that no more than one lies in memory beside the base.
    for number, (name, shape) in enumerate(shapes.items(), start=1):
        numbers = _reordered(source, name, source.merged(name).numpy())
        wanted = _kind_of(shape, kind)
        if wanted == KINDS["f16"]:
            finite(source.merged(name).half(), name, kind)
        writer.write_tensor_data(gguf.quantize(np.ascontiguousarray(numbers), wanted))
        wrote(number)
    writer.close()


def write_adapter_gguf(source: Source, file: Path) -> None:
    """The adapter alone, float32, for the GGUF file that the base was converted from; raises ExportError."""
    if source.gguf is None:
        raise ExportError(
            f"{source.info.base_model} did not come from a GGUF file, so there is no file that llama.cpp "
            "could put the adapter on; use --to gguf."
        )
    if source.needs_own_head:
        raise ExportError(
            "The adapter changes the unembedding, which this base shares with its embedding, and llama.cpp "
            "has no tensor to put that on; use --to gguf, which gives the model an output.weight of its own, "
            "or train with train_unembed off."
        )
    writer = GGUFWriter(file, gguf_architecture(source))
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", source.adapter.config.alpha)
    for layer, (a, b) in source.adapter.matrices.items():
        name = f"{layer}.weight"
        writer.add_tensor(f"{gguf_name(name)}.lora_a", np.ascontiguousarray(a.numpy()))
        writer.add_tensor(
            f"{gguf_name(name)}.lora_b", np.ascontiguousarray(_reordered(source, name, b.numpy()))
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_keys(writer: GGUFWriter, keys: Mapping[str, Any]) -> None:
    for key, value in keys.items():
        if type(value) is int and value >= 0:
            # llama.cpp reads sizes and ids as unsigned numbers of 32 bits, which fit all that files have.
            kind = GGUFValueType.UINT32 if value < 2**32 else GGUFValueType.UINT64
            writer.add_key_value(key, value, kind)
        elif isinstance(value, list) and not value:
            continue
        else:
            writer.add_key_value(key, value, GGUFValueType.get_type(value))


def _kind_of(shape: tuple[int, ...], kind: str) -> GGMLQuantizationType:
    if len(shape) == 1:
        return GGMLQuantizationType.F32
    wanted = KINDS[kind]
    block, _ = gguf.GGML_QUANT_SIZES[wanted]
    return wanted if shape[-1] % block == 0 else GGMLQuantizationType.F16


def _reordered(source: Source, name: str, numbers: Array) -> Array:
    """Rows of Llama's queries and keys in the order that llama.cpp rotates, all others as they are.

    The reverse of what `loading/gguf/tensors.py` does when it reads them.
    """
    if gguf_architecture(source) != "llama" or not name.endswith(REORDERED):
        return numbers
    head_dim = source.base.model.config.head_dim
    return numbers.reshape(-1, 2, head_dim // 2, numbers.shape[-1]).swapaxes(1, 2).reshape(numbers.shape)


def _rope_divisors(source: Source, architecture: str) -> Array | None:
    """By what each frequency is divided, float32 [head_dim / 2], in which form a GGUF file has scaling."""
    config = source.base.model.config
    if config.rope_scaling is None:
        return None
    if architecture != "llama":
        raise ExportError(
            f"{source.info.base_model} scales its positions, which GGUF files of its architecture cannot say "
            "as it does; use --to hf or --to peft."
        )
    if isinstance(config.rope_scaling, RopeDivisors):
        return np.array(config.rope_scaling.divisors, np.float32)
    assert isinstance(config.rope_scaling, RopeScaling)
    exponents = np.arange(0, config.head_dim, 2) / config.head_dim
    return (config.rope_theta**-exponents / rope_frequencies(config).double().numpy()).astype(np.float32)
