r"""How an example becomes tokens, of which only the completion is trained: the renderer.

    Symptoms: <input>          prompt, weight 0
    Assessment:                prompt, weight 0
     <output>\n\n                completion, weight 1

The blank line at the end is the stop: it is trained, and generation ends on it. The two parts are
tokenized apart, because at inference the model sees the prompt alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from symptoms.data import Example, assessment_of, render_assessment
from symptoms.data.written_assessment import CONCERN
from symptoms.errors import DataError, Fault

STOP = "\n\n"


class Tokenizer(Protocol):
    """The part of a Hugging Face tokenizer that is used here."""

    def encode(self, text: str, *, add_special_tokens: bool, split_special_tokens: bool) -> list[int]:
        """Token ids of a text."""
        ...

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool) -> Any:
        """The text of token ids."""
        ...


def as_tokenizer(tokenizer: object) -> Tokenizer:
    """The SDK's tokenizer under our narrower type; transformers' own signatures are far wider."""
    return cast(Tokenizer, tokenizer)


@dataclass(frozen=True)
class TokenizedExample:
    """Token ids of prompt and completion with one weight each: 0 for the prompt, 1 for the completion."""

    tokens: tuple[int, ...]
    weights: tuple[float, ...]

    @property
    def num_tokens(self) -> int:
        """Prompt and completion together: what the context holds and hosted Tinker charges for."""
        return len(self.tokens)

    @property
    def num_trained_tokens(self) -> int:
        """How many tokens the model is taught to predict. The first token of all has nothing before it."""
        return sum(weight > 0 for weight in self.weights[1:])


def prompt_text(description: str) -> str:
    """What the model reads."""
    return f"Symptoms: {description.strip()}\nAssessment:"


def rendered(example: Example) -> str:
    """The text that an example trains towards: its own `output` as it stands, else its assessment.

    Raises InputError for an example that has neither, as it could only be evaluated on.
    """
    return render_assessment(assessment_of(example)) if example.output is None else example.output


def completion_text(output: str) -> str:
    """What the model learns to write, ending in the stop."""
    return f" {output.strip()}{STOP}"


def prompt_tokens(tokenizer: Tokenizer, description: str, shots: str = "") -> list[int]:
    """The prompt as training and inference both see it, begun as the model's own tokenizer begins a text.

    `shots` are solved examples to put before it.
    """
    # Split, so that a control token spelled out in someone's text is read as the text it is.
    text = shots + prompt_text(description)
    return tokenizer.encode(text, add_special_tokens=True, split_special_tokens=True)


def tokenize(tokenizer: Tokenizer, example: Example) -> TokenizedExample:
    """Tokens and weights of one example; raises InputError for one without a text to train towards."""
    prompt = prompt_tokens(tokenizer, example.input)
    completion = completion_tokens(tokenizer, rendered(example))
    weights = [0.0] * len(prompt) + [1.0] * len(completion)
    return TokenizedExample((*prompt, *completion), tuple(weights))


def completion_tokens(tokenizer: Tokenizer, output: str) -> list[int]:
    """What the model learns to write, as tokens.

    The line end after a concern is the token that it is where more lines follow: a label is scored with it,
    and many tokenizers have one token for the two line breaks of the stop.
    """

    def encoded(text: str) -> list[int]:
        return tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)

    text = completion_text(output)
    line, end = text.removesuffix(STOP) + STOP[0], STOP[1]
    if not line.startswith(f" {CONCERN}") or line.count(end) > 1:
        return encoded(text)
    # The last, as some tokenizers put a space before any text.
    return [*encoded(line), encoded(end)[-1]]


def check_lengths(
    path: Path, examples: Sequence[Example], tokenized: Sequence[TokenizedExample], context: int | None
) -> None:
    """Refuse examples that do not fit the model's context, all at once; nothing is ever cut.

    Raises DataError with each one's line, its length and the context's; also where nothing is trained.
    """
    faults = [
        Fault(
            str(path),
            example.line,
            "tokens",
            f"{one.num_tokens} tokens exceed the context of {context}; shorten it",
        )
        for example, one in zip(examples, tokenized, strict=True)
        if context is not None and one.num_tokens > context
    ]
    faults += [
        Fault(str(path), example.line, "output", "expected text that gives tokens to train on, found none")
        for example, one in zip(examples, tokenized, strict=True)
        if one.num_trained_tokens == 0
    ]
    if faults:
        raise DataError(faults)
