"""A request while it is worked on: its prompt, which is prefilled once, and its samples with their pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count

from torch import Tensor

from tinker_local.domain.generation import GenerationRequest, GenerationResult, Progress, SampledSequence
from tinker_local.engine.infer.prompt_scoring import PromptScoring
from tinker_local.engine.infer.samples import Sample
from tinker_local.engine.infer.sampling_weights import SamplingWeights
from tinker_local.engine.kv_cache.pages import KeyValuePages

_NUMBERS = count()


@dataclass(eq=False)
class Feed:
    """Tokens that go through the model one after another. `computed` of them have their keys in `pages`."""

    tokens: list[int]
    pages: list[int] = field(default_factory=list[int])
    computed: int = 0


@dataclass(eq=False)
class GrowingSample:
    """A sample that is not finished. Its feed holds the prompt and all that was sampled.

    `num_speculated` is how many tokens to speculate on next: more when the last ones were right. `num_told`
    are the tokens that a client which follows its request knows of.
    """

    number: int
    sample: Sample
    feed: Feed
    num_speculated: int = 1
    num_told: int = 0


@dataclass(eq=False)
class Job:
    """One request from its arrival to its result. `number` is its turn among all; the first comes first."""

    weights: SamplingWeights
    request: GenerationRequest
    finish: Callable[[GenerationResult], None]
    fail: Callable[[Exception], None]
    is_wanted: Callable[[], bool] = lambda: True
    num_bytes: int = 0
    progress: Progress | None = None
    number: int = field(default_factory=lambda: next(_NUMBERS))
    growing: list[GrowingSample] = field(default_factory=list[GrowingSample])
    num_started: int = 0
    last_state: Tensor | None = None
    """The state [hidden] of the prompt's last token, once that is prefilled."""
    looked_up: bool = False

    def __post_init__(self) -> None:
        self.prompt = Feed(list(self.request.prompt))
        self.scoring = PromptScoring(self.request)
        self._sequences: dict[int, SampledSequence] = {}

    @property
    def num_waiting(self) -> int:
        """Samples that can begin now."""
        return 0 if self.last_state is None else self.request.num_samples - self.num_started

    @property
    def is_done(self) -> bool:
        """Whether the prompt is prefilled, and all `num_samples` sequences have ended and are kept."""
        return self.last_state is not None and len(self._sequences) == self.request.num_samples

    def keep(self, number: int, sample: Sample) -> None:
        """Note a finished sample."""
        self._sequences[number] = sample.result()

    def tell(self, grown: GrowingSample) -> None:
        """Give a client that follows its request the tokens it does not know of yet."""
        if self.progress is not None:
            self.progress(grown.number, grown.sample.result(grown.num_told))
            grown.num_told = len(grown.sample.tokens)

    def result(self) -> GenerationResult:
        """Sequences in the order of their numbers; raises KeyError where one has not ended."""
        sequences = tuple(self._sequences[number] for number in range(self.request.num_samples))
        return GenerationResult(sequences, self.scoring.result())

    def feeds(self) -> Sequence[Feed]:
        """All that may hold pages, in the order in which they are needed."""
        return [self.prompt, *(grown.feed for grown in self.growing)]


def release(pages: KeyValuePages, feed: Feed) -> None:
    """Give back a feed's pages; it begins anew."""
    pages.give_back(feed.pages)
    feed.pages, feed.computed = [], 0
