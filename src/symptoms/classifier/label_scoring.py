"""How likely an answer is to begin with each label's line, asked in one of two ways.

Every service scores the tokens of a prompt, so each label's line can be put behind the description and
scored: one request a label. A service that also scores named tokens along a prompt (`target_prompt_logprobs`)
needs far fewer: the lines share their beginnings, and where they part, all the tokens that go on can be named
at once. The thirty labels of the taxonomy then take three requests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from symptoms.service.sdk import last_logprobs

if TYPE_CHECKING:
    import tinker
    from tinker import APIFuture

Tokens = tuple[int, ...]
TokenLogprobs = tuple[tuple[float, ...], ...]
"""For each line the log-probabilities, in nats, of its tokens one by one."""


@dataclass(frozen=True)
class Path:
    """Tokens to put behind a prompt, and for each place along them, the end included, which tokens to score.

    `named` has one more entry than `tokens`: what could stand at that place. It is empty where another
    path has asked already.
    """

    tokens: Tokens
    named: tuple[Tokens, ...]


def paths_through(lines: Sequence[Sequence[int]]) -> list[Path]:
    """The fewest paths along which every token of every line can be scored after what comes before it."""
    children: dict[Tokens, dict[int, None]] = {}
    for line in lines:
        for place, token in enumerate(line):
            children.setdefault(tuple(line[:place]), {})[token] = None
    deepest = [node for node in children if not any((*node, token) in children for token in children[node])]
    asked: set[Tokens] = set()
    paths: list[Path] = []
    for node in deepest:
        named: list[Tokens] = []
        for place in range(len(node) + 1):
            beginning = node[:place]
            named.append(() if beginning in asked else tuple(children[beginning]))
            asked.add(beginning)
        paths.append(Path(node, tuple(named)))
    return paths


@lru_cache(maxsize=8)
def _paths_through(lines: tuple[Tokens, ...]) -> tuple[Path, ...]:
    # The labels are the same for every description of a batch.
    return tuple(paths_through(lines))


def submit_by_names(
    sampler: tinker.SamplingClient, prompt: Sequence[int], lines: Sequence[Sequence[int]]
) -> Callable[[], TokenLogprobs]:
    """Ask by naming tokens along the paths through the lines; waits when what it returns is called."""
    paths = _paths_through(tuple(map(tuple, lines)))
    futures = [_submit_path(sampler, prompt, path) for path in paths]

    def wait() -> TokenLogprobs:
        known: dict[Tokens, float] = {}
        for path, future in zip(paths, futures, strict=True):
            scored = future.result().target_prompt_logprobs
            assert scored is not None, "a service that scores named tokens answers with them"
            cells = ((place, token) for place, named in enumerate(path.named) for token in named)
            for (place, token), logprob in zip(cells, scored.data, strict=True):
                known[(*path.tokens[:place], token)] = float(logprob)
        return tuple(tuple(known[tuple(line[: place + 1])] for place in range(len(line))) for line in lines)

    return wait


def _submit_path(
    sampler: tinker.SamplingClient, prompt: Sequence[int], path: Path
) -> APIFuture[tinker.SampleResponse]:
    from tinker import ModelInput, SamplingParams, TensorData

    # The last place needs some token to stand there, so that there is a row for it.
    tokens = [*prompt, *path.tokens, path.named[-1][0]]
    # Compressed rows: row i is about the token at i + 1, and the rows of the prompt itself name nothing.
    starts = [0] * len(prompt)
    for named in path.named:
        starts.append(starts[-1] + len(named))
    columns = [column for named in path.named for column in range(len(named))]
    asked = TensorData(
        data=[token for named in path.named for token in named],
        dtype="int64",
        shape=[len(tokens) - 1, max(map(len, path.named))],
        sparse_crow_indices=starts,
        sparse_col_indices=columns,
    )
    return sampler.sample(
        ModelInput.from_ints(tokens),
        num_samples=1,
        sampling_params=SamplingParams(max_tokens=1, temperature=0.0),
        target_prompt_logprobs=asked,
    )


def submit_by_candidates(
    sampler: tinker.SamplingClient, prompt: Sequence[int], lines: Sequence[Sequence[int]]
) -> Callable[[], TokenLogprobs]:
    """Ask with one request a line; waits when what it returns is called."""
    futures = [last_logprobs(sampler, [*prompt, *line], len(line)) for line in lines]

    def wait() -> TokenLogprobs:
        return tuple(
            tuple(logprob or 0.0 for logprob in future.result()[-len(line) :])
            for future, line in zip(futures, lines, strict=True)
        )

    return wait
