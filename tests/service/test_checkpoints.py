"""Checkpoints come back as they were saved, or are refused."""

from __future__ import annotations

import itertools
import os
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import PeftModel

from tinker_local.engine.model.lora import Adapter, LoraConfig
from tinker_local.errors import CheckpointError, NotFoundError
from tinker_local.loading import load_base_model
from tinker_local.service.checkpoints import CheckpointPath, CheckpointStore, check_name, parse_path
from tiny_models import write_tiny_model

CPU = torch.device("cpu")
PATH = CheckpointPath("abc:train:0", "weights", "step-1")


@pytest.fixture
def adapter(tiny_model: Path) -> Adapter:
    config = load_base_model(str(tiny_model), "float32", CPU).model.config
    made = Adapter.initial(config, LoraConfig(4), 0, CPU)
    made.flat.normal_(std=0.1, generator=torch.Generator().manual_seed(1))
    return made


def save(store: CheckpointStore, adapter: Adapter, path: CheckpointPath = PATH, **changes: object) -> None:
    state = {"exp_avg": adapter.flat * 2, "exp_avg_sq": adapter.flat**2, "step": torch.tensor(3.0)}
    settings: dict[str, object] = {"overwrite": False, "expires": None, "user_metadata": None, **changes}
    store.save(path, "tiny", adapter, state, **settings)


def fail_at_rename(patch: pytest.MonkeyPatch, number: int, failure: BaseException) -> None:
    """Let the rename of this number, counted from one, raise; those before and after it work."""
    rename, count = Path.rename, itertools.count(1)

    def failing(self: Path, target: Path) -> Path:
        if next(count) == number:
            raise failure
        return rename(self, target)

    patch.setattr(Path, "rename", failing)


def test_round_trip(tmp_path: Path, adapter: Adapter):
    """Every number of adapter and optimizer comes back bit for bit."""
    store = CheckpointStore(tmp_path)
    save(store, adapter)
    info, loaded = store.load(PATH, adapter.model)
    assert torch.equal(loaded.flat, adapter.flat)
    assert info.lora == adapter.config
    assert torch.equal(store.load_optimizer(PATH)["exp_avg"], adapter.flat * 2)
    assert [found.path for found in store.list()] == [str(PATH)]


def test_an_adapter_in_eight_bits_is_smaller_and_nearly_the_same(tmp_path: Path, adapter: Adapter):
    """No number is off by more than half of a step of its rank, and none of the effects by a hundredth."""
    store = CheckpointStore(tmp_path)
    store.save(PATH, "tiny", adapter)
    whole = store.size(PATH)
    store.save(PATH, "tiny", adapter, overwrite=True, eight_bits=True)
    assert store.size(PATH) < 0.6 * whole, "a quarter, but that names and scales take much of tiny layers"
    _, loaded = store.load(PATH, adapter.model)
    for name, (a, b) in adapter.matrices.items():
        found_a, found_b = loaded.matrices[name]
        assert bool(((found_a - a).abs() <= a.abs().amax(1, keepdim=True) / 253).all())
        assert bool(((found_b - b).abs() <= b.abs().amax(0, keepdim=True) / 253).all())
        assert torch.dist(found_b @ found_a, b @ a) < 0.01 * (b @ a).norm()
    with pytest.raises(CheckpointError, match=r"'tinker-local export .* --to peft' writes it"):
        store.peft_files(PATH)


def test_shipped_checkpoints_are_loaded_and_left_alone(tmp_path: Path, adapter: Adapter):
    """A checkpoint of a shipped folder loads as one's own does, is not listed, and cannot be deleted."""
    shipped = CheckpointStore(tmp_path / "shipped")
    save(shipped, adapter)
    store = CheckpointStore(tmp_path / "own", [shipped.runs])
    assert torch.equal(store.load(PATH, adapter.model)[1].flat, adapter.flat)
    assert store.size(PATH) == shipped.size(PATH)
    assert not list(store.list())
    with pytest.raises(NotFoundError, match="no checkpoint"):
        store.delete(PATH)
    assert shipped.info(PATH).path == str(PATH)


def test_ones_own_checkpoint_goes_before_a_shipped_one_of_its_name(tmp_path: Path, adapter: Adapter):
    """What was saved here under the name of a shipped checkpoint is what is loaded."""
    shipped = CheckpointStore(tmp_path / "shipped")
    save(shipped, adapter)
    store = CheckpointStore(tmp_path / "own", [shipped.runs])
    other = Adapter(adapter.model, adapter.config, adapter.flat + 1)
    save(store, other)
    assert torch.equal(store.load(PATH, adapter.model)[1].flat, other.flat)


