"""Other programs' answers to the questions, held against our own."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tinker_local.errors import ExportError
from tinker_local.export.checking.own_answers import OwnAnswer
from tinker_local.export.checking.questions import Questions
from tinker_local.export.forms import Tolerance

LIKELY = 10.0
"""Lines so many nats behind the likeliest are not compared by their numbers."""
READERS = Path(__file__).parent / "readers"
TRANSFORMERS, LLAMA_CPP = "with_transformers.py", "with_llama_cpp.py"
HOW_TO_GET = "pip install '.[export]' in the checkout"
"""By its path: no package index has this project under its name, and what somebody puts there is another."""


@dataclass(frozen=True)
class Reader:
    """A program that loads an export. `loads` says what, in the terms of its script."""

    name: str
    script: str
    packages: tuple[str, ...]
    loads: Mapping[str, Any]

    @property
    def missing(self) -> list[str]:
        """The packages it needs that are not installed."""
        return [package for package in self.packages if importlib.util.find_spec(package) is None]

    @property
    def versions(self) -> str:
        """What it consists of, for the card."""
        return ", ".join(f"{package} {version(package)}" for package in self.packages)


@dataclass(frozen=True)
class Comparison:
    """How a reader's answers differ from ours, in prompts but for `ranks_moved`, which counts lines.

    `apart` is the largest difference of a line's log-probability in nats, infinite where one is no number,
    among those that are less than 10 nats behind the likeliest in either's answer: what is further down is
    rounding of numbers near zero.
    """

    reader: str
    versions: str
    prompts: int
    lines: int
    same_tokens: int
    same_best: int
    best_ties: int
    ranks_moved: int
    apart: float
    same_texts: int
    text_ties: int
    first_difference: str | None

    def passes(self, tolerance: Tolerance) -> bool:
        """Whether it is close enough; a text that becomes other tokens never is."""
        return (
            self.same_tokens == self.prompts
            and self.same_best + self.best_ties >= tolerance.best_share * self.prompts
            and self.apart <= tolerance.apart
            and (not tolerance.same_texts or self.same_texts + self.text_ties == self.prompts)
        )


HEADS = ("read by", "same tokens", "same best line", "ranks moved", "apart, nats", "same greedy text")


def row(comparison: Comparison) -> tuple[str, ...]:
    """A line of the table under HEADS."""
    every = comparison.prompts
    best = f" (+{comparison.best_ties} tied)" if comparison.best_ties else ""
    texts = f" (+{comparison.text_ties} tied)" if comparison.text_ties else ""
    return (
        comparison.reader,
        f"{comparison.same_tokens} of {every}",
        f"{comparison.same_best} of {every}{best}",
        f"{comparison.ranks_moved} of {comparison.lines}",
        f"{comparison.apart:.1e}",
        f"{comparison.same_texts} of {every}{texts}",
    )


def compare(
    reader: Reader,
    questions: Questions,
    own: Sequence[OwnAnswer],
    end_tokens: frozenset[int],
    tie: float,
    show: Callable[[Sequence[int]], str],
    tell: Callable[[int], None],
) -> Comparison:
    """Ask a reader and compare; raises ExportError where it cannot load what was written.

    `show` makes a text of tokens, and `tell` is given how many prompts are done.
    """
    same_tokens = same_best = best_ties = moved = same_texts = text_ties = 0
    apart, difference = 0.0, None
    for number, (theirs, ours) in enumerate(
        zip(_answers(reader, questions, own, end_tokens), own, strict=True)
    ):
        prompt = questions.prompts[number]
        if list(theirs["tokenized"]) == list(prompt.tokens):
            same_tokens += 1
        else:
            difference = difference or f"{prompt.text!r} becomes other tokens"
        scores: list[float] = theirs["scores"]
        order, their_order = _order(ours.scores), _order(scores)
        moved += sum(one != other for one, other in zip(order, their_order, strict=True))
        apart = max(apart, _apart(ours.scores, scores))
        same_best += their_order[0] == order[0]
        best_ties += _is_tied_best(ours.scores, their_order[0], tie)
        place = _first_difference(ours.tokens, theirs["tokens"], end_tokens)
        if place is None:
            same_texts += 1
        else:
            text_ties += place < len(ours.leads) and ours.leads[place] < tie
            difference = difference or (
                f"behind {prompt.text[-40:]!r} it writes {show(theirs['tokens'][place : place + 8])!r} where "
                f"we write {show(ours.tokens[place : place + 8])!r}"
            )
        tell(number + 1)
    return Comparison(
        reader=reader.name,
        versions=reader.versions,
        prompts=len(own),
        lines=sum(len(answer.lines) for answer in own),
        same_tokens=same_tokens,
        same_best=same_best,
        best_ties=best_ties,
        ranks_moved=moved,
        apart=apart,
        same_texts=same_texts,
        text_ties=text_ties,
        first_difference=difference,
    )


def base_would_pass(
    bare: Iterable[OwnAnswer],
    own: Sequence[OwnAnswer],
    tolerance: Tolerance,
    end_tokens: frozenset[int],
) -> bool:
    """Whether our own answers without the adapter (`bare`) are as close to ours as is asked of a reader.

    Then no reader's answers tell whether it has the adapter. `bare` is asked for no further than it takes to
    know: where every difference counts, mostly one prompt.
    """
    right = len(own)
    for without, ours in zip(bare, own, strict=False):
        best = _order(without.scores)[0]
        is_best = best == _order(ours.scores)[0] or _is_tied_best(ours.scores, best, tolerance.tie)
        right -= not is_best
        place = _first_difference(ours.tokens, without.tokens[: len(ours.tokens)], end_tokens)
        tied = place is None or (place < len(ours.leads) and ours.leads[place] < tolerance.tie)
        if (
            right < tolerance.best_share * len(own)
            or _apart(ours.scores, without.scores) > tolerance.apart
            or (tolerance.same_texts and not tied)
        ):
            return False
    return True


def _apart(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The largest difference in nats, among the lines that are likely to either; infinite for no number."""
    if not all(map(math.isfinite, theirs)):
        return math.inf
    least, their_least = max(ours) - LIKELY, max(theirs) - LIKELY
    pairs = zip(ours, theirs, strict=True)
    return max(abs(one - other) for one, other in pairs if one > least or other > their_least)


