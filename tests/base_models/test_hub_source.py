"""A known model from the model hub, on demand: into the hub's own cache, found again by its commit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import huggingface_hub
import pytest

from base_models import BaseModelError, resolve
from base_models.getting import get
from base_models.listing import list_models
from base_models.removing import remove
from model_sources import NAME, TinyPackage, silent

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def snapshot(tiny_package: TinyPackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository in the hub's cache as the hub's client leaves it, and that client without a network."""
    repository = tmp_path / "hub" / "models--example-lab--tiny"
    folder = repository / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    real = huggingface_hub.snapshot_download

    def offline(name: str, **options: object) -> str:
        return real(name, **{**options, "cache_dir": tmp_path / "hub", "local_files_only": True})

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    return folder


def test_the_commit_is_noted_and_found_again(snapshot: Path, tiny_package: TinyPackage):
    """The name resolves to that commit, also when the repository has a newer one since."""
    assert get(NAME, silent, "hub").path == snapshot
    note = json.loads((tiny_package.home / "got" / NAME / "source.json").read_text())
    assert note == {"repository": "example-lab/tiny", "commit": COMMIT}
    (snapshot.parents[1] / "refs" / "main").write_text("f" * 40)
    assert resolve(NAME).path == snapshot
    assert tiny_package.left_behind() == ["tiny", "tiny/source.json"]


def test_the_package_file_goes_before_it(snapshot: Path, tiny_package: TinyPackage):
    """With both got, the name means the file, and the commit once the file is gone."""
    get(NAME, silent, "hub")
    get(NAME, silent)
    assert resolve(NAME).path == tiny_package.file
    tiny_package.file.unlink()
    assert resolve(NAME).path == snapshot


def test_a_cache_that_was_cleared(snapshot: Path, tiny_package: TinyPackage):
    """The sentence has the command that gets it again, and no other commit is taken."""
    get(NAME, silent, "hub")
    shutil.rmtree(snapshot)
    with pytest.raises(BaseModelError) as caught:
        resolve(NAME)
    assert str(caught.value) == (
        "example-lab/tiny is no longer in the model hub's cache; "
        "'symptoms models get tiny --from hub' gets it again."
    )


@pytest.mark.parametrize("text", ["", "{}", '{"repository": "example-lab/tiny", "commit": "../../main"}'])
def test_a_damaged_note(text: str, snapshot: Path, tiny_package: TinyPackage):
    """It is named, can be written again, and can be removed."""
    get(NAME, silent, "hub")
    note = tiny_package.home / "got" / NAME / "source.json"
    note.write_text(text)
    with pytest.raises(
        BaseModelError, match=r"source.json is damaged; 'symptoms models get tiny --from hub'"
    ):
        resolve(NAME)
    get(NAME, silent, "hub")
    assert resolve(NAME).path == snapshot
    note.write_text(text)
    remove(NAME)
    assert tiny_package.left_behind() == []


def test_removing_leaves_the_cache_to_the_hubs_client(snapshot: Path, tiny_package: TinyPackage):
    """Only the note goes, and what stays is told."""
    get(NAME, silent, "hub")
    assert remove(NAME).left_in_hub_cache == "example-lab/tiny"
    assert (snapshot / "model.safetensors").exists()
    assert tiny_package.left_behind() == []


def test_it_is_listed_with_its_place(snapshot: Path, tiny_package: TinyPackage):
    """Its size is that of its files."""
    get(NAME, silent, "hub")
    (listed,) = [one for one in list_models() if one.name == NAME]
    assert (listed.where, listed.path, listed.size) == ("hub cache", snapshot, 2 + len(b"weights"))


def test_a_source_that_a_model_does_not_have(tiny_package: TinyPackage):
    """The sentence names those that it has."""
    text = tiny_package.table.read_text()
    row, bundled = text.split("[symptoms-base]")
    package = row.split("[[tiny.sources]]")[:2]
    tiny_package.table.write_text("[[tiny.sources]]".join(package) + f"[symptoms-base]{bundled}")
    with pytest.raises(BaseModelError, match=r"tiny cannot be got from the hub; use --from package\."):
        get(NAME, silent, "hub")
