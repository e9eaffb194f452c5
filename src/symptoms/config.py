"""The configuration of the experiment."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

DISCLAIMER = (
    "For learning only, not medical advice or a diagnosis. "
    "If you are in danger or thinking of harming yourself, call your local emergency number now."
)

BUNDLED_BASE = "symptoms-base"
RECOMMENDED: dict[str, dict[str, Any]] = {
    BUNDLED_BASE: {"learning_rate": 4e-3, "learning_rate_schedule": "linear"},
}
"""Settings by base model. One of a few million parameters needs larger steps than one of a billion, and
with a batch of one their noise has to fade at the end: docs/log.md has the figures."""


class ExperimentConfig(BaseModel):
    """The numbers of the experiment, by default those of the original one.

    `test_examples` counts the examples from 1 and names those whose output is shown after training;
    when it is empty, three are taken, spread evenly.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    base_model: str = Field(default="meta-llama/Llama-3.2-1B", min_length=1)
    lora_rank: int = Field(default=32, ge=1)
    learning_rate: float = Field(default=1e-4, gt=0, allow_inf_nan=False)
    learning_rate_schedule: Literal["constant", "linear"] = "constant"
    adam_beta1: float = Field(default=0.9, ge=0, lt=1)
    adam_beta2: float = Field(default=0.95, ge=0, lt=1)
    adam_eps: float = Field(default=1e-8, gt=0, allow_inf_nan=False)
    epochs: int = Field(default=20, ge=1)
    batch_size: int = Field(default=1, ge=1)
    loss_fn: Literal["cross_entropy"] = "cross_entropy"
    seed: int = Field(default=0, ge=0)
    test_examples: list[int] = []

    def for_base_model(self, base_model: str) -> ExperimentConfig:
        """The same configuration on another base model, with what is recommended for that one.

        A file that names the base model itself is taken at its word.
        """
        if base_model == self.base_model:
            return self
        return self.model_copy(update={"base_model": base_model, **RECOMMENDED.get(base_model, {})})

    def learning_rate_at(self, step: int, num_steps: int) -> float:
        """The learning rate of a step, counted from 1; a linear schedule falls towards zero."""
        if self.learning_rate_schedule == "constant":
            return self.learning_rate
        return self.learning_rate * (1 - (step - 1) / num_steps)

    @property
    def learning_rate_in_words(self) -> str:
        falling = ", falling linearly to zero" if self.learning_rate_schedule == "linear" else ""
        return f"{self.learning_rate:g}{falling}"
