"""The JSON bodies that the SDK sends, as the server reads them.

Unknown fields are ignored: newer SDKs add fields, and a server that refused them would break on every
release. What a field means is checked where it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tinker_local.errors import RequestError

TtlSeconds = Annotated[int, Field(ge=3600, le=10 * 365 * 86_400)]
"""A checkpoint's time to live: between an hour and ten years, as the service has it."""


class WireModel(BaseModel):
    """Base of the request bodies."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())


class CreateSession(WireModel):
    """The body of create_session; GET sessions/{id} gives back its metadata and its name."""

    tags: list[str] = []
    user_metadata: dict[str, Any] | None = None
    sdk_version: str = ""
    display_name: str | None = None


class SessionHeartbeat(WireModel):
    """The body of session_heartbeat, which the SDK sends every 10 seconds."""

    session_id: str


class LoraSettings(WireModel):
    """`lora_config` of create_model; where `seed` is None, the adapter's first values are drawn anew."""

    rank: int = Field(ge=1, le=4096)
    seed: int | None = None
    train_unembed: bool = True
    train_mlp: bool = True
    train_attn: bool = True


class OptimizerConfig(WireModel):
    """`optimizer_config` of create_model and load_weights: adamw, or version 1 of dimuon."""

    type: str = "adamw"
    version: int = 1


class CreateModel(WireModel):
    """The body of create_model; its run is `<session_id>:train:<model_seq_id>`, of rank 32 unless told."""

    session_id: str
    model_seq_id: int
    base_model: str
    lora_config: LoraSettings | None = None
    optimizer_config: OptimizerConfig = OptimizerConfig()
    user_metadata: dict[str, Any] | None = None


class GetInfo(WireModel):
    """The body of get_info, by which a client learns a run's base model, tokenizer and rank."""

    model_id: str


class AdamParams(WireModel):
    """Adam's numbers for one step, with the SDK's own defaults."""

    learning_rate: float = Field(default=1e-4, ge=0, allow_inf_nan=False)
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.95, ge=0, lt=1)
    eps: float = Field(default=1e-12, ge=0, allow_inf_nan=False)
    weight_decay: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    grad_clip_norm: float = Field(default=0.0, allow_inf_nan=False)


