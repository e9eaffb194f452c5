"""What a server computes otherwise, gradients or answers, is named by a row of the conformance table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conformance_probes import beside, measured, probed, reweighted
from faulty_server import regraded
from symptoms.service import LocalServer
from tinker_local.domain.datum import DatumOutput
from tinker_local.engine.model import lora
from tinker_local.engine.train import trainer
from tinker_local.service import training_runs
from tinker_local.wire import tinker_public_pb2 as proto


def mean_over_datums(message: proto.ForwardBackwardRequest) -> None:
    count = len(message.data)
    reweighted(lambda weights: weights / count)(message)


def gradients_though_forward(message: proto.ForwardBackwardRequest) -> None:
    message.forward_only = False


def any_loss(message: proto.ForwardBackwardRequest) -> None:
    message.loss_fn = "cross_entropy"


def cut_off(message: proto.ForwardBackwardRequest) -> None:
    for datum in message.data:
        for tensor in datum.loss_fn_inputs.values():
            size = 8 if tensor.dtype == proto.DTYPE_INT64 else 4
            tensor.dense = tensor.dense[: 200 * size]
            if tensor.shape:
                tensor.shape[0] = min(tensor.shape[0], 200)
        datum.model_input[0].encoded_text.tokens = datum.model_input[0].encoded_text.tokens[: 200 * 4]


GRADIENTS: list[tuple[str, str, Callable[[proto.ForwardBackwardRequest], None]]] = [
    (
        "weights scale the gradient",
        "divided by the sum of weights",
        reweighted(lambda w: w / max(w.sum(), 1)),
    ),
    ("weights scale the gradient", "", reweighted(np.ones_like)),
    ("negative weights", "the wrong way", reweighted(np.abs)),
    ("loss:sum", "not the loss", reweighted(np.ones_like)),
    ("a step spends its gradients", "used again", reweighted(np.ones_like)),
    ("datums of a call add up", "a mean over the call", mean_over_datums),
    ("forward adds no gradient", "trains on the evaluation", gradients_though_forward),
    ("an unknown loss", "another loss", any_loss),
    ("a datum that is too long", "cut in silence", cut_off),
]


@pytest.mark.parametrize(
    ("name", "words", "fault"), GRADIENTS, ids=lambda value: getattr(value, "__name__", str(value))[:30]
)
def test_gradients_that_are_made_otherwise_are_named(
    name: str,
    words: str,
    fault: Callable[[proto.ForwardBackwardRequest], None],
    scaled_model: Path,
    tmp_path: Path,
):
    """A server that weighs, gathers or cuts otherwise differs in that row."""
    with probed(scaled_model, tmp_path, regraded(fault)) as probe:
        (row,) = measured(probe, name)
    assert row.verdict == "differs", row
    assert words in row.consequence, row


def test_gradients_of_one_call_alone_are_named(
    scaled_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A server that forgets the gradients of the call before differs in what adds up."""
    compute = trainer.TrainingModel.forward_backward

    def forgetful(self: Any, *arguments: Any) -> Any:
        self._gradients.zero_()
        return compute(self, *arguments)

    monkeypatch.setattr(trainer.TrainingModel, "forward_backward", forgetful)
    with probed(scaled_model, tmp_path) as probe:
        (row,) = measured(probe, "calls add up")
    assert row.verdict == "differs", row
    assert "count as one" in row.consequence


@pytest.mark.parametrize(
    ("alpha", "words"),
    [
        (lambda rank: 2.0 * rank, "alpha grows with the rank"),
        (lambda _: 16.0, "every learning rate means 0.5"),
        (lambda rank: 8.0 * rank**0.5, "rsLoRA"),
    ],
    ids=["twice the rank", "16", "rsLoRA"],
)
def test_another_alpha_is_recovered(
    alpha: Callable[[int], float],
    words: str,
    scaled_model: Path,
    scaled_reference: LocalServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    """Alpha at two ranks comes out within an eighth, and the law that it follows is named."""
    made = lora.Adapter.__init__

    def other(self: lora.Adapter, shape: Any, config: lora.LoraConfig, flat: Any) -> None:
        made(self, shape, replace(config, alpha=alpha(config.rank)), flat)

    # The reference is a process of its own, which this does not reach.
    monkeypatch.setattr(lora.Adapter, "__init__", other)
    with beside(scaled_model, tmp_path, scaled_reference, monkeypatch) as probe:
        (row,) = measured(probe, "alpha at two ranks")
    assert row.verdict == "differs", row
    assert words in row.consequence, row
    found = [float(part.split()[0]) for part in row.came.removeprefix("alpha ").split(", ")]
    assert found == pytest.approx([alpha(4), alpha(16)], rel=0.12)


def outputs_changed(
    change: Callable[
        [Sequence[DatumOutput], dict[str, float]], tuple[Sequence[DatumOutput], dict[str, float]]
    ],
    patch: pytest.MonkeyPatch,
) -> None:
    """What forward_backward answers is changed on its way out."""
    encode = training_runs.encode_forward_backward
    patch.setattr(
        training_runs,
        "encode_forward_backward",
        lambda outputs, metrics: encode(*change(outputs, dict(metrics))),
    )


def with_logprobs(
    outputs: Sequence[DatumOutput], change: Callable[[np.ndarray], np.ndarray]
) -> list[DatumOutput]:
    return [
        replace(output, fields={**output.fields, "logprobs": change(np.asarray(output.fields["logprobs"]))})
        for output in outputs
    ]


@pytest.mark.parametrize(
    ("name", "words", "change"),
    [
        ("loss:sum", "reads the loss from metrics", lambda outputs, _: (outputs, {})),
        ("loss:sum", "", lambda outputs, m: (outputs, {"loss:sum": m["loss:sum"] / 24})),
        ("log-probabilities", "another model", lambda o, m: (with_logprobs(o, lambda x: x * 1.05), m)),
        (
            "far positions",
            "long examples",
            lambda o, m: (with_logprobs(o, lambda x: x - np.arange(len(x)) / 500), m),
        ),
        (
            "a batch changes nothing",
            "padding leaks",
            lambda o, m: (with_logprobs(o, lambda x: x - 0.1 * (len(o) > 1)), m),
        ),
        (
            "a forward pass is repeatable",
            "dropout",
            lambda o, m: (with_logprobs(o, lambda x: x + np.random.default_rng().normal(0, 0.1, len(x))), m),
        ),
    ],
)
def test_answers_that_are_changed_are_named(
    name: str,
    words: str,
    change: Any,
    scaled_model: Path,
    scaled_reference: LocalServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    """Log-probabilities and metrics that are not the model's differ in their row."""
    with beside(scaled_model, tmp_path, scaled_reference, monkeypatch) as probe:
        outputs_changed(change, monkeypatch)
        (row,) = measured(probe, name)
    assert row.verdict == "differs", row
    assert words in row.consequence, row
