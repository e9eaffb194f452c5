"""A training job: the configuration with its data, tokenized and checked, before anything is spent."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from symptoms.data import Example
from symptoms.settings import TrainingSettings
from symptoms.tokens import (
    TokenizedExample,
    Tokenizer,
    check_lengths,
    concern_alone,
    emphasise_concern,
    in_sentence_case,
    tokenize,
)
from symptoms.train.request.training_data import TrainingData
from symptoms.train.step_datums import Batches, Retell, WeightedExample
from symptoms.train.step_plan import Step, count_steps, kind_of_example
from symptoms.train.varied_texts import varied


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
    plain, dev = _as_read(data, settings), None if dev is None else _as_read(dev, settings)
    examples = _tokenized(plain, tokenizer, context)
    emphasised = [
        emphasise_concern(tokenizer, example, tokens, settings.concern_weight)
        for example, tokens in zip(plain.examples, examples, strict=True)
    ]
    dev_examples = () if dev is None else tuple(_tokenized(dev, tokenizer, context))
    dev_concerns: tuple[TokenizedExample, ...] = ()
    if dev is not None and settings.best_by == "dev_concern_loss":
        pairs = zip(dev.examples, dev_examples, strict=True)
        dev_concerns = tuple(concern_alone(tokenizer, one, tokens) for one, tokens in pairs)
    return Job(
        settings=settings,
        batches=Batches(
            settings,
            examples,
            emphasised,
            [kind_of_example(one) for one in data.examples],
            retell=_retelling(settings, data.examples, examples, tokenizer, context),
        ),
        dev_examples=dev_examples,
        dev_concerns=dev_concerns,
        num_steps=count_steps(settings, len(examples)),
    )


def _as_read(data: TrainingData, settings: TrainingSettings) -> TrainingData:
    """The same data with its texts as the model is to read them."""
    if not settings.sentence_case:
        return data
    read = tuple(replace(one, input=in_sentence_case(one.input)) for one in data.examples)
    return replace(data, examples=read)


def _retelling(
    settings: TrainingSettings,
    examples: Sequence[Example],
    plain: Sequence[TokenizedExample],
    tokenizer: Tokenizer,
    context: int | None,
) -> Retell | None:
    """Each example told a little differently in each epoch; as it is where that would be too long.

    None where the settings want each as it is.
    """
    if not settings.vary_inputs:
        return None

    def retell(index: int, epoch: int) -> WeightedExample:
        example = examples[index]
        # A generator of its own, so that a resumed run need not replay what came before.
        text = varied(example.input, Random(f"{settings.seed} {epoch} {index}"))
        told = replace(example, input=in_sentence_case(text) if settings.sentence_case else text)
        tokens = tokenize(tokenizer, told)
        if context is not None and tokens.num_tokens > context:
            tokens = plain[index]
        return WeightedExample(tokens, emphasise_concern(tokenizer, told, tokens, settings.concern_weight))

    return retell


def _tokenized(data: TrainingData, tokenizer: Tokenizer, context: int | None) -> list[TokenizedExample]:
    examples = [tokenize(tokenizer, example) for example in data.examples]
    check_lengths(data.path, data.examples, examples, context)
    return examples
