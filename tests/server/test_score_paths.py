"""Named tokens behind many prompts in one request, beside what the protocol's own requests say of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
import tinker
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tinker import ModelInput

from symptoms.errors import ServiceError
from symptoms.service import LocalServer
from symptoms.service.path_scorer import PROMPTS_AT_ONCE, Path, PathRequests, PathScorer
from symptoms.service.sdk import sampler_id
from waiting import PATIENCE

VOCABULARY = 258
PATHS = (Path((7, 8), ((7, 9), (8,), (10, 11, 12))), Path((9,), ((), (13,))))
TOKENS = st.integers(0, VOCABULARY - 1)


@pytest.fixture(scope="module")
def sampler(server: LocalServer) -> Iterator[tinker.SamplingClient]:
    with tinker.ServiceClient(base_url=server.url, api_key=server.api_key) as client:
        yield client.create_sampling_client(base_model=server.base_model).result()


@pytest.fixture(scope="module")
def requests(server: LocalServer) -> Iterator[PathRequests]:
    made = PathRequests(server.url, server.api_key)
    yield made
    made.close()


def known_as(sampler: tinker.SamplingClient) -> str:
    told = sampler_id(sampler)
    assert told is not None
    return told


def one_by_one(sampler: tinker.SamplingClient, prompt: list[int], paths: tuple[Path, ...]) -> list[float]:
    """The same figures by a request for each named token."""
    found: list[float] = []
    for path in paths:
        for place, named in enumerate(path.named):
            for token in named:
                whole = ModelInput.from_ints([*prompt, *path.tokens[:place], token])
                last = sampler.compute_logprobs(whole).result()[-1]
                assert last is not None
                found.append(last)
    return found


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(prompts=st.lists(st.lists(TOKENS, min_size=1, max_size=40), min_size=1, max_size=4))
def test_scores_are_those_of_one_request_a_token(
    sampler: tinker.SamplingClient, requests: PathRequests, prompts: list[list[int]]
):
    """Whatever prompts stand in one request, each gets what it gets alone, by the protocol's own requests."""
    found = requests.scored(known_as(sampler), prompts, PATHS)
    for prompt, scores in zip(prompts, found, strict=True):
        np.testing.assert_allclose(scores, one_by_one(sampler, prompt, PATHS), atol=1e-4)


def test_prompts_are_asked_together_and_answered_each_by_its_own(
    sampler: tinker.SamplingClient, requests: PathRequests, monkeypatch: pytest.MonkeyPatch
):
    """Prompts more than one request holds are split up, and the last go out when someone waits for them."""
    asked: list[int] = []
    scored = requests.scored

    def counted(sampler_id: str, prompts: Any, paths: Any) -> Any:
        asked.append(len(prompts))
        return scored(sampler_id, prompts, paths)

    monkeypatch.setattr(requests, "scored", counted)
    scorer = PathScorer(requests, known_as(sampler))
    prompts = [[number, 5, number] for number in range(2 * PROMPTS_AT_ONCE + 3)]
    waiting = [scorer.submit(prompt, PATHS) for prompt in prompts]
    found = [wait() for wait in waiting]
    assert sorted(asked) == [3, PROMPTS_AT_ONCE, PROMPTS_AT_ONCE]
    monkeypatch.undo()
    for prompt, scores in zip(prompts[-3:], found[-3:], strict=True):
        np.testing.assert_allclose(scores, scored(known_as(sampler), [prompt], PATHS)[0], atol=1e-4)


def test_threads_that_ask_at_once_get_their_own_scores(
    sampler: tinker.SamplingClient, requests: PathRequests
):
    """One scorer serves several threads, as the page's server has them."""
    scorer = PathScorer(requests, known_as(sampler))
    prompts = [[number, 4, 5] for number in range(12)]
    found: dict[int, list[float]] = {}

    def ask(number: int) -> None:
        found[number] = scorer.submit(prompts[number], PATHS)()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(prompts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    alone = requests.scored(known_as(sampler), prompts, PATHS)
    np.testing.assert_allclose([found[number] for number in range(len(prompts))], alone, atol=1e-4)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"prompts": [[]]}, "A prompt is empty"),
        ({"prompts": [[VOCABULARY * 1000]]}, "outside the vocabulary"),
        ({"prompts": [[1]] * 257}, "prompts:"),
        ({"prompts": [[1] * 100_000]}, "exceed the context"),
        ({"paths": []}, "paths:"),
        ({"prompts": [[1]] * 256, "paths": [{"tokens": [], "named": [[3] * 5000]}]}, "send fewer prompts"),
        ({"paths": [{"tokens": [1], "named": [[2]]}]}, "one more list than tokens"),
        ({"paths": [{"tokens": [1], "named": [[], []]}]}, "names no token"),
        ({"paths": [{"tokens": [-1], "named": [[2], [3]]}]}, "outside the vocabulary"),
        ({"paths": [{"tokens": [], "named": [[-2]]}]}, "outside the vocabulary"),
        ({"paths": [{"tokens": [], "named": [[VOCABULARY * 1000]]}]}, "outside the vocabulary"),
    ],
)
def test_what_cannot_be_scored_is_refused_by_name(
    server: LocalServer, sampler: tinker.SamplingClient, wrong: dict[str, Any], said: str
):
    """A mistake is an HTTP error with one sentence, and nothing is queued for it."""
    body = {
        "sampling_session_id": known_as(sampler),
        "prompts": [[1, 2]],
        "paths": [{"tokens": [], "named": [[3]]}],
    }
    headers = {"X-API-Key": server.api_key}
    url = f"{server.url}/api/v1/score_paths"
    assert httpx.post(url, json=body, headers=headers).status_code == 200
    answer = httpx.post(url, json=body | wrong, headers=headers)
    assert answer.status_code == 400
    assert said in answer.json()["detail"]


def test_a_sampler_that_is_gone_is_told_in_one_sentence(requests: PathRequests):
    """Its session may have ended while the client was away."""
    with pytest.raises(ServiceError, match=r"no longer has what it was asked for \(status 404\)"):
        requests.scored("nobody:sample:0", [[1, 2]], PATHS)