def _is_tied_best(ours: Sequence[float], place: int, tie: float) -> bool:
    """Whether the line at a place is not our likeliest, and less than a tie behind it."""
    return place != _order(ours)[0] and max(ours) - ours[place] < tie


def _order(scores: Sequence[float]) -> list[int]:
    """The places of scores, the best first."""
    return sorted(range(len(scores)), key=lambda place: -scores[place])


def _first_difference(ours: Sequence[int], theirs: Sequence[int], ends: frozenset[int]) -> int | None:
    """The first place where two continuations differ; what ends them may be told or not."""
    one, other = _without_end(ours, ends), _without_end(theirs, ends)
    if one == other:
        return None
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def _without_end(tokens: Sequence[int], ends: frozenset[int]) -> list[int]:
    return list(tokens[:-1] if tokens and tokens[-1] in ends else tokens)


def _answers(
    reader: Reader, questions: Questions, own: Sequence[OwnAnswer], end_tokens: frozenset[int]
) -> Iterator[dict[str, Any]]:
    asked = {
        **reader.loads,
        "prompts": [{"text": each.text, "tokens": each.tokens} for each in questions.prompts],
        "lines": [answer.lines for answer in own],
        "new_tokens": [len(answer.tokens) for answer in own],
        "end_tokens": sorted(end_tokens),
    }
    # Nothing is fetched while a folder is checked, and nobody attaches a debugger to what gives up.
    quiet = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "GGML_NO_BACKTRACE": "1"}
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [sys.executable, str(READERS / reader.script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, **quiet},
            text=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            # One line, and the pipe stays open: when this process ends, it closes and the reader ends, too.
            process.stdin.write(json.dumps(asked) + "\n")
            process.stdin.flush()
            count = 0
            for line in process.stdout:
                # llama.cpp may say something of its own in between.
                if line.startswith("{"):
                    count += 1
                    yield json.loads(line)
            if process.wait() or count != len(own):
                errors.seek(0)
                said = [line.strip() for line in errors.read().splitlines() if line.strip()]
                raise ExportError(
                    f"{reader.name} cannot use what was written ({said[-1] if said else 'no reason given'})."
                )
        except BrokenPipeError as error:
            raise ExportError(f"{reader.name} ended before it was asked.") from error
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
            with suppress(BrokenPipeError):
                process.stdin.close()
