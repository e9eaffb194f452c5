"""What leaves the machine when a run trains elsewhere is what the documentation lists, and nothing else."""

from __future__ import annotations

import getpass
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zstandard
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from command_in_process import in_process
from faulty_service import Between
from http_in_process import KEY, serving
from symptoms.data import load_dataset
from symptoms.tokens import as_tokenizer, prompt_tokens
from symptoms.train.leaving import LEAVES
from tinker_local.wire import tinker_public_pb2 as proto
from tiny_models import tiny_tokenizer

SECRET = "zebra"
"""In every name that the user chose, and in no text of the data."""
Sent = list[tuple[str, str, dict[str, str], bytes]]
"""Of each request the path, the query, the headers and the body, unpacked."""


class Recorder:
    """An application that passes everything on and keeps what it was sent."""

    app: ASGIApp

    def __init__(self) -> None:
        self.requests: Sent = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body, message = b"", {"more_body": True}
        while message.get("more_body"):
            message = await receive()  # type: ignore[assignment]
            body += message.get("body", b"")  # type: ignore[arg-type]
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        told = zstandard.decompress(body) if headers.get("content-encoding") == "zstd" else body
        self.requests.append((scope["path"], scope["query_string"].decode(), headers, told))

        async def received() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, received, send)


@pytest.fixture(scope="module")
def sent(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Sent]]:
    """The folder of a run with telling names, and all that was sent to train, resume and ask it."""
    recorder = Recorder()

    def wrap(app: ASGIApp) -> ASGIApp:
        recorder.app = app
        return recorder

    folder = tmp_path_factory.mktemp(f"folder-of-{SECRET}")
    lines = [
        {
            "id": f"{SECRET}-{n}",
            "input": f"sleep fear {word}",
            "condition": word,
            "symptoms": ["tired"],
            "recommendation": "Rest.",
        }
        for n, word in enumerate(("red", "green", "blue", "grey") * 2)
    ]
    for name, words in (("train", "sleep fear"), ("dev", "news dogs")):
        own = [json.dumps({**one, "input": one["input"].replace("sleep fear", words)}) for one in lines]
        (folder / f"{SECRET}-{name}.jsonl").write_text("".join(one + "\n" for one in own))
    with serving(tiny_model, tmp_path_factory.mktemp("home"), wrap) as running:
        settings = {"TINKER_API_KEY": KEY, "TINKER_BASE_URL": running.url, "USER": f"user-{SECRET}"}
        run = ("--run", f"run-{SECRET}", "--steps", "4", "--checkpoint-every", "2", "--lora-rank", "2")
        # Hosted Tinker is not measured at a first meeting, as a server at another address is.
        run += ("--no-server-check",)
        data = (
            "--data",
            f"{SECRET}-train.jsonl",
            "--dev",
            f"{SECRET}-dev.jsonl",
            "--base-model",
            running.model,
        )
        for arguments in (("train", *data, *run), ("assess", "--run", f"run-{SECRET}", "sleep fear dogs")):
            done = in_process(folder, *arguments, settings=settings)
            assert done.returncode == 0, done.stderr
        yield folder, recorder.requests


def test_no_name_that_the_user_chose_is_sent(sent: tuple[Path, Sent]):
    """Neither of files, folders, examples or the run, nor the user's or the machine's."""
    folder, requests = sent
    names = {SECRET, str(folder), str(Path.home()), socket.gethostname(), getpass.getuser()}
    # What an account or a machine is called by default says nothing, and may stand anywhere.
    names -= {"root", "localhost", "/root", "/"}
    for path, query, headers, body in requests:
        for name in names:
            assert name not in path + query
            assert not any(name in value for value in headers.values()), (path, name)
            assert name.encode() not in body, (path, name)


def test_the_texts_leave_as_tokens_of_what_is_trained_and_no_more(
    sent: tuple[Path, Sent],
):
    """Every datum is the tokens of an example with their weights; no text stands in any request."""
    folder, requests = sent
    tokenizer = as_tokenizer(tiny_tokenizer())
    parts = [load_dataset(folder / f"{SECRET}-{name}.jsonl") for name in ("train", "dev")]
    examples = [one for part in parts for one in part.examples]
    prompts = {tuple(prompt_tokens(tokenizer, one.input)) for one in examples}
    sent_data = 0
    for path, _, _, body in requests:
        assert b"sleep fear" not in body, path
        assert b"news dogs" not in body, path
        if path.endswith("/forward_backward"):
            message = proto.ForwardBackwardRequest.FromString(body)
            for datum in message.data:
                packed = b"".join(chunk.encoded_text.tokens for chunk in datum.model_input)
                tokens = tuple(np.frombuffer(packed, np.int32).tolist())
                assert any(tokens[: len(one)] == one for one in prompts)
                assert set(datum.loss_fn_inputs) == {"target_tokens", "weights"}
                sent_data += 1
    assert sent_data > 8


def test_every_setting_that_is_sent_is_listed(
    sent: tuple[Path, Sent],
):
    """The fields of JSON requests are those that the list explains."""
    _, requests = sent
    explained = {field for line in LEAVES for field in line.fields}
    seen: set[str] = set()
    for _, _, headers, body in requests:
        if body and headers.get("content-type") == "application/json":
            seen |= set(_fields(json.loads(body)))
    assert seen - explained == set()
    assert {"base_model", "rank", "learning_rate", "path"} <= seen


def test_headers_tell_the_sdk_and_the_system_and_not_who_it_is(
    sent: tuple[Path, Sent],
):
    """All that is sent beside the key is listed, too."""
    _, requests = sent
    explained = {name for line in LEAVES for name in line.headers}
    assert {name for _, _, headers, _ in requests for name in headers} - explained == set()


def test_a_dry_run_lists_what_would_leave(sent: tuple[Path, Sent], between: Between):
    """Line by line, for a service elsewhere."""
    folder, _ = sent
    told = ("train", "--data", f"{SECRET}-train.jsonl", "--base-model", between.model, "--dry-run")
    done = in_process(folder, *told, settings=between.settings)
    assert done.returncode == 0, done.stderr
    assert f"what would leave this machine for {between.url}:" in done.stdout
    assert all(line.what in done.stdout for line in LEAVES)
    assert "not sent: file, folder and run names" in done.stdout


def _fields(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _fields(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _fields(inner)
