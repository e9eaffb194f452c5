"""A GGUF file computes what the reference implementation does with the weights that it stands for."""

from __future__ import annotations

import json
import math
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from tinker_local.engine.model.llama import RopeDivisors, RopeScaling, rope_frequencies
from tinker_local.loading import BaseModel, load_base_model
from tiny_gguf import (
    ARCHITECTURES,
    dequantised,
    gguf_fields,
    gguf_tensors,
    quantised,
    set_weights,
    tiny_model,
    write_gguf,
    write_tiny_gguf,
)

CPU = torch.device("cpu")
TOKENS = torch.randint(0, 288, (2, 60), generator=torch.Generator().manual_seed(1))
# Of sizes whose rows are whole blocks of 256, too.
WIDE = {
    "hidden_size": 256,
    "head_dim": 64,
    "intermediate_size": 256,
    "num_hidden_layers": 1,
    "initializer_range": 0.1,
}


def can(function: str, kind: GGMLQuantizationType) -> bool:
    block, size = gguf.GGML_QUANT_SIZES[kind]
    sample = np.zeros((1, block), np.float32) if function == "quantize" else np.zeros((1, size), np.uint8)
    try:
        getattr(gguf, function)(sample, kind)
    except NotImplementedError:
        return False
    return True


QUANTISED = [kind for kind in GGMLQuantizationType if can("quantize", kind)]
ONLY_DEQUANTISED = [
    kind for kind in GGMLQuantizationType if can("dequantize", kind) and kind not in QUANTISED
]


def name_of(kind: object) -> str:
    return kind.name if isinstance(kind, GGMLQuantizationType) else str(kind)


@pytest.fixture(autouse=True)
def models_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    monkeypatch.setenv("TINKER_LOCAL_MODELS", str(home))
    return home


def load(file: Path, dtype: str = "float32") -> BaseModel:
    return load_base_model(str(file), dtype, CPU)


def logits(base: BaseModel) -> torch.Tensor:
    with torch.no_grad():
        return base.model.logits(base.model.hidden(TOKENS))


def assert_same_logits(base: BaseModel, reference: PreTrainedModel) -> None:
    """Logits within 1e-4 of the reference's, in float32."""
    with torch.no_grad():
        torch.testing.assert_close(logits(base), reference(TOKENS).logits, atol=1e-4, rtol=0)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_logits_equal_transformers(architecture: str, tied: bool, tmp_path: Path):
    """A file of each architecture, tied or not, is the reference model that it was made from."""
    reference = tiny_model(tmp_path / "reference", architecture, tie_word_embeddings=tied)
    write_tiny_gguf(tmp_path / "tiny.gguf", reference)
    base = load(tmp_path / "tiny.gguf")
    assert (base.architecture, base.model.config.tie_word_embeddings) == (architecture, tied)
    assert_same_logits(base, reference)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_numbers_are_those_of_the_reference_bit_by_bit(architecture: str, tmp_path: Path):
    """From float32 to float32 nothing is rounded, also not the settings that are stored in float32."""
    reference = tiny_model(tmp_path / "reference", architecture, rms_norm_eps=1e-5)
    write_tiny_gguf(tmp_path / "tiny.gguf", reference)
    ours, theirs = load(tmp_path / "tiny.gguf").model, load(tmp_path / "reference").model
    assert ours.config == theirs.config
    assert ours.weights.keys() == theirs.weights.keys()
    assert all(torch.equal(ours.weights[name], weight) for name, weight in theirs.weights.items())


@pytest.mark.parametrize("kind", QUANTISED, ids=name_of)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_type_that_can_be_written(architecture: str, kind: GGMLQuantizationType, tmp_path: Path):
    """Logits equal the reference's on the weights that the quantised file stands for."""
    block, _ = gguf.GGML_QUANT_SIZES[kind]
    reference = tiny_model(tmp_path / "reference", architecture, **(WIDE if block > 32 else {}))
    set_weights(reference, write_tiny_gguf(tmp_path / "tiny.gguf", reference, kind))
    assert_same_logits(load(tmp_path / "tiny.gguf"), reference)


