"""Models in Ollama's store, found by the names that Ollama gives them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from base_models import BaseModelError, resolve
from base_models.origins import ollama
from other_stores import ADAPTER, MODEL, PROJECTOR, TEMPLATE, OllamaStore

TENSOR = "application/vnd.ollama.image.tensor"


def told(name: str) -> str:
    """The sentence that resolving ends with."""
    with pytest.raises(BaseModelError) as caught:
        resolve(f"ollama:{name}")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("stored", "name"),
    [
        ("registry.ollama.ai/library/llama3.2/latest", "llama3.2"),
        ("registry.ollama.ai/library/llama3.2/latest", "llama3.2:latest"),
        ("registry.ollama.ai/library/llama3.2/latest", "library/llama3.2"),
        ("registry.ollama.ai/library/llama3.2/latest", "registry.ollama.ai/library/llama3.2:latest"),
        ("registry.ollama.ai/library/llama3.2/latest", "Llama3.2:LATEST"),
        ("registry.ollama.ai/library/llama3.2/1b", "llama3.2:1b"),
        ("registry.ollama.ai/user/model/latest", "user/model"),
        ("hf.co/org/Repo-GGUF/Q4_K_M", "hf.co/org/Repo-GGUF:Q4_K_M"),
        ("localhost:5000/user/model/latest", "localhost:5000/user/model"),
    ],
)
def test_a_model_is_found_by_its_name(stored: str, name: str, ollama_store: OllamaStore):
    """With and without what Ollama leaves out; the path is that of the layer with the weights."""
    ollama_store.add("registry.ollama.ai/library/other/latest", MODEL)
    _, weights = ollama_store.add(stored, TEMPLATE, MODEL)
    found = resolve(f"ollama:{name}")
    assert (found.name, found.path) == (f"ollama:{name}", weights)


def test_upper_and_lower_case_are_told_apart_where_both_are_there(ollama_store: OllamaStore):
    """Tags of hub repositories can differ in case alone."""
    (upper,) = ollama_store.add("hf.co/org/repo/Q8_0", MODEL)
    (lower,) = ollama_store.add("hf.co/org/repo/q8_0", MODEL)
    assert resolve("ollama:hf.co/org/repo:Q8_0").path == upper
    assert resolve("ollama:hf.co/org/repo:q8_0").path == lower


@pytest.mark.parametrize(
    ("stored", "name"),
    [
        ("registry.ollama.ai/library/llama3.2/latest", "llama3.2"),
        ("registry.ollama.ai/user/model/1b", "user/model:1b"),
        ("hf.co/org/repo/latest", "hf.co/org/repo"),
    ],
)
def test_names_are_told_as_ollama_tells_them(stored: str, name: str, ollama_store: OllamaStore):
    """The shortest form, which finds the same model."""
    (weights,) = ollama_store.add(stored, MODEL)
    assert [entry.name for entry in ollama.entries()] == [name]
    assert resolve(f"ollama:{name}").path == weights


def test_an_unknown_name_and_an_unknown_tag(ollama_store: OllamaStore):
    """Each is answered with what there is instead."""
    ollama_store.add("registry.ollama.ai/library/llama3.2/latest", MODEL)
    ollama_store.add("registry.ollama.ai/library/llama3.2/1b", MODEL)
    ollama_store.add("registry.ollama.ai/user/model/latest", MODEL)
    assert "Ollama has no 'llama9'; it has llama3.2, llama3.2:1b, user/model" in told("llama9")
    assert "the tags that it has of llama3.2 are latest, 1b." in told("llama3.2:7b")


def test_no_store_at_all(nobody: Path):
    """Where it was looked for, and what puts a model there."""
    sentence = told("llama3.2")
    assert f"Ollama has no models in {nobody / 'ollama'}" in sentence
    assert "'ollama pull llama3.2' gets one" in sentence


def test_the_stores_where_no_setting_names_one(nobody: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The user's own goes before that of the service, and both are looked into."""
    monkeypatch.delenv("OLLAMA_MODELS")
    monkeypatch.setattr(ollama, "SERVICE_STORE", tmp_path / "service")
    own, service = OllamaStore(nobody / ".ollama" / "models"), OllamaStore(tmp_path / "service")
    (first,) = own.add("registry.ollama.ai/library/both/latest", MODEL)
    service.add("registry.ollama.ai/library/both/latest", MODEL)
    (only,) = service.add("registry.ollama.ai/library/only/latest", MODEL)
    assert resolve("ollama:both").path == first
    assert resolve("ollama:only").path == only


