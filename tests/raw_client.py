"""A server process and a bare HTTP client, for tests that kill, starve or fill the server.

The SDK would retry for minutes where these tests want to see the first answer.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import httpx
import numpy as np

from tinker_local.wire import tinker_public_pb2 as proto
from waiting import PATIENCE

KEY = "tml-test"
STOP_SECONDS = 5
"""After which a server whose test is over is killed; how it ends by itself, other tests say."""
ADAM = {"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.95, "eps": 1e-8}


class Listening(Protocol):
    """A server with KEY, in a process of its own or in this one."""

    @property
    def url(self) -> str:
        """Its address."""
        ...

    @property
    def model(self) -> str:
        """The base model, as clients name it."""
        ...


class ServerProcess:
    """`tinker-local serve` as a child process that can be killed at any moment."""

    def __init__(
        self,
        model: Path | str,
        home: Path,
        before: Callable[[], None] | None = None,
        settings: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
    ) -> None:
        """`before` runs in the child, between fork and exec; `settings` go into its environment."""
        self.model = str(model)
        command = [sys.executable, "-m", "tinker_local", "serve", "--base-model", self.model]
        command += ["--port", "0", "--stop-with-stdin", "--home", str(home), *options]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # One thread: so small a model gains nothing from more, and they fight over a busy machine.
            env={**os.environ, "TINKER_LOCAL_API_KEY": KEY, "OMP_NUM_THREADS": "1", **(settings or {})},
            preexec_fn=before,
            text=True,
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().split()[-1]

    @property
    def pid(self) -> int:
        """The process's number, to be killed by."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is still there."""
        return self._process.poll() is None

    def kill(self) -> None:
        """Without any warning, as a crash or the kernel would end it."""
        self._process.send_signal(signal.SIGKILL)

    def close_stdin(self) -> None:
        """As a parent that is gone does."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class FailedError(Exception):
    """A future's failure, as the server tells it."""

    def __init__(self, category: str, sentence: str) -> None:
        super().__init__(sentence)
        self.category = category


class RawClient:
    """One session over plain HTTP."""

    def __init__(self, server: Listening) -> None:
        self.model = server.model
        self._http = httpx.Client(
            base_url=f"{server.url}/api/v1/", headers={"X-API-Key": KEY}, timeout=PATIENCE, trust_env=False
        )
        self.session = self.post("create_session", {})["session_id"]
        self._runs = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def request(self, path: str, **content: Any) -> httpx.Response:
        """A post of anything, with whatever status comes."""
        return self._http.post(path, **content)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The JSON answer to a JSON body; raises where the status is an error."""
        answer = self._http.post(path, json=body)
        answer.raise_for_status()
        return answer.json()

    def result(self, promise: dict[str, Any]) -> httpx.Response:
        """The body of a finished future; raises FailedError where it failed."""
        while True:
            answer = self._http.post("retrieve_future", json={"request_id": promise["request_id"]})
            answer.raise_for_status()
            if answer.headers["content-type"] != "application/json":
                return answer
            body = answer.json()
            if "error" in body:
                raise FailedError(body["category"], body["error"])
            if body.get("type") != "try_again":
                return answer

    def call(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """What comes of a request that is answered by a promise first."""
        return self.result(self.post(path, body)).json()

    def create(self, seed: int = 1) -> RawRun:
        """A new run, with an adapter by this seed."""
        self._runs += 1
        made = self.call(
            "create_model",
            {
                "session_id": self.session,
                "model_seq_id": self._runs,
                "base_model": self.model,
                "lora_config": {"rank": 4, "seed": seed},
            },
        )
        return RawRun(self, made["model_id"])

    def resume(self, path: str) -> RawRun:
        """A new run from a state with its optimizer."""
        self._runs += 1
        body = {"session_id": self.session, "model_seq_id": self._runs, "path": path, "optimizer": True}
        return RawRun(self, self.call("load_weights", body)["model_id"])

    def finish(self) -> None:
        """End the session, as a client that leaves in good order."""
        self.post(f"sessions/{self.session}/finish", {})


class RawRun:
    """One training run of a RawClient."""

    def __init__(self, client: RawClient, model_id: str) -> None:
        self.client = client
        self.model_id = model_id
        self._seq = 0

    def _numbered(self, body: dict[str, Any]) -> dict[str, Any]:
        self._seq += 1
        return {"model_id": self.model_id, "seq_id": self._seq, **body}

    def gradients(
        self,
        tokens: Sequence[int],
        loss_fn: str = "cross_entropy",
        config: Mapping[str, str] | None = None,
        copies: int = 1,
    ) -> float:
        """The summed loss of so many equal datums, whose gradients are added; `config` holds texts."""
        message = proto.ForwardBackwardRequest(**self._numbered({"loss_fn": loss_fn}))
        for name, text in (config or {}).items():
            message.loss_fn_config_v2[name].text = text
        for _ in range(copies):
            add_datum(message, tokens)
        promise = self.client.request("forward_backward", content=message.SerializeToString()).json()
        output = proto.ForwardBackwardOutput.FromString(self.client.result(promise).content)
        return output.metrics["loss:sum"]

    def step(self, tokens: Sequence[int]) -> float:
        """One training step; the loss is that before it."""
        loss = self.gradients(tokens)
        self.client.call("optim_step", self._numbered({"adam_params": ADAM}))
        return loss

    def save(self, name: str, overwrite: bool = False) -> str:
        """Save the weights under a name; gives the path."""
        body = self._numbered({"path": name, "overwrite": overwrite})
        return self.client.call("save_weights", body)["path"]

    def export(self, name: str, **more: Any) -> str:
        """The path of weights that were saved to be downloaded."""
        return self.client.call("save_weights_external", self._numbered({"path": name, **more}))["path"]

    def snapshot(self) -> str:
        """The id of a sampler of the present weights, held in memory."""
        body = self._numbered({"kind": "snapshot", "sampling_session_seq_id": self._seq})
        return self.client.call("save_weights_for_sampler", body)["sampling_session_id"]


def add_datum(message: proto.ForwardBackwardRequest, tokens: Sequence[int]) -> None:
    """Add a datum that trains every token but the first."""
    datum = message.data.add()
    datum.model_input.add().encoded_text.tokens = np.array(tokens[:-1], dtype=np.int32).tobytes()
    targets, weights = datum.loss_fn_inputs["target_tokens"], datum.loss_fn_inputs["weights"]
    targets.dense, targets.dtype = np.array(tokens[1:], dtype=np.int64).tobytes(), proto.DTYPE_INT64
    weights.dense = np.ones(len(tokens) - 1, dtype=np.float32).tobytes()
    weights.dtype = proto.DTYPE_FLOAT32


def tokens_of_step(step: int) -> list[int]:
    """Other data, of another length, at every step, so that a step too many or too few shows."""
    return [0, *((17 * step + 5 * index) % 250 + 2 for index in range(12 + step % 7))]
