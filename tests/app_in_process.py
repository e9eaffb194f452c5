"""The application called without a socket, for tests that send it thousands of odd requests."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path

import httpx
import pytest
import torch

from tinker_local.engine.worker import Worker
from tinker_local.loading import load_base_model
from tinker_local.server.app import create_app
from tinker_local.server.guard import Access
from tinker_local.service.server_state import ServerState
from waiting import PATIENCE


class InProcess:
    """The application, called without a socket, with its worker in a thread."""

    def __init__(self, model: Path, home: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._worker = Worker()
        self._thread = threading.Thread(target=self._worker.run)
        self._thread.start()
        base = load_base_model(str(model), "float32", torch.device("cpu"))
        self.state = ServerState({"tiny": base}, home, self._worker, self._loop)
        self._http = httpx.AsyncClient(
            transport=httpx.ASGITransport(
                create_app(self.state, Access("tml-x")), raise_app_exceptions=False
            ),
            base_url="http://localhost/api/v1/",
            headers={"X-API-Key": "tml-x"},
        )
        self._seq = 0
        self._number = 0
        self.renew()

    def renew(self) -> None:
        """A new session with a run and a sampler, in place of the one before."""
        if hasattr(self, "session"):
            self.send(f"sessions/{self.session}/finish", b"")
        self.session = self.send("create_session", b"{}").json()["session_id"]
        made = {
            "session_id": self.session,
            "model_seq_id": 0,
            "base_model": "tiny",
            "lora_config": {"rank": 1},
        }
        self._number = 0
        self.run = self.outcome("create_model", json.dumps(made).encode()).json()["model_id"]
        sampling = {"session_id": self.session, "sampling_session_seq_id": 0, "base_model": "tiny"}
        self.sampler = self.send("create_sampling_session", json.dumps(sampling).encode()).json()[
            "sampling_session_id"
        ]

    def next_seq(self) -> int:
        """A number that was not used before."""
        self._seq += 1
        return self._seq

    def next_number(self) -> int:
        """The number of the run's next request."""
        self._number += 1
        return self._number

    def send(self, route: str, body: bytes) -> httpx.Response:
        """The answer to a body, which has to be none of the 5xx."""
        answer = self._loop.run_until_complete(self._http.post(route, content=body))
        assert answer.status_code < 500, answer.text
        return answer

    def outcome(self, route: str, body: bytes) -> httpx.Response:
        """The result of a promise; fails where the server calls the failure its own."""
        promise = self.send(route, body)
        assert promise.status_code == 200, promise.text
        answer = self.send("retrieve_future", promise.content)
        if answer.headers["content-type"] == "application/json":
            assert answer.json().get("category") in (None, "user"), answer.text
            # Strict JSON, as the SDK reads it.
            json.loads(answer.text, parse_constant=lambda name: pytest.fail(f"{name} in {answer.text}"))
        return answer

    def close(self) -> None:
        """End the worker and the loop."""
        self._loop.run_until_complete(self._http.aclose())
        self._worker.stop()
        self._thread.join(PATIENCE)
        self._loop.close()
