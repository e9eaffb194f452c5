"""Prompts that begin alike are read once, and nothing else changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from tinker_local.engine.generation import GenerationRequest
from tinker_local.engine.llama import plain_projection
from tinker_local.engine.prefixes import token_trees
from tinker_local.engine.sampling import generate
from tinker_local.loading import load_base_model

PROMPTS = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=30), min_size=1, max_size=12)


@given(PROMPTS)
def test_trees_hold_every_prompt_once_and_say_what_it_says(prompts: list[list[int]]):
    """Each prompt has one path of its own tokens, which stand one behind the other from the beginning."""
    trees = token_trees(prompts)
    assert sorted(index for tree in trees for index in tree.indices) == list(range(len(prompts)))
    for tree in trees:
        for index, path in zip(tree.indices, tree.paths, strict=True):
            assert [tree.tokens[place] for place in path] == prompts[index]
            assert [tree.parents[place] for place in path] == [-1, *path[:-1]]
            assert [tree.depths[place] for place in path] == list(range(len(path)))


@given(PROMPTS)
def test_a_token_follows_its_own_beginning_alone(prompts: list[list[int]]):
    """The last token of a prompt attends to exactly the tokens of that prompt, and no beginning is twice."""
    for tree in token_trees(prompts):
        ancestry = tree.ancestry()
        for path in tree.paths:
            assert np.flatnonzero(ancestry[path[-1]]).tolist() == path
        beginnings = {(parent, token) for parent, token in zip(tree.parents, tree.tokens, strict=True)}
        assert len(beginnings) == len(tree.tokens)


def test_candidates_of_one_prompt_share_what_they_can():
    """Candidates that begin alike behind one long prompt take one tree, without any token twice."""
    prompt = list(range(40))
    (tree,) = token_trees([[*prompt, 50], [*prompt, 51, 52], [*prompt, 50, 53]])
    assert tree.tokens == [*prompt, 50, 53, 51, 52]
    assert not tree.is_chain


def test_strangers_are_not_read_together_beyond_a_small_number():
    """Long prompts with nothing in common are read one by one, so that no mask spans them all."""
    assert [tree.indices for tree in token_trees([[9] * 300, [8] * 300])] == [[1], [0]]


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
