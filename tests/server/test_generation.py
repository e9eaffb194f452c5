"""A generation can be stopped between any two tokens, and many samples take a bounded memory."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from raw_client import FailedError, RawClient, ServerProcess
from tinker_local.wire import tinker_public_pb2 as proto

PROMPT = list(range(30, 130))
MANY_SAMPLES_BYTES = 150 * 2**20
"""What 1,024 samples of the bundled model may add to the server's memory."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[ServerProcess, RawClient]]:
    with ServerProcess(Path("symptoms-base"), tmp_path) as server, RawClient(server) as client:
        yield server, client


def sample(client: RawClient, number: int, **changes: Any) -> dict[str, Any]:
    """Ask for a generation; the promise of it."""
    sampling = {"session_id": client.session, "sampling_session_seq_id": 0, "base_model": client.model}
    sampler = client.post("create_sampling_session", sampling)["sampling_session_id"]
    body = {
        "sampling_session_id": sampler,
        "seq_id": number,
        "num_samples": 1,
        "prompt": {"chunks": [{"type": "encoded_text", "tokens": PROMPT}]},
        "sampling_params": {"temperature": 1.0, "seed": 1, "stop": []},
        **changes,
    }
    return client.post("asample", body)


def tokens_of(client: RawClient, promise: dict[str, Any]) -> list[int]:
    response = proto.SampleResponse.FromString(client.result(promise).content)
    return [len(sequence.tokens) // 4 for sequence in response.sequences]


def is_idle(server: ServerProcess, within: float) -> bool:
    """Whether the server stops computing within so many seconds."""
    process, deadline = psutil.Process(server.pid), time.monotonic() + within
    while time.monotonic() < deadline:
        before = sum(process.cpu_times()[:2])
        time.sleep(0.2)
        if sum(process.cpu_times()[:2]) - before < 0.05:
            return True
    return False


def test_a_cancelled_generation_ends(served: tuple[ServerProcess, RawClient]):
    """One that would go on to the end of the context is told as cancelled and computed no further."""
    server, client = served
    promise = sample(client, 1, num_samples=48)
    time.sleep(0.7)
    assert not is_idle(server, 0.5)
    client.post("cancel_future", promise)
    assert is_idle(server, 1.0)
    with pytest.raises(FailedError, match="cancelled"):
        client.result(promise)


def test_a_session_that_ends_takes_its_generation_along(served: tuple[ServerProcess, RawClient]):
    """What the session asked for is computed no further."""
    server, client = served
    for number in range(5):
        sample(client, number, num_samples=48)
    time.sleep(0.5)
    client.finish()
    assert is_idle(server, 1.0)


@pytest.mark.parametrize("how", ["SIGTERM", "stdin"])
def test_the_server_stops_during_a_generation(served: tuple[ServerProcess, RawClient], how: str):
    """A signal, or a parent that is gone, ends the process within a second."""
    server, client = served
    sample(client, 1, num_samples=48)
    time.sleep(0.5)
    started = time.monotonic()
    if how == "SIGTERM":
        os.kill(server.pid, signal.SIGTERM)
    else:
        server.close_stdin()
    while server.running and time.monotonic() < started + 5:
        time.sleep(0.01)
    assert time.monotonic() - started < 1.0


def test_a_short_request_overtakes_a_long_one(served: tuple[ServerProcess, RawClient]):
    """A request that comes while others decode is answered long before they end."""
    _, client = served
    long = sample(client, 1, num_samples=48)
    time.sleep(0.5)
    params = {"max_tokens": 5, "temperature": 0.0, "stop": []}
    assert tokens_of(client, sample(client, 2, sampling_params=params)) == [5]
    client.post("cancel_future", long)
    with pytest.raises(FailedError, match="cancelled"):
        client.result(long)


def test_a_thousand_samples_take_bounded_memory(served: tuple[ServerProcess, RawClient]):
    """1,024 samples run in slices: the server grows by less than the stated bound."""
    server, client = served
    process = psutil.Process(server.pid)
    params = {"max_tokens": 8, "temperature": 1.0, "seed": 1, "stop": []}
    tokens_of(client, sample(client, 1, num_samples=4, sampling_params=params))
    before = most = process.memory_info().rss
    promise = sample(client, 2, num_samples=1024, sampling_params=params)
    while not is_idle(server, 0.2):
        most = max(most, process.memory_info().rss)
    assert tokens_of(client, promise) == [8] * 1024
    assert most - before < MANY_SAMPLES_BYTES
