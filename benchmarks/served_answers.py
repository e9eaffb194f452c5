"""Answers of an OpenAI-compatible server to what an export is asked: run by `benchmarks.served_exports`.

The line of standard input: {"url": ending in /v1, "model", "prompts": [{"text", "tokens"}], "lines":
[[[token, ...], ...] for each prompt], "new_tokens": [count for each prompt], "end_tokens"}.
Standard output: for each prompt {"tokenized", "tokens", "scores"}.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import httpx

SECONDS = 600.0


def main() -> None:
    """Answer every prompt, by `/v1/completions` and vLLM's `/tokenize`."""
    asked: dict[str, Any] = json.loads(sys.stdin.readline())
    with httpx.Client(timeout=SECONDS) as http:
        for prompt, lines, count in zip(asked["prompts"], asked["lines"], asked["new_tokens"], strict=True):
            answer = {
                "tokenized": _tokenized(http, asked, prompt["text"]),
                "tokens": _greedy(http, asked, prompt["tokens"], count),
                "scores": _scores(http, asked, prompt["tokens"], lines),
            }
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()


def _tokenized(http: httpx.Client, asked: dict[str, Any], text: str) -> list[int]:
    url = asked["url"].removesuffix("/v1") + "/tokenize"
    return _posted(http, url, {"model": asked["model"], "prompt": text})["tokens"]


def _greedy(http: httpx.Client, asked: dict[str, Any], tokens: list[int], count: int) -> list[int]:
    body = {"prompt": tokens, "max_tokens": count, "temperature": 0, "return_token_ids": True}
    return _completions(http, asked, body)[0]["token_ids"]


def _scores(
    http: httpx.Client, asked: dict[str, Any], tokens: list[int], lines: list[list[int]]
) -> list[float]:
    """The log-probability of each line behind these tokens, in nats."""
    whole = [tokens + line for line in lines]
    body = {"prompt": whole, "max_tokens": 1, "temperature": 0, "logprobs": 1, "echo": True}
    told = [choice["logprobs"]["token_logprobs"] for choice in _completions(http, asked, body)]
    return [
        sum(logprobs[len(tokens) : len(tokens) + len(line)])
        for logprobs, line in zip(told, lines, strict=True)
    ]


def _completions(http: httpx.Client, asked: dict[str, Any], body: dict[str, Any]) -> list[dict[str, Any]]:
    answer = _posted(http, asked["url"] + "/completions", {"model": asked["model"], **body})
    return sorted(answer["choices"], key=lambda choice: choice["index"])


def _posted(http: httpx.Client, url: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = http.post(url, json=body)
    if answer.status_code != 200:
        raise SystemExit(f"{url} answers with status {answer.status_code}: {answer.text[:300]}")
    return answer.json()


if __name__ == "__main__":
    main()
