"""Put the pretrained weights into the package, in Hugging Face's layout and bfloat16.

    python pretrain/export.py --data build/pretrain
    python pretrain/export.py --untrained --out build/untrained-base    # the control that knows nothing

An untrained base has the same shape and tokenizer, and random weights: what fine-tuning reaches on it is what
fine-tuning gives without pretraining.
"""

from __future__ import annotations

import argparse
import json
import shutil
from contextlib import ExitStack
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer

from base_models.files import written_whole
from tinker_local.engine.model.llama import LlamaConfig
from tokenize_corpora import BEGIN, END
from train import CONFIG, initial_weights

TARGET = Path(__file__).parent.parent / "src" / "base_models" / "bundled" / "symptoms-base"


def main() -> None:
    """Write weights, tokenizer and configuration, each whole or not at all."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--data", type=Path, default=Path("build/pretrain"))
    arguments.add_argument("--state", type=Path, help="as for train.py; DATA/state.pt")
    arguments.add_argument("--out", type=Path, default=TARGET)
    arguments.add_argument("--untrained", action="store_true", help="random weights instead of the trained")
    options = arguments.parse_args()
    if options.untrained and options.out == TARGET:
        arguments.error("an untrained base does not belong into the package; name a folder with --out")
    tokenizer = Tokenizer.from_file(str(options.data / "tokenizer.json"))
    begin, end = tokenizer.token_to_id(BEGIN), tokenizer.token_to_id(END)
    if options.untrained:
        shape, weights = CONFIG, initial_weights(CONFIG, seed=0)
    else:
        state = torch.load(options.state or options.data / "state.pt", weights_only=True)
        shape, weights = LlamaConfig(**state["config"]), state["weights"]
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": shape.vocab_size,
        "hidden_size": shape.hidden_size,
        "intermediate_size": shape.intermediate_size,
        "num_hidden_layers": shape.num_hidden_layers,
        "num_attention_heads": shape.num_attention_heads,
        "num_key_value_heads": shape.num_key_value_heads,
        "head_dim": shape.head_dim,
        "max_position_embeddings": shape.max_position_embeddings,
        "rms_norm_eps": shape.rms_norm_eps,
        "rope_theta": shape.rope_theta,
        "tie_word_embeddings": shape.tie_word_embeddings,
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
        "model_max_length": shape.max_position_embeddings,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    # All are written before the first gets its name, so that hardly any moment has old beside new.
    with ExitStack() as stack:

        def partial(name: str) -> Path:
            return stack.enter_context(written_whole(options.out / name))

        for name, content in (("config.json", config), ("tokenizer_config.json", tokenizer_config)):
            partial(name).write_text(json.dumps(content, indent=1) + "\n")
        shutil.copy(options.data / "tokenizer.json", partial("tokenizer.json"))
        stored = {name: weight.to(torch.bfloat16).contiguous() for name, weight in weights.items()}
        save_file(stored, partial("model.safetensors"), metadata={"format": "pt"})
    print(f"{sum(w.numel() for w in weights.values()):,} parameters written to {options.out}")


if __name__ == "__main__":
    main()
