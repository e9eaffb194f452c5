"""The server process: find the run, bind, load the model, answer until told to stop."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import uvicorn

from symptoms import __version__
from symptoms.classifier import Classifier
from symptoms.disclaimer import DISCLAIMER
from symptoms.errors import InputError, ServiceError
from symptoms.runs import RunDirectory, run_of_checkpoint, run_to_ask
from symptoms.safety import check_country, country_code, covered_languages, known_countries
from symptoms.web.app import Served, create_app
from symptoms.web.bodies import ModelAnswer
from symptoms.web.guard import LOOPBACK_NAMES, Access
from symptoms.web.problems import logger
from symptoms.web.rate_limit import RateLimit
from symptoms.web.waiting_line import WaitingLine

WAITING = 256
SHORTEST_KEY = 16
HTTP_STOP_SECONDS = 5
STEADY_SECONDS = 60.0
"""A local server that ends sooner after its start than this would end again."""


@dataclass(frozen=True)
class ServeOptions:
    """What `symptoms serve` was told."""

    run: str | None
    host: str
    port: int
    service: str | None
    base_model: str | None
    country: str | None
    key: str | None
    per_minute: int


def serve(options: ServeOptions, ready: Callable[[str, str], None]) -> None:
    """Serve until interrupted; `ready` is told the URL and the model once requests are answered.

    Has to run in the main thread. Raises InputError for options that cannot be used, RunError where there
    is no trained run, and ServiceError where the model cannot be loaded or is lost again and again.
    """
    check_country(options.country)
    access = _access(options)
    run = _run_directory(options)
    listener = _bind(options.host, options.port)
    # Also SIGINT, which the end of a local server is told by, and which a background job is born ignoring.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    line = WaitingLine(WAITING)
    http: _HttpThread | None = None
    started = time.monotonic()
    try:
        while True:
            try:
                with _load(options, run) as classifier:
                    classifier.prepare()
                    if http is None:
                        model = _model_answer(options, run, classifier)
                        limit = RateLimit(options.per_minute)
                        served = Served(
                            line,
                            model,
                            run and run.path,
                            access,
                            limit,
                            screens_beside_model=classifier.model_layer is not None,
                        )
                        http = _HttpThread(served, listener)
                        ready(_url(listener), model.run or model.checkpoint)
                    started = time.monotonic()
                    line.assess_with(classifier)
            except ServiceError:
                if http is None or time.monotonic() - started < STEADY_SECONDS:
                    raise
                logger.warning("The local server ended while it was in use; it is started again.")
    finally:
        line.close()
        if http is not None:
            http.stop()
        listener.close()


class _HttpThread:
    """The HTTP server in a thread of its own: the main thread asks the model."""

    def __init__(self, served: Served, listener: socket.socket) -> None:
        config = uvicorn.Config(
            create_app(served),
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=HTTP_STOP_SECONDS,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._server.serve(sockets=[listener])), name="http", daemon=True
        )
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            time.sleep(0.01)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(HTTP_STOP_SECONDS + 1)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _access(options: ServeOptions) -> Access:
    if options.key is not None and (len(options.key) < SHORTEST_KEY or not options.key.isascii()):
        raise InputError(f"The key can be guessed; choose {SHORTEST_KEY} or more letters and digits.")
    if options.host in LOOPBACK_NAMES:
        return Access(options.key, LOOPBACK_NAMES)
    if options.key is None:
        raise InputError(
            f"Serving on {options.host} lets other machines ask; set SYMPTOMS_SERVE_KEY, or pass --key."
        )
    return Access(options.key, None)


def _run_directory(options: ServeOptions) -> RunDirectory | None:
    told = options.run
    if told is not None and told.startswith("tinker://"):
        return run_of_checkpoint(told)
    return run_to_ask(told, options.service, options.base_model)


def _load(options: ServeOptions, run: RunDirectory | None) -> Classifier:
    # By the path that was found at first, so that a newer run does not take over halfway.
    is_path = options.run is not None and options.run.startswith("tinker://")
    chosen = options.run if is_path or run is None else str(run.path)
    return Classifier.load(chosen, options.service, options.base_model, options.country)


def _model_answer(options: ServeOptions, run: RunDirectory | None, classifier: Classifier) -> ModelAnswer:
    return ModelAnswer(
        run=None if run is None else run.name,
        checkpoint=classifier.checkpoint,
        base_model=Path(classifier.base_model).name,
        service=classifier.service,
        calibrated=classifier.is_calibrated,
        country=country_code(options.country),
        countries=list(known_countries()),
        screen_languages=[language.name for language in covered_languages()],
        disclaimer=DISCLAIMER,
        version=__version__,
    )


def _bind(host: str, port: int) -> socket.socket:
    try:
        [(family, kind, protocol, _, address), *_] = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
        )
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise InputError(f"{host} is no address of this machine; choose another with --host.") from error
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise InputError(
            f"Port {port} on {host} cannot be used ({error.strerror}); choose another with --port."
        ) from error
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