@pytest.mark.parametrize("architecture", ["LlamaForCausalLM", "Qwen3ForCausalLM"])
def test_peft_reads_our_adapters(tmp_path: Path, architecture: str):
    """A saved adapter is one that peft loads, and computes the same logits with."""
    reference = write_tiny_model(tmp_path / "model", architecture, tie_word_embeddings=False)
    base = load_base_model(str(tmp_path / "model"), "float32", CPU).model
    adapter = Adapter.initial(base.config, LoraConfig(4), 0, CPU)
    adapter.flat.normal_(std=0.1, generator=torch.Generator().manual_seed(1))
    store = CheckpointStore(tmp_path)
    save(store, adapter)
    peft = PeftModel.from_pretrained(reference, str(store.folder(PATH)))
    tokens = torch.arange(60)[None]
    with torch.no_grad():
        ours = base.logits(base.hidden(tokens, adapter.project), adapter.project)
        torch.testing.assert_close(ours, peft(tokens).logits, atol=1e-4, rtol=0)


@pytest.mark.parametrize("file", ["adapter_model.safetensors", "optimizer.safetensors"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "remove"])
def test_damage_is_found(tmp_path: Path, adapter: Adapter, file: str, damage: str):
    """A flipped byte, a short file and a missing one are named, never loaded."""
    store = CheckpointStore(tmp_path)
    save(store, adapter)
    target = store.folder(PATH) / file
    content = bytearray(target.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
        target.write_bytes(content)
    elif damage == "truncate":
        target.write_bytes(content[:-1])
    else:
        target.unlink()
    with pytest.raises(CheckpointError, match=file.replace(".", r"\.")):
        store.load_optimizer(PATH) if "optimizer" in file else store.load(PATH, adapter.model)


def test_half_written_is_not_listed(tmp_path: Path, adapter: Adapter):
    """A folder that a crash left under its temporary name is no checkpoint."""
    store = CheckpointStore(tmp_path)
    save(store, adapter)
    store.folder(PATH).rename(store.folder(PATH).with_name(".partial-x"))
    assert list(store.list()) == []
    with pytest.raises(NotFoundError):
        store.info(PATH)


def test_names_are_kept_unless_overwritten(tmp_path: Path, adapter: Adapter):
    """A second save under one name is refused; with overwrite it replaces the first."""
    store = CheckpointStore(tmp_path)
    save(store, adapter)
    with pytest.raises(CheckpointError, match="exists already"):
        save(store, adapter)
    adapter.flat.add_(1)
    save(store, adapter, overwrite=True)
    assert torch.equal(store.load(PATH, adapter.model)[1].flat, adapter.flat)
    assert [entry.name for entry in store.folder(PATH).parent.iterdir()] == ["step-1"]


PAST = datetime.now(UTC) - timedelta(seconds=1)


@pytest.mark.parametrize("touch", ["load", "list", "delete", "start", "save"])
def test_expired_is_gone(tmp_path: Path, adapter: Adapter, touch: str):
    """A checkpoint whose time is over is not there, its files go at the first touch, its name is free."""
    store = CheckpointStore(tmp_path)
    save(store, adapter, expires=PAST)
    if touch == "load":
        with pytest.raises(NotFoundError, match="expired"):
            store.load(PATH, adapter.model)
    elif touch == "list":
        assert list(store.list()) == []
    elif touch == "delete":
        with pytest.raises(NotFoundError):
            store.delete(PATH)
    elif touch == "start":
        CheckpointStore(tmp_path).recover()
    if touch != "save":
        assert list(store.folder(PATH).parent.iterdir()) == []
    save(store, adapter)
    assert [info.expires for info in store.list()] == [None]


def test_each_checkpoint_is_read_once(tmp_path: Path, adapter: Adapter, monkeypatch: pytest.MonkeyPatch):
    """Listing again reads only what has changed on the disk, by this server or by another."""
    store, other = CheckpointStore(tmp_path), CheckpointStore(tmp_path)
    paths = [CheckpointPath(f"s:train:{run}", "weights", "x") for run in range(3)]
    for path in paths:
        save(store, adapter, path)
    read: list[Path] = []
    read_bytes = Path.read_bytes

    def counted(self: Path) -> bytes:
        read.append(self)
        return read_bytes(self)

    monkeypatch.setattr(Path, "read_bytes", counted)
    assert [info.path for info in store.list()] == [str(path) for path in paths]
    assert len(read) == 3
    assert [info.path for info in store.list(paths[1].run)] == [str(paths[1])]
    assert len(read) == 3
    expires = datetime.now(UTC) + timedelta(days=1)
    other.set_expiry(paths[0], expires)
    other.delete(paths[1])
    read.clear()
    assert [(info.path, info.expires) for info in store.list()] == [
        (str(paths[0]), expires),
        (str(paths[2]), None),
    ]
    assert read == [store.folder(paths[0]) / "checkpoint.json"]


@pytest.mark.parametrize("run", ["..", "*", "", "a/b", "%2e%2e"])
def test_only_a_runs_own_folder_is_listed(tmp_path: Path, adapter: Adapter, run: str):
    """What cannot name a run lists nothing, wherever it would lead as a path."""
    store = CheckpointStore(tmp_path)
    save(store, adapter)
    assert list(store.list(run)) == []


def test_unwritable_folder_is_told(tmp_path: Path, adapter: Adapter):
    """Where the disk refuses, the save fails with a reason and leaves nothing."""
    (tmp_path / "runs").write_text("a file where a folder should be")
    with pytest.raises(CheckpointError, match="could not be saved"):
        save(CheckpointStore(tmp_path), adapter)


@pytest.mark.parametrize("failing", [1, 2])
def test_a_failed_replacement_leaves_the_old(
    tmp_path: Path, adapter: Adapter, monkeypatch: pytest.MonkeyPatch, failing: int
):
    """Where an overwriting save fails between its renames, the old checkpoint is there, and it alone."""
    store = CheckpointStore(tmp_path)
    save(store, adapter)
    fail_at_rename(monkeypatch, failing, OSError(28, "No space left on device"))
    with pytest.raises(CheckpointError, match="No space left"):
        save(store, adapter, overwrite=True)
    assert store.load(PATH, adapter.model)[0].path == str(PATH)
    assert [entry.name for entry in store.folder(PATH).parent.iterdir()] == ["step-1"]


@pytest.mark.parametrize("failing", [1, 2])
def test_a_death_while_replacing_leaves_the_old(
    tmp_path: Path, adapter: Adapter, monkeypatch: pytest.MonkeyPatch, failing: int
):
    """After a death between the renames of an overwriting save, the next start finds the old checkpoint."""

    class Death(BaseException):
        pass

    store = CheckpointStore(tmp_path)
    save(store, adapter)
    with monkeypatch.context() as patch:
        fail_at_rename(patch, failing, Death())
        with pytest.raises(Death):
            save(store, adapter, overwrite=True)
    store.recover()
    assert torch.equal(store.load(PATH, adapter.model)[1].flat, adapter.flat)


def test_a_death_after_replacing_leaves_the_new(tmp_path: Path, adapter: Adapter):
    """The old copy that a death left behind goes at the next start."""
    store = CheckpointStore(tmp_path)
    save(store, adapter)
    shutil.copytree(store.folder(PATH), store.folder(PATH).with_name(".replaced-step-1.0"))
    store.recover()
    assert [entry.name for entry in store.folder(PATH).parent.iterdir()] == ["step-1"]


def test_only_abandoned_folders_are_cleared(tmp_path: Path, adapter: Adapter):
    """A start removes half-written folders of long ago, and none that may be another server's."""
    store = CheckpointStore(tmp_path)
    save(store, adapter)
    for age in (10, 10_000):
        folder = store.folder(PATH).with_name(f".partial-{age}")
        folder.mkdir()
        os.utime(folder, (time.time() - age, time.time() - age))
    store.recover()
    assert sorted(entry.name for entry in store.folder(PATH).parent.iterdir()) == [".partial-10", "step-1"]


def test_a_failed_save_leaves_no_folder(tmp_path: Path, adapter: Adapter, monkeypatch: pytest.MonkeyPatch):
    """The folders that a first save made for itself go with it when it fails."""
    fail_at_rename(monkeypatch, 1, OSError(28, "No space left on device"))
    with pytest.raises(CheckpointError):
        save(CheckpointStore(tmp_path), adapter)
    assert list(tmp_path.iterdir()) == []


def test_a_name_too_long_for_the_disk_is_told(tmp_path: Path, adapter: Adapter):
    """What the file system refuses to name is the request's fault, not a failure of the server."""
    with pytest.raises(CheckpointError, match="could not be saved"):
        save(CheckpointStore(tmp_path), adapter, CheckpointPath("a" * 300, "weights", "x"))


@given(st.text(max_size=40))
def test_names_cannot_leave_the_store(name: str):
    """A name is either refused, or is one plain component of a path."""
    try:
        check_name(name)
    except CheckpointError:
        return
    assert Path("store", name).resolve().parent == Path("store").resolve()
    assert not name.startswith(".")


@pytest.mark.parametrize(
    "text",
    [
        "tinker://run/weights/../x",
        "tinker://../weights/x",
        "tinker://run/weights/a/b",
        "tinker:///weights/x",
        "/etc/passwd",
        "tinker://run/other/x",
        "tinker://run/weights/",
        "tinker://run/weights/.partial-1",
    ],
)
def test_odd_paths_are_refused(text: str):
    """Paths that are not tinker://<run>/<kind>/<name> are refused."""
    with pytest.raises(CheckpointError):
        parse_path(text)


def test_paths_parse_back():
    """A path's text parses to the same path."""
    assert parse_path(str(PATH)) == PATH
