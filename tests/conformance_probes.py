"""Servers that are measured for the table of conformance, whole or with a fault."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from faulty_server import Wrap
from http_in_process import KEY, serving
from symptoms.conformance import ALL_CHECKS, Probe, Row, measured_rows, with_reference
from symptoms.service import LocalServer, connect, connection
from tinker_local.wire import tinker_public_pb2 as proto
from tiny_models import LLAMA3_ROPE, write_tiny_llama
from waiting import PATIENCE

CHECKS = {check.name: check for check in ALL_CHECKS}
Floats = NDArray[np.float32]


@pytest.fixture(scope="module")
def scaled_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose positions are scaled, so that a server that forgets it errs."""
    folder = tmp_path_factory.mktemp("models") / "scaled"
    write_tiny_llama(folder, rope_scaling=LLAMA3_ROPE)
    return folder


@pytest.fixture(scope="module")
def scaled_reference(scaled_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A second process with the model, beside which servers are measured that err."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINKER_LOCAL_HOME", str(tmp_path_factory.mktemp("reference")))
        server = LocalServer(str(scaled_model))
    with server:
        yield server


@contextmanager
def beside(model: Path, home: Path, reference: LocalServer, patch: pytest.MonkeyPatch) -> Generator[Probe]:
    """A server's probe that has the reference, which is not started anew."""

    def already_running(_: str) -> nullcontext[LocalServer]:
        return nullcontext(reference)

    with serving(model, home) as server:
        patch.setenv("TINKER_API_KEY", KEY)
        patch.setattr(connection, "LocalServer", already_running)
        with connect(server.url, server.model) as service, with_reference(service, None, PATIENCE) as probe:
            yield probe


@contextmanager
def probed(model: Path, home: Path, wrap: Wrap = lambda app: app) -> Generator[Probe]:
    """A server's probe, with whatever `wrap` makes of the server."""
    with serving(model, home, wrap) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINKER_API_KEY", KEY)
        with connect(server.url, server.model) as service:
            yield Probe(service, wait=PATIENCE)


def measured(probe: Probe, *names: str) -> list[Row]:
    """The rows of the checks with these names."""
    return list(measured_rows(probe, [CHECKS[name] for name in names]))


def set_to(*path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Sets a field of a body, some levels down."""

    def edit(body: dict[str, Any]) -> None:
        for name in path[:-1]:
            body = body.setdefault(name, {})
        body[path[-1]] = value

    return edit


def all_layers(body: dict[str, Any]) -> None:
    """An adapter in every layer, whatever was asked for."""
    body["lora_config"] |= {"train_attn": True, "train_mlp": True, "train_unembed": True}


def weights_of(datum: proto.Datum) -> Floats:
    """The weight of each target."""
    return np.frombuffer(datum.loss_fn_inputs["weights"].dense, dtype=np.float32)


def reweighted(change: Callable[[Floats], Floats]) -> Callable[[proto.ForwardBackwardRequest], None]:
    """Replaces the weights of every datum on their way in."""

    def edit(message: proto.ForwardBackwardRequest) -> None:
        for datum in message.data:
            datum.loss_fn_inputs["weights"].dense = change(weights_of(datum)).astype(np.float32).tobytes()

    return edit
