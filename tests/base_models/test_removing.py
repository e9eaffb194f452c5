"""Removing takes away what was got and what it was converted to, and nobody else's files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from base_models import BaseModelError
from base_models.conversions import conversions
from base_models.getting import get, held_home
from base_models.removing import remove, remove_conversions
from model_sources import NAME, WEIGHTS, TinyPackage, conversion_note, silent

DIGEST = hashlib.sha256(WEIGHTS).hexdigest()


def convert(home: Path, digest: str, kind: str) -> Path:
    """A conversion as the server leaves it: a folder with its note and 1,000 bytes of weights."""
    folder = home / "converted" / f"{digest}-{kind}"
    folder.mkdir(parents=True)
    (folder / "converted.json").write_text(conversion_note(digest, dtype=kind))
    (folder / "model.safetensors").write_bytes(bytes(1000))
    return folder


@pytest.fixture
def got(tiny_package: TinyPackage) -> TinyPackage:
    get(NAME, silent)
    return tiny_package


def test_a_model_goes_with_its_conversions(got: TinyPackage):
    """Those of its digest go, in any type; one of another file stays."""
    of_it = {convert(got.home, DIGEST, kind) for kind in ("float32", "bfloat16")}
    other = convert(got.home, "0" * 64, "float32")
    removed = remove(NAME)
    assert removed.file == got.file
    assert {one.folder for one in removed.conversions} == of_it
    assert removed.size == len(WEIGHTS) + sum(one.size for one in removed.conversions)
    assert got.left_behind() == []
    assert [one.folder for one in conversions()] == [other]


def test_a_file_that_has_changed_goes_with_its_conversions(got: TinyPackage):
    """Those of the file as it was got go, beside those of what it has become."""
    of_it = {convert(got.home, DIGEST, "float32")}
    got.file.write_bytes(b"other")
    of_it.add(convert(got.home, hashlib.sha256(b"other").hexdigest(), "float32"))
    assert {one.folder for one in remove(NAME).conversions} == of_it
    assert conversions() == []


def test_what_was_not_got_stays(got: TinyPackage):
    """A file of the user's beside the model's is left, and its folder with it."""
    mine = got.file.parent / "notes.txt"
    mine.write_text("mine")
    remove(NAME)
    assert mine.read_text() == "mine"
    assert not got.file.exists()


def test_all_conversions_go_and_nothing_else(tiny_package: TinyPackage):
    """A folder without the note of a conversion is somebody else's."""
    folders = [convert(tiny_package.home, digit * 64, "float32") for digit in "01"]
    somebodys = tiny_package.home / "converted" / "by hand"
    somebodys.mkdir()
    (somebodys / "model.safetensors").write_bytes(b"weights")
    assert [one.folder for one in remove_conversions()] == folders
    assert not any(folder.exists() for folder in folders)
    assert (somebodys / "model.safetensors").exists()
    assert remove_conversions() == ()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("symptoms-base", "symptoms-base is part of the package; uninstall that to remove it."),
        (NAME, "tiny is not on this machine, so there is nothing to remove."),
        ("tinny", "There is no model to remove by the name 'tinny'; did you mean tiny?"),
        ("org/model", "There is no model to remove by the name 'org/model'; only what"),
        ("ollama:llama3.2", "ollama:llama3.2 is Ollama's; 'ollama rm llama3.2' removes it."),
        ("lmstudio:org/model", "lmstudio:org/model is LM Studio's; remove it there."),
    ],
)
def test_what_cannot_be_removed(name: str, sentence: str, tiny_package: TinyPackage):
    """What is part of the package, not here, unknown or another program's, each in a sentence."""
    with pytest.raises(BaseModelError) as caught:
        remove(name)
    assert str(caught.value).startswith(sentence)


def test_nothing_is_removed_while_another_process_gets(got: TinyPackage):
    """It would remove what that one is about to name."""
    with held_home(), pytest.raises(BaseModelError, match="Another process is getting or removing models"):
        remove(NAME)
    assert got.file.exists()
