"""What SDK 0.38 needs of a server, written down, and shown on the requests that it sends, without the SDK.

tests/wire/sdk.json holds the requests of one run (`make record-wire`). They are sent again to a fresh server
over plain HTTP, with the names that this server issues in the place of those that the recorded one did.
"""

from __future__ import annotations

import base64
import importlib.metadata
import json
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from raw_client import KEY, ServerProcess
from tinker_local.wire import tinker_public_pb2 as proto
from tiny_models import write_fixed_llama
from waiting import PATIENCE

RECORDED: dict[str, Any] = json.loads(Path(__file__).with_name("sdk.json").read_text())
JSON, PROTOBUF = "application/json", "application/x-protobuf"
USUAL = {"content-type": JSON, "accept": JSON}
"""As tests/clients/record_wire.py leaves them out."""
BASE_MODEL = "<base model>"
PATH = re.compile(r"tinker://[^/]+/(weights|sampler_weights)/[^/]+")


class Maybe:
    """A field that may be missing or null."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind


class Each:
    """A list, not empty, of such values."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind


def fits(kind: Any, value: Any) -> bool:
    """Whether a JSON value has the fields and types that are asked for; others may be there too."""
    if isinstance(kind, Maybe):
        return value is None or fits(kind.kind, value)
    if isinstance(kind, Each):
        return isinstance(value, list) and bool(value) and all(fits(kind.kind, one) for one in value)
    if isinstance(kind, Mapping):
        return isinstance(value, dict) and all(fits(of, value.get(name)) for name, of in kind.items())
    if isinstance(kind, type):
        return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    return kind(value)


def moment(value: Any) -> bool:
    return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None


def checkpoint_path(value: Any) -> bool:
    return isinstance(value, str) and PATH.fullmatch(value) is not None


def metrics(value: Any) -> bool:
    """Named `name:reduction`, since the SDK splits them there when it combines chunks."""
    return isinstance(value, dict) and all(
        re.fullmatch(r"[^:]+:[^:]+", name) and isinstance(number, float) for name, number in value.items()
    )


CHECKPOINT = {
    "checkpoint_id": str,
    "checkpoint_type": lambda value: value in ("training", "sampler"),
    "time": moment,
    "tinker_path": checkpoint_path,
    "size_bytes": Maybe(int),
    "expires_at": Maybe(moment),
}
CURSOR = {"offset": int, "limit": int, "total_count": int}
TRAINING_RUN = {
    "training_run_id": str,
    "base_model": str,
    "model_owner": str,
    "is_lora": bool,
    "lora_rank": Maybe(int),
    "last_request_time": moment,
    "last_checkpoint": Maybe(CHECKPOINT),
    "last_sampler_checkpoint": Maybe(CHECKPOINT),
}
PROMISE = {"request_id": str}

# By method and path, where {} stands for one part of it: what the JSON answer of a request must hold.
ANSWERS: dict[str, Any] = {
    # Every flag has a default in the SDK.
    "POST client/config": {"custom_loss_server_side": Maybe(bool)},
    "POST client/dynamic_config": {"sample_cancel_enabled": Maybe(bool)},
    "GET get_server_capabilities": {
        "supported_models": Each({"model_name": str, "max_context_length": Maybe(int)})
    },
    "POST create_session": {"session_id": str},
    "POST sessions/{}/finish": {},
    "POST create_model": PROMISE,
    "POST create_custom_loss": PROMISE,
    "POST get_info": {
        "model_id": str,
        # Without a tokenizer_id the SDK guesses one from the model's name, and often looks for it on the hub.
        "model_data": {"model_name": str, "tokenizer_id": str},
        "is_lora": Maybe(bool),
        "lora_rank": Maybe(int),
    },
    "POST forward_backward": PROMISE,
    "POST optim_step": PROMISE,
    "POST save_weights": PROMISE,
    "POST load_weights": PROMISE,
    "POST save_weights_for_sampler": PROMISE,
    "POST create_sampling_session": {"sampling_session_id": str},
    "GET samplers/{}": {"sampler_id": str, "base_model": str, "model_path": Maybe(checkpoint_path)},
    # One name for each sequence, or the SDK stops at an assertion.
    "POST asample": {**PROMISE, "sample_sequence_ids": Each(str)},
    "GET training_runs": {"training_runs": Each(TRAINING_RUN), "cursor": CURSOR},
    "GET training_runs/{}": TRAINING_RUN,
    "GET training_runs/{}/checkpoints": {"checkpoints": Each(CHECKPOINT)},
    "GET checkpoints": {"checkpoints": Each(CHECKPOINT), "cursor": CURSOR},
    "PUT training_runs/{}/checkpoints/{}/{}/ttl": None,
    "DELETE training_runs/{}/checkpoints/{}/{}": None,
    "POST weights_info": {
        "base_model": str,
        "is_lora": bool,
        "lora_rank": Maybe(int),
        "train_unembed": Maybe(bool),
        "train_mlp": Maybe(bool),
        "train_attn": Maybe(bool),
    },
    "GET sessions": {"sessions": Each(str)},
    "GET sessions/{}": {"training_run_ids": Each(str), "sampler_ids": Each(str)},
}
# By the path of the request that promised it: what a result in JSON must hold.
RESULTS: dict[str, Any] = {
    "create_model": {"model_id": str},
    "create_custom_loss": {"loss_id": str},
    "optim_step": {"metrics": Maybe(metrics)},
    "save_weights": {"path": checkpoint_path},
    "load_weights": {"path": Maybe(checkpoint_path)},
    "save_weights_for_sampler": {"path": Maybe(checkpoint_path), "sampling_session_id": Maybe(str)},
}


