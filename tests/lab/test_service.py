"""Connecting fails fast, with a sentence; a local server never outlives its parent."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import httpx
import psutil
import pytest
from tinker import ModelInput, SamplingParams

from symptoms.errors import ServiceError
from symptoms.service import LocalServer, connect
from symptoms.service.connection import choose_service
from symptoms.service.sdk import resolved
from tinker_local.cli import main as tinker_local_command
from tiny_gguf import tiny_model as a_tiny_model
from tiny_gguf import write_tiny_gguf
from waiting import wait_until

SOON = 60.0
"""Seconds; the SDK by itself would try for minutes."""


def test_local_is_the_default_without_a_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, no_key: None):
    """Hosted needs a key, in the environment or .env; a URL beside it wins; an option wins over all."""
    monkeypatch.chdir(tmp_path)
    assert choose_service(None) == "local"
    monkeypatch.setenv("TINKER_BASE_URL", "http://host:1")
    with pytest.raises(ServiceError, match="TINKER_API_KEY is not"):
        choose_service(None)
    monkeypatch.delenv("TINKER_BASE_URL")
    (tmp_path / ".env").write_text("TINKER_API_KEY=tml-x\n")
    assert choose_service(None) == "hosted"
    monkeypatch.setenv("TINKER_BASE_URL", "http://host:1")
    assert choose_service(None) == "http://host:1"
    assert choose_service("local") == "local"


def told(
    service: str, key: str | None, monkeypatch: pytest.MonkeyPatch, base_model: str | None = None
) -> str:
    """The sentence that connecting ends with, which must come soon."""
    if key is not None:
        monkeypatch.setenv("TINKER_API_KEY", key)
    started = time.monotonic()
    with pytest.raises(ServiceError) as caught, connect(service, base_model):
        pass
    assert time.monotonic() - started < SOON
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_missing_and_malformed_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, no_key: None):
    """Hosted without a key, or with one that cannot be right."""
    monkeypatch.chdir(tmp_path)
    assert "no TINKER_API_KEY" in told("hosted", None, monkeypatch)
    assert "does not begin with 'tml-'" in told("hosted", "sk-123", monkeypatch)
    assert "does not begin with 'tml-'" in told("hosted", "tml-ü", monkeypatch)


def test_wrong_addresses(monkeypatch: pytest.MonkeyPatch, server: LocalServer):
    """A closed port, a word that is no address, another web server, a refused key, a model not on offer."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert "No Tinker server answers" in told(f"http://127.0.0.1:{port}", "tml-x", monkeypatch)
    assert "--service 'somewhere' is none" in told("somewhere", "tml-x", monkeypatch)
    assert "is no Tinker server" in told(f"{server.url}/elsewhere", server.api_key, monkeypatch)
    assert "rejected the API key" in told(server.url, "tml-wrong", monkeypatch)
    refused = told(server.url, server.api_key, monkeypatch, base_model="meta-llama/Llama-3.2-1B")
    assert "choose one with --base-model" in refused


def test_a_compatible_server_by_url(monkeypatch: pytest.MonkeyPatch, server: LocalServer):
    """Any server that speaks the protocol is used by its address."""
    monkeypatch.setenv("TINKER_API_KEY", server.api_key)
    with connect(server.url, server.base_model) as service:
        assert service.kind == "url"
        assert service.context_length == 256
        assert service.tokenizer().encode("a", add_special_tokens=True, split_special_tokens=True)[0] == 0


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What a server says that does not start, in this process; any other end of it is an error."""
    # Told already, so that the command tells this process's libraries nothing.
    for name in ("GOMP_SPINCOUNT", "ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        monkeypatch.setenv(name, "600")

    def command(*arguments: str) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            tinker_local_command(["serve", *arguments])
        assert ended.value.code == 2
        return capsys.readouterr().err

    return command


@pytest.mark.parametrize(
    ("arrange", "sentence"),
    [
        ("nowhere", "There are no weights at"),
        ("empty", "config.json"),
        ("other architecture", "is not supported; supported"),
        ("no weights", "model.safetensors"),
        ("damaged", "is damaged"),
        ("too large", "of memory are free; choose a smaller base model"),
        ("no object", "does not hold a JSON object"),
        ("wrong value", "has a wrong value"),
        ("cut tokenizer", "tokenizer.json is damaged"),
        ("wrong shape", "where config.json means"),
    ],
)
def test_models_that_cannot_be_served(
    arrange: str, sentence: str, tmp_path: Path, tiny_model: Path, serve: Callable[..., str]
):
    """Weights that are missing, damaged or of another kind end in one sentence, which a parent passes on."""
    folder = tmp_path / "model"
    folder.mkdir()
    if arrange not in ("nowhere", "empty"):
        for file in tiny_model.iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
    config = folder / "config.json"
    if arrange == "other architecture":
        config.write_text(config.read_text().replace("LlamaForCausalLM", "GPT2LMHeadModel"))
    elif arrange == "no weights":
        (folder / "model.safetensors").unlink()
    elif arrange == "damaged":
        (folder / "model.safetensors").write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00short")
    elif arrange == "too large":
        config.write_text(config.read_text().replace('"hidden_size": 32', '"hidden_size": 32000000000'))
    elif arrange == "no object":
        config.write_text("[]")
    elif arrange == "wrong value":
        config.write_text(config.read_text().replace('"hidden_size": 32', '"hidden_size": "many"'))
    elif arrange == "cut tokenizer":
        (folder / "tokenizer.json").write_text((folder / "tokenizer.json").read_text()[:500])
    elif arrange == "wrong shape":
        config.write_text(config.read_text().replace('"intermediate_size": 48', '"intermediate_size": 64'))
    name = str(tmp_path / "nothing here") if arrange == "nowhere" else str(folder)
    said = serve("--base-model", name, "--port", "0")
    assert sentence in said
    assert said.count("\n") == 1
    if arrange in ("nowhere", "damaged"):
        with LocalServer(name) as server, pytest.raises(ServiceError) as caught:
            assert server.url
        assert str(caught.value) == (
            f"The local server could not start: {said.removeprefix('tinker-local: ').strip()}"
        )


def test_a_taken_port_is_told(server: LocalServer, tiny_model: Path):
    """The port of a running server cannot be taken twice."""
    port = server.url.rsplit(":", 1)[1]
    done = subprocess.run(
        [sys.executable, "-m", "tinker_local", "serve", "--base-model", str(tiny_model), "--port", port],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 2
    assert "cannot be used" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--port", "99999"], "cannot be used"),
        (["--device", "toaster"], "--device cpu"),
        (["--api-key", "secret"], "begin with 'tml-'"),
    ],
)
def test_options_that_cannot_work_are_told(
    arguments: list[str], sentence: str, tiny_model: Path, serve: Callable[..., str]
):
    """Ports, devices and keys that cannot be used end in one sentence, not in a traceback."""
    assert sentence in serve("--base-model", str(tiny_model), "--port", "0", *arguments)


def test_a_proxy_is_not_asked_about_this_machine(
    monkeypatch: pytest.MonkeyPatch, tiny_model: Path, tmp_path: Path
):
    """The local server works where HTTP_PROXY names a proxy that does not answer."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "example.org")
    monkeypatch.setenv("TINKER_LOCAL_HOME", str(tmp_path))
    with connect("local", str(tiny_model)) as service:
        assert service.tokenizer()


