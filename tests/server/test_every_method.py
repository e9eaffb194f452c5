"""Every public method of the SDK's clients works here, or says at once and in one sentence why it does not.

The methods are read off the SDK itself, so one that a newer version adds fails until it is listed.
"""

from __future__ import annotations

import asyncio
import inspect
import time
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import tinker
from tinker import (
    AdamParams,
    ModelInput,
    RestClient,
    SamplingClient,
    SamplingParams,
    ServiceClient,
    TensorData,
    TrainingClient,
)
from tinker.lib.api_future_impl import QueueState

from symptoms.service import LocalServer

AT_ONCE = 60.0
"""Seconds; where the SDK retries, it does so for minutes."""
TOKENS = [0, *range(30, 40)]
PROMPT = ModelInput.from_ints(TOKENS)
GREEDY = SamplingParams(max_tokens=2, temperature=0.0)
DATUM = tinker.Datum(
    model_input=ModelInput.from_ints(TOKENS[:-1]),
    loss_fn_inputs={
        "target_tokens": TensorData(data=TOKENS[1:], dtype="int64"),
        "weights": TensorData(data=[1.0] * 10, dtype="float32"),
    },
)


@dataclass(frozen=True)
class Scene:
    """Clients with something to work on: a run, its state and its weights for sampling."""

    server: LocalServer
    service: ServiceClient
    training: TrainingClient
    sampler: SamplingClient
    rest: RestClient
    state: str
    weights: str

    def client(self, kind: type) -> Any:
        return {
            ServiceClient: self.service,
            TrainingClient: self.training,
            SamplingClient: self.sampler,
            RestClient: self.rest,
        }[kind]

    @property
    def run(self) -> str:
        return self.training.model_id

    @property
    def session(self) -> str:
        return self.run.split(":")[0]


@dataclass(frozen=True)
class Works:
    """A call, and what its result must satisfy."""

    holds: Callable[[Any], bool]
    arguments: Callable[[Scene], dict[str, Any]] = lambda _: {}


@dataclass(frozen=True)
class Refused:
    """A call that is not on offer, and words of the sentence that says so."""

    sentence: str
    arguments: Callable[[Scene], dict[str, Any]] = lambda _: {}
    by_the_sdk: bool = False


def cross_entropy(logprobs: Any, weights: Any) -> Any:
    loss = -(logprobs * weights).sum()
    return loss, {"custom/nll:sum": loss}


def has_loss(result: Any) -> bool:
    return result.metrics["loss:sum"] > 0


def is_none(result: Any) -> bool:
    return result is None


def offers_a_model(result: Any) -> bool:
    return len(result.supported_models) == 1


NO_ACCOUNTS, NOT_PUBLIC = "no accounts", "nothing to publish"
BATCH = Works(has_loss, lambda _: {"data": [DATUM], "loss_fn": "cross_entropy"})
LOAD = Works(lambda result: result.path.startswith("tinker://"), lambda scene: {"path": scene.state})
SAVE = Works(lambda result: result.path.endswith("/new"), lambda _: {"name": "new"})
TRAINING = Works(lambda result: isinstance(result, TrainingClient), lambda scene: {"path": scene.state})
SAMPLER = Works(
    lambda result: isinstance(result, SamplingClient), lambda scene: {"model_path": scene.weights}
)
COPY = Refused("copy a checkpoint's folder", lambda scene: {"path": scene.state})
COPY_TO = Refused(
    "copy a checkpoint's folder", lambda scene: {"path": scene.state, "destination_project_id": "p"}
)
RUN = Works(
    lambda result: result.lora_rank == 2 and result.last_checkpoint is not None,
    lambda scene: {"training_run_id": scene.run},
)
RUN_OF_PATH = Works(RUN.holds, lambda scene: {"tinker_path": scene.state})
USAGE_DAYS = {"starting_on": "2026-01-01", "ending_before": "2026-01-02"}

