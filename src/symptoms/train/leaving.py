"""What leaves this machine when a service elsewhere trains, line by line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Leaving:
    """One kind of thing that is sent: in words, and by which fields of requests and which headers."""

    what: str
    fields: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()


LEAVES = (
    Leaving(
        "the texts that are trained on or asked about, dev texts too, as token ids with the weight of each: "
        "whoever has the model's tokenizer can read them",
        fields=("prompt", "chunks", "tokens", "prompt_alt_tokens"),
    ),
    Leaving(
        "the assessments to be learnt for them (condition, symptoms, recommendation), and the names of the "
        "labels that are asked about, as token ids, too",
        fields=(
            *("target_prompt_logprobs", "data", "dtype", "shape"),
            *("sparse_crow_indices", "sparse_col_indices"),
        ),
    ),
    Leaving(
        "settings: base model, rank, seed, what is adapted, learning rate and the other numbers of Adam, "
        "the loss, how many tokens are sampled and how",
        fields=(
            *("base_model", "lora_config", "rank", "seed", "train_attn", "train_mlp", "train_unembed"),
            *("optimizer_config", "adam_params", "learning_rate", "beta1", "beta2", "eps", "weight_decay"),
            *(
                "grad_clip_norm",
                "num_samples",
                "sampling_params",
                "max_tokens",
                "temperature",
                "top_k",
                "top_p",
            ),
            *("stop", "prompt_logprobs", "prompt_logprobs_last_n", "prompt_alt_tokens_k"),
            *("topk_prompt_logprobs", "topk_sample_logprobs", "record_stability_info"),
        ),
    ),
    Leaving(
        "names that the service or this program gave: sessions, models, requests, and checkpoints such as "
        "best-step-20",
        fields=(
            *("session_id", "model_id", "model_seq_id", "sampling_session_id", "sampling_session_seq_id"),
            *("request_id", "seq_id", "path", "model_path", "optimizer", "overwrite", "kind", "type"),
            *("allow_metadata_only", "reason", "detail", "tags", "user_metadata"),
        ),
        headers=("x-idempotency-key",),
    ),
    Leaving(
        "the API key, the version of the SDK and of Python, the kind of system and processor, and when "
        "requests were made",
        fields=("sdk_version",),
        headers=(
            *("host", "accept", "accept-encoding", "connection", "content-type", "content-encoding"),
            *("content-length", "user-agent", "x-api-key", "x-stainless-package-version", "x-stainless-os"),
            *("x-stainless-arch", "x-stainless-runtime", "x-stainless-runtime-version", "x-stainless-async"),
            *("x-stainless-retry-count", "x-stainless-read-timeout", "x-tinker-request-iteration"),
            *("x-tinker-request-type", "x-tinker-create-promise-roundtrip-time"),
            *("x-tinker-sampling-backpressure", "x-sdk-version", "x-sdk-method", "x-stainless-raw-response"),
        ),
    ),
    Leaving("to the model hub, not the service: the base model's name, for its tokenizer and its shape"),
)
NOT = "not sent: file, folder and run names, ids and other columns of your data, your name or this machine's"


def leaving_in_words(url: str) -> Iterator[str]:
    """The list as `symptoms train --dry-run` shows it."""
    yield f"what would leave this machine for {url}:"
    for line in LEAVES:
        yield f"  - {line.what}"
    yield f"  {NOT}"
