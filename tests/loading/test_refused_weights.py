"""Weights that would be served wrongly are refused, with the tensor's name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM

from tinker_local.errors import StartupError
from tinker_local.loading import load_base_model
from tiny_models import ARCHITECTURES, write_tiny_llama, write_tiny_model

CPU = torch.device("cpu")
TOKENS = torch.arange(60)[None]
DOWN = "model.layers.1.mlp.down_proj.weight"
EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"


def stored(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "model.safetensors")


def store(folder: Path, weights: Mapping[str, Tensor]) -> None:
    save_file(dict(weights), folder / "model.safetensors", {"format": "pt"})


def rewrite_config(folder: Path, **changes: object) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def refusal(folder: Path, dtype: str = "float32") -> str:
    with pytest.raises(StartupError) as caught:
        load_base_model(str(folder), dtype, CPU)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def logits(folder: Path) -> Tensor:
    model = load_base_model(str(folder), "float32", CPU).model
    with torch.no_grad():
        return model.logits(model.hidden(TOKENS))


def reference_logits(folder: Path) -> Tensor:
    with torch.no_grad():
        return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)(TOKENS).logits


def quantise(folder: Path) -> None:
    """Store the linear layers as FP8 with one scale for each block, as DeepSeek and Qwen release them."""
    weights = stored(folder)
    for name in [name for name in weights if "_proj" in name]:
        scale = weights[name].abs().max() / 448
        weights[name] = (weights[name] / scale).to(torch.float8_e4m3fn)
        weights[f"{name}_scale_inv"] = scale[None, None]
    store(folder, weights)


FP8 = {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [128, 128]}


def test_fp8_with_its_configuration(tmp_path: Path):
    """Quantised weights that say so are refused by what says it."""
    write_tiny_llama(tmp_path)
    quantise(tmp_path)
    rewrite_config(tmp_path, quantization_config=FP8)
    assert refusal(tmp_path) == (
        f"{tmp_path} holds quantised weights (quantization_config in config.json: quant_method fp8), which "
        "are not supported; choose the model that they were made from."
    )


def test_fp8_without_its_configuration(tmp_path: Path):
    """Quantised weights that do not say so are refused by their scales, and without those by their type."""
    write_tiny_llama(tmp_path)
    quantise(tmp_path)
    assert f"{tmp_path} stores model.layers.0.mlp.down_proj.weight_scale_inv and 13 more" in refusal(tmp_path)
    store(tmp_path, {name: w for name, w in stored(tmp_path).items() if not name.endswith("scale_inv")})
    told = refusal(tmp_path)
    assert "_proj.weight" in told
    assert "is stored as F8_E4M3, which is not supported (supported: F32, F16, BF16)" in told


# All that safetensors 0.8 knows, with their bits, but for the three that are read.
OTHER_TYPES = {
    **dict.fromkeys(["F4"], 4),
    **dict.fromkeys(["F6_E2M3", "F6_E3M2"], 6),
    **dict.fromkeys(["F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "I8", "U8", "BOOL"], 8),
    **dict.fromkeys(["I16", "U16"], 16),
    **dict.fromkeys(["I32", "U32"], 32),
    **dict.fromkeys(["F64", "I64", "U64", "C64"], 64),
}


@pytest.mark.parametrize("named", OTHER_TYPES)
def test_every_other_type_is_refused(named: str, tmp_path: Path):
    """One tensor in a type that is not read is named with its type; nothing is cast in silence."""
    write_tiny_llama(tmp_path)
    header: dict[str, object] = {}
    content = b""
    for name, weight in stored(tmp_path).items():
        dtype, numbers = "F32", weight.numpy().tobytes()
        if name == DOWN:
            dtype, numbers = named, bytes(weight.numel() * OTHER_TYPES[named] // 8)
        places = [len(content), len(content) + len(numbers)]
        header[name] = {"dtype": dtype, "shape": list(weight.shape), "data_offsets": places}
        content += numbers
    written = json.dumps(header).encode()
    file = tmp_path / "model.safetensors"
    file.write_bytes(len(written).to_bytes(8, "little") + written + content)
    assert f"{DOWN} in {file} is stored as {named}, which is not supported" in refusal(tmp_path)


@pytest.mark.parametrize("stored_as", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", [EMBEDDING, "model.norm.weight", DOWN])
def test_a_number_that_is_not_finite(name: str, value: float, stored_as: torch.dtype, tmp_path: Path):
    """One inf or nan, wherever it stands, is refused with its tensor before it can spoil a training."""
    write_tiny_llama(tmp_path).to(stored_as).save_pretrained(tmp_path)
    weights = stored(tmp_path)
    for place in (0, weights[name].numel() // 2 + 1, -1):
        spoilt = weights[name].clone()
        spoilt.view(-1)[place] = value
        store(tmp_path, {**weights, name: spoilt})
        for dtype in ("float32", "bfloat16"):
            assert refusal(tmp_path, dtype) == (
                f"{name} in {tmp_path}/model.safetensors holds numbers that are not finite (inf or nan); "
                "download it again, or choose another model."
            )


def test_large_numbers_are_honest(tmp_path: Path):
    """Numbers whose sum is beyond float32 are finite all the same, and load."""
    write_tiny_llama(tmp_path)
    weights = stored(tmp_path)
    store(tmp_path, {**weights, DOWN: torch.full_like(weights[DOWN], 3e38)})
    loaded = load_base_model(str(tmp_path), "float32", CPU).model.weights[DOWN]
    assert bool((loaded == 3e38).all())


def test_a_number_that_bfloat16_makes_infinite(tmp_path: Path):
    """What is finite as stored and not as computed is refused with the type that would do."""
    write_tiny_llama(tmp_path)
    weights = stored(tmp_path)
    weights[DOWN][0, 0] = torch.finfo(torch.float32).max
    store(tmp_path, weights)
    assert load_base_model(str(tmp_path), "float32", CPU)
    assert refusal(tmp_path, "bfloat16") == (
        f"{DOWN} in {tmp_path}/model.safetensors holds numbers too large for bfloat16; use --dtype float32."
    )


@pytest.mark.parametrize("note", ["{}", "not JSON"])
def test_a_folder_is_not_trusted_for_a_file_in_it(note: str, tmp_path: Path):
    """A copy of a conversion may have been saved over, so its numbers are looked at like any other's."""
    write_tiny_llama(tmp_path)
    weights = stored(tmp_path)
    weights[DOWN][0, 0] = float("nan")
    store(tmp_path, weights)
    (tmp_path / "converted.json").write_text(note)
    assert f"{DOWN} in {tmp_path}/model.safetensors holds numbers that are not finite" in refusal(tmp_path)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_tied_model_with_another_unembedding(architecture: str, tmp_path: Path):
    """The reference scores with the stored one, though the file says tied; here the file is refused."""
    write_tiny_model(tmp_path, architecture, tie_word_embeddings=True)
    weights = stored(tmp_path)
    other = weights[EMBEDDING].clone()
    other[-1, -1] += 1
    store(tmp_path, {**weights, HEAD: other})
    reference = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    assert torch.equal(reference.get_output_embeddings().weight, other)
    assert refusal(tmp_path) == (
        f"{tmp_path} ties its unembedding to its embedding (tie_word_embeddings in config.json) and stores a "
        "lm_head.weight that differs from it; set tie_word_embeddings to false to use what is stored, or "
        "take that tensor out."
    )
    # What the sentence says helps.
    rewrite_config(tmp_path, tie_word_embeddings=False)
    torch.testing.assert_close(logits(tmp_path), reference_logits(tmp_path), atol=1e-4, rtol=0)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_untied_model_scores_with_what_is_stored(architecture: str, tmp_path: Path):
    """Where tie_word_embeddings is left out, the stored unembedding counts, as in the reference."""
    write_tiny_model(tmp_path, architecture, tie_word_embeddings=False)
    file = tmp_path / "config.json"
    settings = json.loads(file.read_text())
    settings.pop("tie_word_embeddings", None)
    file.write_text(json.dumps(settings))
    torch.testing.assert_close(logits(tmp_path), reference_logits(tmp_path), atol=1e-4, rtol=0)
    store(tmp_path, {name: w for name, w in stored(tmp_path).items() if name != HEAD})
    assert f"The weights in {tmp_path} lack {HEAD}" in refusal(tmp_path)