# A method and its twin that ends in _async are one entry.
METHODS: dict[type, dict[str, Works | Refused]] = {
    ServiceClient: {
        "close": Works(is_none, lambda _: {"status": "success"}),
        "copy_weights": COPY,
        "create_custom_loss": Works(
            lambda result: result.name == "cross_entropy",
            lambda _: {"fn": cross_entropy, "input_ranks": {"logprobs": 1, "weights": 1}},
        ),
        "create_lora_training_client": Works(
            TRAINING.holds, lambda scene: {"base_model": scene.server.base_model, "rank": 1}
        ),
        "create_rest_client": Works(lambda result: isinstance(result, RestClient)),
        "create_sampling_client": SAMPLER,
        "create_training_client_from_state": TRAINING,
        "create_training_client_from_state_with_optimizer": TRAINING,
        "get_console_url": Works(lambda result: result.startswith("https://")),
        "get_server_capabilities": Works(offers_a_model),
        "get_telemetry": Works(is_none),
        "holder": Works(lambda result: bool(result.get_session_id())),
    },
    TrainingClient: {
        "create_sampling_client": SAMPLER,
        "forward": BATCH,
        "forward_backward": BATCH,
        "forward_backward_custom": Works(
            lambda result: result.metrics["custom/nll:sum"] > 0,
            lambda _: {
                "data": [DATUM],
                "loss_fn": lambda data, logprobs: cross_entropy(
                    logprobs[0], data[0].loss_fn_inputs["weights"].to_torch()
                ),
            },
        ),
        "get_console_url": Works(lambda result: result.startswith("https://")),
        "get_info": Works(lambda result: result.lora_rank == 2),
        "get_telemetry": Works(is_none),
        "get_tokenizer": Works(lambda result: result.decode(TOKENS[1:]) != ""),
        "load_state": LOAD,
        "load_state_with_optimizer": LOAD,
        "optim_step": Works(
            lambda result: result.metrics["grad_norm:mean"] == 0,
            lambda _: {"optim_params": AdamParams(learning_rate=0.0)},
        ),
        "save_state": SAVE,
        "save_weights_and_get_sampling_client": Works(SAMPLER.holds),
        "save_weights_external": Works(
            lambda result: result.path.endswith("/external_weights/new"), lambda _: {"name": "new"}
        ),
        "save_weights_for_sampler": SAVE,
    },
    SamplingClient: {
        "compute_logprobs": Works(lambda result: len(result) == 11, lambda _: {"prompt": PROMPT}),
        "create": Works(
            SAMPLER.holds,
            lambda scene: {"holder": scene.service.holder, "base_model": scene.server.base_model},
        ),
        "from_sampler_handle": Works(
            SAMPLER.holds,
            lambda scene: {"handle": scene.sampler.get_sampler_handle(), "api_key": scene.server.api_key},
        ),
        "get_base_model": Works(lambda result: "/" in result),
        "get_sampler_handle": Works(lambda result: len(result) > 20),
        "get_telemetry": Works(is_none),
        "get_tokenizer": Works(lambda result: result.decode(TOKENS[1:]) != ""),
        "on_queue_state_change": Works(
            is_none, lambda _: {"queue_state": QueueState.ACTIVE, "queue_state_reason": None}
        ),
        "sample": Works(
            lambda result: len(result.sequences) == 2 and len(result.prompt_alt_tokens.tokens.data) == 30,
            lambda _: {
                "prompt": PROMPT,
                "num_samples": 2,
                "sampling_params": GREEDY,
                "prompt_alt_tokens_k": 3,
            },
        ),
    },
    RestClient: {
        "assign_session_project": Refused(
            NO_ACCOUNTS, lambda scene: {"session_id": scene.session, "project_id": "p"}
        ),
        "copy_weights": COPY_TO,
        "delete_checkpoint": Works(
            is_none, lambda scene: {"training_run_id": scene.run, "checkpoint_id": "weights/state"}
        ),
        "delete_checkpoint_from_tinker_path": Works(is_none, lambda scene: {"tinker_path": scene.state}),
        "export_session_trace": Refused("no traces", lambda scene: {"session_id": scene.session}),
        "get_audit_log": Refused(NO_ACCOUNTS),
        "get_billing_usage": Refused(NO_ACCOUNTS, lambda _: dict(USAGE_DAYS)),
        "get_current_checkpoint_storage_usage": Refused(NO_ACCOUNTS),
        "get_external_weights_urls": Works(
            lambda result: len(result.urls) == 2,
            lambda scene: {"tinker_path": scene.training.save_weights_external("to-fetch").result().path},
        ),
        "get_sampler": Works(
            lambda result: result.model_path is not None,
            lambda scene: {"sampler_id": scene.sampler._sampling_session_id},
        ),
        "get_server_capabilities": Works(offers_a_model),
        "get_session": Works(
            lambda result: len(result.training_run_ids) == 1, lambda scene: {"session_id": scene.session}
        ),
        "get_telemetry": Works(is_none),
        "get_training_run": RUN,
        "get_training_run_by_tinker_path": RUN_OF_PATH,
        "get_weights_info_by_tinker_path": Works(
            lambda result: result.lora_rank == 2, lambda scene: {"tinker_path": scene.state}
        ),
        "list_checkpoints": Works(
            lambda result: len(result.checkpoints) == 2, lambda scene: {"training_run_id": scene.run}
        ),
        "list_sessions": Works(lambda result: len(result.sessions) > 0),
        "list_training_runs": Works(lambda result: len(result.training_runs) > 0),
        "list_user_checkpoints": Works(lambda result: len(result.checkpoints) > 1),
        "publish_checkpoint_from_tinker_path": Refused(
            NOT_PUBLIC, lambda scene: {"tinker_path": scene.weights}
        ),
        "search_sessions": Refused(
            "list them instead", lambda _: {"request": tinker.types.SessionSearchRequest()}
        ),
        "set_checkpoint_ttl_from_tinker_path": Works(
            is_none, lambda scene: {"tinker_path": scene.state, "ttl_seconds": 7200}
        ),
        "unpublish_checkpoint_from_tinker_path": Refused(
            NOT_PUBLIC, lambda scene: {"tinker_path": scene.weights}
        ),
        # The SDK itself says this, without a request.
        "whoami": Refused("plain API key", by_the_sdk=True),
    },
}


