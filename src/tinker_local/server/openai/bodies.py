"""The JSON bodies of completions and chat completions, and what they ask of the engine.

A field that would change an answer and is not offered is refused by name, as is one that is not known;
those that say nothing about the answer are passed over.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tinker_local.errors import RequestError
from tinker_local.wire import requests

DEFAULT_TOKENS = 16
"""Of a completion that says no number, as OpenAI has it."""
MOST_PROMPTS = 64
Stop = Annotated[str | list[str] | None, Field()]


class StreamOptions(BaseModel):
    """What a stream tells beside its text."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    include_usage: bool = False


class GenerationBody(BaseModel):
    """What the bodies of both kinds of completions share, with OpenAI's defaults; `top_k` is vLLM's."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model: str
    n: int = Field(default=1, ge=1, le=128)
    temperature: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int = Field(default=-1, ge=-1, lt=2**63)
    seed: int | None = None
    stop: Stop = None
    max_tokens: int | None = Field(default=None, ge=1)
    stream: bool = False
    stream_options: StreamOptions | None = None
    # What would change the answer, and is not offered but at the value that changes nothing.
    presence_penalty: Literal[0] | None = None
    frequency_penalty: Literal[0] | None = None
    logit_bias: dict[str, Literal[0]] | None = None
    # These say nothing about the answer.
    user: str | None = None
    metadata: dict[str, Any] | None = None
    store: bool | None = None
    service_tier: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None

    @property
    def most_tokens(self) -> int | None:
        """How long an answer may become; None is as long as the context holds."""
        return self.max_tokens

    @property
    def num_top_logprobs(self) -> int | None:
        """Of how many likeliest tokens to tell the log-probability beside the chosen; None of none at all."""
        return None

    @property
    def stops(self) -> tuple[str, ...]:
        """The texts that end an answer."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())

    def sample(self, prompt: list[int]) -> requests.Sample:
        """The request to the engine; the model is the weights of a checkpoint, or a base model."""
        checkpoint = is_checkpoint(self.model)
        return requests.Sample(
            prompt=requests.Prompt(chunks=[requests.PromptChunk(tokens=prompt)]),
            sampling_params=requests.SamplingParams(
                max_tokens=self.most_tokens,
                seed=self.seed,
                # An empty list would switch off the end token too, which OpenAI's does not.
                stop=list(self.stops) or None,
                temperature=1.0 if self.temperature is None else self.temperature,
                top_p=1.0 if self.top_p is None else self.top_p,
                top_k=self.top_k,
            ),
            num_samples=self.n,
            topk_sample_logprobs=self.num_top_logprobs or 0,
            base_model=None if checkpoint else self.model,
            model_path=self.model if checkpoint else None,
        )


class CompletionBody(GenerationBody):
    """The body of POST /v1/completions; a prompt is a text, token ids, or a list of either."""

    prompt: str | list[int] | list[str] | list[list[int]]
    logprobs: int | None = Field(default=None, ge=0, le=20)
    echo: Literal[False] | None = None
    best_of: Literal[1] | None = None
    suffix: Literal[""] | None = None

    @property
    def most_tokens(self) -> int | None:
        """Sixteen where no number is told."""
        return DEFAULT_TOKENS if self.max_tokens is None else self.max_tokens

    @property
    def num_top_logprobs(self) -> int | None:
        """As told."""
        return self.logprobs

    @property
    def prompts(self) -> list[str | list[int]]:
        """Each prompt for itself; raises RequestError where there is none, or too many."""
        prompt = self.prompt
        single = isinstance(prompt, str) or (bool(prompt) and isinstance(prompt[0], int))
        found: list[Any] = [prompt] if single else list(prompt)
        if not 1 <= len(found) <= MOST_PROMPTS:
            raise RequestError(f"There are {len(found)} prompts; send from 1 to {MOST_PROMPTS} at once.")
        return found


class TextPart(BaseModel):
    """A piece of a message; only text is offered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["text"]
    text: str


class Message(BaseModel):
    """One message; what else a template may read of it is passed on as it is."""

    model_config = ConfigDict(frozen=True, extra="allow")

    role: str
    content: str | list[TextPart] | None = None

    def as_template_reads(self) -> dict[str, Any]:
        """With its pieces put together to one text, which is what templates of text models expect."""
        content = self.content
        text = "".join(part.text for part in content) if isinstance(content, list) else content
        return {**(self.model_extra or {}), "role": self.role, "content": text}


class TextFormat(BaseModel):
    """The only form of answers that is offered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["text"]


class ChatBody(GenerationBody):
    """The body of POST /v1/chat/completions; `chat_template_kwargs` is vLLM's."""

    messages: list[Message] = Field(min_length=1)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    response_format: TextFormat | None = None
    modalities: list[Literal["text"]] | None = None
    chat_template_kwargs: dict[str, Any] = {}

    @property
    def most_tokens(self) -> int | None:
        """By either of its two names."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens

    @property
    def num_top_logprobs(self) -> int | None:
        """None where log-probabilities are not asked for, whatever `top_logprobs` says."""
        return (self.top_logprobs or 0) if self.logprobs else None


def is_checkpoint(model: str) -> bool:
    """Whether a model's name means a checkpoint."""
    return model.startswith("tinker://")


def fault_in_words(fault: Any) -> str:
    """What is wrong with a field of a body, as pydantic tells it."""
    if fault["type"] == "extra_forbidden":
        return "not offered here, leave it out"
    if fault["type"] == "literal_error":
        return f"only {fault['ctx']['expected']} is offered here, or leave it out"
    return fault["msg"]
