"""Weights as they lie on disk, and models by their hub name."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)
from huggingface_hub.utils import hf_raise_for_status
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from tinker_local.errors import StartupError
from tinker_local.loading import load_base_model
from tiny_models import ARCHITECTURES, write_tiny_model

CPU = torch.device("cpu")
TOKENS = torch.arange(60)[None]
HUB_NAME = "example-lab/tiny"
REVISION = "0123456789abcdef0123456789abcdef01234567"


def logits(folder: Path, dtype: str = "float32") -> torch.Tensor:
    model = load_base_model(str(folder), dtype, CPU).model
    with torch.no_grad():
        return model.logits(model.hidden(TOKENS))


def reference_logits(folder: Path, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    with torch.no_grad():
        return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)(TOKENS).logits.float()


@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_stored_type_loads(architecture: str, stored: torch.dtype, tmp_path: Path):
    """Weights stored in any of the three types are computed in the type that was asked for."""
    write_tiny_model(tmp_path, architecture).to(stored).save_pretrained(tmp_path)
    assert {w.dtype for w in load_file(tmp_path / "model.safetensors").values()} == {stored}
    model = load_base_model(str(tmp_path), "float32", CPU).model
    assert {weight.dtype for weight in model.weights.values()} == {torch.float32}
    torch.testing.assert_close(logits(tmp_path), reference_logits(tmp_path), atol=1e-4, rtol=0)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_bfloat16_is_as_near_as_the_references(architecture: str, tmp_path: Path):
    """In bfloat16 the logits stray from float32's no further than twice what the reference's do."""
    write_tiny_model(tmp_path, architecture)
    exact = reference_logits(tmp_path)
    expected = (reference_logits(tmp_path, torch.bfloat16) - exact).square().mean().sqrt()
    actual = (logits(tmp_path, "bfloat16") - exact).square().mean().sqrt()
    assert 0 < actual < 2 * expected


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_sharded_weights(architecture: str, tmp_path: Path):
    """Weights spread over several files by an index are one model; a missing file is named."""
    reference = write_tiny_model(tmp_path, architecture)
    (tmp_path / "model.safetensors").unlink()
    reference.save_pretrained(tmp_path, max_shard_size="20KB")
    shards = sorted(tmp_path.glob("model-*.safetensors"))
    assert len(shards) > 1
    assert (tmp_path / "model.safetensors.index.json").exists()
    with torch.no_grad():
        torch.testing.assert_close(logits(tmp_path), reference(TOKENS).logits, atol=1e-4, rtol=0)
    shards[0].unlink()
    with pytest.raises(StartupError, match=shards[0].name):
        logits(tmp_path)


def test_a_tied_model_that_stores_its_unembedding(tmp_path: Path):
    """A tied model scores with its embedding, whatever lm_head.weight the file holds besides."""
    reference = write_tiny_model(tmp_path, "Qwen3ForCausalLM", tie_word_embeddings=True)
    weights = load_file(tmp_path / "model.safetensors")
    assert "lm_head.weight" not in weights
    stored = {**weights, "lm_head.weight": weights["model.embed_tokens.weight"].clone()}
    save_file(stored, tmp_path / "model.safetensors", {"format": "pt"})
    with torch.no_grad():
        torch.testing.assert_close(logits(tmp_path), reference(TOKENS).logits, atol=1e-4, rtol=0)


def hub_error(kind: type[Exception]) -> Exception:
    """The error as the hub's client makes it, from an answer of the hub where there is one."""
    if kind is LocalEntryNotFoundError:
        return LocalEntryNotFoundError("Cannot find an appropriate cached snapshot folder.\nCheck.")
    if kind is HTTPError:
        return HTTPError("A proxy answered 403 Forbidden.")
    code = {GatedRepoError: "GatedRepo", RepositoryNotFoundError: "RepoNotFound"}.get(kind)
    # The client's own HTTP library, whichever this version of it uses.
    library = sys.modules[huggingface_hub.errors.Response.__module__.split(".")[0]]
    url = f"https://huggingface.co/api/models/{HUB_NAME}"
    response = library.Response(
        500 if code is None else 401,
        headers={} if code is None else {"X-Error-Code": code},
        request=library.Request("GET", url),
    )
    with pytest.raises(HfHubHTTPError) as caught:
        hf_raise_for_status(response)
    assert type(caught.value) is kind
    return caught.value


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        (
            GatedRepoError,
            f"{HUB_NAME} is gated: accept its licence on the model hub and run 'hf auth login'.",
        ),
        (
            RepositoryNotFoundError,
            f"The model hub has no {HUB_NAME}; check the name, or log in if it is private.",
        ),
        (
            LocalEntryNotFoundError,
            f"{HUB_NAME} is neither on this machine nor reachable on the model hub; "
            "give a local path instead.",
        ),
        (
            HfHubHTTPError,
            f"{HUB_NAME} is neither on this machine nor reachable on the model hub; "
            "give a local path instead.",
        ),
        (
            HTTPError,
            f"{HUB_NAME} is neither on this machine nor reachable on the model hub; "
            "give a local path instead.",
        ),
    ],
)
def test_what_the_hub_refuses_is_told(kind: type[Exception], sentence: str, monkeypatch: pytest.MonkeyPatch):
    """A gated, an unknown and an unreachable model each end in their own sentence."""

    def refuse(*_: object, **__: object) -> str:
        raise hub_error(kind)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(StartupError) as caught:
        load_base_model(HUB_NAME, "float32", CPU)
    assert str(caught.value) == sentence


