#!/usr/bin/env bash
# TRL 1.16.0: SFTTrainer cuts each row at `max_length`, 1,024 tokens where nobody says otherwise, from its end, where the
# completion stands; and a row of which no trained token is left it takes out of the data set. How many it cut and took out
# no warning and no line of the log says: progress bars go by that name the work and not its outcome. So a set of long
# prompts becomes a smaller set, an epoch has fewer steps, a schedule that counts them is another one, and what is left of
# a completion that was cut has no end token, which the model then does not learn to write.
#
# Seen: TRL 1.16.0 with transformers 5.24.0 and torch 2.13.0, four rows with a prompt of 2, 1,021, 1,022 and 1,030
# tokens and a completion of three words, batches of one, one epoch:
#     rows kept 3, steps 3, trained tokens of each 4 3 2, ending in the end token: yes no no; warnings and lines of the log none
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile trl==1.16.0 transformers==5.24.0 torch==2.13.0
cat > "$folder/rows.py" <<'PYTHON'
import logging
import sys
import warnings
from pathlib import Path

from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from trl import SFTConfig, SFTTrainer

folder = Path(sys.argv[1])
words = Tokenizer(models.WordLevel({"<end>": 0, "<unk>": 1, "p": 2, "c": 3}, unk_token="<unk>"))
words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
words.add_special_tokens(["<end>"])
tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<end>", pad_token="<unk>")
model = LlamaForCausalLM(
    LlamaConfig(vocab_size=8, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1)
)
rows = [{"prompt": "p " * length, "completion": "c c c"} for length in (2, 1021, 1022, 1030)]
told = []
logging.getLogger("trl").addHandler(type("Keep", (logging.Handler,), {"emit": lambda _, one: told.append(one)})())
with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(
            str(folder / "out"), per_device_train_batch_size=1, num_train_epochs=1, use_cpu=True, bf16=False,
            report_to=[], disable_tqdm=True, save_strategy="no",
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
    )
kept = list(trainer.train_dataset)
trained = [sum(label != -100 for label in row["labels"]) for row in kept]
ended = [row["input_ids"][-1] == tokenizer.eos_token_id for row in kept]
steps = len(trainer.get_train_dataloader())
said = [str(one.message) for one in warned if "max_length" in str(one.message) or "drop" in str(one.message)]
said += [one.getMessage() for one in told if one.levelno >= logging.WARNING]
print("rows kept", len(kept), "steps", steps, "trained tokens", trained, "end token", ended, "told", said)
as_described = (len(kept), steps, trained, ended, said) == (3, 3, [4, 3, 2], [True, False, False], [])
print("as described" if as_described else "CHANGED")
sys.exit(not as_described)
PYTHON
"$folder/venv/bin/python" "$folder/rows.py" "$folder"
