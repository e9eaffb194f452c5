"""Sampling: seeds, temperatures, stops, and the log-probabilities of prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from symptoms.conformance.findings import Measurement, check
from symptoms.conformance.probe import TOKENS, NotMeasurableError, Probe, signed

if TYPE_CHECKING:
    import tinker

PROMPT = TOKENS[:6]
TAUGHT = (40, 50, 60, 70)
"""What an adapter is taught to answer to PROMPT, before it ends."""
LONG = 12
MOST_STEPS = 60


@dataclass(frozen=True)
class Taught:
    """An adapter that answers PROMPT with TAUGHT and the end token, and its sampler."""

    sampler: tinker.SamplingClient
    logprobs: Sequence[float]
    """What training's forward pass says of TAUGHT."""


def taught(probe: Probe) -> Taught:
    """Trained once for all checks; raises NotMeasurableError where it learns nothing or nothing ends."""
    if "taught" not in probe.kept:
        probe.kept["taught"] = _teach(probe)
    return probe.kept["taught"]


def _teach(probe: Probe) -> Taught:
    tokens = (*PROMPT, *TAUGHT, end_token(probe))
    weights = [0.0] * (len(PROMPT) - 1) + [1.0] * (len(TAUGHT) + 1)
    training = probe.adapter()
    # Some servers sample a checkpoint only while its adapter is there.
    probe.made.remove(training)
    for _ in range(MOST_STEPS):
        logprobs = probe.gradients(training, tokens, weights).logprobs[len(PROMPT) - 1 :]
        if min(logprobs) > -0.1:
            break
        probe.update(training, signed(5e-3))
    else:
        raise NotMeasurableError(f"an adapter could not be taught five tokens in {MOST_STEPS} steps")
    sampler = probe.sampler(probe.saved_for_sampling(training, "taught"))
    return Taught(sampler, logprobs[: len(TAUGHT)])


def end_token(probe: Probe) -> int:
    """The base model's end token, from its folder or tokenizer; raises NotMeasurableError without either."""
    folder = Path(probe.service.base_model)
    told = _told_by(folder) if folder.is_dir() else None
    if told is None and probe.reference is not None:
        tokenizer_folder = probe.reference.adapter().get_info().model_data.tokenizer_id
        told = _told_by(Path(tokenizer_folder or ""))
    if told is None:
        told = _tokenizer(probe).eos_token_id
    if told is None:
        raise NotMeasurableError("the base model has no end token")
    return int(told)


def _told_by(folder: Path) -> int | None:
    import json

    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except OSError:
        return None
    told: Any = config.get("eos_token_id")
    return cast(int, told[0]) if isinstance(told, list) else told


def _tokenizer(probe: Probe) -> Any:
    try:
        return (probe if probe.reference is None else probe.reference).service.tokenizer()
    except Exception as error:
        raise NotMeasurableError("the tokenizer is not to be had here") from error


@check("temperature 0", "the likeliest answer is not what comes: evaluations vary from one run to the next")
def greedy(probe: Probe) -> Measurement:
    """What an adapter was taught, twice the same."""
    model = taught(probe)
    written = [_tokens(_sampled(probe, model, temperature=0.0, max_tokens=len(TAUGHT))) for _ in range(2)]
    return Measurement(f"{written[0]}, and again {written[1]}", written == [[list(TAUGHT)]] * 2)


@check("log-probabilities of sampled tokens", "importance ratios of reinforcement learning are off")
def sampled_logprobs(probe: Probe) -> Measurement:
    """The model's own, as training's forward pass has them."""
    model = taught(probe)
    answer = _sampled(probe, model, temperature=0.0, max_tokens=len(TAUGHT)).sequences[0]
    if answer.logprobs is None or list(answer.tokens) != list(TAUGHT):
        return Measurement("none came" if answer.logprobs is None else "other tokens were sampled", False)
    gap = max(abs(one - other) for one, other in zip(answer.logprobs, model.logprobs, strict=True))
    return Measurement(f"at most {gap:.1e} nats from what training says of them", gap < 0.05)


@check("the end token ends", "answers run on after their end")
def ends_by_itself(probe: Probe) -> Measurement:
    """An answer that was taught to end, without a stop: it ends, and says so."""
    answer = _sampled(probe, taught(probe), temperature=0.0, max_tokens=LONG).sequences[0]
    return Measurement(
        f"{len(answer.tokens)} tokens, {answer.stop_reason}",
        len(answer.tokens) in (len(TAUGHT), len(TAUGHT) + 1) and answer.stop_reason == "stop",
    )


