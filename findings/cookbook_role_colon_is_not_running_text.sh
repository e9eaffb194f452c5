#!/usr/bin/env bash
# tinker-cookbook 0.6.1: the renderer `role_colon`, which is there for base models that know no chat template, makes of
# a conversation the text of a transcript, but not its tokens. It encodes each piece by itself, and a blank line before
# a role is a piece by itself, so one token, where the same text in one run has two: the pre-tokenizer of GPT-2, which
# SmolLM2 has too, leaves the last line feed before a word apart. The prompt of a conversation is then one that
# the model never saw in its own training, though it decodes to the very same characters. Comparing texts does not show it.
#
# Seen: tinker-cookbook 0.6.1 with tinker 0.38.0 and transformers 5.23.0, and a byte-level vocabulary learned from such
# transcripts with GPT-2's pre-tokenizer:
#     role_colon     'User' ':' ' hi' '\n\n' 'Assistant' ':'
#     the same text  'User' ':' ' hi' '\n' '\n' 'Assistant' ':'
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile tinker==0.38.0 transformers==5.23.0 torch==2.13.0 chz pillow termcolor
# Without what its other renderers and its recipes ask for.
"$folder/venv/bin/pip" install --quiet --no-compile --no-deps tinker-cookbook==0.6.1
cat > "$folder/pieces.py" <<'PYTHON'
import sys

from tinker_cookbook import renderers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

learned = Tokenizer(models.BPE())
learned.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
learned.decoder = decoders.ByteLevel()
alphabet = pre_tokenizers.ByteLevel.alphabet()
trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, special_tokens=["<|end|>"])
learned.train_from_iterator(["User: hi\n\nAssistant: yes\n\nUser: a b\n\n"] * 5, trainer)
tokenizer = PreTrainedTokenizerFast(tokenizer_object=learned, eos_token="<|end|>")

renderer = renderers.get_renderer("role_colon", tokenizer)
rendered = renderer.build_generation_prompt([{"role": "user", "content": "hi"}]).to_ints()
running = tokenizer.encode(tokenizer.decode(rendered))
pieces, text = ([tokenizer.decode([token]) for token in tokens] for tokens in (rendered, running))
print("role_colon", pieces)
print("the same text", text)
as_described = (
    pieces == ["User", ":", " hi", "\n\n", "Assistant", ":"]
    and text == ["User", ":", " hi", "\n", "\n", "Assistant", ":"]
)
print("as described" if as_described else "CHANGED")
sys.exit(not as_described)
PYTHON
"$folder/venv/bin/python" "$folder/pieces.py"
