"""The Llama here is the Llama of the reference implementation."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import LlamaForCausalLM

from sampling_requests import assert_steps_equal
from tinker_local.engine.model.llama import Llama
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


@pytest.mark.parametrize("variant", VARIANTS)
def test_token_steps_equal_transformers(variant: str, tmp_path: Path):
    """Prompts of unequal length, prefilled and continued together, have the reference's scores."""
    reference = write_tiny_llama(tmp_path, **VARIANTS[variant])
    base = load_base_model(str(tmp_path), "float32", CPU)
    tokens = torch.randint(0, 258, (120,), generator=torch.Generator().manual_seed(2)).tolist()
    assert_steps_equal(reference, base, tokens[:9], tokens[9:])


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
