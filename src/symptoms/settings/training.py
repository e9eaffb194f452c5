"""The settings of a training, each with its default and what it means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from symptoms.errors import InputError
from symptoms.schedules import Schedule, fraction_of_peak
from symptoms.words import in_words

REPORTED_SETTINGS = (
    "lora_rank",
    "learning_rate",
    "learning_rate_schedule",
    "epochs",
    "steps",
    "batch_size",
    "seed",
)
"""Those that are told beside figures."""


class TrainingSettings(BaseModel):
    """What a training goes by, from its data to its last checkpoint.

    A setting is added here: each field is an option of `symptoms train` and `symptoms sweep`, a key of their
    TOML files and of a run's config.json, under the same name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    base_model: str = Field(default="meta-llama/Llama-3.2-1B", min_length=1)
    lora_rank: int = Field(default=32, ge=1, description="Rank of the LoRA adapter.")
    learning_rate: float = Field(default=1e-4, gt=0, allow_inf_nan=False, description="Peak of the schedule.")
    adam_beta1: float = Field(default=0.9, ge=0, lt=1, description="Adam's decay of the gradient's mean.")
    adam_beta2: float = Field(default=0.95, ge=0, lt=1, description="Adam's decay of the squares' mean.")
    adam_eps: float = Field(default=1e-8, gt=0, allow_inf_nan=False, description="Adam's epsilon.")
    epochs: int = Field(default=5, ge=1, description="Passes over the training data.")
    batch_size: int = Field(default=8, ge=1, description="Examples in one forward_backward.")
    seed: int = Field(default=0, ge=0, description="Seed of the adapter and of the order of examples.")

    data: str = Field(min_length=1, description="Training data: .jsonl, .json, .csv, .tsv, .xlsx, .parquet.")
    dev: str | None = Field(default=None, min_length=1, description="Held-out data to evaluate on.")
    allow_duplicate: list[str] = Field(
        default=[],
        description="Id of a dev example that may resemble a training example, or all; may be repeated.",
    )
    text_column: str | None = Field(
        default=None, min_length=1, description="The column with the text, if not input."
    )
    label_column: str | None = Field(
        default=None, min_length=1, description="The column with the label, if not condition."
    )
    examples_per_condition: int | None = Field(
        default=None, ge=1, description="Train on so many examples of each condition, drawn by the seed."
    )

    steps: int | None = Field(default=None, ge=1, description="Training steps, instead of epochs.")
    gradient_accumulation: int = Field(default=1, ge=1, description="Batches gathered for one step.")
    shuffle: bool = Field(default=True, description="Another order in each epoch, or the file's.")
    balanced: bool = Field(
        default=False, description="Deal the conditions out in turn, so that each batch holds many of them."
    )

    sentence_case: bool = Field(
        default=False, description="Read each text in sentence case, whatever case it was written in."
    )
    vary_inputs: bool = Field(
        default=False,
        description="Tell each text a little differently in each epoch: slips, a sentence more or less.",
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

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> TrainingSettings:
        """Settings by their names; those that nobody told have their defaults, and are not among `told`.

        Raises InputError with every setting that cannot be, and without data.
        """
        if told.get("data") is None:
            raise InputError("There is no data to train on; name a file with --data.")
        try:
            return cls.model_validate(dict(told))
        except ValidationError as error:
            raise InputError("\n".join(_sentence(problem) for problem in error.errors())) from error

    @property
    def told(self) -> dict[str, Any]:
        """The settings that were told, by their names."""
        return {
            name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set
        }

    @property
    def in_force(self) -> dict[str, Any]:
        """The settings that a training goes by: its steps where they are told, or else its epochs."""
        left_out = "steps" if self.steps is None else "epochs"
        return {name: value for name, value in self.model_dump().items() if name != left_out}

    def over(self, others: Mapping[str, Any]) -> TrainingSettings:
        """These settings where they were told, else the others; raises InputError where they do not fit."""
        return self.of({**others, **self.told})

    def differences(self, other: TrainingSettings) -> str:
        """The settings that are not those of another, the base model aside; "" for none."""
        others = other.model_dump() | {"base_model": self.base_model}
        return in_words({key: value for key, value in self.model_dump().items() if value != others[key]})

    @property
    def dev_measure(self) -> Literal["dev_loss", "dev_concern_loss"]:
        """Which dev loss tells how good the weights are, also where the last ones are used in any case."""
        return "dev_loss" if self.best_by == "last" else self.best_by

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.steps is not None and self.warmup_steps >= self.steps:
            raise ValueError(f"warmup_steps {self.warmup_steps} must be fewer than the {self.steps} steps")
        if self.dev is None and (self.patience is not None or self.dev_accuracy or self.allow_duplicate):
            raise ValueError("patience, dev_accuracy and allow_duplicate need dev, the data to evaluate on")
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


def _sentence(problem: Any) -> str:
    field = ".".join(str(part) for part in problem["loc"])
    said = problem["msg"].removeprefix("Value error, ")
    if not field:
        return f"These settings do not fit together: {said}."
    return f"{field} cannot be {problem['input']!r}: {said[0].lower()}{said[1:]}."
