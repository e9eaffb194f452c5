#!/usr/bin/env bash
# mlx-lm 0.32.2 says that it sorts examples by length, so that a batch holds texts of like length. It asks its cache of
# the data set for that length, and the cache gives the length of the row before it is made tokens: of a dict, the number of
# its keys. So rows with one form all count as equally long, the sort leaves them in the order of the file, and batches are
# its neighbours, always the same ones: short texts are padded to long ones beside them. What does not fill the last
# batch is never trained on, in any epoch, and that is the end of the file and not, as with a sort by tokens, the longest
# texts. A row with one key more, such as `tools`, moves to the end of the order and into that remainder.
#
# Seen: mlx-lm 0.32.2 with mlx 0.32.4 on Linux, five rows of 9, 3, 40, 5 and 7 characters, a token each, batches of two,
# 20 epochs; tokens of a row with its end token:
#     batches (10, 4) and (41, 6)   never 8, which is the last row and neither the longest nor the shortest
#     with a key more on the first row: (4, 41) and (6, 8)   never 10
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile mlx-lm==0.32.2 mlx==0.32.4 mlx-cpu==0.32.4
cat > "$folder/batches.py" <<'PYTHON'
import sys

from mlx_lm.tuner.datasets import CacheDataset, TextDataset
from mlx_lm.tuner.trainer import iterate_batches


class OneTokenACharacter:
    eos_token_id = 1

    def encode(self, text):
        return [2] * len(text)


def batches(rows):
    """The lengths in each batch of 20 epochs, as mlx_lm.lora makes them of its rows."""
    data = CacheDataset(TextDataset(rows, OneTokenACharacter()))
    seen = set()
    for _ in range(20):
        for _, spans in iterate_batches(data, batch_size=2, max_seq_length=2048):
            seen.add(tuple(end for _, end in spans.tolist()))
    return seen


rows = [{"text": "x" * length} for length in (9, 3, 40, 5, 7)]
plain = batches(rows)
more = batches([{**rows[0], "source": "a"}, *rows[1:]])
print("rows of one form", sorted(plain))
print("a key more on the first", sorted(more))
as_described = plain == {(10, 4), (41, 6)} and more == {(4, 41), (6, 8)}
print("as described" if as_described else "CHANGED")
sys.exit(not as_described)
PYTHON
"$folder/venv/bin/python" "$folder/batches.py"
