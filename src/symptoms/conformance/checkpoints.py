"""Checkpoints: going on from one, sampling one, and taking one away."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

from symptoms.conformance.findings import Check, Measurement, check
from symptoms.conformance.probe import RANK, TOKENS, Probe, signed, unique
from symptoms.service.sdk import made_within, rest_client

if TYPE_CHECKING:
    import tinker

OTHER = tuple(reversed(TOKENS))
RATE = 2e-3


def resumed(with_optimizer: bool) -> Check:
    """Whether a state goes on as the run that saved it, or with Adam begun anew."""

    def measured(probe: Probe) -> Measurement:
        training = probe.adapter()
        for _ in range(2):
            probe.gradients(training)
            probe.update(training, signed(RATE))
        state = training.save_state(unique("state")).result(probe.wait).path
        here, went_on = _next_step(probe, training)
        client = probe.client
        make: Any = (
            client.create_training_client_from_state_with_optimizer
            if with_optimizer
            else client.create_training_client_from_state
        )
        there, resumed_on = _next_step(probe, made_within(probe.wait, lambda: make(state)))
        apart = abs(resumed_on - went_on) / max(abs(here - went_on), 1e-6)
        told = f"the loss {there:.4f} ({here:.4f} where it was saved), "
        told += f"after a step {resumed_on:.4f} ({went_on:.4f})"
        if abs(there - here) > 1e-3 * abs(here):
            return Measurement(told, False, "what is resumed are other weights than were saved")
        return Measurement(told, apart < 0.01 if with_optimizer else apart > 0.01)

    if with_optimizer:
        return Check(
            "resume with the optimizer",
            "create_training_client_from_state_with_optimizer: the next step as if nothing had been",
            "a run that is resumed goes another way than one that was not interrupted",
            measured,
        )
    return Check(
        "resume without the optimizer",
        "create_training_client_from_state: the same weights, and Adam begins anew",
        "a new stage of training begins with the momentum of the last",
        measured,
    )


with_optimizer, without_optimizer = resumed(with_optimizer=True), resumed(with_optimizer=False)


def _next_step(probe: Probe, training: Any) -> tuple[float, float]:
    """The loss on another text before and after one step on it."""
    before = probe.gradients(training, OTHER).loss
    probe.update(training, signed(RATE))
    return before, probe.gradients(training, OTHER).loss


@check(
    "an old checkpoint, then the present weights", "evaluations during training mix the weights of two steps"
)
def old_checkpoint(probe: Probe) -> Measurement:
    """A checkpoint sampled after a further step: its own weights; then forward: the present ones."""
    training = probe.adapter()
    probe.gradients(training)
    probe.update(training, signed(RATE))
    path = probe.saved_for_sampling(training, "old")
    old = probe.gradients(training).loss
    probe.update(training, signed(RATE))
    new = probe.gradients(training).loss
    scored = -sum(value for value in probe.prompt_logprobs(probe.sampler(path), TOKENS) if value is not None)
    after = probe.gradients(training).loss
    told = f"old {old:.4f}, sampled {scored:.4f}; present {new:.4f}, after that {after:.4f}"
    step = abs(old - new)
    if abs(scored - old) > 0.1 * step:
        return Measurement(told, False, "a checkpoint is not sampled with the weights that it was saved with")
    if abs(after - new) > 0.1 * step:
        return Measurement(told, False, "sampling a checkpoint during training changes what is trained")
    return Measurement(told, True)


@check(
    "a sampler of the present weights", "evaluations during training (--dev-accuracy) are of other weights"
)
def snapshot(probe: Probe) -> Measurement:
    """save_weights_and_get_sampling_client: what training has at that moment."""
    training = probe.adapter()
    probe.gradients(training)
    probe.update(training, signed(RATE))
    sampler = made_within(probe.wait, training.save_weights_and_get_sampling_client)
    scored = -sum(value for value in probe.prompt_logprobs(sampler, TOKENS) if value is not None)
    forward = probe.gradients(training).loss
    return Measurement(
        f"{scored:.4f} sampled, {forward:.4f} trained", abs(scored - forward) < 0.01 * abs(forward)
    )


@check("a checkpoint can be taken away", "what was trained cannot leave the server by the protocol")
def downloaded(probe: Probe) -> Measurement:
    """The files of a checkpoint, by the way that the SDK has for it, with the rank asked for."""
    training = probe.adapter()
    if hasattr(training, "save_weights_external"):
        files = _files_by_address(probe, training)
    else:
        files = _files_of_archive(probe, probe.saved_for_sampling(training, "download"))
    configs = [content for name, content in files.items() if name.endswith("adapter_config.json")]
    if not configs:
        return Measurement(f"{len(files)} files without adapter_config.json", False)
    config: dict[str, Any] = json.loads(configs[0])
    told = f"rank {config.get('r')}, alpha {config.get('lora_alpha')}, {len(files)} files"
    return Measurement(told, config.get("r") == RANK)


def _files_by_address(probe: Probe, training: tinker.TrainingClient) -> dict[str, bytes]:
    """By save_weights_external, which gives an address for each file."""
    import httpx

    path = training.save_weights_external(unique("download")).result(probe.wait).path
    rest = rest_client(probe.client, probe.service.url, probe.service.key)
    urls = rest.get_external_weights_urls(path).result(probe.wait).urls
    return {
        name: httpx.get(url, follow_redirects=True, timeout=probe.wait).raise_for_status().content
        for name, url in urls.items()
    }


def _files_of_archive(probe: Probe, path: str) -> dict[str, bytes]:
    """By the archive of a checkpoint to sample from, as SDKs up to 0.37 get it."""
    import httpx

    run, _, checkpoint = path.removeprefix("tinker://").partition("/")
    answer: httpx.Response | None = None
    # Servers differ in whether the checkpoint's id has its kind before it.
    for identity in (checkpoint, checkpoint.rpartition("/")[2]):
        answer = httpx.get(
            f"{probe.service.url}/api/v1/training_runs/{run}/checkpoints/{identity}/archive",
            headers={"X-API-Key": probe.service.key, "accept": "application/gzip, application/json"},
            follow_redirects=True,
            timeout=probe.wait,
        )
        if answer.status_code == 200:
            break
    assert answer is not None
    answer.raise_for_status()
    if answer.headers.get("content-type", "").startswith("application/json"):
        answer = httpx.get(answer.json()["url"], follow_redirects=True, timeout=probe.wait).raise_for_status()
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
        opened = {name: archive.extractfile(name) for name in archive.getnames()}
        return {name: file.read() for name, file in opened.items() if file is not None}
