"""One `symptoms serve` process for all tests of the page and the API."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from command_in_process import in_process
from symptoms.classifier import RunCalibration, write_calibration
from symptoms.runs import RunDirectory
from training_runs import environment
from waiting import PATIENCE
from web_texts import DANGER, EXAMPLES, ODD, SLEEP, TAXONOMY


@pytest.fixture(scope="session")
def web_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run `learned`, which knows the few texts of EXAMPLES and is unsure of others."""
    folder = tmp_path_factory.mktemp("web")
    (folder / "train.jsonl").write_text("".join(json.dumps(one) + "\n" for one in EXAMPLES))
    (folder / "taxonomy.json").write_text(json.dumps(TAXONOMY))
    done = in_process(
        folder, "train", "--data", "train.jsonl", "--run", "learned", "--steps", "36", "--batch-size", "4",
        "--learning-rate", "0.004", "--lora-rank", "8", "--train-attn", "--no-balanced",
        "--weight-decay", "0", "--concern-weight", "1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    run = RunDirectory(folder / "runs" / "learned")
    calibration = RunCalibration(
        temperature=1.0,
        threshold=0.8,
        risk=0.3,
        fitted_on="dev.jsonl",
        examples=4,
        checkpoint=run.final_checkpoint(),
        labels=tuple(label.id for label in run.labels()),
    )
    write_calibration(run.path, calibration)
    return folder


@pytest.fixture(scope="session")
def web_url(web_folder: Path) -> Iterator[str]:
    """Where the page is served; Ctrl-C at the end has to end the process cleanly and leave nothing behind."""
    command = [sys.executable, "-m", "symptoms", "serve", "learned", "--port", "0"]
    with (web_folder / "serve.log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--per-minute", "100000"],
            cwd=web_folder,
            env={**environment(web_folder), "LC_ALL": "C.UTF-8"},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert " answers at http://127.0.0.1:" in line, (web_folder / "serve.log").read_text()
        yield line.split(" answers at ")[1].split()[0]
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
        logged = (web_folder / "serve.log").read_text()
        assert "was not expected" not in logged, logged
        assert not [text for text in (SLEEP, DANGER, *ODD.values()) if repr(text)[1:-1] in logged]
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture(scope="session")
def api(web_url: str) -> Iterator[httpx.Client]:
    """A client of the API, which no proxy is asked for."""
    with httpx.Client(base_url=web_url, timeout=PATIENCE, trust_env=False) as client:
        yield client


@pytest.fixture
def live_run(web_folder: Path) -> Iterator[RunDirectory]:
    """The run `live`, in the middle of its training: ten steps are done."""
    path = web_folder / "runs" / "live"
    shutil.copytree(web_folder / "runs" / "learned", path)
    (path / "summary.json").unlink()
    run = RunDirectory(path)
    run.rewind(10)
    # A copy keeps its times, and the newest run is shown first.
    (path / "manifest.json").touch()
    with run.held():
        yield run
    shutil.rmtree(path)
