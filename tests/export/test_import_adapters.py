"""Adapters that peft, mlx-lm and tinker-cookbook's Tinker lay out, taken over as checkpoints."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from checkpoints_to_export import own_logits
from peft_adapters import made_by_peft
from tinker_local.cli import main
from tinker_local.errors import AdapterError, CheckpointError
from tinker_local.export import open_source
from tinker_local.importing import Imported, import_adapter
from tiny_models import write_tiny_model


@pytest.fixture
def base(tmp_path: Path) -> Path:
    write_tiny_model(tmp_path / "base", "LlamaForCausalLM")
    return tmp_path / "base"


def imported(path: Path, base: Path | None = None) -> Imported:
    return import_adapter(path, path.parent / "home", "mine", None if base is None else str(base))


def logits_of(done: Imported, home: Path) -> torch.Tensor:
    return own_logits(open_source(done.weights, home, []))


def changed(folder: Path, **changes: Any) -> None:
    file = folder / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


@pytest.mark.parametrize(
    "settings",
    [
        {"lora_alpha": 16},
        {"lora_alpha": 0},
        {"lora_alpha": 16, "use_rslora": True},
        {"target_modules": ["q_proj", "v_proj"]},
        {"rank_pattern": {"q_proj": 2, "model.layers.1.mlp.up_proj": 6}},
        {"alpha_pattern": {"lm_head": 3, r"layers.0.self_attn.\w+": 64}, "use_rslora": True},
        {"layers_to_transform": [1]},
        {"init_lora_weights": "gaussian", "lora_dropout": 0.1},
        {"target_modules": r".*\.(q|up)_proj"},
    ],
    ids=lambda settings: "-".join(settings),
)
def test_an_adapter_of_peft_computes_what_it_does_there(settings: dict[str, Any], base: Path, tmp_path: Path):
    """rsLoRA, patterns of ranks and alphas, and layers left out: the logits are peft's."""
    expected = made_by_peft(base, tmp_path / "theirs", **settings)
    done = imported(tmp_path / "theirs")
    torch.testing.assert_close(logits_of(done, tmp_path / "home"), expected, atol=1e-4, rtol=1e-4)


def test_what_it_took_is_told(base: Path, tmp_path: Path):
    """Another scale, other ranks, and layers that a training would now train as well."""
    made_by_peft(
        base,
        tmp_path / "theirs",
        lora_alpha=8,
        target_modules=["q_proj", "v_proj"],
        rank_pattern={"v_proj": 2},
    )
    scale, ranks, layers = imported(tmp_path / "theirs").notes
    assert scale.startswith("Its terms count 2, 4 times, and here 8 (alpha 32 / rank 4)")
    assert ranks.startswith("Its ranks 2, 4 all became 4")
    assert layers.startswith("4 layers without a term in it (k_proj, o_proj) start at no effect")


@pytest.mark.parametrize("archive", [False, True])
def test_a_checkpoint_in_tinkers_own_naming_is_taken_over(archive: bool, base: Path, tmp_path: Path):
    """With the unembedding as unembed_tokens, in a folder or as the archive that a download gives."""
    expected = made_by_peft(base, tmp_path / "theirs", lora_alpha=32)
    weights = load_file(tmp_path / "theirs" / "adapter_model.safetensors")
    renamed = {
        key.replace("base_model.model.lm_head", "base_model.model.model.unembed_tokens"): tensor
        for key, tensor in weights.items()
        if ".lora_" in key
    }
    assert renamed.keys() != weights.keys()
    save_file(renamed, tmp_path / "theirs" / "adapter_model.safetensors")
    path = tmp_path / "theirs"
    if archive:
        path = tmp_path / "theirs.tar.gz"
        with tarfile.open(path, "w:gz") as opened:
            opened.add(tmp_path / "theirs", "checkpoint")
    done = imported(path)
    torch.testing.assert_close(logits_of(done, tmp_path / "home"), expected, atol=1e-4, rtol=1e-4)


