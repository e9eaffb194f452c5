#!/usr/bin/env bash
# transformers 5.23.0: the training loss that Trainer (and so TRL) tells is the mean over all tokens of a step, the same
# however they are shared out among batches and accumulation. Its `eval_loss` is not: each batch's mean over its own
# tokens counts once for each of its examples, so that on the same texts it changes with `per_device_eval_batch_size`,
# and with the order of the texts. Only one batch that holds all of them gives the mean over tokens. So the two
# curves of one run are not the same quantity, and an eval_loss is no figure to compare between machines that had room
# for other batches, or with a tool that counts tokens.
#
# Seen: transformers 5.23.0 with torch 2.13.0, an untrained model, six texts of 2 to 40 tokens:
#     eval_loss, batches of 1, 2, 3, 6   4.170 4.201 4.176 4.184
#     training loss, batches of 6 x 1, 2 x 3, 1 x 6   4.184 4.184 4.184
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile transformers==5.23.0 torch==2.13.0 accelerate==1.15.0
cat > "$folder/losses.py" <<'PYTHON'
import sys
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

folder = Path(sys.argv[1])
config = LlamaConfig(
    vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=2
)
rows = [
    {"input_ids": [token] * length, "labels": [token] * length}
    for length, token in ((2, 5), (40, 9), (3, 11), (30, 13), (2, 17), (25, 19))
]


def padded(batch):
    longest = max(len(row["labels"]) for row in batch)

    def column(name, filling):
        return torch.tensor([row[name] + [filling] * (longest - len(row[name])) for row in batch])

    present = [{"mask": [1] * len(row["labels"])} for row in batch]
    mask = torch.tensor([row["mask"] + [0] * (longest - len(row["mask"])) for row in present])
    return {"input_ids": column("input_ids", 0), "labels": column("labels", -100), "attention_mask": mask}


def trainer(**settings):
    torch.manual_seed(0)
    arguments = TrainingArguments(
        str(folder / "out"), use_cpu=True, report_to=[], disable_tqdm=True, save_strategy="no", **settings
    )
    data = {"train_dataset": rows, "eval_dataset": rows, "data_collator": padded}
    return Trainer(model=LlamaForCausalLM(config), args=arguments, **data)


evaluated = [trainer(per_device_eval_batch_size=size).evaluate()["eval_loss"] for size in (1, 2, 3, 6)]
trained = []
for size, gathered in ((6, 1), (2, 3), (1, 6)):
    one = trainer(
        per_device_train_batch_size=size, gradient_accumulation_steps=gathered, max_steps=1, logging_steps=1
    )
    one.train()
    trained.append(next(entry["loss"] for entry in one.state.log_history if "loss" in entry))
print("eval_loss", *(f"{loss:.3f}" for loss in evaluated))
print("training loss", *(f"{loss:.3f}" for loss in trained))
as_described = (
    max(trained) - min(trained) < 1e-4
    and abs(evaluated[3] - trained[0]) < 1e-4
    and max(abs(loss - trained[0]) for loss in evaluated[:3]) > 0.01
    and len({round(loss, 3) for loss in evaluated}) == 4
)
print("as described" if as_described else "CHANGED")
sys.exit(not as_described)
PYTHON
"$folder/venv/bin/python" "$folder/losses.py" "$folder"
