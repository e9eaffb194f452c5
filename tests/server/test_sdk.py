"""The unmodified SDK drives the real server over HTTP."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tinker
import torch
from tinker import AdamParams, ModelInput, SamplingParams, TensorData
from transformers import AutoModelForCausalLM

from symptoms.service import LocalServer
from tinker_local.server.app import POLL_SECONDS

ADAM = AdamParams(learning_rate=1e-2, beta1=0.9, beta2=0.95, eps=1e-8)
TOKENS = [0, *range(30, 60)]


@pytest.fixture(scope="module")
def client(server: LocalServer) -> Iterator[tinker.ServiceClient]:
    with tinker.ServiceClient(base_url=server.url, api_key=server.api_key) as made:
        yield made


@pytest.fixture
def training(client: tinker.ServiceClient, server: LocalServer) -> tinker.TrainingClient:
    return client.create_lora_training_client(base_model=server.base_model, rank=4, seed=1).result()


def datum(tokens: list[int] = TOKENS, prompt: int = 5) -> tinker.Datum:
    weights = [float(index >= prompt) for index in range(1, len(tokens))]
    return tinker.Datum(
        model_input=ModelInput.from_ints(tokens[:-1]),
        loss_fn_inputs={
            "target_tokens": TensorData(data=tokens[1:], dtype="int64"),
            "weights": TensorData(data=weights, dtype="float32"),
        },
    )


def step(training: tinker.TrainingClient, *data: tinker.Datum) -> float:
    """One training step; returns the summed loss before it."""
    gradients = training.forward_backward(list(data) or [datum()], "cross_entropy")
    update = training.optim_step(ADAM)
    loss = gradients.result().metrics["loss:sum"]
    update.result()
    return loss


def test_training_lowers_the_loss(training: tinker.TrainingClient):
    """Twenty steps through the SDK bring the loss of one datum down."""
    losses = [step(training) for _ in range(20)]
    assert losses[-1] < 0.2 * losses[0]


def test_logprobs_are_the_models(training: tinker.TrainingClient, tiny_model: Path):
    """forward() returns the reference's log-probability of every target, prompt included."""
    output = training.forward([datum()], "cross_entropy").result().loss_fn_outputs[0]
    reference = AutoModelForCausalLM.from_pretrained(tiny_model)
    logprobs = torch.log_softmax(reference(torch.tensor([TOKENS[:-1]])).logits[0], -1)
    expected = logprobs.gather(1, torch.tensor(TOKENS[1:])[:, None])[:, 0].detach().numpy()
    np.testing.assert_allclose(output["logprobs"].to_numpy(), expected, atol=1e-4)
    weighted = -expected * np.array([float(index >= 5) for index in range(1, len(TOKENS))])
    np.testing.assert_allclose(output["elementwise_loss"].to_numpy(), weighted, atol=1e-4)


def test_info_and_tokenizer(training: tinker.TrainingClient):
    """The client learns model, rank and tokenizer from the server alone."""
    info = training.get_info()
    assert info.is_lora
    assert info.lora_rank == 4
    tokenizer = training.get_tokenizer()
    assert tokenizer.decode(tokenizer.encode("a b\n", add_special_tokens=False)) == "a b\n"


def test_where_a_samplers_tokenizer_is_looked_for(
    client: tinker.ServiceClient, training: tinker.TrainingClient, server: LocalServer
):
    """Where the server says, but for a base model's sampler: the SDK then takes the name that it was told."""
    folder = training.get_info().model_data.tokenizer_id
    assert folder is not None
    assert Path(folder).is_dir()
    path = training.save_weights_for_sampler("here").result().path
    assert client.create_sampling_client(model_path=path).result().get_base_model() == folder
    told = client.create_sampling_client(base_model=server.base_model).result()
    assert told.get_base_model() == server.base_model


def test_state_with_optimizer_continues_exactly(
    client: tinker.ServiceClient, training: tinker.TrainingClient
):
    """Steps after loading a state with its optimizer equal those of a run that never stopped."""
    for _ in range(5):
        step(training)
    path = training.save_state("five").result().path
    expected = [step(training) for _ in range(5)]
    resumed = client.create_training_client_from_state_with_optimizer(path).result()
    assert [step(resumed) for _ in range(5)] == pytest.approx(expected, abs=1e-6)


