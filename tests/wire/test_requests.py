"""Numbers that no clock or tensor can hold are refused as they are read."""

from __future__ import annotations

import pytest

from tinker_local.errors import RequestError
from tinker_local.wire.requests import SamplingParams, SaveWeights, parse_json


@pytest.mark.parametrize("seconds", [0, -1, 3599, 10 * 365 * 86_400 + 1, 10**30])
def test_a_time_to_live_is_a_time(seconds: int):
    """A checkpoint lives between an hour and ten years, or without a limit."""
    with pytest.raises(RequestError, match="ttl_seconds"):
        parse_json(SaveWeights, b'{"model_id": "m", "seq_id": 1, "ttl_seconds": %d}' % seconds)


def test_top_k_fits_a_tensor():
    """A top_k beyond 64 bits is refused, one within them is not."""
    assert parse_json(SamplingParams, b'{"top_k": %d}' % (2**63 - 1)).top_k == 2**63 - 1
    with pytest.raises(RequestError, match="top_k"):
        parse_json(SamplingParams, b'{"top_k": %d}' % 2**63)