def check_batch(body: bytes, sent: proto.ForwardBackwardRequest) -> None:
    """One record, with the log-probability and the loss of each token of each datum, and the loss."""
    output = proto.ForwardBackwardOutput.FromString(body)
    assert metrics(dict(output.metrics))
    assert output.loss_fn_output_type
    (record,) = output.loss_fn_outputs
    assert record.num_datums == len(sent.data)
    for name in ("logprobs", "elementwise_loss"):
        field = record.fields[name]
        assert (field.dtype, list(field.trailing_shape)) == (proto.DTYPE_FLOAT32, [])
        offsets = np.frombuffer(field.offsets, dtype=np.int64)
        # A token, an int32, takes as many bytes as its number.
        lengths = [len(datum.model_input[0].encoded_text.tokens) for datum in sent.data]
        assert offsets.tolist() == [0, *np.cumsum(lengths)]
        assert offsets[-1] == len(field.data)
        assert np.isfinite(np.frombuffer(field.data, dtype=np.float32)).all()
    losses = np.frombuffer(record.fields["elementwise_loss"].data, dtype=np.float32)
    assert output.metrics["loss:sum"] == pytest.approx(float(losses.sum()), rel=1e-4)


def check_sample(body: bytes, sent: Mapping[str, Any]) -> None:
    """As many sequences as were asked for, a log-probability a token, NaN first where a prompt is scored."""
    response = proto.SampleResponse.FromString(body)
    assert len(response.sequences) == sent["num_samples"]
    for sequence in response.sequences:
        tokens = np.frombuffer(sequence.tokens, dtype=np.int32)
        assert 0 < len(tokens) <= sent["sampling_params"]["max_tokens"]
        assert len(np.frombuffer(sequence.logprobs, dtype=np.float32)) == len(tokens)
        assert sequence.stop_reason in (proto.STOP_REASON_STOP, proto.STOP_REASON_LENGTH)
    assert response.HasField("prompt_logprobs") == sent["prompt_logprobs"]
    if sent["prompt_logprobs"]:
        scores = np.frombuffer(response.prompt_logprobs, dtype=np.float32)
        assert len(scores) == sum(len(chunk["tokens"]) for chunk in sent["prompt"]["chunks"])
        assert np.isnan(scores).tolist() == [True] + [False] * (len(scores) - 1)


