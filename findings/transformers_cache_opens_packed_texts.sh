#!/usr/bin/env bash
# transformers 5.24.0: texts that are packed into one row, one behind another with `position_ids` that begin anew, do not
# see each other, with sdpa and eager attention too: the mask is made of the position ids. But it is made so only where
# there is no cache, and a model makes one unless it is told `use_cache=False`, in training mode as well. So an argument
# that is there to save work decides what a text attends to: by the default each text sees all that lie before it, at
# positions that are taken twice, which is no better than packing them without position ids at all. An attention mask of ones,
# which masks nothing, does the same. No warning tells. Trainer and TRL turn the cache off, so their training is right, and
# a loop of one's own on the same batch, or a score that is taken of the trained model by its folder, is not.
#
# Seen: transformers 5.24.0 with torch 2.13.0, an untrained Llama, texts of 7, 9 and 4 tokens, a batch of
# DataCollatorWithFlattening as it comes, sdpa and eager alike; the loss of each text alone, and of all packed:
#     alone, as one mean   5.0505   packed, use_cache=False   5.0505
#     packed, as it comes  4.6327   packed, use_cache=False and a mask of ones   4.6327   without position ids   4.5632
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile transformers==5.24.0 torch==2.13.0
cat > "$folder/packed.py" <<'PYTHON'
import sys

import torch
from transformers import DataCollatorWithFlattening, LlamaConfig, LlamaForCausalLM

generator = torch.Generator().manual_seed(1)
texts = [torch.randint(0, 64, (length,), generator=generator).tolist() for length in (7, 9, 4)]
batch = DataCollatorWithFlattening()([{"input_ids": text} for text in texts])
assert set(batch) == {"input_ids", "labels", "position_ids"}, set(batch)
targets = sum(len(text) - 1 for text in texts)
as_described = True
for attention in ("sdpa", "eager"):
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        initializer_range=0.2,
    )
    model = LlamaForCausalLM._from_config(config, attn_implementation=attention).train()

    def loss(**inputs):
        with torch.no_grad():
            return model(**inputs).loss.item()

    each = [loss(input_ids=torch.tensor([text]), labels=torch.tensor([text])) for text in texts]
    alone = sum(one * (len(text) - 1) for one, text in zip(each, texts)) / targets
    ones = torch.ones_like(batch["input_ids"])
    without = {name: value for name, value in batch.items() if name != "position_ids"}
    told = {
        "alone": alone,
        "use_cache=False": loss(**batch, use_cache=False),
        "as it comes": loss(**batch),
        "mask of ones": loss(**batch, use_cache=False, attention_mask=ones),
        "without position ids": loss(**without, use_cache=False),
    }
    print(attention, {name: round(value, 4) for name, value in told.items()})
    as_described &= abs(told["use_cache=False"] - alone) < 1e-4
    as_described &= all(abs(told[name] - alone) > 0.05 for name in list(told)[2:])
    as_described &= abs(told["as it comes"] - told["mask of ones"]) < 1e-4
print("as described" if as_described else "CHANGED")
sys.exit(not as_described)
PYTHON
"$folder/venv/bin/python" "$folder/packed.py"
