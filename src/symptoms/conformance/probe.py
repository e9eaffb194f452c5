"""What the checks do with a server: adapters, gradients, steps, and how far one step moves the loss.

Most of the table rests on one measure. With an epsilon far above every gradient, Adam is gradient descent:

    B <- B - (learning_rate / eps) * gradient

so the fall of the loss in one step is proportional to the gradient's scale, and whatever changes that scale
(weights, accumulation, clipping, epsilon itself) shows as a ratio to the same step without it. The first step
of a new adapter does not depend on the betas, as the bias correction takes them out. All texts are made up.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from symptoms.service import Service
from symptoms.service.sdk import made_within
from symptoms.service.watch import unwatched

if TYPE_CHECKING:
    import tinker

RANK, SEED = 8, 7
TOKENS = tuple(2 + (37 * place + 11 * place * place) % 199 for place in range(25))
"""Without meaning, and below 201, so that every tokenizer has them."""
REGIMES = ((1e3, 1.0), (1.0, 1e-3))
"""Epsilon and the weight of a token, tried in this order: either keeps every gradient far below epsilon.

The second is for servers that take no epsilon over 1; one that divides by the sum of weights needs the first.
"""
SHARE = 0.015
"""The part of the loss that the step to compare with takes away: above noise, below curvature."""

ALIKE, SPREAD = 3, 0.1
"""Adapters whose first steps have to be alike, and how far apart they may be where no pass is repeatable."""


class NotMeasurableError(Exception):
    """What a check needs is not there; the message is the clause that says what."""


@dataclass(frozen=True)
class Passed:
    """What a forward pass of one datum answered: a log-probability for each target, and the metrics."""

    logprobs: tuple[float, ...]
    metrics: dict[str, float]

    @property
    def loss(self) -> float:
        """The unweighted sum of negative log-likelihoods, in nats, whatever weights were sent."""
        return -math.fsum(self.logprobs)


@dataclass(frozen=True)
class Probe:
    """A server under measurement, with as many seconds as it has for each answer."""

    service: Service
    wait: float = 60.0
    reference: Probe | None = None
    """Our own server with the same weights, where they are on this machine."""
    kept: dict[Any, Any] = field(default_factory=dict[Any, Any], repr=False)
    """What is measured once for several checks, by name."""
    made: list[Any] = field(default_factory=list[Any], repr=False)
    """The clients of adapters that the server still holds."""

    @property
    def client(self) -> tinker.ServiceClient:
        """The SDK's own client, whose errors and retries are a part of what is measured."""
        return unwatched(self.service.client)

    def adapter(
        self,
        rank: int = RANK,
        *,
        seed: int = SEED,
        attn: bool = True,
        mlp: bool = True,
        unembed: bool = True,
    ) -> tinker.TrainingClient:
        """A new adapter; on a server that keeps to seeds always the same one."""
        training: tinker.TrainingClient = made_within(
            self.wait,
            lambda: self.client.create_lora_training_client(
                base_model=self.service.base_model,
                rank=rank,
                seed=seed,
                train_attn=attn,
                train_mlp=mlp,
                train_unembed=unembed,
            ),
        )
        self.made.append(training)
        return training

    def release(self) -> None:
        """Let the server forget the adapters of a check, where it can: some hold but a few at a time."""
        for training in self.made:
            if self.kept.get("unloads", True):
                # What they have gathered is spent first, as a server may leave it to the next adapter.
                with suppress(Exception):
                    self.update(training, signed(0.0))
                self.kept["unloads"] = self.unload(training)
        self.made.clear()

    def unload(self, training: tinker.TrainingClient) -> bool:
        """Whether the server has forgotten an adapter; hosted Tinker's SDK has no such call any more."""
        import httpx

        request = {"model_id": training.model_id, "type": "unload_model"}
        headers = {"X-API-Key": self.service.key}
        url = f"{self.service.url}/api/v1"
        try:
            promise = httpx.post(f"{url}/unload_model", json=request, headers=headers, timeout=5.0)
            if promise.status_code != 200:
                return False
            asked = {"request_id": promise.json().get("request_id")}
            httpx.post(f"{url}/retrieve_future", json=asked, headers=headers, timeout=self.wait)
        except (httpx.HTTPError, ValueError):
            return False
        return True

    def twins(self) -> tuple[tinker.TrainingClient, tinker.TrainingClient]:
        """A new adapter twice over: the second client numbers its requests as the first, as a retry would."""
        first = self.adapter()
        return first, copy.copy(first)

    def gradients(
        self,
        training: tinker.TrainingClient,
        tokens: Sequence[int] = TOKENS,
        weights: Sequence[float] | float = 1.0,
        times: int = 1,
        unit: float | None = None,
    ) -> Passed:
        """Add the gradient of `times` equal datums in one call; what came for the first of them.

        Weights are in units of `unit`, by default those in which Adam is gradient descent on this server.
        """
        unit = self.regime[1] if unit is None else unit
        scaled = weights * unit if isinstance(weights, int | float) else [each * unit for each in weights]
        data = [datum(tokens, scaled) for _ in range(times)]
        return _passed(training.forward_backward(data, "cross_entropy").result(self.wait))

    def forward(
        self, training: tinker.TrainingClient, sequences: Sequence[Sequence[int]] = (TOKENS,)
    ) -> list[Passed]:
        """A forward pass alone, over one datum for each sequence."""
        answer = training.forward([datum(each) for each in sequences], "cross_entropy").result(self.wait)
        return [
            Passed(tuple(output["logprobs"].tolist()), dict(answer.metrics))
            for output in answer.loss_fn_outputs
        ]

    def update(self, training: tinker.TrainingClient, settings: tinker.AdamParams) -> None:
        """One step of the optimizer."""
        training.optim_step(settings).result(self.wait)

    @cached_property
    def regime(self) -> tuple[float, float]:
        """The first of REGIMES that the server takes."""
        for eps, unit in REGIMES:
            training = self.adapter()
            self.gradients(training, unit=unit)
            try:
                self.update(training, adam(1e-6, eps))
            except TimeoutError:
                raise
            except Exception:  # noqa: BLE001 - a refusal in whatever words
                continue
            return eps, unit
        raise NotMeasurableError("no epsilon was taken that makes Adam plain gradient descent")

    def descent(self, rate: float, eps: float = 1.0, **others: float) -> tinker.AdamParams:
        """Adam as plain gradient descent at `rate`, with `eps` times the epsilon that makes it so."""
        usual, unit = self.regime
        return adam(rate * usual / unit, eps * usual, **others)

    @cached_property
    def rate(self) -> float:
        """Learning rate over epsilon at which a first step takes away SHARE of the loss.

        Raises NotMeasurableError where no rate moves the loss.
        """
        rate = 1e-3
        for _ in range(8):
            training = self.adapter()
            before = self.gradients(training).loss
            self.update(training, self.descent(rate))
            share = (before - self.gradients(training).loss) / before
            if 0.5 * SHARE < share < 1.5 * SHARE:
                return rate
            rate *= 30.0 if share < 1e-4 else min(max(SHARE / share, 0.03), 30.0)
        raise NotMeasurableError("no step size moved the loss by a few percent")

    def fall(self, key: str, **wanted: Any) -> float:
        """How far `first_step` lowers the loss, in nats; measured once for each key."""
        if key not in self.kept:
            self.kept[key] = self.first_step(**wanted)
        return self.kept[key]

    def steps(self, key: str, **wanted: Any) -> float:
        """The same in usual first steps."""
        return self.fall(key, **wanted) / self.usual_fall

    def steps_since(self, before: float, training: tinker.TrainingClient) -> float:
        """How far the loss has fallen from `before`, in usual first steps."""
        return (before - self.gradients(training).loss) / self.usual_fall

    @property
    def usual_fall(self) -> float:
        """How far the step to compare with lowers the loss, in nats.

        Raises NotMeasurableError where new adapters of one seed differ in it, as no two steps of different
        adapters could be compared then.
        """
        falls = [self.first_usual_fall, *(self.fall(f"usual again {number}") for number in range(1, ALIKE))]
        if max(falls) > (1 + SPREAD) * min(falls):
            share = max(falls) / min(falls) if min(falls) > 0 else math.inf
            raise NotMeasurableError(
                f"new adapters of one seed do not start alike: the same step is {share:.2g} times as far in "
                f"one of {ALIKE} as in another"
            )
        return falls[0]

    @property
    def first_usual_fall(self) -> float:
        """The same in one adapter, whether or not others start alike."""
        return self.fall("usual")

    def first_step(
        self,
        *,
        settings: tinker.AdamParams | None = None,
        weights: float = 1.0,
        calls: int = 1,
        times: int = 1,
        **adapter: Any,
    ) -> float:
        """The fall of the unweighted loss in the first step of a new adapter, in nats.

        The gradient is that of `times` equal datums of this weight in each of `calls` calls.
        """
        settings = self.descent(self.rate) if settings is None else settings
        training = self.adapter(**adapter)
        losses = [self.gradients(training, weights=weights, times=times).loss for _ in range(calls)]
        self.update(training, settings)
        return losses[0] - self.gradients(training).loss

    def sampler(self, path: str | None = None) -> tinker.SamplingClient:
        """Samples from the base model, or from what was saved."""
        client, base_model = self.client, self.service.base_model
        if path is None:
            return made_within(self.wait, lambda: client.create_sampling_client(base_model=base_model))
        return made_within(self.wait, lambda: client.create_sampling_client(model_path=path))

    def saved_for_sampling(self, training: tinker.TrainingClient, name: str) -> str:
        """The `tinker://` path of its present weights."""
        return training.save_weights_for_sampler(unique(name)).result(self.wait).path

    def sample(
        self, sampler: tinker.SamplingClient, prompt: Sequence[int], num: int = 1, **wanted: Any
    ) -> Any:
        """What sampling answered; `prompt_logprobs` and `topk` are of the prompt, all else of the answer."""
        import tinker

        of_prompt: dict[str, Any] = {
            "include_prompt_logprobs": wanted.pop("prompt_logprobs", False),
            "topk_prompt_logprobs": wanted.pop("topk", 0),
        }
        return sampler.sample(
            prompt=tinker.ModelInput.from_ints(list(prompt)),
            num_samples=num,
            sampling_params=tinker.SamplingParams(**wanted),
            **of_prompt,
        ).result(self.wait)

    def prompt_logprobs(self, sampler: tinker.SamplingClient, tokens: Sequence[int]) -> list[float | None]:
        """A log-probability for each token but the first, which has None."""
        return list(self.sample(sampler, tokens, max_tokens=1, prompt_logprobs=True).prompt_logprobs or [])


