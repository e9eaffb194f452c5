"""An exported model behind an OpenAI-compatible server, which here is transformers behind two routes."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from transformers import AutoModelForCausalLM, AutoTokenizer

from symptoms import Classifier
from symptoms.classifier.answers import TrainedModel, Writing
from symptoms.data import Label
from symptoms.errors import ServiceError
from symptoms.service import LocalServer, completions, connect
from symptoms.service.completions import connect_to_ask

LABELS = tuple(Label(text.lower(), text) for text in ("Red", "Green", "Grey", "Greenish"))
TEXTS = ("sleep", "fear and food")
CONTEXT = 256


class Reference:
    """What vLLM answers to token ids, by transformers; without `echo` it is as llama.cpp's server."""

    def __init__(self, folder: Path, echo: bool = True, names: tuple[str, ...] = ("tiny",)) -> None:
        self._model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self._tokenizer = AutoTokenizer.from_pretrained(folder)
        self._echo, self._names = echo, names
        self._turn = threading.Lock()
        routes = [
            Route("/v1/models", self._models),
            Route("/v1/completions", self._complete, methods=["POST"]),
        ]
        self.app = Starlette(routes=routes)

    def _models(self, _: Request) -> Response:
        return JSONResponse({"data": [{"id": name, "max_model_len": CONTEXT} for name in self._names]})

    async def _complete(self, request: Request) -> Response:
        return JSONResponse(await asyncio.to_thread(self._completed, await request.json()))

    @torch.no_grad()
    def _completed(self, body: dict[str, Any]) -> dict[str, Any]:
        assert body["model"] in self._names
        tokens: list[int] = body["prompt"]
        written: list[int] = []
        reason, text = "length", ""
        with self._turn:
            for _ in range(body["max_tokens"]):
                scores = self._model(torch.tensor([tokens + written])).logits[0]
                written.append(int(scores[-1].argmax()))
                text = self._tokenizer.decode(written, skip_special_tokens=True)
                stops = [stop for stop in body.get("stop") or () if stop in text]
                if stops or written[-1] == self._tokenizer.eos_token_id:
                    text, reason = text.split(stops[0])[0] if stops else text, "stop"
                    break
            told = None
            if body.get("logprobs") is not None:
                shown = tokens + written if body.get("echo") and self._echo else written
                logprobs = self._model(torch.tensor([tokens + written])).logits[0].log_softmax(-1)
                every = [
                    None,
                    *logprobs[:-1].gather(1, torch.tensor([tokens + written]).T[1:])[:, 0].tolist(),
                ]
                told = {"token_logprobs": every[-len(shown) :]}
        return {"choices": [{"index": 0, "text": text, "finish_reason": reason, "logprobs": told}]}


Before = Callable[[int, str | None], int | None]
"""By how many requests came before, and the Authorization header: a status to answer with; 0 cuts it."""


def behind(app: ASGIApp, before: Before) -> ASGIApp:
    """The application with something before it that refuses, or has faults."""
    asked = 0

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal asked
        header = dict(scope["headers"]).get(b"authorization")
        status = before(asked, header and header.decode())
        asked += 1
        if status == 0:
            headers = [(b"content-length", b"1000")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"cut", "more_body": True})
            raise ConnectionResetError("as the test wants it")
        elsewhere = {"Location": f"http://localhost:{scope['server'][1]}/v1/models"}
        answer = app if status is None else JSONResponse({"error": "no"}, status, elsewhere)
        await answer(scope, receive, send)

    return wrapped


@contextmanager
def served(reference: Reference, before: Before = lambda _, __: None) -> Iterator[str]:
    """The service as it is named to `symptoms`."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(behind(reference.app, before), log_level="critical", lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"openai+http://127.0.0.1:{listening.getsockname()[1]}/v1"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def exported(tiny_model: Path) -> Iterator[str]:
    """The tiny base itself, as a server of others has it."""
    with served(Reference(tiny_model)) as service:
        yield service


def test_the_same_model_scores_and_writes_the_same_there(
    exported: str, tiny_model: Path, server: LocalServer, monkeypatch: pytest.MonkeyPatch
):
    """The log-probability of every label's line to 1e-4, and the greedy text, as by our own server."""
    monkeypatch.setenv("TINKER_API_KEY", server.api_key)
    asked = [(text, Writing.WHOLE) for text in TEXTS]
    with connect(server.url, server.base_model) as service:
        ours = [*TrainedModel.load(service, None).answers(asked, LABELS)]
    with connect_to_ask(exported, str(tiny_model)) as service:
        theirs = [*TrainedModel.load(service, "tinker://any").answers(asked, LABELS)]
        assert service.context_length == CONTEXT
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(other.logprobs, one.logprobs, atol=1e-4)
        assert other.written == one.written


