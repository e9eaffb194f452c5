"""What the server says of itself and of mistakes."""

import time
from contextlib import suppress
from importlib.metadata import version
from typing import Any, cast

from symptoms.conformance.findings import NO_ANSWER, Measurement, check
from symptoms.conformance.probe import RANK, TOKENS, NotMeasurableError, Probe, datum
from symptoms.service.sdk import made_within

LONGEST = 8192
"""Contexts over this are not overstepped: a server that does not refuse might run out of memory."""

VERSIONS = ("0.25.0", "0.30.0", "0.34.0", "0.36.0", "0.38.0")
"""SDKs that our own server is driven with; before 0.25 they sent training data in another form."""
ASKS_FOR_CONFIGURATION = (0, 38)
"""The first version that is known to end where a server has no client/config."""


@check("capabilities", "texts over the context are found out only when they are sent")
def capabilities(probe: Probe) -> Measurement:
    """The base model's name with its context length."""
    service = probe.service
    length = service.context_length
    if service.base_model not in service.offered:
        return Measurement(f"{service.base_model} is not among {len(service.offered)} models", False)
    if not length:
        return Measurement(f"{service.base_model} without a context length", False)
    return Measurement(f"{service.base_model}, {length} tokens", True)


@check("get_info", "a program that asks what it trains is told wrong")
def info(probe: Probe) -> Measurement:
    """The base model and the rank of a new adapter."""
    answer = probe.adapter().get_info()
    told = f"{answer.model_data.model_name}, rank {answer.lora_rank}"
    return Measurement(
        told, answer.model_data.model_name == probe.service.base_model and answer.lora_rank == RANK
    )


@check("SDK versions", "programs with a version of the SDK that is refused cannot use the server at all")
def sdk_versions(probe: Probe) -> Measurement:
    """Client/config and create_session in the name of SDK 0.25.0 to 0.38.0: none is refused.

    Whether such a version then finds all the calls that it makes, its name does not tell.
    """
    let_in: list[str] = []
    said: list[str] = []
    for name in sorted({*VERSIONS, version("tinker")}, key=_numbers):
        is_let_in, words = _in_the_name_of(probe, name)
        if is_let_in:
            let_in.append(name)
        if words:
            said.append(f"{name}: {words}")
    refused = len(set(VERSIONS) | {version("tinker")}) - len(let_in)
    return Measurement("; ".join([f"let in: {', '.join(let_in) or 'none'}", *said]), not refused)


def _in_the_name_of(probe: Probe, name: str) -> tuple[bool, str]:
    """Whether an SDK that says that it is this version comes to a session, and what the server says of it.

    Raises httpx.HTTPError for what is no refusal: no answer, or one that may be another the next time.
    """
    import httpx

    of_version = {"sdk_version": name}
    session: dict[str, Any] = {**of_version, "tags": [], "user_metadata": {}, "type": "create_session"}
    with httpx.Client(
        base_url=f"{probe.service.url}/api/v1/", headers={"X-API-Key": probe.service.key}, timeout=probe.wait
    ) as http:
        answer = http.post("client/config", json=of_version)
        has_none = answer.status_code == 404
        if has_none and _numbers(name) >= ASKS_FOR_CONFIGURATION:
            return False, "there is no client/config"
        if answer.is_success or has_none:
            answer = http.post("create_session", json=session)
        if answer.status_code in (408, 429) or answer.status_code >= 500:
            answer.raise_for_status()
        if not answer.is_success:
            return False, f"status {answer.status_code}, {_one_line(answer.text)}"
        made = answer.json()
        with suppress(httpx.HTTPError):
            http.post(f"sessions/{made['session_id']}/finish", json={"status": "success"})
    return True, _one_line(str(made.get("error_message") or made.get("warning_message") or ""))


def _one_line(text: str) -> str:
    return " ".join(text.split())[:80]


def _numbers(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name.split(".") if part.isdigit())


@check("an unknown base model", "another model is trained than the one named")
def unknown_model(probe: Probe) -> Measurement:
    """An adapter for a model that there is not: an error."""
    started = time.monotonic()
    client = probe.client
    try:
        made_within(
            probe.wait, lambda: client.create_lora_training_client(base_model="no-such/model", rank=RANK)
        )
    except TimeoutError:
        return Measurement(NO_ANSWER, False, "a mistyped name ends a run after minutes of waiting")
    except Exception as error:  # noqa: BLE001 - a refusal in whatever words is right
        return Measurement(_refusal(error, started), True)
    return Measurement("an adapter was made", False)


@check(
    "a datum that is too long",
    "texts are cut in silence or trained beyond what the model knows, or the server is lost",
    comes_last=True,
)
def too_long(probe: Probe) -> Measurement:
    """A datum over the context: an error, and the next one works."""
    length = probe.service.context_length or (probe.reference and probe.reference.service.context_length)
    if not length or length > LONGEST:
        raise NotMeasurableError(f"the context is {'not told' if not length else f'{length} tokens'}")
    started = time.monotonic()
    training = probe.adapter()
    try:
        probe.gradients(training, [2 + place % 199 for place in range(length + 9)])
    except TimeoutError:
        return Measurement(NO_ANSWER, False)
    except Exception as error:  # noqa: BLE001 - likewise
        refusal = _refusal(error, started)
    else:
        return Measurement(f"{length + 9} tokens were trained in a context of {length}", False)
    probe.gradients(probe.adapter())
    return Measurement(refusal, True)


@check("an unknown loss", "another loss is minimised than the one named")
def unknown_loss(probe: Probe) -> Measurement:
    """A loss that there is not: an error."""
    started = time.monotonic()
    training = probe.adapter()
    try:
        training.forward_backward([datum(TOKENS)], cast(Any, "no_such_loss")).result(probe.wait)
    except TimeoutError:
        return Measurement(NO_ANSWER, False)
    except Exception as error:  # noqa: BLE001 - likewise
        return Measurement(_refusal(error, started), True)
    return Measurement("it was computed", False)


def _refusal(error: Exception, started: float) -> str:
    words = " ".join(str(error).split()).partition(" for self.request_id=")[0][:140]
    seconds = time.monotonic() - started
    return f"{type(error).__name__}{f' after {seconds:.0f} s' if seconds > 10 else ''}: {words}"
