"""How likely an answer is to begin with each label's line, asked in one of two ways.

Every service scores the tokens of a prompt, so each label's line can be put behind the description and
scored: one request a label. Our own server scores named tokens along paths behind a prompt, which takes far
less: the lines share their beginnings, and where they part, all the tokens that go on can be named at once.
The thirty labels of the taxonomy then take three paths, and many descriptions one request.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from symptoms.service.path_scorer import Path, PathScorer
from symptoms.service.sdk import last_logprobs

if TYPE_CHECKING:
    import tinker

Tokens = tuple[int, ...]
TokenLogprobs = tuple[tuple[float, ...], ...]
"""For each line the log-probabilities, in nats, of its tokens one by one."""


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
def _paths_and_places(lines: tuple[Tokens, ...]) -> tuple[tuple[Path, ...], tuple[tuple[int, ...], ...]]:
    """The paths, and for each line where in their scores its tokens' are; the same for a whole batch."""
    paths = tuple(paths_through(lines))
    beginnings: list[Tokens] = [
        (*path.tokens[:place], token)
        for path in paths
        for place, named in enumerate(path.named)
        for token in named
    ]
    place_of: dict[Tokens, int] = {beginning: place for place, beginning in enumerate(beginnings)}
    return paths, tuple(tuple(place_of[line[: end + 1]] for end in range(len(line))) for line in lines)


def submit_by_paths(
    scorer: PathScorer, prompt: Sequence[int], lines: Sequence[Tokens]
) -> Callable[[], TokenLogprobs]:
    """Ask by naming tokens along the paths through the lines; waits when what it returns is called."""
    paths, places = _paths_and_places(tuple(lines))
    asked = scorer.submit(prompt, paths)

    def wait() -> TokenLogprobs:
        scores = asked()
        return tuple(tuple(scores[place] for place in line) for line in places)

    return wait


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