def test_an_equal_unembedding_in_another_type(tmp_path: Path):
    """The same numbers in two types are the same; a shape of its own is not."""
    write_tiny_llama(tmp_path, tie_word_embeddings=True).to(torch.bfloat16).save_pretrained(tmp_path)
    weights = stored(tmp_path)
    store(tmp_path, {**weights, HEAD: weights[EMBEDDING].float()})
    assert load_base_model(str(tmp_path), "float32", CPU)
    store(tmp_path, {**weights, HEAD: weights[EMBEDDING][:-1].clone()})
    assert "differs from it" in refusal(tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "model.layers.0.self_attn.o_proj.bias",
        "model.layers.0.self_attn.q_proj.lora_A.weight",
        "model.layers.0.self_attn.k_scale",
        "model.layers.2.mlp.down_proj.weight",
        "score.weight",
        "vision_tower.patch.weight",
        "rotary_emb.inv_freq",
    ],
)
def test_a_tensor_without_use(name: str, tmp_path: Path):
    """A stored tensor that the model would not read is refused by name."""
    write_tiny_llama(tmp_path)
    store(tmp_path, {**stored(tmp_path), name: torch.ones(4)})
    assert refusal(tmp_path) == (
        f"{tmp_path} stores {name}, for which a model of its config.json has no use; choose another model, "
        "or save this one without."
    )


