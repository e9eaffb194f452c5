"""The Llama here is the Llama of the reference implementation."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import LlamaForCausalLM

from tinker_local.engine.model.llama import KeyValueCache, Llama
from tinker_local.loading import load_base_model
from tiny_models import LLAMA3_ROPE, write_tiny_llama

CPU = torch.device("cpu")
VARIANTS = {
    "plain": {},
    "llama 3 rope": {"rope_parameters": LLAMA3_ROPE},
    "tied": {"tie_word_embeddings": True},
    "one key head": {"num_key_value_heads": 1},
    "no grouping": {"num_key_value_heads": 4},
    "wide heads": {"head_dim": 16, "rope_parameters": LLAMA3_ROPE, "tie_word_embeddings": True},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_logits_equal_transformers(variant: str, tmp_path: Path):
    """Logits equal the reference's within 1e-4 in float32."""
    reference = write_tiny_llama(tmp_path, **VARIANTS[variant])
    ours = load_base_model(str(tmp_path), "float32", CPU).model
    tokens = torch.randint(0, 258, (3, 100), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = reference(tokens).logits
        actual = ours.logits(ours.hidden(tokens))
    torch.testing.assert_close(actual, expected, atol=1e-4, rtol=0)


def test_rope_scaling_matters(tmp_path: Path):
    """A model that ignored Llama-3 scaling would be caught by the comparison above."""
    reference = write_tiny_llama(tmp_path, rope_parameters=LLAMA3_ROPE)
    ours = load_base_model(str(tmp_path), "float32", CPU).model
    unscaled = Llama(type(ours.config)(**{**vars(ours.config), "rope_scaling": None}), ours.weights)
    tokens = torch.arange(100)[None]
    with torch.no_grad():
        difference = (unscaled.logits(unscaled.hidden(tokens)) - reference(tokens).logits).abs().max()
    assert difference > 1e-2


def test_cache_equals_one_pass(tiny_model: Path):
    """Prompts of unequal length, read together and continued token by token, give the one-pass states."""
    model = load_base_model(str(tiny_model), "float32", CPU).model
    generator = torch.Generator().manual_seed(2)
    rows = [torch.randint(0, 258, (length,), generator=generator) for length in (9, 14)]
    prompts = torch.zeros((2, 8), dtype=torch.int64)
    prompts[0, :4], prompts[1, :8] = rows[0][:4], rows[1][:8]
    with torch.no_grad():
        cache = KeyValueCache(model, 2)
        model.hidden(prompts, cache=cache, positions=torch.arange(8).expand(2, -1))
        # The shorter prompt owns the first four of eight places, and both own what follows.
        seen = torch.arange(8) < torch.tensor([[4], [8]])
        for step in range(5):
            newest = torch.stack([rows[0][4 + step], rows[1][8 + step]])[:, None]
            seen = torch.cat([seen, torch.ones(2, 1, dtype=torch.bool)], dim=1)
            positions = torch.tensor([[4 + step], [8 + step]])
            actual = model.hidden(newest, cache=cache, positions=positions, mask=seen[:, None])
        expected = torch.stack([model.hidden(rows[0][None])[0, 8], model.hidden(rows[1][None])[0, 12]])
    torch.testing.assert_close(actual[:, 0], expected, atol=1e-5, rtol=0)


def test_bfloat16_weights_load_in_float32(tmp_path: Path):
    """Weights stored in bfloat16 are computed in the type that was asked for."""
    write_tiny_llama(tmp_path).to(torch.bfloat16).save_pretrained(tmp_path)
    reference = LlamaForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    ours = load_base_model(str(tmp_path), "float32", CPU).model
    assert ours.dtype == torch.float32
    tokens = torch.arange(50)[None]
    with torch.no_grad():
        torch.testing.assert_close(
            ours.logits(ours.hidden(tokens)), reference(tokens).logits, atol=1e-4, rtol=0
        )
