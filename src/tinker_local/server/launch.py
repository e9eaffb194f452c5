"""The server process: load models, bind, say that it is ready, serve until told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import uvicorn

from base_models import on_one_line
from tinker_local.engine.kernels.native.library import prepare
from tinker_local.engine.neighbours import can_be_known, watch
from tinker_local.engine.threads import ALL_THREADS
from tinker_local.engine.worker import Worker
from tinker_local.errors import StartupError
from tinker_local.loading import BaseModel, load_base_model
from tinker_local.server.app import create_app
from tinker_local.server.guard import LOOPBACK_NAMES, Access, allowed_hosts, name_of
from tinker_local.service.server_state import ServerState

DEFAULT_API_KEY = "tml-local"


@dataclass(frozen=True)
class ServeOptions:
    """What `tinker-local serve` was told."""

    base_models: Sequence[str]
    host: str
    port: int
    api_key: str
    allowed_hosts: Sequence[str]
    home: Path
    adapters: Sequence[Path]
    exports: Path | None
    dtype: str
    device: str
    stop_with_stdin: bool


def launch(options: ServeOptions) -> None:
    """Serve until interrupted. Raises StartupError before the ready line, with one clear sentence."""
    if options.host not in LOOPBACK_NAMES and options.api_key == DEFAULT_API_KEY:
        raise StartupError(f"Serving on {options.host} needs a key of your own; pass --api-key tml-...")
    if not options.api_key.startswith("tml-"):
        raise StartupError("The SDK sends only keys that begin with 'tml-'; choose such an --api-key.")
    for name in options.allowed_hosts:
        if not name_of(name):
            raise StartupError(f"{name!r} is no name of a host; give --allow-host the one that clients use.")
    for folder in options.adapters:
        if not folder.is_dir():
            raise StartupError(f"There is no folder {folder}; --adapters takes one that holds checkpoints.")
    if options.exports is not None and not options.exports.is_dir():
        raise StartupError(f"There is no folder {options.exports}; make it, or name another as --export-to.")
    # Bound before the models are loaded, so that a taken port is known at once.
    listener = bind(options.host, options.port)
    device = _device(options.device)
    models: dict[str, BaseModel] = {}
    for name in options.base_models:
        models[name] = load_base_model(name, options.dtype, device, _tell)
    _check_home(options.home)
    if device.type == "cpu":
        prepare(_tell)
    worker = Worker()
    server = threading.Thread(
        target=_serve, args=(options, models, listener, worker), name="http", daemon=True
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: worker.stop())
    if options.stop_with_stdin:
        threading.Thread(target=_stop_when_stdin_closes, args=(worker,), daemon=True).start()
    if can_be_known():
        looking = threading.Thread(
            target=watch, args=(ALL_THREADS, threading.Event()), name="neighbours", daemon=True
        )
        looking.start()
    if not options.stop_with_stdin:
        _tell(_key_in_words(options.api_key))
    server.start()
    # This thread computes and the other one serves: see worker.py.
    worker.run()


def _key_in_words(key: str) -> str:
    """Which key clients need; one that somebody chose is not shown, as logs are read by others."""
    if key == DEFAULT_API_KEY:
        return f"for clients with TINKER_API_KEY={DEFAULT_API_KEY}, the default that everybody knows"
    return "for clients with the key that --api-key or TINKER_LOCAL_API_KEY told, as TINKER_API_KEY"


def _tell(line: str) -> None:
    # Another beginning than an error's, so that a parent can tell them apart.
    print(on_one_line(f"tinker-local is {line}"), file=sys.stderr, flush=True)


def _serve(
    options: ServeOptions, models: dict[str, BaseModel], listener: socket.socket, worker: Worker
) -> None:
    try:
        asyncio.run(_serve_http(options, models, listener, worker))
    finally:
        worker.stop()


async def _serve_http(
    options: ServeOptions, models: dict[str, BaseModel], listener: socket.socket, worker: Worker
) -> None:
    state = ServerState(
        models,
        options.home,
        worker,
        asyncio.get_running_loop(),
        adapters=options.adapters,
        exports=options.exports,
    )
    access = Access(options.api_key, allowed_hosts(options.host, list(options.allowed_hosts)))
    config = uvicorn.Config(
        create_app(state, access), log_level="warning", access_log=False, lifespan="off", ws="none"
    )
    port = listener.getsockname()[1]
    listener.listen()
    host = f"[{options.host}]" if ":" in options.host else options.host
    print(f"tinker-local is ready at http://{host}:{port}", flush=True)
    await uvicorn.Server(config).serve(sockets=[listener])


def _stop_when_stdin_closes(worker: Worker) -> None:
    """A parent that dies, however it dies, closes its end of the pipe; then there is no one left to serve."""
    # Read from the descriptor itself: the buffered stream would hold a lock that interpreter exit needs.
    while os.read(sys.stdin.fileno(), 4096):
        pass
    worker.stop()


def bind(host: str, port: int) -> socket.socket:
    """A socket on which the server is to listen; raises StartupError where there can be none."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio switches Nagle's algorithm off; without it every answer that is
    # sent in two pieces would wait 40 ms for an acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise StartupError(
            f"Port {port} on {host} cannot be used ({error}); choose another with --port."
        ) from error
    return listener


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise StartupError(f"The device {name!r} cannot be used here; use --device cpu.") from error
    return device


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
