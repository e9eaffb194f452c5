"""Put the pretrained weights into the package, in Hugging Face's layout and bfloat16.

python pretrain/export.py --data build/pretrain
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer

from tokenize_corpora import BEGIN, END
from train import CONFIG

TARGET = Path(__file__).parent.parent / "src" / "tinker_local" / "bundled" / "symptoms-base"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--data", type=Path, default=Path("build/pretrain"))
    options = arguments.parse_args()
    tokenizer = Tokenizer.from_file(str(options.data / "tokenizer.json"))
    begin, end = tokenizer.token_to_id(BEGIN), tokenizer.token_to_id(END)
    weights = torch.load(options.data / "state.pt", weights_only=True)["weights"]
    TARGET.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: weight.to(torch.bfloat16).contiguous() for name, weight in weights.items()},
        TARGET / "model.safetensors",
        metadata={"format": "pt"},
    )
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": CONFIG.vocab_size,
        "hidden_size": CONFIG.hidden_size,
        "intermediate_size": CONFIG.intermediate_size,
        "num_hidden_layers": CONFIG.num_hidden_layers,
        "num_attention_heads": CONFIG.num_attention_heads,
        "num_key_value_heads": CONFIG.num_key_value_heads,
        "head_dim": CONFIG.head_dim,
        "max_position_embeddings": CONFIG.max_position_embeddings,
        "rms_norm_eps": CONFIG.rms_norm_eps,
        "rope_theta": CONFIG.rope_theta,
        "tie_word_embeddings": CONFIG.tie_word_embeddings,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": begin,
        "eos_token_id": end,
        "torch_dtype": "bfloat16",
    }
    tokenizer_config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BEGIN,
        "eos_token": END,
        "clean_up_tokenization_spaces": False,
        "model_max_length": CONFIG.max_position_embeddings,
    }
    for name, content in (("config.json", config), ("tokenizer_config.json", tokenizer_config)):
        (TARGET / name).write_text(json.dumps(content, indent=1) + "\n")
    shutil.copy(options.data / "tokenizer.json", TARGET / "tokenizer.json")
    print(f"{sum(w.numel() for w in weights.values()):,} parameters written to {TARGET}")


if __name__ == "__main__":
    main()
