"""Losses and log-probabilities: what a forward pass answers."""

from collections.abc import Sequence
from dataclasses import replace

from symptoms.conformance.findings import Measurement, check
from symptoms.conformance.probe import TOKENS, NotMeasurableError, Probe, signed

MEAN_NATS, MOST_NATS = 0.05, 0.3
"""How far log-probabilities may be apart, on average and at most: what bfloat16 makes of them."""
LONG_TEXT = 1024
"""Tokens of the long text, where the model takes as many."""


@check("log-probabilities", "training and figures are of another model than the one named")
def reference_logprobs(probe: Probe) -> Measurement:
    """The model's own log-probability of each target."""
    ours = _of_reference(probe, TOKENS)
    return _apart(probe.gradients(probe.adapter()).logprobs, ours, "from the same weights in our own engine")


@check("loss:sum", "the loss that is shown is not the loss that is minimised")
def weighted_sum(probe: Probe) -> Measurement:
    """Weights 0, 0.5, 2 and -1; the metric loss:sum is minus the sum of weight times log-probability."""
    weights = [(0.0, 0.5, 2.0, -1.0)[place % 4] for place in range(len(TOKENS) - 1)]
    passed = probe.gradients(probe.adapter(), weights=weights, unit=1.0)
    if len(passed.logprobs) != len(weights):
        return Measurement(f"{len(passed.logprobs)} log-probabilities for {len(weights)} targets", False)
    ours = -sum(weight * logprob for weight, logprob in zip(weights, passed.logprobs, strict=True))
    told = passed.metrics.get("loss:sum")
    if told is None:
        named = ", ".join(sorted(passed.metrics)[:6]) or "no metric at all"
        return Measurement(
            f"no loss:sum, but {named}", False, "a program that reads the loss from metrics fails"
        )
    plain = sum(-logprob for logprob in passed.logprobs)
    kind = ""
    if abs(told - ours) > 0.01 * abs(ours):
        for what, figure in (
            ("the unweighted sum", plain),
            ("the mean over the tokens", ours / len(weights)),
            ("the mean by weight", ours / sum(weights)),
        ):
            kind = f", which is {what}" if abs(told - figure) < 0.01 * abs(figure) else kind
    return Measurement(
        f"loss:sum {told:.4f}, weighted sum of what came {ours:.4f}{kind}",
        abs(told - ours) <= 0.01 * abs(ours),
    )


@check("far positions", "long examples are read as another model would, though short ones look right", True)
def far_positions(probe: Probe) -> Measurement:
    """A long text; its last quarter as the model's rope scaling has it."""
    lengths = [length for length in (probe.service.context_length, _reference_context(probe)) if length]
    length = min([*lengths, LONG_TEXT])
    long = [2 + (place * place + 31 * place) % 199 for place in range(length)]
    ours = _of_reference(probe, long)
    theirs = probe.gradients(probe.adapter(), long).logprobs
    quarter = len(ours) // 4
    return _apart(theirs[-quarter:], ours[-quarter:], f"from our own engine at positions up to {length}")


@check(
    "forward and prompt_logprobs agree",
    "importance ratios of reinforcement learning are off; a checkpoint scores otherwise than it trained",
)
def scoring_agrees(probe: Probe) -> Measurement:
    """One adapter's log-probabilities by forward_backward and by sampling."""
    training = probe.adapter()
    # An adapter that changes something, as a new one is the base model and would hide that it is left out.
    probe.gradients(training)
    probe.update(training, signed(1e-3))
    path = probe.saved_for_sampling(training, "scoring")
    scored = probe.prompt_logprobs(probe.sampler(path), TOKENS)[1:]
    forward = probe.gradients(training).logprobs
    if len(scored) != len(forward) or None in scored:
        return Measurement(f"{len(scored)} prompt log-probabilities for {len(forward)} targets", False)
    return _apart(forward, [value for value in scored if value is not None], "apart")


@check(
    "a forward pass is repeatable",
    "dropout is on, or the arithmetic varies: losses are noisy and runs cannot be repeated",
)
def repeatable(probe: Probe) -> Measurement:
    """The same datum twice, with nothing between."""
    training = probe.adapter()
    probe.gradients(training)
    probe.update(training, signed(1e-2))
    first, second = probe.gradients(training), probe.gradients(training)
    finding = _apart(first.logprobs, second.logprobs, "apart")
    return replace(finding, holds=max(_gaps(first.logprobs, second.logprobs)) < 1e-3)


@check(
    "a batch changes nothing", "padding leaks into examples: the loss depends on which examples share a batch"
)
def batch_changes_nothing(probe: Probe) -> Measurement:
    """A short datum alone and beside a longer one; the same log-probabilities."""
    training = probe.adapter()
    short = TOKENS[:9]
    alone = probe.forward(training, [short])[0]
    beside = probe.forward(training, [short, TOKENS])
    if len(beside) != 2 or len(beside[0].logprobs) != len(alone.logprobs):
        return Measurement(f"{len(beside)} outputs, the first of {len(beside[0].logprobs)} numbers", False)
    return _apart(alone.logprobs, beside[0].logprobs, "apart")


def _of_reference(probe: Probe, tokens: Sequence[int]) -> tuple[float, ...]:
    if probe.reference is None:
        raise NotMeasurableError("the base model is not on this machine under that name (--reference)")
    try:
        return probe.reference.gradients(probe.reference.adapter(), tokens).logprobs
    except Exception as error:
        # Not this server's fault, and so no row of it.
        raise NotMeasurableError(f"our own engine did not answer ({type(error).__name__})") from error


def _reference_context(probe: Probe) -> int | None:
    return None if probe.reference is None else probe.reference.service.context_length


def _apart(some: Sequence[float], others: Sequence[float], where: str) -> Measurement:
    """How far apart they are, and whether that is no more than rounding."""
    gaps = _gaps(some, others)
    mean, most = sum(gaps) / len(gaps), max(gaps)
    return Measurement(f"{mean:.1e} nats {where}, {most:.1e} at most", mean < MEAN_NATS and most < MOST_NATS)


def _gaps(some: Sequence[float], others: Sequence[float]) -> list[float]:
    """The differences one by one; infinite where the counts differ or a number is none."""
    if len(some) != len(others) or not some:
        return [float("inf")]
    gaps = [abs(one - other) for one, other in zip(some, others, strict=True)]
    return [gap if gap == gap else float("inf") for gap in gaps]
