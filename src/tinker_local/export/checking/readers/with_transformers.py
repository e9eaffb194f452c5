"""Answers of `transformers`, with an adapter of `peft` or without.

The line of standard input: {"folder", "adapter": folder or null, "merge": bool, "prompts": [{"text",
"tokens"}], "lines": [[[token, ...], ...] for each prompt], "new_tokens": [count for each prompt],
"end_tokens"}.
Standard output: for each prompt {"tokenized", "tokens", "scores"}.
"""

from __future__ import annotations

import importlib
import json
import sys
import warnings
from typing import Any

import torch

# By its name, since the server itself knows nothing of it.
transformers: Any = importlib.import_module("transformers")
# This file is run by its path, and that one lies beside it.
asked_by_parent: Any = importlib.import_module("parent").asked_by_parent
# The loaders warn of what is in the folders on purpose.
warnings.filterwarnings("ignore")


def load(asked: dict[str, Any]) -> Any:
    """The model, in float32."""
    model: Any = transformers.AutoModelForCausalLM.from_pretrained(asked["folder"], dtype=torch.float32)
    if asked["adapter"] is not None:
        peft: Any = importlib.import_module("peft")
        model = peft.PeftModel.from_pretrained(model, asked["adapter"])
        if asked["merge"]:
            model = model.merge_and_unload()
    return model.eval()


def greedy(model: Any, tokens: list[int], count: int, ends: list[int]) -> list[int]:
    """The likeliest token, again and again, until an end or so many."""
    written: list[int] = []
    answer = model(torch.tensor([tokens]), use_cache=True)
    while True:
        written.append(int(answer.logits[0, -1].argmax()))
        if len(written) == count or written[-1] in ends:
            return written
        answer = model(torch.tensor([written[-1:]]), past_key_values=answer.past_key_values, use_cache=True)


def scores(model: Any, tokens: list[int], lines: list[list[int]]) -> list[float]:
    """The log-probability of each line behind these tokens, in nats; the prompt is computed once."""
    width = max(map(len, lines))
    first = model(torch.tensor([tokens]), use_cache=True)
    begun = first.logits[0, -1].log_softmax(-1)
    if width == 1:
        return [float(begun[line[0]]) for line in lines]
    cache = first.past_key_values
    cache.batch_repeat_interleave(len(lines))
    # What fills a short line up stands behind it and changes nothing before.
    rows = torch.tensor([line + [line[-1]] * (width - len(line)) for line in lines])
    logprobs = model(rows, past_key_values=cache, use_cache=True).logits.log_softmax(-1)
    return [
        float(begun[line[0]])
        + sum(float(logprobs[row, place, token]) for place, token in enumerate(line[1:]))
        for row, line in enumerate(lines)
    ]


def main() -> None:
    """Answer every prompt."""
    asked = asked_by_parent()
    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(asked["folder"])
    model = load(asked)
    with torch.no_grad():
        for prompt, lines, count in zip(asked["prompts"], asked["lines"], asked["new_tokens"], strict=True):
            # Split, as the prompt's own tokens are: a control token that is spelled out is a text.
            tokenized: list[int] = tokenizer.encode(prompt["text"], split_special_tokens=True)
            answer = {
                "tokenized": tokenized,
                "tokens": greedy(model, prompt["tokens"], count, asked["end_tokens"]),
                "scores": scores(model, prompt["tokens"], lines),
            }
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()


main()