def random_blocks(shape: tuple[int, ...], kind: GGMLQuantizationType, rng: np.random.Generator) -> np.ndarray:
    """Random bytes in place of a tensor, drawn again where a block's scale is not finite."""
    block, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = rng.integers(0, 256, (math.prod(shape) // block, size), np.uint8)
    while True:
        with np.errstate(all="ignore"):
            broken = ~np.isfinite(gguf.dequantize(blocks, kind)).all(axis=1)
        if not broken.any():
            return blocks.reshape(*shape[:-1], -1)
        blocks[broken] = rng.integers(0, 256, (broken.sum(), size), np.uint8)


@pytest.mark.parametrize("kind", ONLY_DEQUANTISED, ids=name_of)
def test_every_type_that_can_only_be_read(kind: GGMLQuantizationType, tmp_path: Path):
    """Whatever bytes a block has, the weights are what the library makes of them."""
    reference = tiny_model(tmp_path / "reference", "LlamaForCausalLM", **WIDE)
    rng = np.random.default_rng(0)
    stored = {
        name: (random_blocks(data.shape, kind, rng), kind) if data.ndim > 1 else (data, plain)
        for name, (data, plain) in quantised(gguf_tensors(reference), GGMLQuantizationType.F32).items()
    }
    write_gguf(tmp_path / "tiny.gguf", "llama", gguf_fields(reference), stored)
    set_weights(reference, dequantised(stored))
    weights = load(tmp_path / "tiny.gguf").model.weights
    for name, expected in reference.state_dict().items():
        assert torch.equal(weights[name], expected), name


def test_the_types_that_are_tried_here_are_all_there_are():
    """The two lists above hold the released models' quantisations, whatever the library calls them."""
    assert {"F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"} <= {kind.name for kind in QUANTISED}
    assert {
        "Q2_K",
        "Q3_K",
        "Q4_K",
        "Q5_K",
        "Q6_K",
        "IQ2_XXS",
        "IQ2_XS",
        "IQ2_S",
        "IQ3_XXS",
        "IQ3_S",
        "IQ1_S",
    } <= {kind.name for kind in ONLY_DEQUANTISED}


@pytest.mark.parametrize("rows_at_once", [1, 3, 16, 1000])
@pytest.mark.parametrize("architecture", ["LlamaForCausalLM", "Qwen3ForCausalLM"])
def test_pieces_of_any_size_make_the_same_tensor(
    architecture: str, rows_at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Tensors that are dequantised a few rows at a time, down to one, come out whole and in order."""
    monkeypatch.setattr("tinker_local.loading.gguf.tensors.NUMBERS_AT_ONCE", 64 * rows_at_once)
    reference = tiny_model(tmp_path / "reference", architecture)
    set_weights(reference, write_tiny_gguf(tmp_path / "tiny.gguf", reference, GGMLQuantizationType.Q8_0))
    assert_same_logits(load(tmp_path / "tiny.gguf"), reference)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_bfloat16_is_rounded_as_torch_rounds(architecture: str, tmp_path: Path):
    """A model that is computed in bfloat16 has the reference's weights in bfloat16, on disk as well."""
    reference = tiny_model(tmp_path / "reference", architecture)
    set_weights(reference, write_tiny_gguf(tmp_path / "tiny.gguf", reference, GGMLQuantizationType.Q5_1))
    base = load(tmp_path / "tiny.gguf", "bfloat16")
    stored = load_file(base.folder / "model.safetensors")
    assert stored.keys() == base.model.weights.keys()
    for name, weight in stored.items():
        assert torch.equal(weight, reference.state_dict()[name].bfloat16()), name
        assert torch.equal(weight, base.model.weights[name]), name


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_split_file(architecture: str, tmp_path: Path):
    """A model in several parts is loaded from any of them."""
    reference = tiny_model(tmp_path / "reference", architecture)
    write_tiny_gguf(tmp_path / "tiny.gguf", reference, split_max_tensors=5)
    parts = sorted(tmp_path.glob("tiny-0*-of-*.gguf"))
    assert len(parts) > 3
    bases = [load(part) for part in (parts[0], parts[2], parts[-1])]
    assert_same_logits(bases[0], reference)
    assert {base.folder for base in bases} == {bases[0].folder}
    assert all(base.paths >= set(parts) for base in bases)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_transformers_loads_the_converted_folder(architecture: str, tmp_path: Path):
    """The folder that clients are told of is a model and a tokenizer to transformers."""
    reference = tiny_model(tmp_path / "reference", architecture)
    write_tiny_gguf(tmp_path / "tiny.gguf", reference)
    base = load(tmp_path / "tiny.gguf")
    theirs = AutoModelForCausalLM.from_pretrained(base.folder, dtype=torch.float32)
    assert type(theirs).__name__ == architecture
    assert_same_logits(base, theirs)
    tokenizer = AutoTokenizer.from_pretrained(base.tokenizer_source)
    for text in ("he", "the hedge", "ein Übel"):
        assert tokenizer(text)["input_ids"] == base.tokenizer.encode(text).ids
    assert tokenizer.decode(tokenizer("the hedge")["input_ids"], skip_special_tokens=True) == "the hedge"


def test_end_tokens(tmp_path: Path):
    """A generation ends at the end of the text, of a turn, and of a message."""
    reference = tiny_model(tmp_path / "reference", "LlamaForCausalLM")
    more = {"tokenizer.ggml.eot_token_id": 7, "tokenizer.ggml.eom_token_id": 9}
    write_tiny_gguf(tmp_path / "one.gguf", reference)
    write_tiny_gguf(tmp_path / "more.gguf", reference, fields=more)
    write_tiny_gguf(tmp_path / "none.gguf", reference, fields={"tokenizer.ggml.eos_token_id": None})
    assert [load(tmp_path / f"{name}.gguf").end_tokens for name in ("one", "more", "none")] == [
        {1}, {1, 7, 9}, frozenset()
    ]  # fmt: skip


@pytest.mark.parametrize(
    "fields",
    [
        {"llama.attention.head_count_kv": [2, 2], "llama.feed_forward_length": [96, 96]},
        {"llama.rope.scaling.type": "none", "llama.rope.scaling.factor": 1.0},
        {"llama.expert_count": 0, "llama.expert_used_count": 0},
        {"llama.attention.sliding_window": 256},
        {"llama.attention.key_length": 16, "llama.attention.value_length": 16},
        {"llama.vocab_size": None, "llama.rope.dimension_count": None, "general.type": None},
        {"llama.tensor_data_layout": "Meta AI original pth"},
        {"quantize.imatrix.file": "x", "quantize.imatrix.entries_count": 3, "general.tags": ["a", "b"]},
    ],
    ids=str,
)
def test_keys_that_change_nothing(fields: dict[str, object], tmp_path: Path):
    """What merely repeats the ordinary, and what says nothing about the computation, is no hindrance."""
    reference = tiny_model(tmp_path / "reference", "LlamaForCausalLM")
    write_tiny_gguf(tmp_path / "tiny.gguf", reference, fields=fields)
    assert_same_logits(load(tmp_path / "tiny.gguf"), reference)


def test_a_frequency_base_left_out_is_ten_thousand(tmp_path: Path):
    """llama.cpp's default holds where a file does not say."""
    reference = tiny_model(
        tmp_path / "reference",
        "LlamaForCausalLM",
        rope_parameters={"rope_type": "default", "rope_theta": 1e4},
    )
    write_tiny_gguf(tmp_path / "tiny.gguf", reference, fields={"llama.rope.freq_base": None})
    assert_same_logits(load(tmp_path / "tiny.gguf"), reference)


# Llama 3.2's and 3.1's numbers.
@pytest.mark.parametrize(("factor", "head_dim"), [(32.0, 64), (8.0, 128)])
def test_llama_3_scaling_is_read_from_the_divisors(factor: float, head_dim: int, tmp_path: Path):
    """The divisors that the converter writes for Llama 3 become its scaling again, frequency by frequency."""
    rope = {
        "rope_type": "llama3",
        "rope_theta": 500000.0,
        "factor": factor,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    reference = tiny_model(
        tmp_path / "reference",
        "LlamaForCausalLM",
        head_dim=head_dim,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=16384,
        rope_parameters=rope,
    )
    expected = reference.model.rotary_emb.inv_freq
    write_tiny_gguf(
        tmp_path / "tiny.gguf", reference, tensors={"rope_freqs.weight": converters_divisors(rope, head_dim)}
    )
    base = load(tmp_path / "tiny.gguf")
    assert base.model.config.rope_scaling == RopeScaling(factor, 1.0, 4.0, 8192)
    torch.testing.assert_close(rope_frequencies(base.model.config), expected, rtol=1e-6, atol=0)
    theirs = AutoModelForCausalLM.from_pretrained(base.folder, dtype=torch.float32)
    assert torch.equal(theirs.model.rotary_emb.inv_freq, expected)


def converters_divisors(rope: dict[str, float], head_dim: int) -> np.ndarray:
    """What llama.cpp's converter writes as rope_freqs.weight, by its own steps."""
    divisors: list[float] = []
    for frequency in 1.0 / (rope["rope_theta"] ** (torch.arange(0, head_dim, 2).float() / head_dim)):
        wavelength = 2 * math.pi / frequency
        original = rope["original_max_position_embeddings"]
        if wavelength < original / rope["high_freq_factor"]:
            divisors.append(1.0)
        elif wavelength > original / rope["low_freq_factor"]:
            divisors.append(rope["factor"])
        else:
            smooth = (original / wavelength - rope["low_freq_factor"]) / (
                rope["high_freq_factor"] - rope["low_freq_factor"]
            )
            divisors.append(float(1 / ((1 - smooth) / rope["factor"] + smooth)))
    return np.array(divisors, np.float32)


def test_other_divisors_are_kept_as_they_are(tmp_path: Path):
    """Divisors of no known formula divide the frequencies, and leave the tokenizer loadable."""
    divisors = np.linspace(1, 3, 8, dtype=np.float32)
    reference = tiny_model(tmp_path / "reference", "LlamaForCausalLM")
    write_tiny_gguf(tmp_path / "tiny.gguf", reference, tensors={"rope_freqs.weight": divisors})
    base = load(tmp_path / "tiny.gguf")
    assert base.model.config.rope_scaling == RopeDivisors(tuple(divisors.tolist()))
    reference.model.rotary_emb.inv_freq /= torch.from_numpy(divisors)
    assert torch.equal(rope_frequencies(base.model.config), reference.model.rotary_emb.inv_freq)
    assert_same_logits(base, reference)
    assert AutoTokenizer.from_pretrained(base.tokenizer_source)("he")["input_ids"] == [0, 258]


def test_divisors_of_one_are_none(tmp_path: Path):
    """A file whose divisors divide by one has no scaling."""
    reference = tiny_model(tmp_path / "reference", "LlamaForCausalLM")
    ones = {"rope_freqs.weight": np.ones(8, np.float32)}
    write_tiny_gguf(tmp_path / "tiny.gguf", reference, tensors=ones)
    assert load(tmp_path / "tiny.gguf").model.config.rope_scaling is None


def test_the_dtype_is_chosen_by_the_number_of_parameters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models_home: Path
):
    """Where the type is left open, a large model is converted to what it is computed in."""
    reference = tiny_model(tmp_path / "reference", "LlamaForCausalLM")
    write_tiny_gguf(tmp_path / "tiny.gguf", reference)
    assert load(tmp_path / "tiny.gguf", "auto").model.dtype == torch.float32
    monkeypatch.setattr("tinker_local.loading.base_model.cpu_flags", lambda: frozenset({"amx_bf16"}))
    monkeypatch.setattr("tinker_local.loading.base_model.COMPUTES_IN_BFLOAT16_FROM", 1000)
    base = load(tmp_path / "tiny.gguf", "auto")
    assert base.model.dtype == torch.bfloat16
    assert json.loads((base.folder / "converted.json").read_text())["dtype"] == "bfloat16"
    assert len(list((models_home / "converted").glob("*-v1"))) == 2