@pytest.mark.parametrize(
    "name", ["model.layers.1.self_attn.rotary_emb.inv_freq", "model.rotary_emb.inv_freq"]
)
@pytest.mark.parametrize("stored_as", [torch.float32, torch.bfloat16, torch.float16])
def test_stored_frequencies(name: str, stored_as: torch.dtype, tmp_path: Path):
    """Frequencies that follow from config.json are passed over; others would have been computed with once."""
    reference = write_tiny_llama(tmp_path, rope_parameters={"rope_type": "default", "rope_theta": 1e6})
    own = reference.model.rotary_emb.inv_freq
    weights = stored(tmp_path)
    store(tmp_path, {**weights, name: own.to(stored_as)})
    assert load_base_model(str(tmp_path), "float32", CPU)
    store(tmp_path, {**weights, name: (own / 2).to(stored_as)})
    assert f"{name} in {tmp_path}/model.safetensors is not what config.json means" in refusal(tmp_path)


def write_shards(folder: Path) -> tuple[Path, dict[str, str]]:
    """A model in several files; returns its index and where that says that each tensor lies."""
    reference = write_tiny_llama(folder)
    (folder / "model.safetensors").unlink()
    reference.save_pretrained(folder, max_shard_size="20KB")
    index = folder / "model.safetensors.index.json"
    return index, json.loads(index.read_text())["weight_map"]


def test_an_index_that_names_a_tensor_that_is_not_there(tmp_path: Path):
    """A tensor that its file does not hold is named, though the model may not need it."""
    index, places = write_shards(tmp_path)
    shard = places[DOWN]
    for added in ("model.absent.weight", EMBEDDING):
        wrong = {**places, added: shard}
        index.write_text(json.dumps({"weight_map": wrong}))
        assert refusal(tmp_path) == (
            f"{index} says that {shard} holds {added}, which it does not; download both again."
        )


@pytest.mark.parametrize("content", [{}, {"weight_map": {}}, {"weight_map": []}, {"weight_map": "a"}])
def test_an_index_without_a_map(content: object, tmp_path: Path):
    """An index that says nothing is refused."""
    index, _places = write_shards(tmp_path)
    index.write_text(json.dumps(content))
    assert refusal(tmp_path) == f"{index} has no weight_map; it may be damaged."


@pytest.mark.parametrize("file", [None, 3, "../elsewhere.safetensors", "/etc/passwd"])
def test_an_index_that_points_elsewhere(file: object, tmp_path: Path):
    """An index names files beside it, and nothing else."""
    index, places = write_shards(tmp_path)
    index.write_text(json.dumps({"weight_map": {**places, DOWN: file}}))
    assert refusal(tmp_path) == f"{index} names {file!r}, which is no file beside it; it may be damaged."


def test_a_tensor_in_two_files(tmp_path: Path):
    """Of two tensors of one name neither is taken in silence."""
    _index, places = write_shards(tmp_path)
    first, second = (tmp_path / name for name in sorted(set(places.values()))[:2])
    name = next(iter(load_file(first)))
    save_file({**load_file(second), name: load_file(first)[name]}, second, {"format": "pt"})
    assert f"both hold {name}; remove the file that is stale" in refusal(tmp_path)
