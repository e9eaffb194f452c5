"""What the engine is to generate or score for a request; what it cannot is refused here."""

from __future__ import annotations

from secrets import randbits

import numpy as np
import numpy.typing as npt

from tinker_local.domain.generation import GenerationRequest
from tinker_local.engine.train.losses import NO_STABLE_REINFORCE
from tinker_local.errors import RequestError
from tinker_local.loading import BaseModel
from tinker_local.wire import requests
from tinker_local.wire.path_scores import ScorePaths, named_along
from tinker_local.wire.samples import named_tokens

Array = npt.NDArray[np.int64]

MOST_SCORES = 2**20
"""Named tokens of one request, over all of its prompts: eight bytes each while it waits, then text."""


def generation_of(request: requests.Sample, base: BaseModel, most_tokens: int) -> GenerationRequest:
    """The engine's request; raises RequestError where the prompt or the numbers cannot be used.

    `most_tokens` is how many tokens of one sequence fit into memory.
    """
    if any(chunk.type != "encoded_text" for chunk in request.prompt.chunks):
        raise RequestError("The prompt holds an image or audio chunk; only text is supported.")
    prompt = tuple(token for chunk in request.prompt.chunks for token in chunk.tokens)
    context, vocabulary = base.model.config.max_position_embeddings, base.model.config.vocab_size
    if request.record_stability_info:
        raise RequestError(NO_STABLE_REINFORCE)
    if not prompt:
        raise RequestError("The prompt is empty; give it at least one token.")
    if min(prompt) < 0 or max(prompt) >= vocabulary:
        raise RequestError(f"The prompt has token ids outside the vocabulary of {vocabulary} tokens.")
    params = request.sampling_params
    room = context - len(prompt)
    # Without a number the answer may be as long as the context and the memory allow.
    max_tokens = min(room, most_tokens - len(prompt)) if params.max_tokens is None else params.max_tokens
    # Scoring a prompt asks for one token that nobody reads, so a prompt may fill the context.
    if max_tokens > max(room, 1) or len(prompt) > context:
        raise RequestError(
            f"The prompt of {len(prompt)} tokens and {max_tokens} new ones exceed the context of {context}; "
            "shorten one of them."
        )
    stop_tokens, stop_strings = base.end_tokens, tuple[str, ...]()
    if isinstance(params.stop, str):
        stop_strings = (params.stop,)
    elif params.stop is not None:
        stop_strings = tuple(stop for stop in params.stop if isinstance(stop, str))
        chosen = frozenset(stop for stop in params.stop if isinstance(stop, int))
        # An empty list switches every stop off, the end token's too.
        stop_tokens = (base.end_tokens | chosen) if params.stop else frozenset[int]()
    if "" in stop_strings:
        raise RequestError("A stop string is empty; leave it out.")
    return GenerationRequest(
        prompt=prompt,
        num_samples=request.num_samples,
        max_tokens=max(max_tokens, 1),
        temperature=params.temperature,
        top_k=params.top_k,
        top_p=params.top_p,
        seed=randbits(63) if params.seed is None else params.seed % 2**63,
        stop_tokens=stop_tokens,
        stop_strings=stop_strings,
        prompt_logprobs=bool(request.prompt_logprobs),
        scored_from=len(prompt) - (request.prompt_logprobs_last_n or len(prompt)),
        top_prompt_logprobs=min(request.topk_prompt_logprobs, vocabulary),
        top_sample_logprobs=min(request.topk_sample_logprobs, vocabulary),
        named_prompt_tokens=_named_tokens(request, len(prompt), vocabulary),
        prompt_samples=request.prompt_alt_tokens_k,
    )


def _named_tokens(request: requests.Sample, length: int, vocabulary: int) -> Array | None:
    if request.target_prompt_logprobs is None:
        return None
    named = named_tokens(request.target_prompt_logprobs, length)
    if named.min() < -1 or named.max() >= vocabulary:
        raise RequestError(f"target_prompt_logprobs names ids outside the vocabulary of {vocabulary} tokens.")
    return named


def scorings_of(wanted: ScorePaths, base: BaseModel) -> list[GenerationRequest]:
    """One for each prompt and path; raises RequestError for tokens that the base model cannot read."""
    context, vocabulary = base.model.config.max_position_embeddings, base.model.config.vocab_size
    named = [named_along(path) for path in wanted.paths]
    asked = len(wanted.prompts) * sum(tokens.size for tokens in named)
    if asked > MOST_SCORES:
        raise RequestError(
            f"The request asks for {asked:,} scores, and {MOST_SCORES:,} are the most; "
            "send fewer prompts at once."
        )
    for path, tokens in zip(wanted.paths, named, strict=True):
        listed = [*path.tokens, *(token for row in path.named for token in row)]
        if min(listed) < 0 or tokens.max() >= vocabulary or max(path.tokens, default=0) >= vocabulary:
            raise RequestError(f"A path has token ids outside the vocabulary of {vocabulary} tokens.")
    longest = max(len(path.tokens) for path in wanted.paths)
    scorings: list[GenerationRequest] = []
    for prompt in wanted.prompts:
        if not prompt or min(prompt) < 0 or max(prompt) >= vocabulary:
            raise RequestError(f"A prompt is empty or outside the vocabulary of {vocabulary} tokens.")
        if len(prompt) + longest > context:
            raise RequestError(
                f"A prompt of {len(prompt)} tokens and {longest} of a path exceed the context of {context}; "
                "shorten it."
            )
        for path, tokens in zip(wanted.paths, named, strict=True):
            scorings.append(
                GenerationRequest(
                    (*prompt, *path.tokens),
                    num_samples=0,
                    named_prompt_tokens=tokens,
                    named_from=len(prompt) - 1,
                )
            )
    return scorings