def datum(tokens: Sequence[int], weights: Sequence[float] | float = 1.0) -> tinker.Datum:
    """Every token but the first is a target, with its own weight or all with one."""
    import tinker

    many = [float(weights)] * (len(tokens) - 1) if isinstance(weights, int | float) else list(weights)
    return tinker.Datum(
        model_input=tinker.ModelInput.from_ints(list(tokens[:-1])),
        loss_fn_inputs={
            "target_tokens": tinker.TensorData(data=list(tokens[1:]), dtype="int64", shape=[len(many)]),
            "weights": tinker.TensorData(data=many, dtype="float32", shape=[len(many)]),
        },
    )


def adam(learning_rate: float, eps: float, **others: float) -> tinker.AdamParams:
    """Adam's settings, of which the rest is as the SDK has it."""
    import tinker

    return tinker.AdamParams(
        learning_rate=learning_rate, **{"beta1": 0.9, "beta2": 0.95, "eps": eps, **others}
    )


def signed(learning_rate: float, **others: float) -> tinker.AdamParams:
    """Adam with no epsilon to speak of: each number moves by the learning rate in its first step."""
    return adam(learning_rate, 1e-12, **others)


def unique(name: str) -> str:
    """A checkpoint's name that no earlier measurement has taken."""
    import secrets

    return f"conformance-{name}-{secrets.token_hex(4)}"


def _passed(answer: Any) -> Passed:
    return Passed(tuple(answer.loss_fn_outputs[0]["logprobs"].tolist()), dict(answer.metrics))
