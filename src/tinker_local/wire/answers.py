"""The JSON bodies that the server answers with."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    """Base of the answers."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Promise(Answer):
    """What every submission answers at once; the result is fetched by `request_id`."""

    request_id: str
    model_id: str | None = None
    sample_sequence_ids: list[str] | None = None


class SessionCreated(Answer):
    session_id: str
    type: str = "create_session"


class SupportedModel(Answer):
    model_name: str
    max_context_length: int
    trainable: bool = True
    sampleable: bool = True


class ServerCapabilities(Answer):
    supported_models: list[SupportedModel]


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
