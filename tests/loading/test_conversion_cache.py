"""GGUF files are converted once, whole or not at all, and found again."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

import tinker_local.loading.conversion_cache as conversion_cache
from base_models.table import KnownModel, PackageSource
from tinker_local.errors import NotFoundError, StartupError
from tinker_local.loading import BaseModel, load_base_model
from tinker_local.loading.gguf.conversion import write_folder
from tinker_local.service.served_models import find_base
from tiny_gguf import tiny_model, write_tiny_gguf
from waiting import wait_until

CPU = torch.device("cpu")
LOCKS = Path("/proc/locks")
LOAD = """
import sys, torch
from tinker_local.errors import StartupError
from tinker_local.loading import load_base_model
try:
    base = load_base_model(sys.argv[1], "float32", torch.device("cpu"), print)
    print(base.folder)
except StartupError as error:
    print(error)
"""
KILLED_MIDWAY = (
    """
import os, signal
import tinker_local.loading.gguf.conversion as conversion
conversion.write_weights = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
"""
    + LOAD
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where conversions are kept in these tests."""
    monkeypatch.setenv("TINKER_LOCAL_MODELS", str(tmp_path / "models"))
    return tmp_path / "models" / "converted"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("original")
    write_tiny_gguf(folder / "tiny.gguf", tiny_model(folder / "reference", "LlamaForCausalLM"))
    return folder / "tiny.gguf"


@pytest.fixture
def tiny(original: Path, tmp_path: Path) -> Path:
    """A GGUF file alone in its folder."""
    (tmp_path / "mine").mkdir()
    return Path(shutil.copy(original, tmp_path / "mine" / "tiny.gguf"))


def load(file: Path, told: list[str] | None = None, dtype: str = "float32") -> BaseModel:
    return load_base_model(str(file), dtype, CPU, ([] if told is None else told).append)


def start(script: str, file: Path) -> subprocess.Popen[str]:
    """Load a model in a process of its own, which prints what it is told and then the folder."""
    return subprocess.Popen([sys.executable, "-c", script, str(file)], stdout=subprocess.PIPE, text=True)


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def leftovers(home: Path) -> list[str]:
    """What lies among the conversions and is none."""
    found = home.iterdir() if home.exists() else ()
    return sorted(path.name for path in found if path.name not in (".lock", "index.json"))


def test_a_conversion_says_what_it_is(tiny: Path, home: Path):
    """The folder is named by content and type, and says what it was made from and by."""
    told: list[str] = []
    base = load(tiny, told)
    assert told == ["converting tiny.gguf to float32 once (21 tensors)"]
    assert base.folder == home / f"{sha256(tiny)}-float32-v1"
    described = json.loads((base.folder / "converted.json").read_text())
    files = described.pop("files")
    assert described == {
        "sources": ["tiny.gguf"],
        "sha256": sha256(tiny),
        "dtype": "float32",
        "converter": 1,
        "gguf": version("gguf"),
    }
    assert files == {
        path.name: path.stat().st_size for path in base.folder.iterdir() if path.name != "converted.json"
    }
    assert json.loads((base.folder / "config.json").read_text())["dtype"] == "float32"


def test_nothing_is_written_beside_the_file(tiny: Path):
    """A user's folder and file are as they were, and may be read-only."""
    before = tiny.stat()
    tiny.parent.chmod(0o555)
    load(tiny)
    tiny.parent.chmod(0o755)
    assert [path.name for path in tiny.parent.iterdir()] == ["tiny.gguf"]
    assert tiny.stat().st_mtime_ns == before.st_mtime_ns


def test_a_second_start_reads_nothing_of_the_file(tiny: Path, home: Path, monkeypatch: pytest.MonkeyPatch):
    """A file that was converted is known by place, size and time, and is neither hashed nor opened."""
    first = load(tiny)

    def fail(*_: object) -> None:
        raise AssertionError("the file was read")

    monkeypatch.setattr(conversion_cache, "_sha256", fail)
    monkeypatch.setattr("tinker_local.loading.gguf.conversion.read_gguf", fail)
    told: list[str] = []
    second = load(tiny, told)
    assert (second.folder, told) == (first.folder, [])
    assert all(
        torch.equal(second.model.weights[name], weight) for name, weight in first.model.weights.items()
    )


def test_the_same_content_elsewhere_is_not_converted_again(tiny: Path, tmp_path: Path):
    """A file that was moved or copied is found by its content."""
    first = load(tiny)
    told: list[str] = []
    moved = tiny.rename(tmp_path / "moved.gguf")
    assert load(moved, told).folder == first.folder
    assert told == []