class Replay:
    """Sends recorded requests; keeps which name of the recording is which of this server."""

    def __init__(self, http: httpx.Client, base_model: str) -> None:
        self._http = http
        self._names = {BASE_MODEL: base_model}
        # What was sent, and where, by the name of the result that it was promised.
        self._promised: dict[str, tuple[str, Any]] = {}

    def send(self, exchange: Mapping[str, Any]) -> None:
        """Send one request and hold its answer to the contract."""
        path = self._renamed(exchange["path"]).removeprefix("/api/v1/")
        body = self._body(exchange.get("body"))
        answer = self._http.request(
            exchange["method"],
            path,
            headers={**USUAL, **exchange["headers"]},
            content=body.SerializeToString() if isinstance(body, proto.ForwardBackwardRequest) else body,
        )
        assert answer.status_code == exchange["status"], answer.text
        route = path.split("?")[0]
        if route == "retrieve_future":
            self._check_result(answer, exchange, json.loads(body or "")["request_id"])
        else:
            self._check_answer(answer, route, exchange["method"])
            self._promised[answer.json().get("request_id") if answer.content else ""] = (route, body)
        for name, recorded in exchange.get("issued", {}).items():
            self._names[recorded] = answer.json()[name]

    def _check_answer(self, answer: httpx.Response, route: str, method: str) -> None:
        kind = ANSWERS[contract_key(method, route)]
        if kind is None:
            assert (answer.status_code, answer.content) == (204, b"")
            return
        assert answer.headers["content-type"] == JSON
        assert fits(kind, answer.json()), answer.text

    def _check_result(self, answer: httpx.Response, exchange: Mapping[str, Any], request_id: str) -> None:
        route, sent = self._promised[request_id]
        if route in RESULTS:
            assert answer.headers["content-type"] == JSON
            assert fits(RESULTS[route], answer.json()), answer.text
            assert "error" not in answer.json()
            return
        # The SDK refuses these two in JSON.
        assert answer.headers["content-type"] == PROTOBUF, answer.text
        if route == "asample":
            check_sample(answer.content, json.loads(sent))
        else:
            check_batch(answer.content, sent)
            loss = proto.ForwardBackwardOutput.FromString(answer.content).metrics["loss:sum"]
            assert loss == pytest.approx(exchange["loss"], rel=0.02, abs=0.02)

    def _body(self, recorded: Any) -> Any:
        if isinstance(recorded, str):
            message = proto.ForwardBackwardRequest.FromString(base64.b64decode(recorded))
            message.model_id = self._renamed(message.model_id)
            return message
        return None if recorded is None else self._renamed(json.dumps(recorded))

    def _renamed(self, text: str) -> str:
        # The longest first: names are made of other names.
        for recorded in sorted(self._names, key=len, reverse=True):
            text = text.replace(recorded, self._names[recorded])
        return text


def contract_key(method: str, route: str) -> str:
    """The entry of ANSWERS for a path."""
    for key in ANSWERS:
        pattern = re.escape(key).replace(r"\{\}", "[^/]+")
        if re.fullmatch(pattern.replace(r"\ ", " "), f"{method} {route}"):
            return key
    raise KeyError(f"{method} {route} is not in the contract; add it.")


def test_the_recording_is_of_the_pinned_sdk():
    """A newer SDK needs a newer recording: make record-wire."""
    assert RECORDED["sdk"] == importlib.metadata.version("tinker")


def test_the_recording_has_every_route_of_the_contract():
    """No entry of the contract goes unused."""
    used = {
        contract_key(one["method"], one["path"].removeprefix("/api/v1/").split("?")[0])
        for one in RECORDED["exchanges"]
        if not one["path"].endswith("/retrieve_future")
    }
    assert used == set(ANSWERS)


def test_recorded_requests_are_answered_as_the_sdk_needs(tmp_path: Path):
    """Every request of the recording, sent to a fresh server, is answered with what the SDK reads of it."""
    model = tmp_path / "model"
    write_fixed_llama(model)
    with (
        ServerProcess(model, tmp_path / "home") as server,
        httpx.Client(
            base_url=f"{server.url}/api/v1/", headers={"X-API-Key": KEY}, timeout=PATIENCE, trust_env=False
        ) as http,
    ):
        replay = Replay(http, server.model)
        for exchange in RECORDED["exchanges"]:
            replay.send(exchange)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ({"a": str}, {"a": "x", "b": 1}, True),
        ({"a": str}, {}, False),
        ({"a": int}, {"a": True}, False),
        ({"a": Maybe(int)}, {"a": None}, True),
        (Each({"a": str}), [], False),
        (Each({"a": str}), [{"a": "x"}, {}], False),
        (metrics, {"loss": 1.0}, False),
        (moment, "2026-01-01T00:00:00", False),
    ],
)
def test_the_contract_can_be_broken(kind: Any, value: Any, expected: bool):
    """Missing fields, other types and unnamed reductions are found."""
    assert fits(kind, value) == expected