def test_assess_asks_an_exported_model(exported: str, tiny_model: Path, colour_run: Path):
    """By the run's labels; the assessments are whole, and a text that is too long is told by its length."""
    run = str(colour_run / "runs" / "tiny")
    with Classifier.load(run, exported, str(tiny_model), "GB") as classifier:
        assert classifier.service == "openai"
        first, second, third = classifier.outcomes(["sleep", "I want to die.", "x" * 1000])
    assert {label.condition for label in first.leading} == {"red", "green", "blue", "grey"}
    assert second.crisis
    assert "1023 of the model's 256 tokens" in str(third)


@pytest.mark.parametrize(
    ("settings", "fragment", "sentence"),
    [
        ({"echo": False}, "", "does not tell the log-probabilities of a prompt"),
        ({"names": ("a", "b")}, "", "has a, b; name one behind the address"),
        ({"names": ("a", "b")}, "#c", "has a, b; name one behind the address"),
    ],
)
def test_a_server_that_cannot_be_asked_is_refused_in_a_sentence(
    tiny_model: Path, settings: dict[str, Any], fragment: str, sentence: str
):
    """Before any description is sent: one without prompt log-probabilities, and one with several models."""
    with (
        served(Reference(tiny_model, **settings)) as service,
        pytest.raises(ServiceError, match=sentence),
        connect_to_ask(service + fragment, str(tiny_model)),
    ):
        pass


def asked_with_key(service: str, folder: Path, key: str | None, patch: pytest.MonkeyPatch) -> None:
    """The questions of the beginning, which reach both routes."""
    patch.delenv("OPENAI_API_KEY", raising=False)
    if key is not None:
        patch.setenv("OPENAI_API_KEY", key)
    patch.setattr(completions, "WAITS", (0.01, 0.02))
    with connect_to_ask(service, str(folder)):
        pass


def test_a_server_with_a_key_is_shown_the_one_of_the_environment(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
):
    """As a bearer; without one, or with a wrong one, the sentence names the variable and not the key."""
    with served(
        Reference(tiny_model), lambda _, shown: None if shown == "Bearer sk-right" else 401
    ) as service:
        asked_with_key(service, tiny_model, "sk-right", monkeypatch)
        with pytest.raises(ServiceError, match="wants an API key; put it in OPENAI_API_KEY"):
            asked_with_key(service, tiny_model, None, monkeypatch)
        with pytest.raises(ServiceError, match="rejected the API key; check OPENAI_API_KEY") as refused:
            asked_with_key(service, tiny_model, "sk-wrong", monkeypatch)
    assert "sk-wrong" not in str(refused.value)
    with pytest.raises(ServiceError, match="copy the whole key again"):
        asked_with_key(service, tiny_model, "two words", monkeypatch)


def test_the_key_does_not_follow_a_redirect(tiny_model: Path, monkeypatch: pytest.MonkeyPatch):
    """Where the address points elsewhere, nothing is sent there."""
    shown: list[str | None] = []

    def elsewhere(_: int, header: str | None) -> int:
        shown.append(header)
        return 307

    with (
        served(Reference(tiny_model), elsewhere) as service,
        pytest.raises(ServiceError, match="status 307"),
    ):
        asked_with_key(service, tiny_model, "sk-right", monkeypatch)
    assert shown == ["Bearer sk-right"]


@pytest.mark.parametrize("status", [429, 500, 503, 0])
def test_a_fault_that_passes_is_asked_again_twice(
    status: int, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
):
    """Two faults in a row leave no trace; a third ends in a sentence."""
    with served(Reference(tiny_model), lambda asked, _: status if asked in (0, 1, 3) else None) as service:
        asked_with_key(service, tiny_model, None, monkeypatch)
    counted: list[int] = []

    def always(asked: int, _: str | None) -> int:
        counted.append(asked)
        return status

    with (
        served(Reference(tiny_model), always) as service,
        pytest.raises(ServiceError, match=f"status {status}" if status else "No OpenAI-compatible server"),
    ):
        asked_with_key(service, tiny_model, None, monkeypatch)
    assert len(counted) == 3


def test_what_is_no_server_or_no_folder_is_refused(tiny_model: Path, tmp_path: Path):
    """With the address, or with the option that names the exported folder."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = f"openai+http://127.0.0.1:{taken.getsockname()[1]}/v1"
        with pytest.raises(ServiceError, match="ends in /v1"), connect_to_ask(nobody, str(tiny_model)):
            pass
    (tmp_path / "config.json").write_text(json.dumps({}))
    with pytest.raises(ServiceError, match="--base-model"), connect_to_ask(nobody, str(tmp_path)):
        pass