class DimuonParams(WireModel):
    """Dimuon's numbers for one step, as SDK 0.38 has them; settings of other versions are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    type: Literal["dimuon"]
    learning_rate: float = Field(ge=0, allow_inf_nan=False)
    beta1: float = Field(default=0.9, ge=0, lt=1)
    grad_clip_norm: float = Field(default=0.0, allow_inf_nan=False)


class Numbered(WireModel):
    """What gives a training request its place, readable also where the rest of it is wrong."""

    model_id: str
    seq_id: int


class OptimStep(Numbered):
    """The body of optim_step, with the numbers of one of the optimizers."""

    adam_params: AdamParams | None = None
    optimizer_params: DimuonParams | None = None


class SaveWeights(Numbered):
    """The body of save_weights; `path` is a bare name, `step-<seq_id>` where it is None."""

    path: str | None = None
    overwrite: bool = False
    ttl_seconds: TtlSeconds | None = None
    user_metadata: dict[str, str] | None = None


class SaveWeightsForSampler(Numbered):
    """The body of save_weights_for_sampler; without `path` it asks for a snapshot that is kept in memory."""

    path: str | None = None
    sampling_session_seq_id: int | None = None
    kind: str = "snapshot"
    ttl_seconds: TtlSeconds | None = None
    user_metadata: dict[str, str] | None = None


class SaveWeightsExternal(Numbered):
    """The body of save_weights_external; `path` is a bare name."""

    path: str
    ttl_seconds: TtlSeconds | None = None
    age_encryption_recipients: list[str] | None = None


class LoadWeights(WireModel):
    """Either onto an existing model (`model_id`, `seq_id`) or into a new one (`session_id`, ...)."""

    path: str
    optimizer: bool
    model_id: str | None = None
    seq_id: int | None = None
    session_id: str | None = None
    model_seq_id: int | None = None
    base_model: str | None = None
    optimizer_config: OptimizerConfig | None = None
    user_metadata: dict[str, Any] | None = None


class CreateSamplingSession(WireModel):
    """The body of create_sampling_session; a `model_path` goes before `base_model`, one is needed."""

    session_id: str
    sampling_session_seq_id: int
    base_model: str | None = None
    model_path: str | None = None


class PromptChunk(WireModel):
    """A piece of a prompt in token ids; asample refuses every `type` but that of text."""

    type: str = "encoded_text"
    tokens: list[int] = []


class Prompt(WireModel):
    """The prompt of asample: the tokens of its chunks, one behind the other."""

    chunks: list[PromptChunk]


class SamplingParams(WireModel):
    """Of asample; None in `max_tokens` fills the context, -1 in `top_k` and 1 in `top_p` cut off nothing."""

    max_tokens: int | None = Field(default=None, ge=1)
    seed: int | None = None
    stop: str | list[int] | list[str] | None = None
    temperature: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    top_k: int = Field(default=-1, ge=-1, lt=2**63)
    top_p: float = Field(default=1.0, gt=0, le=1)


class TensorData(WireModel):
    """A tensor in JSON; sparse (compressed rows) where the indices are given."""

    data: list[int] | list[float]
    dtype: str
    shape: list[int] | None = None
    sparse_crow_indices: list[int] | None = None
    sparse_col_indices: list[int] | None = None


class Sample(WireModel):
    """The body of asample; without a `sampling_session_id` it names its weights itself."""

    prompt: Prompt
    sampling_params: SamplingParams
    num_samples: int = Field(default=1, ge=1, le=1024)
    sampling_session_id: str | None = None
    seq_id: int | None = None
    base_model: str | None = None
    model_path: str | None = None
    prompt_logprobs: bool | None = None
    topk_prompt_logprobs: int = Field(default=0, ge=0, le=100)
    topk_sample_logprobs: int = Field(default=0, ge=0, le=100)
    target_prompt_logprobs: TensorData | None = None
    prompt_alt_tokens_k: int = Field(default=0, ge=0, le=100)
    prompt_logprobs_last_n: int | None = Field(default=None, ge=1)
    record_stability_info: bool | None = None


class NumberedSample(WireModel):
    """What names a sampling request, readable also where the rest of it is wrong."""

    sampling_session_id: str
    seq_id: int


class WeightsInfo(WireModel):
    """The body of weights_info, which asks about a checkpoint by its `tinker://` path."""

    tinker_path: str


class TimeToLive(WireModel):
    """Seconds from now, or None for ever."""

    ttl_seconds: TtlSeconds | None = None


class JoinSamplingSession(WireModel):
    """The body of join_sampling_session, by which a copy of a client asks for a number of its own."""

    sampling_session_id: str


class RetrieveFuture(WireModel):
    """The body of retrieve_future and of cancel_future, with the id that a Promise gave."""

    request_id: str


class SamplingSessionTarget(WireModel):
    """One client of a sampling session; a copy of it numbers its requests from 10^9 times its id on."""

    sampling_session_id: str
    cloned_sampler_id: int = 0


class RetrieveFutures(WireModel):
    """Asks which requests are done beyond `prev_cursor`; None waits as long as the server likes."""

    target: SamplingSessionTarget
    prev_cursor: int = Field(default=0, ge=0)
    timeout: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    retrieved_request_ids: list[str] = []


Body = TypeVar("Body", bound=BaseModel)


def parse_json(kind: type[Body], body: bytes, in_words: Callable[[Any], str] = itemgetter("msg")) -> Body:
    """A request of this kind; raises RequestError that names each wrong field, with the fault `in_words`."""
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        faults = {".".join(map(str, fault["loc"])): in_words(fault) for fault in error.errors()}
        told = "; ".join(f"{where or 'body'}: {what}" for where, what in faults.items())
        raise RequestError(f"The request is not valid: {told}.") from error
