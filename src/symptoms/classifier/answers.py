"""Ask a trained checkpoint about descriptions: what it writes, and how likely each label is to it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, TypeVar

from symptoms.classifier.label_scoring import TokenLogprobs, Tokens, submit_by_candidates, submit_by_paths
from symptoms.classifier.word_models.word_vote import WordVote
from symptoms.data import RECOMMENDATION, Label, WrittenAssessment, render_assessment
from symptoms.errors import InputError, ServiceError
from symptoms.safety import ENGLISH, language_other_than
from symptoms.service import LOCAL, Service
from symptoms.service.faults import is_gone
from symptoms.service.path_scorer import PROMPTS_AT_ONCE, PathScorer
from symptoms.service.sdk import resolved
from symptoms.tokens import (
    STOP,
    SlipMender,
    Tokenizer,
    concern_beginnings,
    concern_tokens,
    in_sentence_case,
    prompt_tokens,
)

if TYPE_CHECKING:
    import numpy as np
    import tinker
    from numpy.typing import NDArray

Waited = TypeVar("Waited")
MAX_NEW_TOKENS = 200
LINE_END = "\n"


class Writing(Enum):
    """How much a model is let write: nothing, the concern, symptoms beside it, or the recommendation, too."""

    NOTHING = ()
    CONCERN = (LINE_END,)
    FINDINGS = (RECOMMENDATION, STOP)
    WHOLE = (STOP,)


@dataclass(frozen=True)
class Answer:
    """What a model says to one description.

    `written` is its greedy continuation without what it was to stop at, None where it was not asked for.
    `logprobs`, float64 [labels], holds for each label the log-probability, in nats, that the answer begins
    with its line `Primary concern: <label>`, as far as that tells it from the other labels, and what the
    words' vote adds to it; `token_logprobs` those of the tokens one by one, by the language model alone.
    """

    written: str | None
    logprobs: NDArray[np.float64]
    token_logprobs: tuple[tuple[float, ...], ...]


def _sampler_of(service: Service, checkpoint: str) -> tinker.SamplingClient:
    try:
        return resolved(service.client.create_sampling_client(model_path=checkpoint))
    except Exception as error:
        # The local server has but one sentence to say of that, and an address that means nothing to anyone.
        if service.kind == LOCAL or not is_gone(error):
            raise
        raise ServiceError(
            f"{service.url} does not have {checkpoint}, or no longer; name another run, or train its like: "
            "symptoms train --repeat RUN"
        ) from error


def in_turn(submitted: Iterable[Callable[[], Waited]], at_once: int) -> Generator[Waited, None, None]:
    """The results of what is submitted, in its order, with so many waited for at once."""
    pending: deque[Callable[[], Waited]] = deque()
    for one in submitted:
        pending.append(one)
        if len(pending) == at_once:
            yield pending.popleft()()
    while pending:
        yield pending.popleft()()


@dataclass(frozen=True)
class TrainedModel:
    """A checkpoint, or a base model as it is, behind a service. `context` is its length in tokens.

    `shots` are solved examples that are shown before every description. `scorer` scores the
    labels of many descriptions with few requests, where the service can; our own server can.
    `sentence_case` is for models that were trained on texts in sentence case. `words` have a vote beside
    the model's own, over the labels that they know, and their vocabulary puts slips of the keyboard right.
    `beside` are an ensemble's other members: labels are scored by the mean over all, and the first alone
    writes.
    """

    sampler: tinker.SamplingClient
    tokenizer: Tokenizer
    context: int | None
    shots: str = ""
    scorer: PathScorer | None = None
    sentence_case: bool = False
    words: WordVote | None = None
    beside: tuple[TrainedModel, ...] = ()

    @classmethod
    def load(
        cls,
        service: Service,
        checkpoint: str | None,
        sentence_case: bool = False,
        beside: Sequence[str] = (),
    ) -> TrainedModel:
        """The sampler of a `tinker://` path on a service; without one, of the service's base model.

        `beside` are the paths of an ensemble's other members.
        """
        if checkpoint is None:
            sampler = resolved(service.client.create_sampling_client(base_model=service.base_model))
            tokenizer = service.tokenizer()
        else:
            sampler = _sampler_of(service, checkpoint)
            tokenizer = service.tokenizer(sampler)
        return cls(
            sampler,
            tokenizer,
            service.context_length,
            scorer=service.path_scorer(sampler),
            sentence_case=sentence_case,
            beside=tuple(cls.load(service, path, sentence_case) for path in beside),
        )

    @property
    def descriptions_in_flight(self) -> int:
        """How many descriptions are asked about at once, so that the service batches them.

        Many where each takes few requests; where each takes one request a label, fewer are many already. Not
        all, which keeps the memory for answers small. An ensemble asks each of its members about each.
        """
        return (8 if self.scorer is None else 3 * PROMPTS_AT_ONCE) // min(4, 1 + len(self.beside))

    def write(self, description: str) -> str:
        """The greedy continuation of a description's prompt; raises InputError if it leaves no room."""
        prompt = self._prompt(self.mended(description))
        written, ended = self._submit_writing(prompt)()
        room = self._room(prompt)
        if not ended and room < MAX_NEW_TOKENS:
            raise InputError(f"The description leaves only {room} tokens for the answer; shorten it.")
        return written

    def answers(
        self, descriptions: Iterable[tuple[str, Writing]], labels: Sequence[Label]
    ) -> Generator[Answer, None, None]:
        """Answers in the descriptions' order; several are asked at once, so that the service batches."""
        submitted = (
            self.submit(self.mended(description), labels, writing) for description, writing in descriptions
        )
        yield from in_turn(submitted, self.descriptions_in_flight)

    def submit(self, read: str, labels: Sequence[Label], writing: Writing) -> Callable[[], Answer]:
        """Ask about a description as it is read (see `mended`); waits when what it returns is called.

        Raises InputError where it does not fit the model's context.
        """
        prompt = self._prompt(read)
        lines = _lines_of(self.tokenizer, tuple(label.text for label in labels))
        self._check_room(prompt, max(map(len, lines), default=1))
        asked = self._submit_writing(prompt, writing.value) if writing.value else None
        scoring = [member._submit_scoring(prompt, lines) for member in (self, *self.beside)]

        def wait() -> Answer:
            import numpy as np

            tokens = _mean([one() for one in scoring])
            written = None if asked is None else asked()[0]
            logprobs = np.array([sum(line) for line in tokens])
            if self.words is not None and self.words.model.labels == tuple(label.id for label in labels):
                logprobs = self.words.added_to(logprobs, read)
            return Answer(written, logprobs, tokens)

        return wait

    def submit_continuation(self, read: str, label: Label) -> Callable[[], tuple[str, bool]]:
        """The line that the model writes after the one that names this label, and whether it ended by itself.

        Returns at once, and waits when what it returns is called. Where the description leaves no room,
        nothing is written.
        """
        prompt = self._prompt(read)
        prompt += concern_tokens(self.tokenizer, label.text)
        if self._room(prompt) < 1:
            return lambda: ("", False)
        # The recommendation, which would be next, is not the model's to write.
        return self._submit_writing(prompt, (LINE_END,))

    def show_terms(self, terms: Iterable[str]) -> None:
        """Let the service read the terms that answers are made of, as they stand in answers.

        Our own server guesses how a term goes on by what it has read, and checks seven guesses at the price
        of one token. It changes no answer. Takes a second or two of a model of 135 million parameters.
        """
        from tinker import ModelInput, SamplingParams

        rest = WrittenAssessment(concern="none", symptoms=tuple(terms), recommendation="none")
        written = render_assessment(rest)
        tokens = self.tokenizer.encode(written, add_special_tokens=False, split_special_tokens=True)
        if self.context is not None:
            tokens = tokens[: self.context - 2]
        # What is read for the sake of one token alone is not remembered.
        params = SamplingParams(max_tokens=2, temperature=0.0)
        self.sampler.sample(ModelInput.from_ints(tokens), num_samples=1, sampling_params=params).result()

    def _submit_scoring(self, prompt: list[int], lines: Sequence[Tokens]) -> Callable[[], TokenLogprobs]:
        if self.scorer is not None:
            return submit_by_paths(self.scorer, prompt, lines)
        return submit_by_candidates(self.sampler, prompt, lines)

    def _submit_writing(
        self, prompt: list[int], until: tuple[str, ...] = (STOP,)
    ) -> Callable[[], tuple[str, bool]]:
        """Waits for the text before the first of `until`, and whether it ended by itself."""
        from tinker import ModelInput, SamplingParams

        self._check_room(prompt, 1)
        params = SamplingParams(max_tokens=self._room(prompt), temperature=0.0, stop=list(until))
        future = self.sampler.sample(ModelInput.from_ints(prompt), num_samples=1, sampling_params=params)

        def wait() -> tuple[str, bool]:
            sequence = future.result().sequences[0]
            written = str(self.tokenizer.decode(sequence.tokens, skip_special_tokens=True))
            for end in until:
                written = written.split(end)[0]
            return written.strip(), sequence.stop_reason != "length"

        return wait

    def mended(self, description: str) -> str:
        """The description as it is read: slips put right where there are words to go by, the length kept.

        Only of texts that may be in English: their words are told by letters without marks.
        """
        if self._mender is None or language_other_than(description, {ENGLISH.name}) is not None:
            return description
        return self._mender.mended(description)

    @cached_property
    def _mender(self) -> SlipMender | None:
        return None if self.words is None else SlipMender.of(self.words.model.terms, self.tokenizer)

    def _prompt(self, read: str) -> list[int]:
        text = in_sentence_case(read) if self.sentence_case else read
        return prompt_tokens(self.tokenizer, text, self.shots)

    def _room(self, prompt: list[int]) -> int:
        return MAX_NEW_TOKENS if self.context is None else min(MAX_NEW_TOKENS, self.context - len(prompt))

    def _check_room(self, prompt: list[int], needed: int) -> None:
        if self.context is not None and len(prompt) + needed > self.context:
            raise InputError(
                f"The description takes {len(prompt)} of the model's {self.context} tokens; shorten it."
            )


def _mean(members: Sequence[TokenLogprobs]) -> TokenLogprobs:
    """Token by token the mean over an ensemble's members."""
    if len(members) == 1:
        return members[0]
    return tuple(
        tuple(sum(token) / len(members) for token in zip(*lines, strict=True))
        for lines in zip(*members, strict=True)
    )


@lru_cache(maxsize=8)
def _lines_of(tokenizer: Tokenizer, labels: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
    """The beginnings of the labels' lines, which are the same for every description."""
    return tuple(tuple(line) for line in concern_beginnings(tokenizer, labels))
