"""An adapter that peft made, imported and then used by the unmodified SDK."""

from __future__ import annotations

from pathlib import Path

import pytest
import tinker
from tinker import AdamParams, ModelInput, SamplingParams, TensorData

from checkpoints_to_export import PROMPT
from peft_adapters import made_by_peft
from symptoms.service import LocalServer
from tinker_local.cli import default_home
from tinker_local.importing import import_adapter


def test_an_imported_adapter_is_sampled_and_trained_on(server: LocalServer, tiny_model: Path, tmp_path: Path):
    """Greedy text and log-probabilities are peft's, and a step of a training lowers the loss from there."""
    expected = made_by_peft(tiny_model, tmp_path / "theirs", lora_alpha=16, rank_pattern={"q_proj": 2})
    done = import_adapter(tmp_path / "theirs", default_home(), "from-peft", None)
    logprobs = expected.log_softmax(-1)
    known = [float(logprobs[place, token]) for place, token in enumerate(PROMPT[1:])]
    with tinker.ServiceClient(base_url=server.url, api_key=server.api_key) as client:
        sampler = client.create_sampling_client(model_path=done.sampler_weights).result()
        prompt = ModelInput.from_ints(PROMPT)
        greedy = sampler.sample(prompt, 1, SamplingParams(max_tokens=1, temperature=0.0)).result()
        assert greedy.sequences[0].tokens == [int(expected[-1].argmax())]
        assert sampler.compute_logprobs(prompt).result()[1:] == pytest.approx(known, abs=1e-4)

        training = client.create_training_client_from_state(done.weights).result()
        datum = tinker.Datum(
            model_input=ModelInput.from_ints(PROMPT[:-1]),
            loss_fn_inputs={
                "target_tokens": TensorData(data=PROMPT[1:], dtype="int64"),
                "weights": TensorData(data=[1.0] * (len(PROMPT) - 1), dtype="float32"),
            },
        )
        losses: list[float] = []
        for _ in range(4):
            gradients = training.forward_backward([datum], "cross_entropy")
            training.optim_step(AdamParams(learning_rate=1e-3, beta1=0.9, beta2=0.95, eps=1e-8)).result()
            losses.append(gradients.result().metrics["loss:sum"])
    assert losses[0] == pytest.approx(-sum(known), abs=1e-2)
    assert losses[-1] < losses[0]
