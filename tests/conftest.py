"""What the tests share: a tiny model on disk, and a real server that the real SDK connects to."""

# Fixtures are imported so that they are found here.
# pyright: reportUnusedImport=false
from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# A suite in the background of a shell may have been started with Ctrl-C ignored, which every process that a
# test starts would inherit.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.setdefault("TINKER_TELEMETRY", "0")
# Tests that name no model train the one that needs no download; its name is told as a user would tell it.
os.environ["SYMPTOMS_BASE_MODEL"] = "symptoms-base"

from xdist.remote import Producer

from command_in_process import in_process, server_over
from conformance_probes import scaled_model, scaled_reference  # noqa: F401 - fixtures of tests/lab
from faulty_service import between, spoilt  # noqa: F401 - fixtures of tests/hosted
from model_sources import slow_index, tiny_package  # noqa: F401 - fixtures of tests/base_models
from other_stores import nobody, ollama_store  # noqa: F401 - likewise
from real_models import SMOLLM2  # noqa: F401 - looked for before the tests get a place of their own
from running_order import LongestFirst, place
from symptoms import Classifier
from symptoms.service import LocalServer
from tinker_local.engine.kernels.native.library import library
from tiny_models import write_tiny_llama
from training_in_process import trained  # noqa: F401 - a fixture of tests/lab
from training_runs import write_examples
from web_page import browser, open_page  # noqa: F401 - fixtures of tests/web
from web_service import api, live_run, web_folder, web_url  # noqa: F401 - likewise

# The base models that are on this machine must not decide what answers where a test has trained nothing.
MODELS = tempfile.TemporaryDirectory(prefix="models-")
os.environ["TINKER_LOCAL_MODELS"] = MODELS.name
# Nor must the prices that somebody has read anew here.
os.environ["SYMPTOMS_PRICES"] = f"{MODELS.name}/prices.toml"

# Properties say what holds, not how fast: a busy machine can be several times slower.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

ROOT = Path(__file__).parent.parent


def pytest_sessionstart() -> None:
    """Compile the kernels, so that no test's server is the first on its machine and says so."""
    library()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let what takes longest come first."""
    items.sort(key=place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LongestFirst | None:
    """Keep that order where files are handed out to several workers."""
    return LongestFirst(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a Llama with random weights, small enough to be trained in a test."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    write_tiny_llama(folder)
    return folder


@pytest.fixture(scope="session")
def server(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A server process with the tiny model, for tests that only use it."""
    home = tmp_path_factory.mktemp("home")
    before = os.environ.get("TINKER_LOCAL_HOME")
    os.environ["TINKER_LOCAL_HOME"] = str(home)
    try:
        with LocalServer(str(tiny_model)) as running:
            assert running.url
            yield running
    finally:
        if before is None:
            del os.environ["TINKER_LOCAL_HOME"]
        else:
            os.environ["TINKER_LOCAL_HOME"] = before


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB, where this user may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if mount is None or subprocess.run([mount, "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder]).returncode:
        pytest.skip("a tmpfs cannot be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of someone without an account."""
    for name in ("TINKER_API_KEY", "TINKER_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def colour_run(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run `tiny` of two steps, whose labels are four colours and whose context is 256."""
    folder = tmp_path_factory.mktemp("colours")
    write_examples(folder / "train.jsonl", 8)
    done = in_process(
        folder, "train", "--data", "train.jsonl", "--run", "tiny", "--steps", "2", "--base-model",
        str(tiny_model), "--lora-rank", "2",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def colour_server(colour_run: Path, tiny_model: Path) -> Iterator[LocalServer]:
    """A server with the checkpoints of `colour_run`, for commands that do not each have to start one."""
    with server_over(colour_run, str(tiny_model)) as server:
        yield server


@pytest.fixture(scope="session")
def classifier(colour_run: Path) -> Iterator[Classifier]:
    """The classifier of `colour_run`."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("TINKER_API_KEY", "TINKER_BASE_URL"):
            patch.delenv(name, raising=False)
        patch.setenv("TINKER_LOCAL_HOME", str(colour_run / "home"))
        loaded = Classifier.load(str(colour_run / "runs" / "tiny"), country="GB")
    with loaded:
        yield loaded
