"""How gradients are scaled, gathered and spent."""

from symptoms.conformance.findings import Measurement, check, in_steps
from symptoms.conformance.probe import TOKENS, NotMeasurableError, Probe, datum

NORMALISED = (
    "gradients are divided by the sum of weights, so per-token weights set no scale and losses do not add up"
)


@check("weights scale the gradient", "weights do not do what the loss says they do")
def doubled_weights(probe: Probe) -> Measurement:
    """Weights of 2 in place of 1: a step twice as far."""
    return in_steps(probe.steps("weights 2", weights=2.0), 2, if_one=NORMALISED)


@check(
    "negative weights",
    "losses that push away from bad answers (reinforcement learning, custom losses) train the wrong way",
)
def negative_weights(probe: Probe) -> Measurement:
    """Weights of -1: the step backwards."""
    return in_steps(probe.steps("weights -1", weights=-1.0), -1, 0.3)


@check(
    "datums of a call add up",
    "a batch's gradient is not the sum over its examples: the learning rate means something else",
)
def two_datums(probe: Probe) -> Measurement:
    """The same datum twice in one call: a step twice as far."""
    mean = "the gradient is a mean over the call: splitting a batch in two doubles it"
    return in_steps(probe.steps("two datums", times=2), 2, if_one=mean)


@check("calls add up", "gradients gathered over several calls are not those of all examples")
def accumulated(probe: Probe) -> Measurement:
    """Two calls of forward_backward before a step: a step twice as far."""
    one = "several calls count as one, by their mean or the last alone: a batch in parts is another"
    return in_steps(probe.steps("two calls", calls=2), 2, if_one=one)


@check("a step spends its gradients", "gradients of earlier steps are used again")
def gradients_are_spent(probe: Probe) -> Measurement:
    """A second step on a datum of weight 0 with beta1 0: no step."""
    training = probe.adapter()
    before = probe.gradients(training).loss
    probe.update(training, probe.descent(probe.rate, beta1=0.0))
    probe.gradients(training, weights=0.0)
    probe.update(training, probe.descent(probe.rate, beta1=0.0))
    return in_steps(probe.steps_since(before, training), 1, told="times the step after both")


@check("forward adds no gradient", "evaluating during training trains on the evaluation's texts")
def forward_adds_nothing(probe: Probe) -> Measurement:
    """A forward pass before the step: the same step."""
    training = probe.adapter()
    before = probe.gradients(training).loss
    probe.forward(training)
    probe.update(training, probe.descent(probe.rate))
    return in_steps(probe.steps_since(before, training), 1)


@check("forward_backward is done once", "after a lost connection a batch counts twice, or the run ends")
def done_once(probe: Probe) -> Measurement:
    """The same request twice under one seq_id, as after a lost connection: the step of one."""
    first, again = probe.twins()
    before = probe.gradients(first).loss
    probe.gradients(again)
    probe.update(first, probe.descent(probe.rate))
    return in_steps(probe.steps_since(before, first), 1)


@check("optim_step is done once", "after a lost connection a step is taken twice, or the run ends")
def step_done_once(probe: Probe) -> Measurement:
    """The same step twice under one seq_id: one step."""
    first, again = probe.twins()
    before = probe.gradients(first).loss
    probe.gradients(again)
    probe.update(first, probe.descent(probe.rate))
    probe.update(again, probe.descent(probe.rate))
    return in_steps(probe.steps_since(before, first), 1)


@check("an unloaded adapter leaves nothing", "a new run begins with the gradients that another left behind")
def leaves_nothing(probe: Probe) -> Measurement:
    """unload_model of one with a gradient, then a new one: the step as ever."""
    first = probe.adapter()
    # Another text than the next one's, as of a mean over equal ones nothing would show.
    probe.gradients(first, TOKENS[::-1], weights=3.0)
    if not probe.unload(first):
        raise NotMeasurableError("the server offers no unload_model")
    probe.made.remove(first)
    return in_steps(probe.first_step() / probe.usual_fall, 1, 0.1)


@check(
    "requests keep their order", "steps submitted ahead (--in-flight) train something else than one at a time"
)
def order_holds(probe: Probe) -> Measurement:
    """Three steps submitted ahead of their answers: as with waiting."""
    waited, hurried = probe.adapter(), probe.adapter()
    adam = probe.descent(probe.rate)
    for _ in range(3):
        probe.gradients(waited)
        probe.update(waited, adam)
    slow = probe.gradients(waited).loss
    one = datum(TOKENS, probe.regime[1])
    sent = [(hurried.forward_backward([one], "cross_entropy"), hurried.optim_step(adam)) for _ in range(3)]
    for gradient, update in sent:
        gradient.result(probe.wait)
        update.result(probe.wait)
    fast = probe.gradients(hurried).loss
    gap = abs(fast - slow) / probe.usual_fall
    return Measurement(f"the losses after differ by {gap:.3f} of a step", gap < 0.05)