def test_beyond_loopback_needs_a_key_of_ones_own(tiny_model: Path, serve: Callable[..., str]):
    """The default key, which everyone knows, is refused on other interfaces."""
    said = serve("--base-model", str(tiny_model), "--host", "0.0.0.0", "--port", "0")
    assert "needs a key of your own" in said


def test_a_home_that_cannot_be_written_is_told(tiny_model: Path, tmp_path: Path, serve: Callable[..., str]):
    """Checkpoints that could not be saved later are refused now."""
    file = tmp_path / "file"
    file.touch()
    said = serve("--base-model", str(tiny_model), "--port", "0", "--home", str(file / "home"))
    assert "cannot be written" in said


def has_ended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_the_server_ends_with_a_killed_parent(tiny_model: Path, tmp_path: Path):
    """Kill -9 on the parent closes the pipe, and the server goes."""
    script = (
        "import sys, time\n"
        "from symptoms.service import LocalServer\n"
        f"server = LocalServer({str(tiny_model)!r})\n"
        "print(server.url, server._process.pid, flush=True)\n"
        "time.sleep(3600)\n"
    )
    environment = {**os.environ, "TINKER_LOCAL_HOME": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment
    ) as parent:
        assert parent.stdout is not None
        url, pid = parent.stdout.readline().split()
        assert httpx.get(f"{url}/api/v1/healthz").status_code == 200
        os.kill(parent.pid, signal.SIGKILL)
    wait_until(lambda: has_ended(int(pid)), "the server to end after its parent")


def test_a_conversion_is_told_through_the_parent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    """A start that has to convert a GGUF file tells the user so; the next one is silent."""
    monkeypatch.setenv("TINKER_LOCAL_MODELS", str(tmp_path / "models"))
    file = tmp_path / "tiny.gguf"
    write_tiny_gguf(file, a_tiny_model(tmp_path / "reference", "LlamaForCausalLM"))
    capfd.readouterr()
    for told in ("tinker-local is converting tiny.gguf to float32 once (21 tensors)\n", ""):
        with LocalServer(str(file)) as server:
            assert server.url
        assert capfd.readouterr().err == told


def test_news_is_no_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A conversion that fails is told by what failed, not by the line that it had begun."""
    blocked = tmp_path / "models"
    blocked.mkdir()
    (blocked / "converted").write_text("in the way")
    monkeypatch.setenv("TINKER_LOCAL_MODELS", str(blocked))
    file = tmp_path / "tiny.gguf"
    write_tiny_gguf(file, a_tiny_model(tmp_path / "reference", "LlamaForCausalLM"))
    with LocalServer(str(file)) as server, pytest.raises(ServiceError, match=r"cannot be converted in .*set"):
        _ = server.url


def test_what_was_under_way_when_it_is_left_is_not_told(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """Each such request fails in the SDK, which would say so line by line when Ctrl-C ends what is served."""
    monkeypatch.setenv("TINKER_API_KEY", server.api_key)
    with connect(server.url, server.base_model) as service:
        sampler = resolved(service.client.create_sampling_client(base_model=server.base_model))
        params = SamplingParams(max_tokens=100, temperature=1.0)
        under_way = [sampler.sample(ModelInput.from_ints([1, 2, 3]), 16, params) for _ in range(20)]
    for future in under_way:
        with suppress(Exception):
            future.result(SOON)
    assert [
        record.getMessage() for record in caplog.records if record.levelname in ("WARNING", "ERROR")
    ] == []
