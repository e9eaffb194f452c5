"""Which folders of a base model are taken for conversions that our own server made."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from model_sources import conversion_note
from symptoms.service.model_folder import digest_of_weights, tokenizer_says_all

MADE_OF = "a" * 64


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TINKER_LOCAL_MODELS", str(tmp_path / "models"))
    return tmp_path / "models" / "converted"


def write_folder(folder: Path, note: str) -> None:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "converted.json").write_text(note)


def note(**changes: object) -> str:
    files = {"config.json": 2, "model.safetensors": 7}
    return conversion_note(MADE_OF, **{"files": files, **changes})


def digest_of_files(folder: Path) -> str:
    whole = hashlib.sha256()
    for name in ("config.json", "model.safetensors"):
        whole.update(hashlib.sha256((folder / name).read_bytes()).digest())
    return whole.hexdigest()


def test_a_conversion_goes_by_what_it_was_made_of(home: Path, tmp_path: Path):
    """Among the conversions, also by a link to them, the digest is the GGUF file's."""
    write_folder(home / "one", note())
    (tmp_path / "link").symlink_to(home)
    for folder in (home / "one", tmp_path / "link" / "one"):
        assert tokenizer_says_all(folder)
        assert digest_of_weights(folder) == MADE_OF


def test_a_copy_of_a_conversion_is_any_folder(home: Path, tmp_path: Path):
    """A copy elsewhere may have been saved over, so its digest is that of its files."""
    write_folder(tmp_path / "copy", note())
    assert not tokenizer_says_all(tmp_path / "copy")
    assert digest_of_weights(tmp_path / "copy") == digest_of_files(tmp_path / "copy")


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[]",
        "not JSON",
        note(sha256=1),
        note(sha256="short"),
        note(files=None),
        note(files={"model.safetensors": 8}),
        note(files={"gone.json": 1}),
        note(files={"\0": 1}),
    ],
)
def test_a_description_that_does_not_hold_is_nothing(text: str, home: Path):
    """Where the description is damaged, or the files have other sizes, the folder is any folder."""
    write_folder(home / "one", text)
    assert not tokenizer_says_all(home / "one")
    assert digest_of_weights(home / "one") == digest_of_files(home / "one")
