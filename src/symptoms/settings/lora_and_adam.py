"""The settings that every training has."""

from pydantic import BaseModel, ConfigDict, Field


class LoraAndAdam(BaseModel):
    """What every training has, by default with the numbers of the original experiment."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    base_model: str = Field(default="meta-llama/Llama-3.2-1B", min_length=1)
    lora_rank: int = Field(default=32, ge=1, description="Rank of the LoRA adapter.")
    learning_rate: float = Field(default=1e-4, gt=0, allow_inf_nan=False, description="Peak of the schedule.")
    adam_beta1: float = Field(default=0.9, ge=0, lt=1, description="Adam's decay of the gradient's mean.")
    adam_beta2: float = Field(default=0.95, ge=0, lt=1, description="Adam's decay of the squares' mean.")
    adam_eps: float = Field(default=1e-8, gt=0, allow_inf_nan=False, description="Adam's epsilon.")
    epochs: int = Field(default=20, ge=1, description="Passes over the training data.")
    batch_size: int = Field(default=1, ge=1, description="Examples in one forward_backward.")
    seed: int = Field(default=0, ge=0, description="Seed of the adapter and of the order of examples.")
