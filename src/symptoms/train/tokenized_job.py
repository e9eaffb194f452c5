"""A training job: the configuration with its data, tokenized and checked, before anything is spent."""

from __future__ import annotations

from dataclasses import dataclass

from symptoms.settings import TrainingSettings
from symptoms.tokens import (
    TokenizedExample,
    Tokenizer,
    check_lengths,
    concern_alone,
    emphasise_concern,
    tokenize,
)
from symptoms.train.request.training_data import TrainingData
from symptoms.train.step_datums import Batches
from symptoms.train.step_plan import Step, count_steps, kind_of_example


@dataclass(frozen=True)
class Job:
    """All that a run needs besides a service.

    `dev_examples` is empty without dev data. `dev_concerns` are the same with weights on the concern's line
    alone, empty where the configuration does not ask for its loss.
    """

    settings: TrainingSettings
    batches: Batches
    dev_examples: tuple[TokenizedExample, ...]
    dev_concerns: tuple[TokenizedExample, ...]
    num_steps: int

    def evaluates(self, step: Step) -> bool:
        """Whether the dev data is evaluated after this step; always after the last."""
        every = self.settings.evaluate_every
        due = step.number % every == 0 if every else step.ends_epoch
        return bool(self.dev_examples) and (due or step.number == self.num_steps)

    def saves_state(self, step: Step) -> bool:
        """Whether a state to resume from is saved after this step."""
        return step.number % self.settings.checkpoint_every == 0 and step.number < self.num_steps


def prepare(
    settings: TrainingSettings,
    data: TrainingData,
    dev: TrainingData | None,
    tokenizer: Tokenizer,
    context: int | None,
) -> Job:
    """Tokenize and check; raises DataError for examples that do not fit, InputError for settings."""
    examples = _tokenized(data, tokenizer, context)
    emphasised = [
        emphasise_concern(tokenizer, example, tokens, settings.concern_weight)
        for example, tokens in zip(data.examples, examples, strict=True)
    ]
    dev_examples = () if dev is None else tuple(_tokenized(dev, tokenizer, context))
    dev_concerns: tuple[TokenizedExample, ...] = ()
    if dev is not None and settings.best_by == "dev_concern_loss":
        pairs = zip(dev.examples, dev_examples, strict=True)
        dev_concerns = tuple(concern_alone(tokenizer, one, tokens) for one, tokens in pairs)
    return Job(
        settings=settings,
        batches=Batches(settings, examples, emphasised, [kind_of_example(one) for one in data.examples]),
        dev_examples=dev_examples,
        dev_concerns=dev_concerns,
        num_steps=count_steps(settings, len(examples)),
    )


def _tokenized(data: TrainingData, tokenizer: Tokenizer, context: int | None) -> list[TokenizedExample]:
    examples = [tokenize(tokenizer, example) for example in data.examples]
    check_lengths(data.path, data.examples, examples, context)
    return examples