def test_a_conversion_that_is_there_needs_nothing_written(tiny: Path, home: Path, tmp_path: Path):
    """Conversions that lie where nothing can be written serve files that the index does not know."""
    first = load(tiny)
    # In the places of what would be written, folders, at which even root fails.
    (home / "index.json").unlink()
    for name in (".lock", ".partial-index.json"):
        (home / name).unlink(missing_ok=True)
        (home / name).mkdir()
    told: list[str] = []
    assert load(tiny.rename(tmp_path / "moved.gguf"), told).folder == first.folder
    assert (told, (home / "index.json").exists()) == ([], False)


def test_other_content_in_the_same_place_is_converted(tiny: Path, home: Path):
    """A file that was replaced is another model, even where it is as long as the one before."""
    first = load(tiny)
    content = tiny.read_bytes()
    tiny.write_bytes(content[:-4] + bytes(4))
    os.utime(tiny, ns=(0, 1))
    told: list[str] = []
    second = load(tiny, told)
    assert second.folder != first.folder
    assert len(told) == 1
    assert len(leftovers(home)) == 2


@pytest.fixture
def got(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file where `symptoms models get` leaves it, under the name `tiny` of a table."""
    row = KnownModel(
        about="for tests",
        parameters=1,
        licence="Apache-2.0",
        sources=(
            PackageSource(
                kind="package",
                package="tiny",
                version="1.0",
                wheel_sha256="0" * 64,
                wheel_bytes=1,
                file="tiny.gguf",
                file_sha256=sha256(tiny),
                file_bytes=tiny.stat().st_size,
            ),
        ),
    )
    monkeypatch.setattr("base_models.resolving.known_models", lambda: {"tiny": row})
    place = tmp_path / "models" / "got" / "tiny" / "tiny.gguf"
    place.parent.mkdir(parents=True)
    return Path(shutil.copy(tiny, place))


def test_a_file_that_was_got_has_to_be_that_of_the_table(got: Path, home: Path):
    """One of the same size is refused before anything is made of it, and the right one is loaded."""
    right = got.read_bytes()
    got.write_bytes(right[:-4] + bytes(4))
    with pytest.raises(StartupError) as caught:
        load_base_model("tiny", "float32", CPU)
    assert str(caught.value) == (
        f"{got} is not the file that the table of models knows as tiny (its SHA-256 differs); "
        "'symptoms models get tiny' gets it again."
    )
    assert leftovers(home) == []
    got.write_bytes(right)
    assert load_base_model("tiny", "float32", CPU).folder.parent == home


def test_the_digest_that_the_index_knows_is_that_of_the_table_too(got: Path, monkeypatch: pytest.MonkeyPatch):
    """A wrong file that was converted by its path is refused by its name, without reading it again."""
    got.write_bytes(got.read_bytes()[:-4] + bytes(4))
    load(got)
    monkeypatch.setattr(conversion_cache, "_sha256", None)
    with pytest.raises(StartupError, match="knows as tiny"):
        load_base_model("tiny", "float32", CPU)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"x": 1}', "\xff"])
def test_a_damaged_index_is_no_harm(content: str, tiny: Path, home: Path):
    """An index that cannot be read only costs reading the file once more."""
    first = load(tiny)
    index = (home / "index.json").read_text()
    (home / "index.json").write_text(content, encoding="latin-1")
    told: list[str] = []
    assert (load(tiny, told).folder, told) == (first.folder, [])
    assert (home / "index.json").read_text() == index


@pytest.mark.parametrize("removed", ["model.safetensors", "tokenizer.json", "config.json", "converted.json"])
def test_a_conversion_that_lost_a_file_is_made_again(removed: str, tiny: Path, home: Path):
    """Where something tidied up the cache, the folder is made anew."""
    first = load(tiny)
    (first.folder / removed).unlink()
    told: list[str] = []
    assert load(tiny, told).folder == first.folder
    assert len(told) == 1
    assert (first.folder / removed).exists()


def test_the_models_folder_may_be_removed(tiny: Path, home: Path):
    """What was converted can be had again at any time."""
    first = load(tiny)
    shutil.rmtree(home.parent)
    assert load(tiny).folder == first.folder


def test_each_type_has_its_folder(tiny: Path, home: Path):
    """One file can be computed in either type, each converted once."""
    told: list[str] = []
    folders = [load(tiny, told, dtype).folder for dtype in ("float32", "bfloat16", "float32", "bfloat16")]
    assert folders == [home / f"{sha256(tiny)}-{dtype}-v1" for dtype in ("float32", "bfloat16")] * 2
    assert len(told) == 2


def test_two_processes_at_once(tiny: Path, home: Path):
    """Of two servers that start on the same file one converts it, and both load it."""
    processes = [start(LOAD, tiny) for _ in range(2)]
    lines = [process.communicate()[0].splitlines() for process in processes]
    folder = str(home / f"{sha256(tiny)}-float32-v1")
    assert [each[-1] for each in lines] == [folder, folder]
    assert sorted(len(each) for each in lines) == [1, 2]
    assert leftovers(home) == [Path(folder).name]


def test_a_killed_conversion_is_cleared_away_by_the_next(tiny: Path, home: Path):
    """What a process left that was killed midway is gone after the next conversion."""
    killed = start(KILLED_MIDWAY, tiny)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    [partial] = leftovers(home)
    assert partial.startswith(".partial-")
    base = load(tiny)
    assert leftovers(home) == [base.folder.name]


def waits_for_a_lock(pid: int) -> bool:
    """Whether a process sleeps until another gives back a lock, as the kernel tells it."""
    return any("->" in line and f" {pid} " in line for line in LOCKS.read_text().splitlines())


@pytest.mark.skipif(not LOCKS.exists(), reason="the kernel does not tell who waits for a lock here")
def test_a_live_conversion_is_left_alone(tiny: Path, home: Path):
    """What another process is still writing stays until that is done."""
    home.mkdir(parents=True)
    with open(home / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (home / ".partial-other").mkdir()
        waiting = start(LOAD, tiny)
        wait_until(lambda: waits_for_a_lock(waiting.pid), "the other process to come to the lock")
        assert leftovers(home) == [".partial-other"]
    assert len(waiting.communicate()[0].splitlines()) == 2
    assert leftovers(home) == [f"{sha256(tiny)}-float32-v1"]


def test_a_full_disk(tiny: Path, tiny_disk: Path, monkeypatch: pytest.MonkeyPatch):
    """Where the disk has no room, one sentence says how much is needed, and the room is free again."""
    monkeypatch.setenv("TINKER_LOCAL_MODELS", str(tiny_disk))
    with pytest.raises(StartupError) as caught:
        load(tiny)
    home = tiny_disk / "converted"
    assert str(caught.value) == (
        f"tiny.gguf takes 0.0 GiB as float32, for which {home} has no room; free some, or set "
        "TINKER_LOCAL_MODELS to a folder on another disk."
    )
    assert leftovers(home) == []
    assert shutil.disk_usage(tiny_disk).free > 200_000


def limited(file: Path) -> str:
    """What loading says where no file may be longer than 64 KiB."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(file)],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536)),
    )
    return done.stdout.splitlines()[-1]


