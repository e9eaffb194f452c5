"""The server process: load models, bind, say that it is ready, serve until told to stop."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import uvicorn

from tinker_local.engine.loading import BaseModel, load_base_model
from tinker_local.errors import StartupError
from tinker_local.server.app import create_app
from tinker_local.service.server_state import ServerState

DEFAULT_API_KEY = "tml-local"
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class ServeOptions:
    """What `tinker-local serve` was told."""

    base_models: Sequence[str]
    host: str
    port: int
    api_key: str
    home: Path
    dtype: str
    device: str
    stop_with_stdin: bool


def launch(options: ServeOptions) -> None:
    """Serve until interrupted. Raises StartupError before the ready line, with one clear sentence."""
    if options.host not in LOOPBACK and options.api_key == DEFAULT_API_KEY:
        raise StartupError(f"Serving on {options.host} needs a key of your own; pass --api-key tml-...")
    # Bound before the models are loaded, so that a taken port is known at once.
    listener = _bind(options.host, options.port)
    device = _device(options.device)
    models: dict[str, BaseModel] = {}
    for name in options.base_models:
        models[name] = load_base_model(name, options.dtype, device)
    _check_home(options.home)
    try:
        asyncio.run(_serve(options, models, listener))
    except KeyboardInterrupt:
        logging.getLogger(__name__).info("stopped")


async def _serve(options: ServeOptions, models: dict[str, BaseModel], listener: socket.socket) -> None:
    state = ServerState(models, options.home, asyncio.get_running_loop())
    state.worker.start()
    config = uvicorn.Config(
        create_app(state, options.api_key),
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="none",
        # Long polls are cut short when the server stops.
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    if options.stop_with_stdin:
        threading.Thread(target=_stop_when_stdin_closes, args=(server,), daemon=True).start()
    port = listener.getsockname()[1]
    print(f"tinker-local is ready at http://{options.host}:{port}", flush=True)
    try:
        await server.serve(sockets=[listener])
    finally:
        state.worker.stop()


def _stop_when_stdin_closes(server: uvicorn.Server) -> None:
    """A parent that dies, however it dies, closes its end of the pipe; then there is no one left to serve."""
    # Read from the descriptor itself: the buffered stream would hold a lock that interpreter exit needs.
    while os.read(sys.stdin.fileno(), 4096):
        pass
    server.should_exit = True


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise StartupError(
            f"Port {port} on {host} cannot be used ({error.strerror}); choose another with --port, or 0 for any."
        ) from error
    return listener


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise StartupError("There is no CUDA device on this machine; use --device cpu.")
    return torch.device(name)


def _check_home(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True)
        probe = home / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise StartupError(
            f"Checkpoints cannot be written to {home} ({error.strerror}); set TINKER_LOCAL_HOME elsewhere."
        ) from error