CHANGES = ("delete_", "get_external_weights_urls", "set_checkpoint_ttl")
"""How methods of RestClient begin whose call changes what there is; the others of it only look."""


def public(kind: type) -> list[str]:
    return [name for name in dir(kind) if not name.startswith("_")]


def entry(kind: type, name: str) -> str:
    """The name under which a method is listed."""
    plain = name.removesuffix("_async")
    return plain if plain in public(kind) else name


@contextmanager
def new_scene(server: LocalServer) -> Generator[Scene, None, None]:
    where = {"base_url": server.url, "api_key": server.api_key}
    with ServiceClient(**where, project_id="p") as service:
        training = service.create_lora_training_client(server.base_model, rank=2, seed=1).result()
        state = training.save_state("state").result().path
        weights = training.save_weights_for_sampler("weights").result().path
        sampler = service.create_sampling_client(model_path=weights).result()
        yield Scene(server, service, training, sampler, RestClient(**where), state, weights)


@pytest.fixture(scope="module")
def quiet_scene(server: LocalServer) -> Iterator[Scene]:
    """For methods that leave it as it is."""
    with new_scene(server) as made:
        yield made


@pytest.fixture
def scene(request: pytest.FixtureRequest, server: LocalServer, kind: type, name: str) -> Iterator[Scene]:
    with warnings.catch_warnings():
        # Half of the methods are deprecated in favour of the other half.
        warnings.simplefilter("ignore", FutureWarning)
        if kind is RestClient and not name.startswith(CHANGES):
            yield request.getfixturevalue("quiet_scene")
            return
        with new_scene(server) as made:
            yield made


def carried_out(called: Any, arguments: dict[str, Any]) -> Any:
    """The result of a method in whichever of the SDK's ways it gives one."""
    if not callable(called):
        return called
    if inspect.iscoroutinefunction(inspect.unwrap(called)):
        called = asyncio.run(asyncio.wait_for(called(**arguments), AT_ONCE))
    else:
        called = called(**arguments)
    return called.result(AT_ONCE) if hasattr(called, "result") else called


@pytest.mark.parametrize("kind", METHODS, ids=lambda kind: kind.__name__)
def test_every_method_is_listed(kind: type):
    """The table has every public method of the installed SDK, and no other."""
    assert {entry(kind, name) for name in public(kind)} == set(METHODS[kind])


@pytest.mark.parametrize(
    ("kind", "name"),
    [pytest.param(kind, name, id=f"{kind.__name__}.{name}") for kind in METHODS for name in public(kind)],
)
def test_it_works_or_says_why_not(scene: Scene, kind: type, name: str):
    """The method gives what it should, or fails within seconds with its sentence, and the client goes on."""
    case = METHODS[kind].get(entry(kind, name))
    assert case is not None, f"{kind.__name__}.{name} is not in the table; add it."
    arguments, started = case.arguments(scene), time.monotonic()
    if isinstance(case, Works):
        assert case.holds(carried_out(getattr(scene.client(kind), name), arguments))
    else:
        expected = RuntimeError if case.by_the_sdk else tinker.TinkerError
        with pytest.raises(expected, match=case.sentence):
            carried_out(getattr(scene.client(kind), name), arguments)
    assert time.monotonic() - started < AT_ONCE
    if kind is TrainingClient:
        # What was refused has taken a number, too, and nothing may wait for it.
        assert scene.training.forward([DATUM], "cross_entropy").result(AT_ONCE).metrics["loss:sum"] > 0