def test_an_adapter_of_mlx_is_taken_over(base: Path, tmp_path: Path):
    """Its matrices lie the other way round, and its scale is not divided by the rank (mlx-lm 0.32.2)."""
    expected = made_by_peft(base, tmp_path / "theirs", lora_alpha=80)  # alpha / rank = mlx-lm's own 20
    weights = load_file(tmp_path / "theirs" / "adapter_model.safetensors")
    mlx = {
        key.removeprefix("base_model.model.")
        .replace(".lora_A.weight", ".lora_a")
        .replace(".lora_B.weight", ".lora_b"): tensor.T.contiguous()
        for key, tensor in weights.items()
        if ".lora_" in key
    }
    (tmp_path / "mlx").mkdir()
    save_file(mlx, tmp_path / "mlx" / "adapters.safetensors")
    settings = {"rank": 4, "scale": 20.0, "dropout": 0.0}
    config = {"fine_tune_type": "lora", "num_layers": 2, "lora_parameters": settings, "model": str(base)}
    (tmp_path / "mlx" / "adapter_config.json").write_text(json.dumps(config))
    done = imported(tmp_path / "mlx")
    torch.testing.assert_close(logits_of(done, tmp_path / "home"), expected, atol=1e-4, rtol=1e-4)
    changed(tmp_path / "mlx", fine_tune_type="dora")
    with pytest.raises(AdapterError, match=r"mlx-lm's kind 'dora'.*mlx_lm\.fuse"):
        imported(tmp_path / "mlx")
    changed(tmp_path / "mlx", fine_tune_type="lora", lora_parameters={"rank": 4, "alpha": 8})
    with pytest.raises(AdapterError, match=r"tells no scale.*add the one"):
        imported(tmp_path / "mlx")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"use_dora": True}, r"is DoRA.*merge it in PEFT"),
        ({"bias": "lora_only"}, r"trains biases \(bias 'lora_only'\)"),
        ({"modules_to_save": ["embed_tokens"]}, r"whole layers of its own \(modules_to_save\)"),
        ({"trainable_token_indices": [3]}, r"trainable_token_indices"),
        (
            {"init_lora_weights": "pissa_niter_4"},
            r"'pissa_niter_4'.*path_initial_model",
        ),
        ({"init_lora_weights": "olora"}, r"'olora', which changes the base's own weights"),
        ({"alora_invocation_tokens": [1, 2]}, r"aLoRA"),
        ({"peft_type": "LOHA"}, r"of the kind LOHA, and only LORA"),
        ({"some_new_switch": 0.5}, r"sets some_new_switch to 0\.5, which is not known here"),
        ({"r": 8}, r"term of rank 4 at .*says 8; correct r or rank_pattern"),
        ({"lora_alpha": "16"}, r"wrong value for lora_alpha"),
        ({"lora_alpha": 10**400}, r"wrong value for lora_alpha \(1000"),
        ({"lora_alpha": 1e300}, r"not finite in float32"),
        ({"use_rslora": "no"}, r"wrong value for use_rslora, which is true or false"),
        (
            {"alpha_pattern": {"q_proj(": 4}},
            r"in alpha_pattern by 'q_proj\(', which is no regular",
        ),
        ({"rank_pattern": {"(?i)q_proj": 4}}, r"in rank_pattern by .*no regular expression"),
        ({"rank_pattern": {"q{99999999999}": 4}}, r"in rank_pattern by .*no regular expression"),
        ({"rank_pattern": {"q_proj": "4"}}, r"wrong value for rank_pattern \('4'\)"),
        ({"alpha_pattern": ["q_proj"]}, r"wrong value for alpha_pattern"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, Mapping) else "",
)
def test_what_would_be_computed_otherwise_is_refused_by_name(
    changes: dict[str, Any], reason: str, base: Path, tmp_path: Path
):
    """In one sentence with the next step, and nothing is written."""
    made_by_peft(base, tmp_path / "theirs")
    changed(tmp_path / "theirs", **changes)
    with pytest.raises(AdapterError, match=reason):
        imported(tmp_path / "theirs")
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("tensor", "reason"),
    [
        (
            torch.tensor(1.0),
            r"holds '\S+lora_A\.weight' in the shape \[\], and a LoRA term is",
        ),
        (torch.ones(4), r"in the shape \[4\]"),
        (torch.ones(4, 1, 32), r"in the shape \[4, 1, 32\]"),
        (torch.ones(0, 32), r"in the shape \[0, 32\]"),
        (torch.ones(4, 32, dtype=torch.int8), r"in the type int8, which is not read"),
        (torch.full((4, 32), 1e300, dtype=torch.float64), r"are not finite in float32"),
    ],
    ids=["scalar", "vector", "three dimensions", "rank 0", "whole numbers", "too large"],
)
def test_a_tensor_that_is_no_matrix_of_a_term_is_refused(
    tensor: torch.Tensor, reason: str, base: Path, tmp_path: Path
):
    """By its name, with what it is; the layer has 32 inputs."""
    made_by_peft(base, tmp_path / "theirs")
    file = tmp_path / "theirs" / "adapter_model.safetensors"
    weights = load_file(file)
    place = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
    assert weights[place].shape == (4, 32)
    save_file({**weights, place: tensor}, file)
    with pytest.raises(AdapterError, match=reason):
        imported(tmp_path / "theirs")


def test_a_matrix_that_is_there_twice_is_refused(base: Path, tmp_path: Path):
    """By PEFT's name and by its name in memory; which of the two was meant nobody knows."""
    made_by_peft(base, tmp_path / "theirs")
    file = tmp_path / "theirs" / "adapter_model.safetensors"
    weights = load_file(file)
    place = "base_model.model.model.layers.0.self_attn.q_proj.lora_A"
    save_file({**weights, f"{place}.default.weight": weights[f"{place}.weight"] + 1}, file)
    with pytest.raises(AdapterError, match=r"holds two matrices A of model\.layers\.0\.self_attn\.q_proj's"):
        imported(tmp_path / "theirs")


