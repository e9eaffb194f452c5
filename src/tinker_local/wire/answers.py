"""The JSON bodies that the server answers with."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    """Base of the answers."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Promise(Answer):
    """What every submission answers at once; the result is fetched by `request_id`."""

    request_id: str
    sample_sequence_ids: list[str] | None = None


class SessionCreated(Answer):
    session_id: str
    type: str = "create_session"


class SupportedModel(Answer):
    model_name: str
    max_context_length: int
    trainable: bool = True
    sampleable: bool = True
    # Of our own, by which a client can choose a learning rate and note how it was trained; the SDK ignores
    # what it does not know.
    model_type: str
    hidden_size: int
    training_dtype: str


class ServerCapabilities(Answer):
    supported_models: list[SupportedModel]


class Completion(Answer):
    """A request that is done; its result or its error is fetched by `request_id`."""

    state: Literal["finished", "failed"]
    request_id: str
    response_payload_uncompressed_size: int | None = None


class Completions(Answer):
    """What is done since the poll before; the next one sends the cursor back."""

    completions: list[Completion]
    cursor: int


class ModelCreated(Answer):
    model_id: str
    type: str = "create_model"


class ModelData(Answer):
    arch: str
    model_name: str
    tokenizer_id: str


class Info(Answer):
    model_id: str
    model_data: ModelData
    model_name: str
    is_lora: bool = True
    lora_rank: int
    type: str = "get_info"


class StepTaken(Answer):
    metrics: dict[str, float]


class WeightsSaved(Answer):
    path: str
    type: str = "save_weights"


class SamplerWeightsSaved(Answer):
    path: str | None = None
    sampling_session_id: str | None = None
    type: str = "save_weights_for_sampler"


class WeightsLoaded(Answer):
    path: str
    model_id: str
    type: str = "load_weights"


class SamplingSessionCreated(Answer):
    sampling_session_id: str
    type: str = "create_sampling_session"


class SamplerInfo(Answer):
    sampler_id: str
    base_model: str
    model_path: str | None = None


class Checkpoint(Answer):
    checkpoint_id: str
    checkpoint_type: str
    time: datetime
    tinker_path: str
    size_bytes: int
    public: bool = False
    user_metadata: dict[str, str] | None = None
    expires_at: datetime | None = None


class Cursor(Answer):
    """Where a page of a listing stands."""

    offset: int
    limit: int
    total_count: int


class Checkpoints(Answer):
    checkpoints: list[Checkpoint]
    cursor: Cursor | None = None


class TrainingRun(Answer):
    training_run_id: str
    base_model: str
    model_owner: str = "local"
    is_lora: bool = True
    corrupted: bool = False
    lora_rank: int
    last_request_time: datetime
    last_checkpoint: Checkpoint | None = None
    last_sampler_checkpoint: Checkpoint | None = None
    user_metadata: dict[str, str] | None = None


class TrainingRuns(Answer):
    training_runs: list[TrainingRun]
    cursor: Cursor


class WeightsInfo(Answer):
    base_model: str
    is_lora: bool = True
    lora_rank: int
    train_unembed: bool
    train_mlp: bool
    train_attn: bool


class Session(Answer):
    training_run_ids: list[str]
    sampler_ids: list[str]
    user_metadata: dict[str, str] | None = None
    display_name: str | None = None


class Sessions(Answer):
    sessions: list[str]


class SamplingSessionJoined(Answer):
    """The number of a client that shares a sampling session; the one that made it has none."""

    client_counter: int
