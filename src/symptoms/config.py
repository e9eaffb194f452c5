"""The configurations: of the original experiment, and of `symptoms train`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from base_models import known_models
from symptoms.errors import InputError
from symptoms.schedules import Schedule, fraction_of_peak

DISCLAIMER = (
    "For learning only, not medical advice or a diagnosis. "
    "If you are in danger or thinking of harming yourself, call your local emergency number now."
)


def in_words(settings: Mapping[str, Any]) -> str:
    """Settings as they are written in a file."""

    def as_told(value: Any) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        return f"{value:g}" if isinstance(value, float) else str(value)

    return ", ".join(f"{name} {as_told(value)}" for name, value in settings.items())


class _LoraAndAdam(BaseModel):
    """What every training configuration has, by default with the numbers of the original experiment."""

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


class ExperimentConfig(_LoraAndAdam):
    """The numbers of the experiment, by default those of the original one.

    `test_examples` counts the examples from 1 and names those whose output is shown after training;
    when it is empty, three are taken, spread evenly.
    """

    learning_rate_schedule: Literal["constant", "linear"] = "constant"
    loss_fn: Literal["cross_entropy"] = "cross_entropy"
    test_examples: list[int] = []

    def for_base_model(self, base_model: str) -> ExperimentConfig:
        """The same configuration on another base model, with what is recommended for that one.

        A file that names the base model itself is taken at its word.
        """
        if base_model == self.base_model:
            return self
        known = known_models().get(base_model)
        return self.model_copy(update={"base_model": base_model, **(known.experiment if known else {})})

    def with_changes(self, told: Sequence[str]) -> ExperimentConfig:
        """The same with settings told as `name=value`; raises InputError for one that cannot be."""
        changes: dict[str, Any] = {}
        # The model has an option of its own, and the file's test cases are read before settings are told.
        known = [name for name in type(self).model_fields if name not in ("base_model", "test_examples")]
        for one in told:
            name, _, value = one.partition("=")
            if name not in known:
                raise InputError(f"{name!r} cannot be set; choose one of: {', '.join(known)}.")
            try:
                read = tomllib.loads(f"value = {value}")
            except tomllib.TOMLDecodeError:
                read = {"value": value}  # a word without quotes
            changes[name] = read["value"] if len(read) == 1 else value
        try:
            return type(self).model_validate({**self.model_dump(), **changes})
        except ValidationError as error:
            problem = error.errors()[0]
            raise InputError(
                f"{problem['loc'][0]} cannot be {problem['input']!r}: {problem['msg'].lower()}."
            ) from error

    def differences(self, other: ExperimentConfig) -> str:
        """The settings that are not those of another configuration, the base model aside; "" for none."""
        changed = {
            name: value
            for name, value in self.model_dump().items()
            if name != "base_model" and value != getattr(other, name)
        }
        return in_words(changed)

    def learning_rate_at(self, step: int, num_steps: int) -> float:
        """The learning rate of a step, counted from 1; a linear schedule falls towards zero."""
        return self.learning_rate * fraction_of_peak(self.learning_rate_schedule, step, num_steps)


class TrainingConfig(_LoraAndAdam):
    """What `symptoms train` was told and assumes; the same names stand in TOML files and as options."""

    data: str = Field(min_length=1, description="Training data: .jsonl, .json, .csv, .tsv, .xlsx, .parquet.")
    dev: str | None = Field(default=None, min_length=1, description="Held-out data to evaluate on.")
    text_column: str | None = Field(
        default=None, min_length=1, description="The column with the text, if not input."
    )
    label_column: str | None = Field(
        default=None, min_length=1, description="The column with the label, if not condition."
    )
    examples_per_condition: int | None = Field(
        default=None, ge=1, description="Train on so many examples of each condition, drawn by the seed."
    )

    epochs: int = Field(default=5, ge=1, description="Passes over the training data.")
    steps: int | None = Field(default=None, ge=1, description="Training steps, instead of epochs.")
    batch_size: int = Field(default=8, ge=1, description="Examples in one forward_backward.")
    gradient_accumulation: int = Field(default=1, ge=1, description="Batches gathered for one step.")
    shuffle: bool = Field(default=True, description="Another order in each epoch, or the file's.")
    balanced: bool = Field(
        default=False, description="Deal the conditions out in turn, so that each batch holds many of them."
    )

    train_attn: bool = Field(default=True, description="Adapt the attention layers.")
    train_mlp: bool = Field(default=True, description="Adapt the MLP layers.")
    train_unembed: bool = Field(default=True, description="Adapt the unembedding.")

    learning_rate_schedule: Schedule = Field(default="linear", description="How the learning rate moves.")
    warmup_steps: int = Field(default=0, ge=0, description="Steps in which the rate rises to its peak.")
    decay_fraction: float = Field(default=0.2, gt=0, le=1, description="Share of steps in which wsd decays.")
    weight_decay: float = Field(default=0.0, ge=0, allow_inf_nan=False, description="Decoupled decay.")
    grad_clip_norm: float = Field(
        default=0.0, ge=0, allow_inf_nan=False, description="Largest norm of a step's gradient; 0 for any."
    )
    reduction: Literal["sum", "mean_per_token", "mean_per_example"] = Field(
        default="sum", description="How the losses of a step's tokens become one."
    )
    concern_weight: float = Field(
        default=1.0, gt=0, allow_inf_nan=False, description="Weight of the tokens of the concern's line."
    )

    evaluate_every: int = Field(default=0, ge=0, description="Steps between evaluations; 0 for each epoch.")
    dev_accuracy: bool = Field(default=False, description="Also classify the dev data at each evaluation.")
    best_by: Literal["dev_loss", "dev_concern_loss", "last"] = Field(
        default="dev_loss",
        description="Use the weights where this is lowest, of all tokens or the concern's; or the last ones.",
    )
    patience: int | None = Field(
        default=None, ge=1, description="Stop after this many evaluations without a better one."
    )
    checkpoint_every: int = Field(default=50, ge=1, description="Steps between states to resume from.")
    keep_checkpoints: int = Field(default=2, ge=1, description="How many such states are kept.")
    in_flight: int = Field(default=2, ge=1, le=8, description="Steps submitted before the first is awaited.")
    log_to: list[Literal["tensorboard", "trackio"]] = Field(
        default=[], description="Also write metrics there; may be repeated."
    )

    @property
    def dev_measure(self) -> Literal["dev_loss", "dev_concern_loss"]:
        """Which dev loss tells how good the weights are, also where the last ones are used in any case."""
        return "dev_loss" if self.best_by == "last" else self.best_by

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.steps is not None and self.warmup_steps >= self.steps:
            raise ValueError(f"warmup_steps {self.warmup_steps} must be fewer than the {self.steps} steps")
        if self.dev is None and (self.patience is not None or self.dev_accuracy):
            raise ValueError("patience and dev_accuracy need dev, the data to evaluate on")
        if self.best_by == "last" and self.patience is not None:
            raise ValueError("patience waits for better weights, and best_by last takes the last ones")
        if self.balanced and not self.shuffle:
            raise ValueError("balanced deals a shuffled order out by condition and needs shuffle")
        if not (self.train_attn or self.train_mlp or self.train_unembed):
            raise ValueError("one of train_attn, train_mlp and train_unembed must be true")
        return self

    def learning_rate_at(self, step: int, num_steps: int) -> float:
        """The learning rate of a step, counted from 1."""
        return self.learning_rate * fraction_of_peak(
            self.learning_rate_schedule, step, num_steps, self.warmup_steps, self.decay_fraction
        )
