#!/usr/bin/env bash
# mlx-lm 0.32.2 counts one target too many in each text: of `n` tokens, the last of which is the end token, n - 1 can be
# predicted, and it trains n. The last one is what stands in the padding after the end token, which is id 0 whatever token
# that is, so that a model learns to write token 0 after it has ended. In many vocabularies that is an ordinary sign ("!"
# in Qwen's), and the mean of the loss holds it as one token of the text. Only a text that fills `max_seq_length` has none.
# With `mask_prompt` it is counted as well: a completion of one token and the end token is a loss over three.
#
# Seen: mlx-lm 0.32.2 with mlx 0.32.4 on Linux, tokens 5 6 7 and end token 1, a model that is sure of each next token:
#     targets that count: 6 7 1 0   loss of a model that writes another token than 0 after the end: 12.5 in place of 0.0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile mlx-lm==0.32.2 mlx==0.32.4 mlx-cpu==0.32.4
cat > "$folder/targets.py" <<'PYTHON'
import sys

import mlx.core as mx
from mlx_lm.tuner.datasets import CacheDataset, TextDataset
from mlx_lm.tuner.trainer import default_loss, iterate_batches


class Tokens:
    eos_token_id = 1

    def encode(self, text):
        return [int(part) for part in text.split()]


class Sure:
    """Gives the next token of 5 6 7 1 a logit of 50 and others 0; after the end it is as sure of token 3."""

    following = {5: 6, 6: 7, 7: 1, 1: 3}

    def __call__(self, tokens):
        return mx.array(
            [[[50.0 * (self.following.get(one) == other) for other in range(8)] for one in row]
             for row in tokens.tolist()]
        )


data = CacheDataset(TextDataset([{"text": "5 6 7"}], Tokens()))
batch, spans = next(iterate_batches(data, batch_size=1, max_seq_length=2048))
loss, counted = default_loss(Sure(), batch, spans)
start, end = spans[0].tolist()
targets = batch[0, 1:].tolist()[max(start - 1, 0) : end]
print("targets that count", targets, "of", counted.item(), "loss", round(loss.item(), 2))
as_described = targets == [6, 7, 1, 0] and counted.item() == 4 and abs(loss.item() - 12.5) < 0.3
print("as described" if as_described else "CHANGED")
sys.exit(not as_described)
PYTHON
"$folder/venv/bin/python" "$folder/targets.py"
