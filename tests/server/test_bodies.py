"""Request bodies over the limit are refused before they fill the memory."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from symptoms.service import LocalServer
from tinker_local.server.bodies import MAX_BODY_BYTES
from waiting import PATIENCE

PIECE = bytes(2**20)


def pieces(total: int) -> Iterator[bytes]:
    """A body of so many bytes, sent in chunks without a Content-Length."""
    for _ in range(total // len(PIECE)):
        yield PIECE
    yield PIECE[: total % len(PIECE)]


@pytest.fixture
def http(server: LocalServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, headers={"X-API-Key": server.api_key}, timeout=PATIENCE) as client:
        yield client


@pytest.mark.parametrize("route", ["forward_backward", "asample", "create_session"])
@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_over_the_limit_is_refused(http: httpx.Client, route: str, chunked: bool):
    """One byte too many is refused with a sentence, whether or not the length was said beforehand."""
    total = MAX_BODY_BYTES + 1
    answer = http.post(f"/api/v1/{route}", content=pieces(total) if chunked else bytes(total))
    assert (answer.status_code, "send smaller batches" in answer.text) == (413, True)
    assert http.get("/api/v1/get_server_capabilities").status_code == 200


@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_at_the_limit_is_read(http: httpx.Client, chunked: bool):
    """A body of exactly the limit is read, and found to be no request."""
    content = pieces(MAX_BODY_BYTES) if chunked else bytes(MAX_BODY_BYTES)
    promise = http.post("/api/v1/forward_backward", content=content).json()
    assert http.post("/api/v1/retrieve_future", json=promise).json()["category"] == "user"