def test_embeddings_that_come_along_have_to_be_the_bases(base: Path, tmp_path: Path):
    """Peft saves them where the unembedding has a term; another base's would be left out without a word."""
    made_by_peft(base, tmp_path / "theirs")
    write_tiny_model(tmp_path / "other", "LlamaForCausalLM", seed=1)
    with pytest.raises(AdapterError, match=r"brings a \S+\.weight of its own, which differs"):
        imported(tmp_path / "theirs", tmp_path / "other")


@pytest.mark.parametrize("tied", [False, True])
def test_the_head_that_peft_saves_beside_its_term_is_held_against_the_bases(tied: bool, tmp_path: Path):
    """PEFT 0.21.2 writes it as lm_head.base_layer.weight; the base's own is taken, another is refused."""
    base, folder = tmp_path / "base", tmp_path / "theirs"
    write_tiny_model(base, "LlamaForCausalLM", tie_word_embeddings=tied)
    expected = made_by_peft(base, folder)
    file = folder / "adapter_model.safetensors"
    weights = load_file(file)
    head = "base_model.model.lm_head.base_layer.weight"
    assert head in weights
    done = imported(folder)
    torch.testing.assert_close(logits_of(done, tmp_path / "home"), expected, atol=1e-4, rtol=1e-4)
    save_file({**weights, head: weights[head] + 1}, file)
    with pytest.raises(AdapterError, match=r"brings a lm_head\.weight of its own, which differs"):
        imported(folder)


def test_what_is_no_adapter_is_refused_in_one_sentence(base: Path, tmp_path: Path):
    """A data set by mistake, and an archive that was cut: what is expected, not how it was tried."""
    (tmp_path / "mine.jsonl").write_text('{"input": "I lie awake"}\n')
    made_by_peft(base, tmp_path / "theirs")
    with tarfile.open(tmp_path / "whole.tar.gz", "w:gz") as opened:
        opened.add(tmp_path / "theirs", "checkpoint")
    (tmp_path / "cut.tar.gz").write_bytes((tmp_path / "whole.tar.gz").read_bytes()[:3000])
    for name in ("mine.jsonl", "cut.tar.gz"):
        with pytest.raises(AdapterError) as raised:
            imported(tmp_path / name)
        said = str(raised.value)
        assert said.startswith(f"{tmp_path / name} is no archive, or not a whole one; give the folder")
        assert "\n" not in said
        assert "method" not in said


def test_an_adapted_embedding_is_refused(base: Path, tmp_path: Path):
    """tinker-cookbook 0.6.1 makes one of an unembedding on a tied base, and PEFT computes it wrongly."""
    made_by_peft(base, tmp_path / "theirs")
    file = tmp_path / "theirs" / "adapter_model.safetensors"
    weights = load_file(file)
    renamed = {
        key.replace(".lm_head.lora", ".model.embed_tokens.lora"): each for key, each in weights.items()
    }
    save_file(renamed, file)
    with pytest.raises(AdapterError, match=r"changes the embedding .*build_lora_adapter made this"):
        imported(tmp_path / "theirs")


def test_an_adapter_of_another_base_is_refused(base: Path, tmp_path: Path):
    """The layer whose shape differs is named, with what it is here."""
    made_by_peft(base, tmp_path / "theirs", target_modules=["up_proj"])
    write_tiny_model(tmp_path / "other", "LlamaForCausalLM", intermediate_size=64)
    with pytest.raises(AdapterError, match=r"mlp\.\w+, which is .* in this base; say which base"):
        imported(tmp_path / "theirs", tmp_path / "other")


def test_a_base_beside_the_adapter_is_found_from_anywhere(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """As an export with a base of its own names it; from inside, the run has the folder's name."""
    folder = tmp_path / "theirs"
    made_by_peft(base, folder)
    shutil.copytree(base, folder / "base")
    changed(folder, base_model_name_or_path="./base")
    done = import_adapter(folder, tmp_path / "home", "one", None)
    assert Path(done.base_model) == folder.resolve() / "base"
    monkeypatch.chdir(folder)
    main(["import", ".", "--home", str(tmp_path / "home")])
    assert "tinker://imported-theirs/" in capsys.readouterr().out


def test_the_command_imports_once(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """It says from where to sample and to train on; the same name again is refused."""
    made_by_peft(base, tmp_path / "my adapter")
    told = ["import", str(tmp_path / "my adapter"), "--home", str(tmp_path / "home")]
    main(told)
    assert (
        "sample from tinker://imported-my-adapter/sampler_weights/1, train on from" in capsys.readouterr().out
    )
    with pytest.raises(SystemExit, match="2"):
        main(told)
    assert "exists already" in capsys.readouterr().err
    with pytest.raises(CheckpointError, match="exists already"):
        import_adapter(tmp_path / "my adapter", tmp_path / "home", "imported-my-adapter", None)