def test_a_disk_that_refuses(tiny: Path, home: Path):
    """Any other refusal is told with the system's reason, and nothing is left."""
    assert limited(tiny) == (
        f"tiny.gguf cannot be converted in {home} (File too large); set TINKER_LOCAL_MODELS to another "
        "folder."
    )
    assert leftovers(home) == []


def test_a_home_that_cannot_be_made(tiny: Path, home: Path):
    """A file where the folder should be is told."""
    home.parent.write_text("a file")
    with pytest.raises(StartupError, match=r"cannot be converted in .*\(Not a directory\)"):
        load(tiny)


def test_a_file_that_changes_while_it_is_read(tiny: Path, home: Path, monkeypatch: pytest.MonkeyPatch):
    """A download that is still under way is not taken for a model."""

    def write_and_touch(*arguments: object) -> None:
        write_folder(*arguments)  # type: ignore[arg-type]
        os.utime(tiny, ns=(0, 1))

    monkeypatch.setattr("tinker_local.loading.gguf.conversion.write_folder", write_and_touch)
    with pytest.raises(StartupError, match="was changed while it was read; start again once it is whole"):
        load(tiny)
    assert leftovers(home) == []


def test_a_model_is_found_by_every_path_that_means_it(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A client may name the file, the folder it is alone in, or what it was converted to."""
    base = load(tiny.parent)
    assert base.name == str(tiny.parent)
    (tmp_path / "link.gguf").symlink_to(tiny)
    monkeypatch.chdir(tmp_path)
    for name in (tiny, tiny.parent, base.folder, tmp_path / "link.gguf", "mine/tiny.gguf", "mine/../mine"):
        assert find_base({base.name: base}, str(name)) is base
    with pytest.raises(NotFoundError):
        find_base({base.name: base}, str(tmp_path))
