"""Small random models in Hugging Face's layout, made by the reference implementation itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

BEGIN, END = "<|begin|>", "<|end|>"

LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}

# By architecture: the name of the configuration, and settings in which it differs from Llama.
ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "LlamaForCausalLM": ("llama", {}),
    "MistralForCausalLM": ("mistral", {"sliding_window": None}),
    "Qwen2ForCausalLM": ("qwen2", {"tie_word_embeddings": True}),
    # Heads whose width is not hidden_size / num_attention_heads, as in the released models.
    "Qwen3ForCausalLM": ("qwen3", {"head_dim": 16, "tie_word_embeddings": True}),
}


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """One token a byte, plus a begin and an end token; begins every text as Llama's does."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {BEGIN: 0, END: 1, **{character: index + 2 for index, character in enumerate(alphabet)}}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.add_special_tokens([BEGIN, END])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", special_tokens=[(BEGIN, 0)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=BEGIN, eos_token=END, clean_up_tokenization_spaces=False
    )


def write_tiny_llama(folder: Path, seed: int = 0, **changes: Any) -> LlamaForCausalLM:
    """Write a random tiny Llama with its tokenizer; returns the reference model, in float32."""
    return cast(LlamaForCausalLM, write_tiny_model(folder, "LlamaForCausalLM", seed, **changes))


def write_tiny_model(folder: Path, architecture: str, seed: int = 0, **changes: Any) -> PreTrainedModel:
    """Write a random tiny model with its tokenizer; returns the reference model, in float32."""
    kind, differences = ARCHITECTURES[architecture]
    settings: dict[str, Any] = {
        "vocab_size": 258,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "tie_word_embeddings": False,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "initializer_range": 0.3,
        **differences,
        **changes,
    }
    torch.manual_seed(seed)
    config = AutoConfig.for_model(kind, **settings)
    made = cast(Any, AutoModelForCausalLM).from_config(config, dtype=torch.float32)
    model = cast(PreTrainedModel, made.eval())
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                # Ones would hide a norm that forgets its weight.
                parameter.uniform_(0.5, 1.5)
            elif name.endswith("bias"):
                # Zeros, as they start, would hide a bias that is not added.
                parameter.uniform_(-1.0, 1.0)
    model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return model


def write_fixed_llama(folder: Path) -> None:
    """Write a tiny Llama whose numbers come from a formula, so that every machine has the same."""
    model = write_tiny_llama(folder, vocab_size=336, tie_word_embeddings=True)
    with torch.no_grad():
        for place, (name, parameter) in enumerate(sorted(model.named_parameters())):
            # The fractions of large multiples of a sine look random enough.
            waves = torch.arange(1, parameter.numel() + 1, dtype=torch.float64).mul(1 + place).sin()
            noise = 2 * waves.mul(43758.5453).frac().abs() - 1
            numbers = 1 + 0.3 * noise if "norm" in name else 0.3 * noise
            parameter.copy_(numbers.view_as(parameter))
    model.save_pretrained(folder)
