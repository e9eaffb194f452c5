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
    """Answers create_session; ids of what the session makes begin with its id."""

    session_id: str
    type: str = "create_session"


class SupportedModel(Answer):
    """An entry of `supported_models` in get_server_capabilities; `max_context_length` is in tokens."""

    model_name: str
    max_context_length: int
    trainable: bool = True
    sampleable: bool = True
    # Of our own, by which a client can choose a learning rate and note how it was trained; the SDK ignores
    # what it does not know.
    model_type: str
    hidden_size: int
    training_dtype: str
    scores_paths: bool = True


class ServerCapabilities(Answer):
    """Answers get_server_capabilities, by which a client learns what it can train and sample from."""

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
    """The result of create_model: the id by which all later requests name the run."""

    model_id: str
    type: str = "create_model"


class CustomLossCreated(Answer):
    """The result of create_custom_loss: the id by which forward_backward names the loss."""

    loss_id: str
    type: str = "create_custom_loss"


class ModelData(Answer):
    """`model_data` of get_info; the SDK loads its tokenizer by `tokenizer_id`."""

    arch: str
    model_name: str
    tokenizer_id: str


class Info(Answer):
    """Answers get_info at once and without a future; `lora_rank` and the optimizer are the run's."""

    model_id: str
    model_data: ModelData
    model_name: str
    is_lora: bool = True
    lora_rank: int
    optimizer_config: dict[str, str | int]
    type: str = "get_info"


class StepTaken(Answer):
    """The result of optim_step; each key of `metrics` is a name and a reduction, such as `grad_norm:mean`."""

    metrics: dict[str, float]


class WeightsSaved(Answer):
    """The result of save_weights: `tinker://<run>/weights/<name>`."""

    path: str
    type: str = "save_weights"


class SamplerWeightsSaved(Answer):
    """The result of save_weights_for_sampler: `path` where one was named, else a sampling session."""

    path: str | None = None
    sampling_session_id: str | None = None
    type: str = "save_weights_for_sampler"


class ExternalWeightsSaved(Answer):
    """The result of save_weights_external: `tinker://<run>/external_weights/<name>`, and all its bytes."""

    path: str
    size_bytes: int
    type: str = "save_weights_external"


class ExternalWeightsUrls(Answer):
    """Where each file of a checkpoint can be fetched without a key, until `expires`."""

    urls: dict[str, str]
    expires: datetime


class WeightsLoaded(Answer):
    """The result of load_weights: the path that was asked for, and the run that goes on from it."""

    path: str
    model_id: str
    type: str = "load_weights"


class SamplingSessionCreated(Answer):
    """Answers create_sampling_session at once; asample names this id."""

    sampling_session_id: str
    type: str = "create_sampling_session"


class SamplerInfo(Answer):
    """Answers GET samplers/{id}; `base_model` names its tokenizer, `model_path` its checkpoint if saved."""

    sampler_id: str
    base_model: str
    model_path: str | None = None


class Checkpoint(Answer):
    """An entry of the listings of checkpoints; its id is `<kind>/<name>`, `expires_at` None for never."""

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
    """Answers GET checkpoints, a page, and training_runs/{id}/checkpoints, all without a cursor."""

    checkpoints: list[Checkpoint]
    cursor: Cursor | None = None


class TrainingRun(Answer):
    """Answers GET training_runs/{id}; either last checkpoint is None where none of its kind is kept."""

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
    """Answers GET training_runs with a page of them, the one used last first."""

    training_runs: list[TrainingRun]
    cursor: Cursor


class WeightsInfo(Answer):
    """Answers weights_info with what a client must know to load the checkpoint into a new run."""

    base_model: str
    is_lora: bool = True
    lora_rank: int
    train_unembed: bool
    train_mlp: bool
    train_attn: bool


class Session(Answer):
    """Answers GET sessions/{id} with the ids of what the session has made and still holds."""

    training_run_ids: list[str]
    sampler_ids: list[str]
    user_metadata: dict[str, str] | None = None
    display_name: str | None = None


class Sessions(Answer):
    """Answers GET sessions with a page of ids, the newest first."""

    sessions: list[str]


class SamplingSessionJoined(Answer):
    """The number of a client that shares a sampling session; the one that made it has none."""

    client_counter: int
