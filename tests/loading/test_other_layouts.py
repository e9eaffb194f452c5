"""What people point at that is no model is told as what it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model

from tinker_local.errors import StartupError
from tinker_local.loading import load_base_model
from tiny_models import write_tiny_llama


def refusal(path: Path) -> str:
    with pytest.raises(StartupError) as caught:
        load_base_model(str(path), "float32", torch.device("cpu"))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def without_weights(folder: Path) -> None:
    write_tiny_llama(folder)
    (folder / "model.safetensors").unlink()


def test_an_adapter_names_its_base(tmp_path: Path):
    """A folder as peft saves it is told as an adapter, with the base that its configuration names."""
    base = tmp_path / "base"
    model = get_peft_model(write_tiny_llama(base), LoraConfig(target_modules=["q_proj"]))
    model.peft_config["default"].base_model_name_or_path = str(base)
    model.save_pretrained(tmp_path / "adapter")
    assert refusal(tmp_path / "adapter") == (
        f"{tmp_path}/adapter holds an adapter (adapter_config.json) and not a model; give the model that it "
        f"adapts, {base}, or merge the adapter into that and give the result."
    )


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"])
def test_an_adapter_beside_a_model(name: str, tmp_path: Path):
    """Weights with an adapter beside them are refused, since transformers would load both."""
    write_tiny_llama(tmp_path)
    (tmp_path / name).write_text("{}")
    assert refusal(tmp_path) == (
        f"{tmp_path} holds an adapter ({name}) and not a model; give the model that it adapts, or merge the "
        "adapter into that and give the result."
    )


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_file_in_place_of_its_folder(name: str, tmp_path: Path):
    """A file of a model names the folder that would do."""
    write_tiny_llama(tmp_path)
    assert refusal(tmp_path / name) == (
        f"{tmp_path / name} is a file, and a model is the folder that it lies in; give {tmp_path}."
    )


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "modules.json",
            "a sentence-transformers model, which makes vectors of texts and does not continue them",
        ),
        ("config_sentence_transformers.json", "a sentence-transformers model"),
        ("model_index.json", "a diffusers pipeline, which is no language model"),
        ("quantize_config.json", "weights quantised with GPTQ, which are not supported"),
        ("quant_config.json", "weights quantised with AWQ, which are not supported"),
        ("hf_quant_config.json", "weights quantised with ModelOpt, which are not supported"),
    ],
)
def test_a_file_that_tells_what_a_folder_is(name: str, sentence: str, tmp_path: Path):
    """A folder that is something else besides having weights is told as that."""
    write_tiny_llama(tmp_path)
    (tmp_path / name).write_text("[]")
    told = refusal(tmp_path)
    assert f"{tmp_path} holds {sentence}" in told
    assert f"({name}); choose another model." in told


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("pytorch_model.bin", "pickled weights, which are not read since they can run code"),
        ("pytorch_model-00001-of-00002.bin", "pickled weights"),
        ("consolidated.00.pth", "pickled weights"),
        ("weights.pt", "pickled weights"),
        ("model.onnx", "an ONNX graph, which is not supported"),
        ("onnx/model_q4.onnx", "an ONNX graph"),
        ("tf_model.h5", "weights of TensorFlow, which are not supported"),
        ("flax_model.msgpack", "weights of Flax, which are not supported"),
        ("weights.npz", "weights of NumPy or MLX, which are not supported"),
        ("consolidated.safetensors", "weights under another name than transformers gives them"),
    ],
)
def test_weights_in_another_form(name: str, sentence: str, tmp_path: Path):
    """A model without safetensors is told by the weights that it has."""
    without_weights(tmp_path)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    told = refusal(tmp_path)
    assert f"{tmp_path} has no model.safetensors, and {Path(name).name} holds {sentence}" in told
    assert "save_pretrained" in told


def test_weights_in_another_form_beside_safetensors(tmp_path: Path):
    """Many repositories hold their weights in several forms; the safetensors are what counts."""
    write_tiny_llama(tmp_path)
    for name in ("pytorch_model.bin", "model.onnx", "consolidated.safetensors", "a.gguf"):
        (tmp_path / name).touch()
    assert load_base_model(str(tmp_path), "float32", torch.device("cpu"))


def test_gguf_files_beside_a_configuration(tmp_path: Path):
    """A folder with config.json and GGUF files alone names one that can be given itself."""
    folder = tmp_path / "folder"
    without_weights(folder)
    (folder / "b.gguf").touch()
    assert refusal(folder) == f"{folder} holds no safetensors; give {folder}/b.gguf itself."
    (folder / "a.gguf").touch()
    assert refusal(folder) == (
        f"{folder} holds no safetensors; give {folder}/a.gguf or another of its 2 GGUF files itself."
    )


def test_an_mlx_model(tmp_path: Path):
    """What MLX quantised is told by its configuration."""
    write_tiny_llama(tmp_path)
    file = tmp_path / "config.json"
    settings = json.loads(file.read_text())
    file.write_text(json.dumps({**settings, "quantization": {"group_size": 64, "bits": 4}}))
    assert f"{tmp_path} holds quantised weights (quantization in config.json: bits 4)" in refusal(tmp_path)


def test_an_empty_folder(tmp_path: Path):
    """A folder with nothing in it has no config.json."""
    assert refusal(tmp_path) == (
        f"There is no {tmp_path}/config.json; point --base-model at a folder that holds a model."
    )
