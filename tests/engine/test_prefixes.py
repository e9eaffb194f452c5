"""Prompts that begin alike are read once, and nothing else changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from tinker_local.engine.llama import plain_projection
from tinker_local.engine.loading import load_base_model
from tinker_local.engine.prefixes import group_by_prefix
from tinker_local.engine.sampling import GenerationRequest, generate

PROMPTS = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=30), min_size=1, max_size=12)


@given(PROMPTS)
def test_groups_hold_every_prompt_once_and_share_what_they_say(prompts: list[list[int]]):
    """Each prompt is in one group, agrees with it in the shared tokens, and has a token left over."""
    groups = group_by_prefix(prompts)
    assert sorted(index for group in groups for index in group.indices) == list(range(len(prompts)))
    for group in groups:
        beginnings = {tuple(prompts[index][: group.shared]) for index in group.indices}
        assert len(beginnings) == 1
        assert all(len(prompts[index]) > group.shared for index in group.indices)


def test_candidates_of_one_prompt_share_it():
    """Candidates behind one long prompt form one group; a stranger stays outside."""
    prompt = list(range(40))
    groups = group_by_prefix([[*prompt, 50], [*prompt, 51, 52], [7, 8], [*prompt, 50, 53]])
    assert {group.indices: group.shared for group in groups} == {(0, 3, 1): 40, (2,): 0}


def test_shared_reading_gives_the_same_numbers(tiny_model: Path):
    """Log-probabilities and greedy tokens of prompts read together equal those of each read alone."""
    base = load_base_model(str(tiny_model), "float32", torch.device("cpu"))
    prompt = tuple(range(30, 60))
    prompts = [(*prompt, 99, 98), (*prompt, 97), prompt, (5, 6, 7), (*prompt, 97)]
    requests = [
        GenerationRequest(one, 2, 6, 0.0, -1, 1.0, 0, frozenset(), (), True, top_prompt_logprobs=3)
        for one in prompts
    ]
    together = generate(base.model, plain_projection, base.tokenizer, requests)
    for request, result in zip(requests, together, strict=True):
        alone = generate(base.model, plain_projection, base.tokenizer, [request])[0]
        assert [s.tokens for s in result.sequences] == [s.tokens for s in alone.sequences]
        np.testing.assert_allclose(result.prompt.logprobs, alone.prompt.logprobs, atol=1e-5)
        assert result.prompt.top is not None
        assert alone.prompt.top is not None
        np.testing.assert_array_equal(result.prompt.top.token_ids, alone.prompt.top.token_ids)
