"""The SDK's poller of a whole sampling session, switched on, works as asking for each result does."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import tinker
from starlette.types import ASGIApp, Receive, Scope, Send
from tinker import ModelInput, SamplingClient, SamplingParams

from http_in_process import KEY, Serving, configured, serving
from tinker_local.server.app import POLL_SECONDS
from waiting import PATIENCE, wait_until

GREEDY = SamplingParams(max_tokens=8, temperature=0.0, stop=[])
PROMPT = ModelInput.from_ints([0, *range(40, 60)])
ROUTES: Counter[str] = Counter()


def counted(app: ASGIApp) -> ASGIApp:
    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        ROUTES[scope["path"].removeprefix("/api/v1/")] += 1
        await app(scope, receive, send)

    return wrapped


@pytest.fixture(scope="module")
def served(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    def wrap(app: ASGIApp) -> ASGIApp:
        return counted(configured({"sample_use_retrieve_futures": True})(app))

    with serving(tiny_model, tmp_path_factory.mktemp("home"), wrap) as running:
        yield running


@pytest.fixture
def client(served: Serving) -> Iterator[tinker.ServiceClient]:
    with tinker.ServiceClient(base_url=served.url, api_key=KEY) as made:
        yield made


@pytest.fixture
def sampler(client: tinker.ServiceClient, served: Serving) -> SamplingClient:
    ROUTES.clear()
    return client.create_sampling_client(base_model=served.model).result()


def poll(served: Serving, sampling_session: str, **changes: object) -> httpx.Response:
    target = {"sampling_session_id": sampling_session, "cloned_sampler_id": 0}
    body = {"target": target, "prev_cursor": 0, "retrieved_request_ids": [], **changes}
    headers = {"X-API-Key": KEY}
    return httpx.post(f"{served.url}/api/v1/retrieve_futures", json=body, headers=headers, timeout=PATIENCE)


def test_many_samples_share_few_polls(sampler: SamplingClient, served: Serving):
    """Each of 200 samples is fetched once, when it is there, and what was fetched is then dropped."""
    prompts = [ModelInput.from_ints([0, *range(40, 50 + index % 40)]) for index in range(200)]
    futures = [sampler.sample(prompt, 1, GREEDY) for prompt in prompts]
    sequences = [future.result().sequences[0] for future in futures]
    assert [len(sequence.tokens) for sequence in sequences] == [8] * 200
    assert sequences[3].tokens == sampler.sample(prompts[3], 1, GREEDY).result().sequences[0].tokens
    assert ROUTES["retrieve_future"] == 201
    assert ROUTES["retrieve_futures"] < 150
    names = [f"{sampler._sampling_session_id}/{number}" for number in range(201)]
    wait_until(lambda: not any(served.state.futures.find(name) for name in names), "them to be forgotten")


def test_copies_of_a_client_poll_for_their_own(sampler: SamplingClient):
    """A client rebuilt from a handle, as in another process, gets its results beside the first one's."""
    copy = SamplingClient.from_sampler_handle(sampler.get_sampler_handle(), api_key=KEY)
    futures = [one.sample(PROMPT, 1, GREEDY) for _ in range(10) for one in (sampler, copy)]
    assert len({tuple(future.result().sequences[0].tokens) for future in futures}) == 1


def test_a_refused_sample_is_told_at_once(sampler: SamplingClient):
    """Mistakes of every kind reach the future that waits for the poller before a poll times out."""
    started = time.monotonic()
    for params, sentence in (
        (SamplingParams(max_tokens=300), "exceed the context"),
        (SamplingParams(max_tokens=3, temperature=-1.0), "temperature"),
    ):
        with pytest.raises(tinker.RequestFailedError, match=sentence):
            sampler.sample(PROMPT, 1, params).result()
    assert time.monotonic() - started < POLL_SECONDS
    assert len(sampler.sample(PROMPT, 1, GREEDY).result().sequences) == 1


def test_the_end_of_a_session_is_told_at_once(sampler: SamplingClient, served: Serving):
    """A client whose session the server has ended hears so, and does not wait."""
    served.state.end_session(sampler.holder.get_session_id())
    started = time.monotonic()
    with pytest.raises(tinker.TinkerError, match="no sampler"):
        sampler.sample(PROMPT, 1, GREEDY).result()
    assert time.monotonic() - started < POLL_SECONDS


def test_training_beside_the_poller(client: tinker.ServiceClient, served: Serving):
    """Training results are still asked for one by one, and a snapshot is sampled through the poller."""
    training = client.create_lora_training_client(base_model=served.model, rank=2).result()
    snapshot = training.save_weights_and_get_sampling_client().result()
    assert len(snapshot.compute_logprobs(PROMPT).result()) == 21


def test_a_poll_wakes_and_goes_on_from_its_cursor(sampler: SamplingClient, served: Serving):
    """A poll that sleeps wakes with what is done, the next begins after it, one without time returns."""
    name = sampler._sampling_session_id
    assert poll(served, name, timeout=0).json() == {"completions": [], "cursor": 0}
    waiting: list[httpx.Response] = []
    thread = threading.Thread(target=lambda: waiting.append(poll(served, name)))
    thread.start()
    group = f"{name}/clone-0"
    wait_until(
        lambda: (found := served.state.futures._groups.get(group)) and found.sleeping, "the poll to sleep"
    )
    body = {
        "prompt": {"chunks": [{"type": "encoded_text", "tokens": [0, 40]}]},
        "sampling_params": {"max_tokens": 1},
        "sampling_session_id": name,
    }
    with httpx.Client(base_url=f"{served.url}/api/v1", headers={"X-API-Key": KEY}) as http:
        started = time.monotonic()
        first = http.post("asample", json={**body, "seq_id": 0}).json()["request_id"]
        thread.join()
        assert time.monotonic() - started < POLL_SECONDS
        told = waiting[0].json()
        size = len(http.post("retrieve_future", json={"request_id": first}).content)
        finished = {"state": "finished", "response_payload_uncompressed_size": size}
        assert told["completions"] == [{**finished, "request_id": first}]
        second = http.post("asample", json={**body, "seq_id": 1}).json()["request_id"]
        later = poll(served, name, prev_cursor=told["cursor"], retrieved_request_ids=[first, "other"]).json()
        assert [one["request_id"] for one in later["completions"]] == [second]
        assert later["cursor"] > told["cursor"]
        assert http.post("retrieve_future", json={"request_id": first}).status_code == 410
        wrong = http.post("asample", json={**body, "seq_id": 2, "num_samples": 0}).json()["request_id"]
        failed = poll(served, name, prev_cursor=later["cursor"]).json()["completions"]
        assert [(one["state"], one["request_id"]) for one in failed] == [("failed", wrong)]
    assert poll(served, "none").status_code == 404
    for wrong in ({"timeout": -1}, {"prev_cursor": -1}):
        assert poll(served, name, **wrong).status_code == 400