@check("stop=[]", "what comes after an end token cannot be sampled")
def empty_stop(probe: Probe) -> Measurement:
    """An answer that was taught to end, with no stop at all: it goes on to max_tokens."""
    answer = _sampled(probe, taught(probe), temperature=0.0, max_tokens=LONG, stop=[]).sequences[0]
    return Measurement(
        f"{len(answer.tokens)} of {LONG} tokens, {answer.stop_reason}",
        len(answer.tokens) == LONG and answer.stop_reason == "length",
    )


@check("stop tokens", "answers do not end where they were told to")
def stop_tokens(probe: Probe) -> Measurement:
    """stop=[token]: the answer ends with that token."""
    answer = _sampled(probe, taught(probe), temperature=0.0, max_tokens=LONG, stop=[TAUGHT[2]]).sequences[0]
    return _stopped(answer)


@check("stop strings", "answers do not end where they were told to, and run into the next question")
def stop_strings(probe: Probe) -> Measurement:
    """stop=[text]: the answer ends with that text."""
    text = _tokenizer(probe).decode([TAUGHT[2]], skip_special_tokens=False)
    before = _tokenizer(probe).decode(list(TAUGHT[:2]), skip_special_tokens=False)
    if not text or text in before or "\ufffd" in text:
        raise NotMeasurableError("the made-up tokens have no text of their own")
    answer = _sampled(probe, taught(probe), temperature=0.0, max_tokens=LONG, stop=[text]).sequences[0]
    return _stopped(answer)


def _stopped(answer: Any) -> Measurement:
    tokens = list(answer.tokens)
    told = f"{tokens}, {answer.stop_reason}"
    if tokens == list(TAUGHT[:2]):
        return Measurement(told, False, "the stop is left out of the answer: its log-probability is missing")
    return Measurement(told, tokens == list(TAUGHT[:3]) and answer.stop_reason == "stop")


@check("sampling seeds", "sampled answers cannot be had again")
def seeds(probe: Probe) -> Measurement:
    """The same seed: the same text; another: another."""
    sampler = probe.sampler()
    texts = [
        _tokens(probe.sample(sampler, PROMPT, temperature=1.0, max_tokens=LONG, seed=seed, stop=[]))
        for seed in (1, 1, 2)
    ]
    told = f"the same seed {'repeats' if texts[0] == texts[1] else 'does not repeat'} the text"
    told += f", another {'repeats it, too' if texts[0] == texts[2] else 'does not'}"
    return Measurement(told, texts[0] == texts[1] and texts[0] != texts[2])


@check("num_samples", "fewer samples come than were asked for")
def many(probe: Probe) -> Measurement:
    """Four sequences of one prompt at temperature 1, not all alike."""
    texts = _tokens(probe.sample(probe.sampler(), PROMPT, num=4, temperature=1.0, max_tokens=LONG, stop=[]))
    kinds = len({tuple(text) for text in texts})
    consequence = "samples of one prompt are alike: nothing to compare in reinforcement learning"
    return Measurement(
        f"{len(texts)} sequences, {kinds} of them different", len(texts) == 4 and kinds > 1, consequence
    )


@check("prompt_logprobs", "texts cannot be scored: no label is ranked, no held-out loss measured by sampling")
def prompt_logprobs(probe: Probe) -> Measurement:
    """One for each token of a prompt, None for the first."""
    scored = probe.prompt_logprobs(probe.sampler(), TOKENS)
    whole = len(scored) == len(TOKENS) and scored[0] is None and None not in scored[1:]
    first = scored[0] if scored else "nothing"
    return Measurement(f"{len(scored)} for {len(TOKENS)} tokens, the first is {first}", whole)


@check(
    "topk_prompt_logprobs",
    "the likeliest alternatives along a text are not to be had (distillation, diagnosis)",
)
def topk_prompt_logprobs(probe: Probe) -> Measurement:
    """Three at each place, the likeliest first, none below the prompt's own token."""
    answer = probe.sample(probe.sampler(), TOKENS, max_tokens=1, prompt_logprobs=True, topk=3)
    rows: list[list[tuple[int, float]] | None] = list(answer.topk_prompt_logprobs or [])
    if len(rows) != len(TOKENS):
        return Measurement(f"{len(rows)} places for {len(TOKENS)} tokens", False)
    given = list(answer.prompt_logprobs or [None] * len(TOKENS))
    wrong = 0
    for place in range(1, len(TOKENS)):
        pairs, own = rows[place] or [], given[place]
        figures = [logprob for _, logprob in pairs]
        likeliest = not figures or own is None or own <= figures[0] + 1e-3
        wrong += len(pairs) < 3 or figures != sorted(figures, reverse=True) or not likeliest
    return Measurement(f"{len(rows)} places, {wrong} of them not as asked", wrong == 0)


def _sampled(probe: Probe, model: Taught, **wanted: Any) -> Any:
    return probe.sample(model.sampler, PROMPT, **wanted)


def _tokens(answer: Any) -> list[list[int]]:
    return [list(sequence.tokens) for sequence in answer.sequences]
