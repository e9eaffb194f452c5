"""Models in LM Studio's folder, found by publisher and repository."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from base_models import BaseModelError, resolve
from base_models.origins import lm_studio
from other_stores import add_to_lm_studio


def told(name: str) -> str:
    """The sentence that resolving ends with."""
    with pytest.raises(BaseModelError) as caught:
        resolve(f"lmstudio:{name}")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def folder(nobody: Path) -> Path:
    """Where LM Studio keeps models."""
    return nobody / ".lmstudio" / "models"


def test_a_repository_with_one_file(folder: Path):
    """Its file need not be named, but may be; a projector beside it does not count."""
    file = add_to_lm_studio(folder, "org/model-GGUF/model-Q4_K_M.gguf")
    add_to_lm_studio(folder, "org/model-GGUF/mmproj-model-f16.gguf")
    add_to_lm_studio(folder, "org/model-GGUF/README.md")
    assert resolve("lmstudio:org/model-GGUF").path == file
    assert resolve("lmstudio:org/model-GGUF/model-Q4_K_M.gguf").path == file


def test_a_repository_with_several_files(folder: Path):
    """One of them has to be named, and the sentence names them."""
    four = add_to_lm_studio(folder, "org/model/model-Q4_0.gguf")
    eight = add_to_lm_studio(folder, "org/model/model-Q8_0.gguf")
    assert "add one to the name: /model-Q4_0.gguf, /model-Q8_0.gguf." in told("org/model")
    assert resolve("lmstudio:org/model/model-Q4_0.gguf").path == four
    assert resolve("lmstudio:org/model/model-Q8_0.gguf").path == eight
    assert "has no 'other.gguf'; it has model-Q4_0.gguf, model-Q8_0.gguf." in told("org/model/other.gguf")


def test_names_are_those_that_find_the_file(folder: Path):
    """With the file where there are several, without where there is one."""
    add_to_lm_studio(folder, "org/one/a.gguf")
    add_to_lm_studio(folder, "org/two/a.gguf")
    add_to_lm_studio(folder, "org/two/b.gguf")
    names = dict(pair for one in lm_studio.repositories() for pair in lm_studio.names_of(one))
    assert list(names) == ["org/one", "org/two/a.gguf", "org/two/b.gguf"]
    assert all(resolve(f"lmstudio:{name}").path == file for name, file in names.items())


def test_what_is_not_there(folder: Path):
    """No folder, another repository, one without a GGUF file."""
    assert f"LM Studio has no GGUF files in {folder}" in told("org/model")
    add_to_lm_studio(folder, "org/model/a.gguf")
    add_to_lm_studio(folder, "org/mlx/model.safetensors")
    for name in ("org/other", "org/mlx"):
        assert f"LM Studio has no GGUF file of '{name}'; it has those of org/model." in told(name)


@pytest.mark.parametrize("place", ["older", "pointed to", "settings"])
def test_where_the_folder_may_be(place: str, nobody: Path, tmp_path: Path):
    """That of older versions, one that a file in the home names, one that the settings name."""
    if place == "older":
        folder = nobody / ".cache" / "lm-studio" / "models"
    elif place == "pointed to":
        (nobody / ".lmstudio-home-pointer").write_text(f"{tmp_path / 'elsewhere'}\n")
        folder = tmp_path / "elsewhere" / "models"
    else:
        (nobody / ".lmstudio").mkdir()
        settings_file = nobody / ".lmstudio" / "settings.json"
        settings_file.write_text(json.dumps({"downloadsFolder": str(tmp_path / "large disk")}))
        folder = tmp_path / "large disk"
    file = add_to_lm_studio(folder, "org/model/a.gguf")
    assert resolve("lmstudio:org/model").path == file


@pytest.mark.parametrize("text", ["{", "[]", '{"downloadsFolder": 1}', "\udcff"])
def test_settings_that_say_nothing(text: str, folder: Path):
    """The usual folder is used where LM Studio's settings cannot be read."""
    file = add_to_lm_studio(folder, "org/model/a.gguf")
    (folder.parent / "settings.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert resolve("lmstudio:org/model").path == file


@pytest.mark.parametrize(
    "name", ["", "org", "a/b/c/d", "../b", "a/..", "org/model/../../x.gguf", "/a", "a//b"]
)
def test_what_is_no_name_of_lm_studios(name: str, folder: Path):
    """Its form is told."""
    add_to_lm_studio(folder, "org/model/a.gguf")
    assert "does not name a model of LM Studio's" in told(name)


pieces = st.sampled_from(["..", ".", "/", "\\", "\0", "~", "org", "model", "a.gguf", "secret.gguf", "é"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.lists(pieces, max_size=8).map("".join) | st.text(max_size=20))
def test_no_name_leads_out_of_the_folder(name: str, folder: Path):
    """Whatever is written after `lmstudio:`, it is a file of the folder or a sentence."""
    if not folder.exists():
        add_to_lm_studio(folder, "org/model/a.gguf")
        add_to_lm_studio(folder.parent, "secret.gguf")
    try:
        found = lm_studio.find(name)
    except BaseModelError:
        return
    assert found == folder / "org" / "model" / "a.gguf"
    assert os.path.isfile(found)
