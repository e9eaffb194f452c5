"""Answers of llama.cpp, by the package `xllamacpp`.

The line of standard input: {"file", "adapter": file or null, "vocab_size", "plain", "threads", "prompts",
"lines", "new_tokens", "end_tokens"} as in `with_transformers.py`, and so is standard output.
"""

from __future__ import annotations

import http.client
import importlib
import json
import os
import sys
from contextlib import closing
from typing import Any

# By its name, since not everybody has it.
xllamacpp: Any = importlib.import_module("xllamacpp")
# This file is run by its path, and that one lies beside it.
asked_by_parent: Any = importlib.import_module("parent").asked_by_parent
FORCED = 1000.0
MANY = 8
"""From so many tokens to score at one place on, the whole vocabulary is asked for at once."""


def serve(asked: dict[str, Any]) -> Any:
    """A server in this process with what is asked loaded, computing in float32 beside its weights."""
    settings = xllamacpp.CommonParams()
    settings.model.path = asked["file"]
    if asked["adapter"] is not None:
        settings.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(asked["adapter"], 1.0)]
    longest = max(
        len(prompt["tokens"]) + max(count, *map(len, lines))
        for prompt, lines, count in zip(asked["prompts"], asked["lines"], asked["new_tokens"], strict=True)
    )
    settings.n_ctx = longest + 64
    settings.n_parallel = 1
    settings.warmup = False
    settings.verbosity = 0
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = asked["threads"]
    # Keys and values as finely as elsewhere; the weights are what is to be judged.
    settings.cache_type_k = settings.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    settings.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    return xllamacpp.Server(settings)


class LlamaCpp:
    """Its answers, over the loopback interface."""

    def __init__(self, server: Any, vocab_size: int, plain: int) -> None:
        """`plain` is a token that is a text of its own; llama.cpp tells likelihoods beside no other kind."""
        self._address = server.listening_address.removeprefix("http://")
        self._vocab_size = vocab_size
        self._plain = plain

    def ask(self, path: str, **request: Any) -> Any:
        """The JSON that it answers with."""
        # A connection for each, because it is closed from the other side after five idle seconds.
        with closing(http.client.HTTPConnection(self._address, timeout=600)) as connection:
            connection.request("POST", path, json.dumps(request), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
        if answer.status != 200:
            raise SystemExit(f"llama.cpp refuses {path}: {content.decode()}")
        return json.loads(content)

    def tokenize(self, text: str) -> list[int]:
        """The tokens of a text as its beginning; control tokens that are spelled out are text."""
        return self.ask("/tokenize", content=text, add_special=True, parse_special=False)["tokens"]

    def greedy(self, tokens: list[int], count: int) -> list[int]:
        """The likeliest token, again and again, until an end or so many."""
        answer = self.ask(
            "/completion", prompt=tokens, n_predict=count, temperature=0.0, samplers=["temperature"],
            return_tokens=True, cache_prompt=True,
        )  # fmt: skip
        return answer["tokens"]

    def scores(self, tokens: list[int], lines: list[list[int]]) -> list[float]:
        """The log-probability of each line behind these tokens, in nats; shared beginnings once."""
        following: dict[tuple[int, ...], dict[int, float]] = {}
        for line in lines:
            for place, token in enumerate(line):
                following.setdefault(tuple(line[:place]), {})[token] = 0.0
        for beginning, wanted in following.items():
            prompt = [*tokens, *beginning]
            if len(wanted) > MANY:
                found = self.all_logprobs(prompt)
                wanted.update({token: found[token] for token in wanted})
            else:
                wanted.update({token: self.logprob(prompt, token) for token in wanted})
        return [
            sum(following[tuple(line[:place])][token] for place, token in enumerate(line)) for line in lines
        ]

    def logprob(self, tokens: list[int], chosen: int) -> float:
        """The log-probability of one token to come next, which is made to be drawn."""
        told = self._drawn(tokens, chosen, 1)
        return self.all_logprobs(tokens)[chosen] if told is None else told["logprob"]

    def all_logprobs(self, tokens: list[int]) -> dict[int, float]:
        """Of every token of the vocabulary."""
        told = self._drawn(tokens, self._plain, self._vocab_size)
        assert told is not None, "the plain token is a text of its own"
        return {each["id"]: each["logprob"] for each in told["top_logprobs"]}

    def _drawn(self, tokens: list[int], chosen: int, count: int) -> Any:
        """What is told of a token that a bias makes it draw, None where it writes no text of its own.

        The log-probabilities are those before the bias.
        """
        answer = self.ask(
            "/completion", prompt=tokens, n_predict=1, n_probs=count, logit_bias=[[chosen, FORCED]],
            cache_prompt=True,
        )  # fmt: skip
        told = answer.get("completion_probabilities")
        return told[0] if told else None


def main() -> None:
    """Answer every prompt."""
    asked = asked_by_parent()
    server = serve(asked)
    llama = LlamaCpp(server, asked["vocab_size"], asked["plain"])
    for prompt, lines, count in zip(asked["prompts"], asked["lines"], asked["new_tokens"], strict=True):
        answer = {
            "tokenized": llama.tokenize(prompt["text"]),
            "tokens": llama.greedy(prompt["tokens"], count),
            "scores": llama.scores(prompt["tokens"], lines),
        }
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    # It now and then never ends when it is put away.
    os._exit(0)


main()