def test_state_without_optimizer_starts_adam_anew(
    client: tinker.ServiceClient, training: tinker.TrainingClient
):
    """Loading the weights alone gives the same first loss and then other ones."""
    for _ in range(5):
        step(training)
    path = training.save_state("weights-only").result().path
    expected = [step(training) for _ in range(4)]
    resumed = client.create_training_client_from_state(path).result()
    actual = [step(resumed) for _ in range(4)]
    assert actual[0] == pytest.approx(expected[0], abs=1e-5)
    assert actual[1:] != pytest.approx(expected[1:], abs=1e-3)


def test_load_state_onto_a_running_client(training: tinker.TrainingClient):
    """The deprecated load_state_with_optimizer still brings a client back to where it was."""
    step(training)
    path = training.save_state("one").result().path
    expected = step(training)
    with pytest.warns(FutureWarning):
        training.load_state_with_optimizer(path).result()
    assert step(training) == pytest.approx(expected, abs=1e-6)


def test_sampling_a_checkpoint_leaves_the_live_adapter_alone(
    client: tinker.ServiceClient, training: tinker.TrainingClient
):
    """An earlier checkpoint and the live weights answer each with their own probabilities."""
    early = training.save_weights_for_sampler("early").result().path
    before = step(training)
    for _ in range(10):
        step(training)
    sampler = client.create_sampling_client(model_path=early).result()
    scored = sampler.compute_logprobs(ModelInput.from_ints(TOKENS)).result()
    assert scored[0] is None
    assert -sum(scored[5:]) == pytest.approx(before, abs=1e-3)
    assert step(training) < before / 2


def test_snapshot_sampler_sees_the_trained_weights(training: tinker.TrainingClient):
    """save_weights_and_get_sampling_client samples what training taught, greedily."""
    for _ in range(60):
        step(training)
    sampler = training.save_weights_and_get_sampling_client().result()
    params = SamplingParams(max_tokens=len(TOKENS) - 5, temperature=0.0)
    result = sampler.sample(ModelInput.from_ints(TOKENS[:5]), num_samples=1, sampling_params=params).result()
    assert result.sequences[0].tokens == TOKENS[5:]
    assert result.sequences[0].stop_reason == "length"


def test_sampling_options(client: tinker.ServiceClient, server: LocalServer):
    """Seeds repeat, samples differ, stop strings stop, and each sequence has its own log-probabilities."""
    sampler = client.create_sampling_client(base_model=server.base_model).result()
    prompt = ModelInput.from_ints(TOKENS[:9])
    params = SamplingParams(max_tokens=12, temperature=1.0, seed=3, top_p=0.9, top_k=50)
    first, again = (sampler.sample(prompt, num_samples=3, sampling_params=params).result() for _ in range(2))
    assert [s.tokens for s in first.sequences] == [s.tokens for s in again.sequences]
    assert len({tuple(s.tokens) for s in first.sequences}) == 3
    assert all(len(s.tokens) == len(s.logprobs) for s in first.sequences)
    tokenizer = sampler.get_tokenizer()
    greedy = SamplingParams(max_tokens=12, temperature=0.0)
    tokens = sampler.sample(prompt, num_samples=1, sampling_params=greedy).result().sequences[0].tokens
    for stop in ([tokens[4]], [tokenizer.decode([tokens[4]])]):
        stopping = SamplingParams(max_tokens=12, temperature=0.0, stop=stop)
        sequence = sampler.sample(prompt, num_samples=1, sampling_params=stopping).result().sequences[0]
        assert sequence.stop_reason == "stop"
        assert sequence.tokens == tokens[: tokens.index(tokens[4]) + 1]


def test_custom_loss_runs_on_signed_weights(client: tinker.ServiceClient, server: LocalServer):
    """A custom loss that is cross-entropy gives the gradient of cross-entropy."""

    def negative_log_likelihood(data: list[tinker.Datum], logprobs: list[torch.Tensor]):
        return -(logprobs[0] * torch.tensor(data[0].loss_fn_inputs["weights"].data)).sum(), {}

    norms: list[float] = []
    for custom in (True, False):
        training = client.create_lora_training_client(base_model=server.base_model, rank=4, seed=1).result()
        if custom:
            training.forward_backward_custom([datum()], negative_log_likelihood).result()
        else:
            training.forward_backward([datum()], "cross_entropy").result()
        norms.append(training.optim_step(ADAM).result().metrics["grad_norm:mean"])
    assert norms[0] == pytest.approx(norms[1], rel=1e-4)


