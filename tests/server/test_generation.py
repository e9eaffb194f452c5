"""A generation can be stopped between any two tokens, and many samples take a bounded memory."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from http_in_process import Serving, serving
from raw_client import FailedError, RawClient, ServerProcess
from tinker_local.wire import tinker_public_pb2 as proto
from tiny_models import write_tiny_llama
from waiting import wait_until

PROMPT = list(range(30, 130))
AT_ONCE = 20
"""Token steps, of the thousands that a generation to the end of the context takes."""
MANY_SAMPLES_BYTES = 150 * 2**20
"""What 1,024 samples of the bundled model may add to the server's memory."""


@pytest.fixture(scope="module")
def long_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with a context so long that many samples to its end take minutes."""
    folder = tmp_path_factory.mktemp("models") / "long"
    write_tiny_llama(folder, max_position_embeddings=8192)
    return folder


@pytest.fixture
def served(long_model: Path, tmp_path: Path) -> Iterator[tuple[Serving, RawClient]]:
    """A server in this process, whose token steps can be counted."""
    with serving(long_model, tmp_path) as server, RawClient(server) as client:
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


def steps_until_idle(server: Serving, monkeypatch: pytest.MonkeyPatch, end: Callable[[], object]) -> int:
    """Token steps that begin after a running generation was ended, until the server computes no more."""
    scheduler, counted = server.state.samplers._scheduler, [0]
    step = scheduler.step

    def counting() -> None:
        counted[0] += 1
        step()

    monkeypatch.setattr(scheduler, "step", counting)
    wait_until(lambda: counted[0] >= 3, "the generation to begin")
    end()
    done = counted[0]
    wait_until(lambda: not scheduler.has_work, "the generation to end")
    return counted[0] - done


def test_a_cancelled_generation_ends(served: tuple[Serving, RawClient], monkeypatch: pytest.MonkeyPatch):
    """One that would go on to the end of the context is told as cancelled and computed no further."""
    server, client = served
    promise = sample(client, 1, num_samples=48)
    assert steps_until_idle(server, monkeypatch, lambda: client.post("cancel_future", promise)) < AT_ONCE
    with pytest.raises(FailedError, match="cancelled"):
        client.result(promise)


def test_a_session_that_ends_takes_its_generation_along(
    served: tuple[Serving, RawClient], monkeypatch: pytest.MonkeyPatch
):
    """What the session asked for is computed no further."""
    server, client = served
    for number in range(5):
        sample(client, number, num_samples=48)
    assert steps_until_idle(server, monkeypatch, client.finish) < AT_ONCE


def test_a_short_request_overtakes_a_long_one(served: tuple[Serving, RawClient]):
    """A request that comes while others decode is answered long before they end."""
    server, client = served
    long = sample(client, 1, num_samples=48)
    params = {"max_tokens": 5, "temperature": 0.0, "stop": []}
    assert tokens_of(client, sample(client, 2, sampling_params=params)) == [5]
    assert server.state.samplers._scheduler.has_work
    client.post("cancel_future", long)
    with pytest.raises(FailedError, match="cancelled"):
        client.result(long)


@pytest.mark.parametrize("how", ["SIGTERM", "stdin"])
def test_the_server_stops_during_a_generation(how: str, long_model: Path, tmp_path: Path):
    """A signal, or a parent that is gone, ends the process long before the generation would end."""
    with ServerProcess(long_model, tmp_path) as server, RawClient(server) as client:
        process = psutil.Process(server.pid)
        before = sum(process.cpu_times()[:2])
        # A quarter of an hour of work.
        sample(client, 1, num_samples=1024)
        wait_until(lambda: sum(process.cpu_times()[:2]) > before + 0.2, "the generation to begin")
        if how == "SIGTERM":
            os.kill(server.pid, signal.SIGTERM)
        else:
            server.close_stdin()
        wait_until(lambda: not server.running, "the server to end")


def test_a_thousand_samples_take_bounded_memory(tmp_path: Path):
    """1,024 samples run in slices: the server grows by less than the stated bound."""
    with (
        ServerProcess("symptoms-base", tmp_path) as server,
        RawClient(server) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        process = psutil.Process(server.pid)
        params = {"max_tokens": 8, "temperature": 1.0, "seed": 1, "stop": []}
        tokens_of(client, sample(client, 1, num_samples=4, sampling_params=params))
        before = most = process.memory_info().rss
        promise = sample(client, 2, num_samples=1024, sampling_params=params)
        waiting = pool.submit(tokens_of, client, promise)
        while not waiting.done():
            most = max(most, process.memory_info().rss)
            time.sleep(0.01)
        assert waiting.result() == [8] * 1024
    assert most - before < MANY_SAMPLES_BYTES