def test_a_name_that_the_hub_does_not_allow():
    """A name with forbidden characters is refused before any network is asked."""
    with pytest.raises(StartupError, match="nor a name that the model hub allows"):
        load_base_model("no spaces/allowed here", "float32", CPU)


@pytest.fixture
def hub_cache(tiny_model: Path, tmp_path: Path) -> Path:
    """A hub cache with one model, laid out as the hub's client leaves it after a download."""
    repository = tmp_path / "hub" / f"models--{HUB_NAME.replace('/', '--')}"
    shutil.copytree(tiny_model, repository / "snapshots" / REVISION)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(REVISION)
    return tmp_path / "hub"


def load_elsewhere(name: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Load a model in a process of its own, since the hub's client reads its environment once."""
    script = (
        "import json, sys, torch\n"
        "from tinker_local.loading import load_base_model\n"
        "from tinker_local.errors import StartupError\n"
        "try:\n"
        "    base = load_base_model(sys.argv[1], 'float32', torch.device('cpu'))\n"
        "    print(json.dumps([base.name, str(base.folder), base.tokenizer_source]))\n"
        "except StartupError as error:\n"
        "    print(json.dumps(str(error)))\n"
    )
    return subprocess.run(
        [sys.executable, "-c", script, name],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    )


def test_a_cached_model_loads_offline_by_its_hub_name(hub_cache: Path):
    """With HF_HUB_OFFLINE=1 a hub name is found in the cache, and clients are told its folder."""
    done = load_elsewhere(HUB_NAME, HF_HUB_OFFLINE="1", HF_HUB_CACHE=str(hub_cache))
    folder = hub_cache / f"models--{HUB_NAME.replace('/', '--')}" / "snapshots" / REVISION
    assert json.loads(done.stdout) == [HUB_NAME, str(folder.resolve()), str(folder.resolve())]


@pytest.mark.parametrize(
    "environment",
    [
        {"HF_HUB_OFFLINE": "1"},
        {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://127.0.0.1:9"},
        {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://hub.invalid", "HTTP_PROXY": "http://127.0.0.1:9"},
    ],
    ids=["offline", "no hub answers", "no proxy answers"],
)
def test_a_model_that_is_nowhere_is_told(environment: dict[str, str], hub_cache: Path):
    """Without a cached copy and without a hub, the real client's failure is one sentence."""
    quiet = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "")
    done = load_elsewhere("example-lab/absent", **{**quiet, **environment}, HF_HUB_CACHE=str(hub_cache))
    assert "neither on this machine nor reachable on the model hub" in json.loads(done.stdout)