def test_a_batch_of_many_chunks_counts_every_datum(training: tinker.TrainingClient):
    """A batch over the SDK's chunk size arrives in several requests, and all of it is answered in order."""
    data = [datum([0, 40 + index % 100, 41, 42, 43, 44, 45], prompt=2) for index in range(1500)]
    outputs = training.forward_backward(data, "cross_entropy").result().loss_fn_outputs
    assert len(outputs) == 1500
    whole = training.optim_step(AdamParams(learning_rate=0.0)).result().metrics["grad_norm:mean"]
    for start in range(0, 1500, 500):
        training.forward_backward(data[start : start + 500], "cross_entropy").result()
    parts = training.optim_step(AdamParams(learning_rate=0.0)).result().metrics["grad_norm:mean"]
    assert whole == pytest.approx(parts, rel=1e-4)
    alone = training.forward([data[1207]], "cross_entropy").result().loss_fn_outputs[0]
    np.testing.assert_allclose(outputs[1207]["logprobs"].to_numpy(), alone["logprobs"].to_numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        ({"weights": None}, "has no weights"),
        ({"target_tokens": None}, "has no target_tokens"),
        ({"weights": TensorData(data=[1.0], dtype="float32")}, "make them equal"),
        ({"weights": TensorData(data=[float("nan")] * 30, dtype="float32")}, "not finite"),
        ({"target_tokens": TensorData(data=[258] * 30, dtype="int64")}, "outside the vocabulary"),
        ({"target_tokens": TensorData(data=[-1] * 30, dtype="int64")}, "outside the vocabulary"),
    ],
)
def test_wrong_datums_fail_at_once_and_alone(
    client: tinker.ServiceClient, server: LocalServer, broken: dict[str, TensorData | None], sentence: str
):
    """A wrong datum is answered with one sentence before a poll times out, and the server goes on."""
    training = client.create_lora_training_client(base_model=server.base_model, rank=1).result()
    wrong = datum()
    inputs = {name: value for name, value in {**wrong.loss_fn_inputs, **broken}.items() if value is not None}
    started = time.monotonic()
    with pytest.raises(tinker.RequestFailedError, match=sentence) as caught:
        training.forward_backward(
            [datum(), tinker.Datum(model_input=wrong.model_input, loss_fn_inputs=inputs)], "cross_entropy"
        ).result()
    assert caught.value.category == tinker.types.RequestErrorCategory.User
    assert time.monotonic() - started < POLL_SECONDS
    assert step(training) > 0


def test_other_mistakes_are_told(
    client: tinker.ServiceClient, server: LocalServer, training: tinker.TrainingClient
):
    """Unknown models, losses, paths and names, and prompts that do not fit, each get a sentence."""
    with pytest.raises(tinker.RequestFailedError, match="not served here; choose from"):
        client.create_lora_training_client(base_model="no/model").result()
    with pytest.raises(tinker.RequestFailedError, match="its formula is not known"):
        training.forward_backward([datum()], "stable_reinforce").result()
    with pytest.raises(tinker.RequestFailedError, match="context is 256"):
        training.forward([datum([0] + [50] * 300)], "cross_entropy").result()
    with pytest.raises(tinker.RequestFailedError, match="cannot name a checkpoint"):
        training.save_state("../../etc").result()
    with pytest.raises(tinker.NotFoundError, match="no checkpoint"):
        client.create_sampling_client(model_path="tinker://none/weights/x").result()
    sampler = client.create_sampling_client(base_model=server.base_model).result()
    with pytest.raises(tinker.RequestFailedError, match="exceed the context of 256"):
        sampler.sample(
            ModelInput.from_ints([5] * 250), num_samples=1, sampling_params=SamplingParams(max_tokens=20)
        ).result()


def test_home_is_where_it_was_told(server: LocalServer, training: tinker.TrainingClient):
    """Checkpoints land under TINKER_LOCAL_HOME."""
    training.save_state("here").result()
    home = Path(os.environ["TINKER_LOCAL_HOME"])
    assert list(home.glob("runs/*/weights/here/adapter_model.safetensors"))


