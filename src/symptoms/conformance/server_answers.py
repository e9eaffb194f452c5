"""What the server says of itself and of mistakes."""

from __future__ import annotations

import time
from typing import Any, cast

from symptoms.conformance.findings import NO_ANSWER, Finding, NotMeasurableError, check
from symptoms.conformance.probe import RANK, TOKENS, Probe, datum
from symptoms.service.sdk import made_within

LONGEST = 8192
"""Contexts over this are not overstepped: a server that does not refuse might run out of memory."""


@check("capabilities", "texts over the context are found out only when they are sent")
def capabilities(probe: Probe) -> Finding:
    """The base model's name with its context length."""
    service = probe.service
    length = service.context_length
    if service.base_model not in service.offered:
        return Finding(f"{service.base_model} is not among {len(service.offered)} models", False)
    if not length:
        return Finding(f"{service.base_model} without a context length", False)
    return Finding(f"{service.base_model}, {length} tokens", True)


@check("get_info", "a program that asks what it trains is told wrong")
def info(probe: Probe) -> Finding:
    """The base model and the rank of a new adapter."""
    answer = probe.adapter().get_info()
    told = f"{answer.model_data.model_name}, rank {answer.lora_rank}"
    return Finding(
        told, answer.model_data.model_name == probe.service.base_model and answer.lora_rank == RANK
    )


@check("an unknown base model", "another model is trained than the one named")
def unknown_model(probe: Probe) -> Finding:
    """An adapter for a model that there is not: an error."""
    started = time.monotonic()
    client = probe.client
    try:
        made_within(
            probe.wait, lambda: client.create_lora_training_client(base_model="no-such/model", rank=RANK)
        )
    except TimeoutError:
        return Finding(NO_ANSWER, False, "a mistyped name ends a run after minutes of waiting")
    except Exception as error:  # noqa: BLE001 - a refusal in whatever words is right
        return Finding(_refusal(error, started), True)
    return Finding("an adapter was made", False)


@check(
    "a datum that is too long",
    "texts are cut in silence or trained beyond what the model knows, or the server is lost",
)
def too_long(probe: Probe) -> Finding:
    """A datum over the context: an error, and the next one works."""
    length = probe.service.context_length or (probe.reference and probe.reference.service.context_length)
    if not length or length > LONGEST:
        raise NotMeasurableError(f"the context is {'not told' if not length else f'{length} tokens'}")
    started = time.monotonic()
    training = probe.adapter()
    try:
        probe.gradients(training, [2 + place % 199 for place in range(length + 9)])
    except TimeoutError:
        return Finding(NO_ANSWER, False)
    except Exception as error:  # noqa: BLE001 - likewise
        refusal = _refusal(error, started)
    else:
        return Finding(f"{length + 9} tokens were trained in a context of {length}", False)
    probe.gradients(probe.adapter())
    return Finding(refusal, True)


@check("an unknown loss", "another loss is minimised than the one named")
def unknown_loss(probe: Probe) -> Finding:
    """A loss that there is not: an error."""
    started = time.monotonic()
    training = probe.adapter()
    try:
        training.forward_backward([datum(TOKENS)], cast(Any, "no_such_loss")).result(probe.wait)
    except TimeoutError:
        return Finding(NO_ANSWER, False)
    except Exception as error:  # noqa: BLE001 - likewise
        return Finding(_refusal(error, started), True)
    return Finding("it was computed", False)


def _refusal(error: Exception, started: float) -> str:
    words = " ".join(str(error).split()).partition(" for self.request_id=")[0][:140]
    seconds = time.monotonic() - started
    return f"{type(error).__name__}{f' after {seconds:.0f} s' if seconds > 10 else ''}: {words}"


CHECKS = (
    capabilities,
    info,
    unknown_model,
    unknown_loss,
)

LONG_CHECKS = (too_long,)
