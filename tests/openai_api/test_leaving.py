"""A client that leaves takes its request with it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from http_in_process import KEY, Serving, serving
from tiny_models import write_tiny_llama
from waiting import PATIENCE

SECONDS = 30.0
"""In which what was left ends, on a busy machine too; it would go on for minutes."""
HEADERS = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("long")
    write_tiny_llama(folder / "model", max_position_embeddings=8192, eos_token_id=None)
    with serving(folder / "model", folder / "home") as made:
        yield made


def asked(running: Serving) -> dict[str, Any]:
    """A million tokens, since no token of the model's vocabulary ends a text: minutes of work."""
    return {"model": running.model, "prompt": [0] * 4, "max_tokens": 8000, "n": 128, "temperature": 2}


def is_idle(running: Serving) -> bool:
    return not running.state.samplers._scheduler._jobs


def becomes_idle(running: Serving) -> bool:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and not is_idle(running):
        time.sleep(0.05)
    return is_idle(running)


def test_a_stream_that_is_left_is_not_computed_on(running: Serving):
    """The engine drops it before one of its next steps."""
    with httpx.stream(
        "POST",
        f"{running.url}/v1/completions",
        json={**asked(running), "stream": True},
        headers=HEADERS,
        trust_env=False,
        timeout=PATIENCE,
    ) as stream:
        # Kept, since lines that nobody holds any more close the stream at once.
        lines = stream.iter_lines()
        next(lines)
        assert not is_idle(running)
    assert becomes_idle(running)


def test_an_answer_that_nobody_waits_for_is_not_computed_on(running: Serving):
    """A client that gives up is noticed though nothing is sent to it."""
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{running.url}/v1/completions",
            json=asked(running),
            headers=HEADERS,
            trust_env=False,
            timeout=httpx.Timeout(PATIENCE, read=0.3),
        )
    assert becomes_idle(running)
