"""The server as plain HTTP shows it: what the SDK itself would never send, or would not let one see."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import numpy as np
import pytest
import tinker
import zstandard
from tinker import AdamParams, ModelInput, TensorData
from tinker.proto import tinker_public_pb2 as sdk_proto

from symptoms.service import LocalServer

TOKENS = [0, *range(30, 60)]


@pytest.fixture(scope="module")
def client(server: LocalServer) -> Iterator[tinker.ServiceClient]:
    with tinker.ServiceClient(base_url=server.url, api_key=server.api_key) as made:
        yield made


@pytest.fixture
def training(client: tinker.ServiceClient, server: LocalServer) -> tinker.TrainingClient:
    return client.create_lora_training_client(base_model=server.base_model, rank=4, seed=1).result()


def datum() -> tinker.Datum:
    """The data of `first_body`, for the SDK."""
    return tinker.Datum(
        model_input=ModelInput.from_ints(TOKENS[:-1]),
        loss_fn_inputs={
            "target_tokens": TensorData(data=TOKENS[1:], dtype="int64"),
            "weights": TensorData(data=[1.0] * 30, dtype="float32"),
        },
    )


def first_body(model_id: str) -> bytes:
    """The body of a run's first forward_backward as the SDK sends it, every token trained."""
    message = sdk_proto.ForwardBackwardRequest(model_id=model_id, seq_id=1, loss_fn="cross_entropy")
    one = message.data.add()
    one.model_input.add().encoded_text.tokens = np.array(TOKENS[:-1], dtype=np.int32).tobytes()
    targets, weights = one.loss_fn_inputs["target_tokens"], one.loss_fn_inputs["weights"]
    targets.dense, targets.dtype = np.array(TOKENS[1:], dtype=np.int64).tobytes(), sdk_proto.DTYPE_INT64
    weights.dense, weights.dtype = np.ones(30, dtype=np.float32).tobytes(), sdk_proto.DTYPE_FLOAT32
    return message.SerializeToString()


def test_a_repeated_submission_is_done_once(
    server: LocalServer, client: tinker.ServiceClient, training: tinker.TrainingClient
):
    """The same (model_id, seq_id) posted twice adds its gradients once."""
    body = first_body(training.model_id)
    with httpx.Client(base_url=server.url, headers={"X-API-Key": server.api_key}) as http:
        ids = {http.post("/api/v1/forward_backward", content=body).json()["request_id"] for _ in range(3)}
        assert len(ids) == 1
        stepped = http.post(
            "/api/v1/optim_step", json={"model_id": training.model_id, "seq_id": 2, "adam_params": {}}
        ).json()
        once = http.post("/api/v1/retrieve_future", json=stepped).json()["metrics"]["grad_norm:mean"]
    fresh = client.create_lora_training_client(base_model=server.base_model, rank=4, seed=1).result()
    fresh.forward_backward([datum()], "cross_entropy").result()
    assert fresh.optim_step(AdamParams(learning_rate=0.0)).result().metrics[
        "grad_norm:mean"
    ] == pytest.approx(once, rel=1e-4)


def test_the_key_is_asked_for(server: LocalServer):
    """Every route but the health check refuses a missing or a wrong key."""
    for headers in ({}, {"X-API-Key": "tml-wrong"}):
        assert httpx.get(f"{server.url}/api/v1/get_server_capabilities", headers=headers).status_code == 401
    assert httpx.get(f"{server.url}/api/v1/healthz").status_code == 200


def test_nonsense_bodies_are_survived(server: LocalServer):
    """Bodies that are no protobuf or JSON, and unknown routes, get a sentence and no server error."""
    with httpx.Client(base_url=server.url, headers={"X-API-Key": server.api_key}) as http:
        for route in ("forward_backward", "optim_step", "asample", "create_model", "load_weights"):
            promised = http.post(f"/api/v1/{route}", content=b"\xff\x00nonsense").json()
            answer = http.post("/api/v1/retrieve_future", json=promised).json()
            assert answer["category"] == "user"
        assert http.post("/api/v1/create_session", content=b"{").status_code == 400
        assert http.get("/api/v1/no_such_route").status_code == 404
        assert http.post("/api/v1/retrieve_future", json={"request_id": "gone"}).status_code == 410


def test_our_messages_are_the_sdks():
    """Every field of our protobuf schema has the SDK's number, type and kind."""
    from tinker_local.wire import tinker_public_pb2 as ours

    skipped_types = {"OpaqueChunk"}
    for name, message in ours.DESCRIPTOR.message_types_by_name.items():
        if name in skipped_types:
            continue
        theirs = sdk_proto.DESCRIPTOR.message_types_by_name[name].fields_by_name
        for field in message.fields:
            twin = theirs[field.name]
            assert (field.number, field.type, field.is_repeated) == (twin.number, twin.type, twin.is_repeated)


def test_packed_bodies_are_unpacked(server: LocalServer, training: tinker.TrainingClient):
    """A body packed with zstd counts like a plain one; one that is none, or holds too much, is refused."""
    body = first_body(training.model_id)
    packed = zstandard.ZstdCompressor().compress(body)
    headers = {"X-API-Key": server.api_key, "Content-Encoding": "zstd"}
    with httpx.Client(base_url=server.url, headers=headers) as http:
        promised = http.post("/api/v1/forward_backward", content=packed).json()
        plain = {"X-API-Key": server.api_key}
        answered = httpx.post(f"{server.url}/api/v1/retrieve_future", json=promised, headers=plain)
        assert answered.headers["content-type"] == "application/x-protobuf"
        refused = http.post("/api/v1/forward_backward", content=b"plain").json()
        told = httpx.post(f"{server.url}/api/v1/retrieve_future", json=refused, headers=plain).json()
        assert told["category"] == "user"
        bomb = zstandard.ZstdCompressor().compress(bytes(2**27))
        assert http.post("/api/v1/forward_backward", content=bomb).status_code == 413


@pytest.mark.parametrize("value", [2**63, -(2**70)])
def test_named_tokens_beyond_64_bits_are_refused(server: LocalServer, value: int):
    """A named token that no integer tensor holds is the user's mistake, and no failure of the server."""
    prompt = {"chunks": [{"type": "encoded_text", "tokens": TOKENS[:3]}]}
    named = {"data": [value, 1], "dtype": "int64", "shape": [2, 1]}
    body = {"prompt": prompt, "sampling_params": {"max_tokens": 1}, "base_model": server.base_model}
    with httpx.Client(base_url=server.url, headers={"X-API-Key": server.api_key}) as http:
        promised = http.post("/api/v1/asample", json={**body, "target_prompt_logprobs": named})
        assert promised.status_code == 200
        told = http.post("/api/v1/retrieve_future", json=promised.json()).json()
    assert told["category"] == "user"
    assert "target_prompt_logprobs" in told["error"]
