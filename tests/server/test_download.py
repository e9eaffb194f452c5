"""Checkpoints leave the server: over links that are signed, with the SDK's own command, and into a folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from safetensors.numpy import load_file

from raw_client import KEY, FailedError, RawClient, RawRun, ServerProcess, tokens_of_step

FILES = {"adapter_config.json", "adapter_model.safetensors"}


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exports")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def process(tiny_model: Path, home: Path, exports: Path) -> Iterator[ServerProcess]:
    with ServerProcess(tiny_model, home, options=["--export-to", str(exports)]) as running:
        yield running


@pytest.fixture(scope="module")
def trained(process: ServerProcess) -> Iterator[RawRun]:
    with RawClient(process) as client:
        run = client.create()
        run.step(tokens_of_step(1))
        yield run


def links(process: ServerProcess, path: str) -> dict[str, str]:
    route = path.removeprefix("tinker://").replace("/", "/checkpoints/", 1)
    answer = httpx.get(
        f"{process.url}/api/v1/training_runs/{route}/external_weights_urls",
        headers={"X-API-Key": KEY},
        trust_env=False,
    )
    answer.raise_for_status()
    return answer.json()["urls"]


def of_disk(home: Path, path: str) -> Path:
    run, kind, name = path.removeprefix("tinker://").split("/")
    return home / "runs" / run.replace(":", "%3A") / kind / name


def test_the_tinker_command_downloads_a_training_checkpoint(
    process: ServerProcess, trained: RawRun, home: Path, exports: Path, tmp_path: Path
):
    """`tinker checkpoint download` brings the very adapter that was saved, and leaves nothing behind it."""
    state = trained.save("to-download")
    told = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "TINKER_TELEMETRY": "0"}
    command = [sys.executable, "-m", "tinker.cli", "--format", "json", "checkpoint", "download", state]
    done = subprocess.run(
        [*command, "--output", str(tmp_path / "out")],
        env={**os.environ, **told, "TINKER_BASE_URL": process.url, "TINKER_API_KEY": KEY},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    folder = Path(json.loads(done.stdout[done.stdout.index("{") :])["destination"])
    assert {file.name for file in folder.iterdir()} == FILES
    ours, theirs = (
        load_file(place / "adapter_model.safetensors") for place in (of_disk(home, state), folder)
    )
    assert ours.keys() == theirs.keys()
    assert all((ours[name] == theirs[name]).all() for name in ours)
    assert not [file for file in (home / "runs").glob("*/external_weights/*") if file.name == "download"]
    assert not (exports / "download").exists()


def test_a_link_holds_without_a_key_and_for_its_file_alone(process: ServerProcess, trained: RawRun):
    """Another file, another checkpoint, another end or a changed signature are refused."""
    path, other = trained.export("linked"), trained.export("unlinked")
    urls = links(process, path)
    assert urls.keys() == FILES
    adapter, config = urls["adapter_model.safetensors"], urls["adapter_config.json"]
    assert httpx.get(adapter, trust_env=False).status_code == 200
    assert json.loads(httpx.get(config, trust_env=False).content)["r"] == 4
    wrong = [
        adapter.replace("adapter_model.safetensors", "adapter_config.json"),
        adapter.replace("/linked/", "/unlinked/"),
        adapter.replace("expires=", "expires=9"),
        adapter[:-1] + ("0" if adapter[-1] != "0" else "1"),
        adapter.split("?")[0],
        adapter.replace("expires=", "expires=\u00b2"),
    ]
    for url in wrong:
        assert httpx.get(url, trust_env=False).status_code == 403, url
    assert links(process, other)["adapter_config.json"] != config
    # The names of other hosts are refused here as well.
    moved = httpx.get(adapter, headers={"Host": "evil.example"}, trust_env=False)
    assert moved.status_code == 403
    assert urlsplit(adapter).hostname == "127.0.0.1"


def test_only_what_was_saved_for_it_has_links(process: ServerProcess, trained: RawRun):
    """A state holds the optimizer too, so it is saved another way first; what is not there is not found."""
    state = trained.save("only-a-state")
    for path, status, sentence in (
        (state, 400, "save_weights_external"),
        (state.replace("/weights/only-a-state", "/external_weights/never"), 404, "no checkpoint"),
    ):
        with pytest.raises(httpx.HTTPStatusError) as caught:
            links(process, path)
        assert caught.value.response.status_code == status
        assert sentence in caught.value.response.json()["detail"]


def test_a_damaged_export_has_no_links(process: ServerProcess, trained: RawRun, home: Path):
    """A file that has changed on the disk is told, not handed out."""
    path = trained.export("damaged")
    file = of_disk(home, path) / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x7f")
    with pytest.raises(httpx.HTTPStatusError) as caught:
        links(process, path)
    assert "damaged" in caught.value.response.json()["detail"]


def test_an_export_lies_in_the_folder_that_was_named(trained: RawRun, home: Path, exports: Path):
    """It is a PEFT folder of its name; one that is there is not written over; an end of its own, no copy."""
    path = trained.export("mine")
    assert {file.name for file in (exports / "mine").iterdir()} == FILES
    assert (exports / "mine" / "adapter_model.safetensors").read_bytes() == (
        of_disk(home, path) / "adapter_model.safetensors"
    ).read_bytes()
    (exports / "theirs").mkdir()
    with pytest.raises(FailedError, match="theirs exists already"):
        trained.export("theirs")
    assert not of_disk(home, path.replace("/mine", "/theirs")).exists()
    trained.export("soon-gone", ttl_seconds=3600)
    assert not (exports / "soon-gone").exists()


@pytest.mark.parametrize("name", ["/tmp/elsewhere", "../elsewhere", "a/b", "..", ".hidden", "", "a\\b"])
def test_nothing_is_written_outside_of_it(trained: RawRun, exports: Path, name: str):
    """A name is a name and no path."""
    before = sorted(exports.parent.rglob("*"))
    with pytest.raises(FailedError, match="cannot name a checkpoint"):
        trained.export(name)
    assert sorted(exports.parent.rglob("*")) == before


def test_encryption_is_refused(trained: RawRun):
    """Files that were to be encrypted are never written as they are."""
    with pytest.raises(FailedError, match="not encrypted here"):
        trained.export("secret", age_encryption_recipients=["age1qqqq"])


def test_the_folder_has_to_be_there(tiny_model: Path, tmp_path: Path):
    """A mistyped folder ends the start with a sentence."""
    command = [sys.executable, "-m", "tinker_local", "serve", "--base-model", str(tiny_model), "--port", "0"]
    command += ["--home", str(tmp_path), "--export-to", str(tmp_path / "none")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "none; make it, or name another as --export-to" in done.stderr