def test_likeliest_and_named_tokens_of_a_prompt(
    client: tinker.ServiceClient, server: LocalServer, tiny_model: Path
):
    """Top-k and named log-probabilities, dense and sparse, are the reference model's."""
    reference = AutoModelForCausalLM.from_pretrained(tiny_model)
    logprobs = torch.log_softmax(reference(torch.tensor([TOKENS])).logits[0], -1).detach()
    named = torch.full((len(TOKENS) - 1, 3), -1, dtype=torch.int64)
    named[10, 0], named[10, 2], named[20, 1] = 77, 200, 5
    sampler = client.create_sampling_client(base_model=server.base_model).result()
    for tensor in (TensorData.from_torch(named), TensorData.from_torch_sparse(named, pad_value=-1)):
        result = sampler.sample(
            ModelInput.from_ints(TOKENS),
            num_samples=1,
            sampling_params=SamplingParams(max_tokens=2, temperature=0.0),
            include_prompt_logprobs=True,
            topk_prompt_logprobs=4,
            topk_sample_logprobs=2,
            target_prompt_logprobs=tensor,
            prompt_logprobs_last_n=3,
        ).result()
        assert result.target_prompt_logprobs is not None
        scores = result.target_prompt_logprobs.to_torch()
        for row, column, token in ((10, 0, 77), (10, 2, 200), (20, 1, 5)):
            assert float(scores[row, column]) == pytest.approx(float(logprobs[row, token]), abs=1e-4)
        assert int((scores != 0).sum()) == 3
        assert result.topk_prompt_logprobs_np is not None
        best = logprobs[:-1].topk(4)
        np.testing.assert_array_equal(result.topk_prompt_logprobs_np.token_ids[1:], best.indices.numpy())
        np.testing.assert_allclose(
            result.topk_prompt_logprobs_np.logprobs[1:], best.values.numpy(), atol=1e-4
        )
        assert result.prompt_logprobs is not None
        assert [one is None for one in result.prompt_logprobs] == [True] * (len(TOKENS) - 3) + [False] * 3
        sequence = result.sequences[0]
        assert sequence.topk_logprobs_np is not None
        assert sequence.topk_logprobs_np.token_ids[0, 0] == sequence.tokens[0]


def test_draws_along_a_prompt(client: tinker.ServiceClient, server: LocalServer, tiny_model: Path):
    """Each position has as many draws as asked, with the reference's log-probabilities."""
    reference = AutoModelForCausalLM.from_pretrained(tiny_model)
    logprobs = torch.log_softmax(reference(torch.tensor([TOKENS])).logits[0, :-1], -1).detach()
    sampler = client.create_sampling_client(base_model=server.base_model).result()
    params = SamplingParams(max_tokens=1, temperature=1.0, seed=1)
    results = [
        sampler.sample(ModelInput.from_ints(TOKENS), 1, params, prompt_alt_tokens_k=5).result()
        for _ in range(2)
    ]
    drawn = [result.prompt_alt_tokens for result in results]
    assert drawn[0] is not None
    assert drawn[1] is not None
    tokens = drawn[0].tokens.to_torch()
    assert tokens.shape == (len(TOKENS) - 1, 5)
    assert torch.equal(tokens, drawn[1].tokens.to_torch())
    torch.testing.assert_close(drawn[0].logprobs.to_torch(), logprobs.gather(1, tokens), atol=1e-4, rtol=0)


def test_stability_information_is_refused(client: tinker.ServiceClient, server: LocalServer):
    """What only the loss stable_reinforce needs is refused at once, with the losses there are."""
    sampler = client.create_sampling_client(base_model=server.base_model, record_stability_info=True).result()
    params = SamplingParams(max_tokens=1)
    with pytest.raises(tinker.RequestFailedError, match=r"its formula is not known.* gspo, dro"):
        sampler.sample(ModelInput.from_ints(TOKENS), 1, params).result()


def test_a_base_model_is_known_by_its_folder(client: tinker.ServiceClient, server: LocalServer):
    """Another spelling of a served model's path means that model."""
    folder = Path(server.base_model)
    other = client.create_lora_training_client(base_model=str(folder / ".." / folder.name), rank=1).result()
    assert other.get_info().model_data.model_name == server.base_model
