"""Adam as it was told: epsilon, weight decay, betas, clipping."""

import math

from symptoms.conformance.findings import Measurement, check, in_steps, near
from symptoms.conformance.probe import NotMeasurableError, Probe, adam


@check("Adam's eps", "epsilon is not the one that was set")
def epsilon(probe: Probe) -> Measurement:
    """Half the epsilon, far above the gradients: a step twice as far."""
    fixed = "epsilon is fixed: settings that rest on a large one are ignored"
    return in_steps(probe.steps("eps", settings=probe.descent(probe.rate, eps=0.5)), 2, if_one=fixed)


@check(
    "Adam's settings of a later step",
    "schedules of anything but the learning rate are ignored: the first step's settings stay",
)
def epsilon_of_later_steps(probe: Probe) -> Measurement:
    """Half the epsilon in the second step: that step twice as far."""
    training = probe.adapter()
    before = probe.gradients(training).loss
    probe.update(training, probe.descent(probe.rate / 1000, beta1=0.0))
    probe.gradients(training)
    probe.update(training, probe.descent(probe.rate, eps=0.5, beta1=0.0))
    return in_steps(probe.steps_since(before, training), 2)


@check("Adam's beta1", "momentum is not the one that was set")
def momentum(probe: Probe) -> Measurement:
    """A second step without gradient: 1.33 steps with beta1 0.5, 1 with 0."""
    moved: list[float] = []
    for beta1 in (0.5, 0.0):
        training = probe.adapter()
        before = probe.gradients(training).loss
        settings = probe.descent(probe.rate, beta1=beta1)
        probe.update(training, settings)
        probe.gradients(training, weights=0.0)
        probe.update(training, settings)
        moved.append(probe.steps_since(before, training))
    # m2 / (1 - 0.5^2) = 0.5 * 0.5 * gradient / 0.75
    holds = near(moved[0], 4 / 3, 0.12) and near(moved[1], 1, 0.12)
    return Measurement(f"{moved[0]:.2f} and {moved[1]:.2f} times the step after both", holds)


@check("weight decay", "adapters are not held small as they were told")
def decay(probe: Probe) -> Measurement:
    """Learning rate times decay of 0.5 after a step: both matrices halved, a quarter of the step left."""
    training = probe.adapter()
    before = probe.gradients(training).loss
    probe.update(training, probe.descent(probe.rate, beta1=0.0))
    probe.gradients(training, weights=0.0)
    # Small numbers both, as servers take no weight decay of any size.
    probe.update(training, adam(2.0**-4, 1.0, weight_decay=8.0, beta1=0.0))
    ratio = probe.steps_since(before, training)
    consequence = None
    if near(ratio, 1, 0.1):
        consequence = "weight decay is ignored, or coupled to the gradient: adapters grow without that limit"
    elif near(ratio, 0.5, 0.1):
        consequence = "only one of an adapter's two matrices is decayed"
    return Measurement(f"{ratio:.2f} of the step is left", near(ratio, 0.25), consequence)


@check("gradient clipping", "gradients are not clipped to the norm that was set")
def clipping(probe: Probe) -> Measurement:
    """A limit of half the gradient's norm: half the step."""
    norm = math.sqrt(max(probe.usual_fall, 0.0) / probe.rate)
    # The norm is that of the gradient as it was sent.
    settings = probe.descent(probe.rate, grad_clip_norm=norm / 2 * probe.regime[1])
    steps = probe.steps("clipped", settings=settings)
    return in_steps(
        steps, 0.5, if_one="gradients are not clipped: one odd batch can throw a run off", near_one=0.1
    )


@check("no clipping unasked", "large gradients are cut down, so weights and sums do not count in full")
def no_clipping(probe: Probe) -> Measurement:
    """A gradient ten times as large at a tenth of the rate, with no limit: the same step."""
    if not near(probe.steps("weights 2", weights=2.0), 2):
        raise NotMeasurableError(
            "weights do not scale the gradient, so none of ten times the size is to be had"
        )
    settings = probe.descent(probe.rate / 10)
    ratio = probe.steps("not clipped", settings=settings, weights=10.0)
    consequence = "gradients are clipped though no limit was set" if ratio < 0.8 else None
    return Measurement(f"{ratio:.2f} times the step", near(ratio, 1), consequence)
