"""A server in threads of the test's own process: a test may wrap its application and see its state."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from raw_client import KEY
from tinker_local.engine.worker import Worker
from tinker_local.loading import load_base_model
from tinker_local.server.app import create_app
from tinker_local.server.guard import Access
from tinker_local.server.launch import bind
from tinker_local.service.server_state import ServerState
from waiting import PATIENCE


@dataclass(frozen=True)
class Serving:
    """Where it listens and what it holds."""

    url: str
    model: str
    state: ServerState


@contextmanager
def serving(
    model: Path, home: Path, wrap: Callable[[ASGIApp], ASGIApp] = lambda app: app
) -> Generator[Serving, None, None]:
    """Serve the model in float32 from a free port until the block ends."""
    listener = bind("127.0.0.1", 0)
    # From now on, as clients may come before the thread that serves them.
    listener.listen()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    base = load_base_model(str(model), "float32", torch.device("cpu"))
    worker, loop = Worker(), asyncio.new_event_loop()
    state = ServerState({str(model): base}, home, worker, loop)
    settings = uvicorn.Config(
        wrap(create_app(state, Access(KEY))), log_level="warning", access_log=False, lifespan="off", ws="none"
    )
    server = uvicorn.Server(settings)
    serve = threading.Thread(target=lambda: loop.run_until_complete(server.serve([listener])))
    compute = threading.Thread(target=worker.run)
    for thread in (serve, compute):
        thread.start()
    try:
        yield Serving(url, str(model), state)
    finally:
        server.should_exit = True
        worker.stop()
        for thread in (serve, compute):
            thread.join(PATIENCE)
        loop.close()
        listener.close()


def configured(flags: Mapping[str, Any]) -> Callable[[ASGIApp], ASGIApp]:
    """Wraps an application so that the SDK finds its own switches set to these values."""

    def wrap(app: ASGIApp) -> ASGIApp:
        async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or scope["path"] != "/api/v1/client/config":
                await app(scope, receive, send)
                return
            headers = [(b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": json.dumps(dict(flags)).encode()})

        return wrapped

    return wrap