@pytest.mark.parametrize(
    ("kinds", "sentence"),
    [
        ((MODEL, ADAPTER), f"has an adapter ({ADAPTER}) beside its weights"),
        ((MODEL, PROJECTOR), f"has a projector for images ({PROJECTOR}) beside its weights"),
        ((MODEL, MODEL), "has 2 layers of weights"),
        ((TENSOR, TEMPLATE), f"has no GGUF file (layers: {TEMPLATE}, {TENSOR})"),
        ((), "has no GGUF file (layers: none)"),
    ],
)
def test_models_of_another_kind_are_refused(kinds: tuple[str, ...], sentence: str, ollama_store: OllamaStore):
    """More or less than one file of weights, which the sentence names."""
    ollama_store.add("registry.ollama.ai/library/odd/latest", *kinds)
    assert f"Ollama's odd {sentence}" in told("odd")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"layers": [{}]}',
        '{"layers": [{"mediaType": "a", "digest": "sha256:../../secret", "size": 1}]}',
        '{"layers": [{"mediaType": "a", "digest": "sha256:' + "0" * 64 + '", "size": "many"}]}',
        '{"layers": ',
    ],
)
def test_a_damaged_manifest(text: str, ollama_store: OllamaStore):
    """It is named, with the command that writes it again."""
    file = ollama_store.write_manifest("registry.ollama.ai/library/bad/latest", text)
    assert told("bad") == f"{file} is damaged; 'ollama pull bad' writes it again."


def test_a_manifest_of_a_model_in_the_cloud(ollama_store: OllamaStore):
    """Its layers are null, since nothing of it is on this machine."""
    ollama_store.write_manifest("registry.ollama.ai/library/big/cloud", '{"layers": null}')
    assert "Ollama's big:cloud has no GGUF file" in told("big:cloud")


def test_a_missing_blob(ollama_store: OllamaStore):
    """The file is named, with the command that gets it again."""
    (weights,) = ollama_store.add("registry.ollama.ai/library/half/latest", MODEL)
    weights.unlink()
    sentence = f"{weights}, the weights of Ollama's half, is missing; 'ollama pull half' gets it again."
    assert told("half") == sentence


@pytest.mark.parametrize("name", ["", "a/b/c/d", "../a", "a/../b", "/a", "a//b", "a:", ":1b", "a/"])
def test_what_is_no_name_of_ollamas(name: str, ollama_store: OllamaStore):
    """Its form is told."""
    ollama_store.add("registry.ollama.ai/library/llama3.2/latest", MODEL)
    assert "does not name a model of Ollama's" in told(name)


pieces = st.sampled_from(["..", ".", "/", ":", "\\", "\0", "~", "llama", "latest", "secret", "blobs", "é"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.lists(pieces, max_size=8).map("".join) | st.text(max_size=20))
def test_no_name_leads_out_of_the_store(name: str, nobody: Path):
    """Whatever is written after `ollama:`, it is a blob of the store or a sentence."""
    store = OllamaStore(nobody / "ollama") if not (nobody / "ollama").exists() else None
    if store is not None:
        store.add("registry.ollama.ai/library/llama/latest", MODEL)
        (nobody / "secret").write_text("not for anybody")
    try:
        found = ollama.find(name)
    except BaseModelError:
        return
    assert found.parent == nobody / "ollama" / "blobs"
    assert os.path.isfile(found)
