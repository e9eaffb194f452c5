"""The adapter: its alpha, the layers it is on, and its seed."""

from symptoms.conformance.findings import Check, Measurement, check, near
from symptoms.conformance.probe import NotMeasurableError, Probe, signed

RANKS = (4, 16)
ALPHA = 32.0
"""What hosted Tinker fixes, whatever the rank."""
RATES = (2.0**-3, 2.0**-13)
"""Of the two steps: the first times a weight decay of 8 is 1, and small is the product of both."""
FLAGGED_LAYERS = ("attn", "mlp", "unembed")


@check("alpha at two ranks", "a learning rate means another step size than on hosted Tinker")
def alpha(probe: Probe) -> Measurement:
    """Rank 4 and 16; alpha is 32 at both.

    With learning rate times weight decay at 1, a step leaves of every matrix its update alone: A becomes 0,
    as a new adapter's B of 0 gives it no gradient, and every number of B plus or minus the learning rate. The
    next step gives every number of A one size, too. The loss then falls in proportion to alpha.
    """
    falls = [_known_step(probe, rank) for rank in RANKS]
    if min(falls) <= 0:
        raise NotMeasurableError(f"the known step moved the loss by {falls[0]:.2g} and {falls[1]:.2g} nats")
    growth = falls[1] / falls[0]
    ours = _of_reference(probe)
    if ours is None:
        return Measurement(
            f"{growth:.2f} times as much at rank {RANKS[1]} as at {RANKS[0]}", near(growth, 1), _law(growth)
        )
    values = [ALPHA * theirs / own for theirs, own in zip(falls, ours, strict=True)]
    told = ", ".join(f"{value:.1f} at rank {rank}" for value, rank in zip(values, RANKS, strict=True))
    return Measurement(f"alpha {told}", all(near(value, ALPHA) for value in values), _law(growth, values))


def _of_reference(probe: Probe) -> list[float] | None:
    """What the same steps are in our own engine; None where that does not answer."""
    try:
        return None if probe.reference is None else [_known_step(probe.reference, rank) for rank in RANKS]
    except Exception:  # noqa: BLE001 - not this server's fault, whatever it is
        return None


def _known_step(probe: Probe, rank: int) -> float:
    """The fall of the loss, in nats, in the step that alpha is recovered from."""
    key = ("known step", rank)
    if key not in probe.kept:
        training = probe.adapter(rank)
        probe.gradients(training)
        probe.update(training, signed(RATES[0], weight_decay=1 / RATES[0]))
        before = probe.gradients(training).loss
        probe.update(training, signed(RATES[1], beta1=0.0, beta2=0.0))
        probe.kept[key] = before - probe.gradients(training).loss
    return probe.kept[key]


def _law(growth: float, values: list[float] | None = None) -> str | None:
    if near(growth, 1) and values is not None:
        return f"every learning rate means {values[0] / ALPHA:.2g} times as much as there"
    if near(growth, RANKS[1] / RANKS[0]):
        return "alpha grows with the rank: a learning rate found at one rank is another at the next"
    if near(growth, (RANKS[1] / RANKS[0]) ** 0.5):
        return (
            "the adapter is scaled by the root of its rank (rsLoRA): a learning rate is another at every rank"
        )
    return None


def takes_effect(layer: str) -> Check:
    """Whether one of the three flags does what it says: the step with it alone beside that with all."""

    def measured(probe: Probe) -> Measurement:
        alone = {name: name == layer for name in FLAGGED_LAYERS}
        ratio = probe.steps(f"only {layer}", **alone)
        told = f"with train_{layer} alone {ratio:.2f} times the step with all three"
        if near(ratio, 1, 0.03):
            ignored = "the flags are ignored: the same layers are trained whatever is asked"
            return Measurement(told, False, ignored)
        if abs(ratio) < 0.002:
            return Measurement(told, False, f"train_{layer} trains nothing")
        return Measurement(told, 0 < ratio < 1)

    asked = f"train_{layer} alone: a part of the step that all three make"
    return Check(f"train_{layer}", asked, "other layers are trained than were asked for", measured)


of_attention, of_mlp, of_unembedding = map(takes_effect, FLAGGED_LAYERS)


@check(
    "the flags are all there is",
    "layers are trained that no flag names, or flagged ones are left out of the whole",
)
def parts_make_the_whole(probe: Probe) -> Measurement:
    """The parts of attention, MLP and unembedding make the whole step."""
    parts = {
        one: probe.steps(f"only {one}", **{name: name == one for name in FLAGGED_LAYERS})
        for one in FLAGGED_LAYERS
    }
    total = sum(parts.values())
    told = ", ".join(f"{layer} {part:.2f}" for layer, part in parts.items())
    return Measurement(f"{told}, together {total:.2f}", near(total, 1, 0.25))


@check("the adapter's seed", "two runs with the same seed differ from the first step")
def seeded(probe: Probe) -> Measurement:
    """The same seed: the same adapter; another: another."""
    # Not in usual steps, which there are none of where a seed is not heeded.
    first = probe.first_usual_fall
    same, other = probe.fall("the same seed") / first, probe.fall("another seed", seed=1234) / first
    told = f"{same:.4f} times the step with the same seed, {other:.4f} with another"
    return Measurement(told, near(same, 1, 1e-3) and not near(other, 1, 1e-5))
