"""Whatever is sent, the answer is a result or the request's own fault: no 5xx, no failure of the server.

`make fuzz` sets FUZZ_EXAMPLES, for many more requests than the suite has time for.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app_in_process import InProcess
from raw_client import add_datum, tokens_of_step
from tinker_local.server import app as app_module
from tinker_local.service import ordering
from tinker_local.wire import tinker_public_pb2 as proto

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "150"))
pytestmark = pytest.mark.timeout(1800 + EXAMPLES // 5)
fuzz = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)

PROMISING = [
    "create_model",
    "create_custom_loss",
    "forward_backward",
    "optim_step",
    "save_weights",
    "save_weights_for_sampler",
    "save_weights_external",
    "load_weights",
    "asample",
]
NUMBERED = {*PROMISING} - {"create_model", "create_custom_loss", "asample"}
DIRECT = [
    "client/config",
    "telemetry",
    "create_session",
    "session_heartbeat",
    "get_info",
    "create_sampling_session",
    "retrieve_future",
    "retrieve_futures",
]


@pytest.fixture(scope="module")
def app(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    made = InProcess(tiny_model, tmp_path_factory.mktemp("home"))
    with pytest.MonkeyPatch.context() as patch:
        # Spoiled numbers leave gaps, which are not waited for here.
        patch.setattr(ordering, "WAIT_SECONDS", 0.0)
        patch.setattr(app_module, "POLL_SECONDS", 2.0)
        yield made
    made.close()


ODD_SIZES = st.sampled_from([0, 1, 2, 3, -1, 2**31, 2**32, 2**62, 2**63 - 1, -(2**63)])
ARRAYS = st.sampled_from([np.int32, np.int64, np.float32])
NUMBERS = st.sampled_from([0, 1, 2, 200, 257, 258, -1, 3, 2**31 - 1])


@st.composite
def raw_values(draw: st.DrawFn, length: int) -> bytes:
    """Bytes that are an array of about this length, or anything."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=40))
    size = length if draw(st.integers(0, 9)) else draw(st.integers(0, 6))
    values = draw(st.lists(NUMBERS, min_size=size, max_size=size))
    return np.array(values).astype(draw(ARRAYS)).tobytes()


@st.composite
def indices(draw: st.DrawFn, size: int) -> bytes:
    values = draw(st.lists(ODD_SIZES | st.integers(0, 4), min_size=size, max_size=size))
    return np.array(values, dtype=np.int64).tobytes()


@st.composite
def tensors(draw: st.DrawFn, length: int) -> proto.Tensor:
    tensor = proto.Tensor(dtype=draw(st.sampled_from([1, 2, 3, 1, 2, 0, 4, 77])))
    kind = draw(st.sampled_from(["matching", "matching", "dense", "sparse", "nothing"]))
    if kind == "matching":
        width = draw(st.sampled_from([None, None, 0, 1, 2]))
        shape = [length] if width is None else [length, width]
        dtype = {1: np.float32, 2: np.int64, 3: np.int32}.get(tensor.dtype, np.int64)
        odd = st.sampled_from([float("nan"), float("inf"), 3e38]) if dtype is np.float32 else st.just(258)
        values = draw(
            st.lists(st.integers(0, 257) | odd, min_size=int(np.prod(shape)), max_size=int(np.prod(shape)))
        )
        tensor.dense = np.array(values, dtype=dtype).tobytes()
        tensor.shape.extend(shape)
    elif kind == "dense":
        tensor.dense = draw(raw_values(length))
        tensor.shape.extend(draw(st.lists(ODD_SIZES, max_size=3) | st.just([1] * 70) | st.just([length])))
    elif kind == "sparse":
        rows = draw(st.sampled_from([length, 0, 1, 4]))
        tensor.sparse_csr.values = draw(raw_values(draw(st.integers(0, 3))))
        tensor.sparse_csr.crow_indices = draw(indices(rows + 1) | st.binary(max_size=9))
        tensor.sparse_csr.col_indices = draw(indices(draw(st.integers(0, 3))))
        tensor.shape.extend(draw(st.tuples(st.just(rows), ODD_SIZES) | st.lists(ODD_SIZES, max_size=3)))
    return tensor


@st.composite
def messages(draw: st.DrawFn) -> proto.ForwardBackwardRequest:
    """Well-formed protobuf, often a sensible request but for one thing."""
    message = proto.ForwardBackwardRequest(
        loss_fn=draw(st.sampled_from(["cross_entropy"] * 5 + ["", "ppo"])), forward_only=draw(st.booleans())
    )
    for _ in range(draw(st.integers(0, 3))):
        if draw(st.booleans()):
            add_datum(message, tokens_of_step(draw(st.integers(0, 3))))
            if draw(st.booleans()):
                name = draw(st.sampled_from(["target_tokens", "weights", "other"]))
                message.data[-1].loss_fn_inputs[name].CopyFrom(draw(tensors(12)))
            continue
        datum, length = message.data.add(), draw(st.integers(0, 4))
        for _ in range(draw(st.integers(0, 2))):
            chunk = datum.model_input.add()
            if draw(st.integers(0, 9)):
                chunk.encoded_text.tokens = draw(raw_values(length))
        for name in draw(st.lists(st.sampled_from(["target_tokens", "weights", "x"]), unique=True)):
            datum.loss_fn_inputs[name].CopyFrom(draw(tensors(length)))
    for key in draw(st.lists(st.text(max_size=3), max_size=2)):
        message.loss_fn_config[key] = draw(st.floats())
        message.loss_fn_config_v2[key].text = draw(st.text(max_size=3))
    return message


@fuzz
@given(route=st.sampled_from(PROMISING + DIRECT), body=st.binary(max_size=200))
def test_arbitrary_bytes(app: InProcess, route: str, body: bytes):
    """Bytes that mean nothing are refused by every route."""
    (app.outcome if route in PROMISING else app.send)(route, body)


@fuzz
@given(message=messages())
def test_arbitrary_messages(app: InProcess, message: proto.ForwardBackwardRequest):
    """Every well-formed message, whatever its shapes, types and lengths, is carried out or refused."""
    message.model_id, message.seq_id = app.run, app.next_number()
    app.outcome("forward_backward", message.SerializeToString())
    step = {"model_id": app.run, "seq_id": app.next_number(), "adam_params": {"learning_rate": 0.01}}
    app.outcome("optim_step", json.dumps(step).encode())


@fuzz
@given(
    end=st.integers(0, 400), flips=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6)
)
def test_damaged_messages(app: InProcess, end: int, flips: list[tuple[int, int]]):
    """A sensible message with some bytes changed is carried out or refused."""
    message = proto.ForwardBackwardRequest(
        model_id=app.run, seq_id=app.next_number(), loss_fn="cross_entropy", forward_only=True
    )
    add_datum(message, tokens_of_step(1))
    body = bytearray(message.SerializeToString())
    for place, value in flips:
        body[place % len(body)] = value
    app.outcome("forward_backward", bytes(body[:end]))


ODD_NUMBERS = st.sampled_from(
    [0, -1, 1e-320, 1e-300, 1e300, 2**31, 2**63 - 1, 2**63, 10**30, -(10**30), float("nan"), float("inf")]
)
LONG = "a" * 300
ODD_TEXTS = ["tiny", "snapshot", LONG, "..", "\0", "tinker://a/weights/b", f"tinker://{LONG}/weights/b"]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | ODD_NUMBERS
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(ODD_TEXTS)
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)
ADAM_FIELDS = ["learning_rate", "beta1", "beta2", "eps", "weight_decay", "grad_clip_norm"]
SAMPLING_FIELDS = ["max_tokens", "seed", "stop", "temperature", "top_k", "top_p"]


def sensible(app: InProcess, route: str) -> dict[str, Any]:
    """A body that the route carries out; the fuzz spoils some of its fields."""
    in_turn = app.next_number() if route in NUMBERED else 0
    numbered = {"model_id": app.run, "seq_id": in_turn}
    name = f"n{app.next_seq()}"
    return {
        "create_model": {
            "session_id": app.session,
            "model_seq_id": app.next_seq(),
            "base_model": "tiny",
            "lora_config": {
                "rank": 1,
                "seed": 1,
                "train_attn": True,
                "train_mlp": True,
                "train_unembed": True,
            },
            "optimizer_config": {"type": "adamw"},
            "user_metadata": None,
        },
        "create_custom_loss": {
            "session_id": app.session,
            # Few enough that the session has room for each.
            "custom_loss_seq_id": app.next_seq() % 50,
            "name": "loss",
            "inputs": [{"name": "logprobs", "rank": 1}, {"name": "weights", "rank": 1}],
            "graph": {
                "nodes": [
                    {"op": "placeholder", "name": "logprobs", "target": "logprobs"},
                    {"op": "placeholder", "name": "weights", "target": "weights"},
                    {
                        "op": "call_function",
                        "name": "mul",
                        "target": "operator.mul",
                        "args": [{"ref": "logprobs"}, {"ref": "weights"}],
                    },
                    {
                        "op": "call_method",
                        "name": "sum_1",
                        "target": "sum",
                        "args": [{"ref": "mul"}],
                        "kwargs": {"dim": 0},
                    },
                    {
                        "op": "output",
                        "name": "output",
                        "target": "output",
                        "args": [{"tuple": [{"ref": "sum_1"}, {"dict": {"custom/a:sum": {"ref": "mul"}}}]}],
                    },
                ]
            },
        },
        "optim_step": {**numbered, "adam_params": dict.fromkeys(ADAM_FIELDS, 0.0), "optimizer_params": None},
        "save_weights": {**numbered, "path": name, "overwrite": False, "ttl_seconds": 9, "user_metadata": {}},
        "save_weights_for_sampler": {
            **numbered,
            "path": name,
            "kind": "snapshot",
            "sampling_session_seq_id": 1,
            "ttl_seconds": 9,
        },
        "save_weights_external": {**numbered, "path": name},
        "load_weights": {
            **numbered,
            "path": f"tinker://{app.run}/weights/{name}",
            "optimizer": False,
            "session_id": app.session,
            "model_seq_id": app.next_seq(),
        },
        "asample": {
            "prompt": {"chunks": [{"type": "encoded_text", "tokens": [0, 40, 41]}]},
            "sampling_params": {
                "max_tokens": 2,
                "seed": 1,
                "stop": ["x"],
                "temperature": 1.0,
                "top_k": 3,
                "top_p": 0.9,
            },
            "num_samples": 1,
            "sampling_session_id": app.sampler,
            "seq_id": app.next_seq(),
            "prompt_logprobs": True,
            "prompt_alt_tokens_k": 2,
            "record_stability_info": None,
        },
        "retrieve_futures": {
            "target": {
                "type": "sampling_session",
                "sampling_session_id": app.sampler,
                "cloned_sampler_id": 0,
            },
            "prev_cursor": 0,
            "timeout": 0,
            "retrieved_request_ids": ["x"],
        },
        "create_sampling_session": {
            "session_id": app.session,
            "sampling_session_seq_id": 2,
            "base_model": "tiny",
            "model_path": None,
        },
    }.get(route, {"session_id": app.session, "model_id": app.run, "request_id": "x"})


def spoil(draw: st.DrawFn, body: dict[str, Any]) -> dict[str, Any]:
    """The body with a field or two replaced or left out, at any depth."""
    spoiled = dict(body)
    for name in draw(st.lists(st.sampled_from(sorted(body)), max_size=2, unique=True)):
        value = body[name]
        if isinstance(value, dict) and value and draw(st.integers(0, 3)):
            spoiled[name] = spoil(draw, value)
        elif isinstance(value, int | float) and draw(st.integers(0, 3)):
            # A number of the right kind comes further than other nonsense.
            spoiled[name] = draw(ODD_NUMBERS)
        elif draw(st.integers(0, 5)):
            spoiled[name] = draw(JSON)
        else:
            del spoiled[name]
    return spoiled


@fuzz
@given(
    data=st.data(),
    route=st.sampled_from([*sorted({*PROMISING, *DIRECT} - {"forward_backward"}), *["asample"] * 6]),
)
def test_arbitrary_json(app: InProcess, data: st.DataObject, route: str):
    """Every JSON body, from nonsense to a sensible one with an odd field, is carried out or refused."""
    if app.next_seq() % 200 == 0:
        app.renew()
    body = spoil(data.draw, sensible(app, route)) if data.draw(st.integers(0, 4)) else data.draw(JSON)
    (app.outcome if route in PROMISING else app.send)(route, json.dumps(body).encode())


@fuzz
@given(name=st.text(min_size=1, max_size=20))
def test_arbitrary_paths(app: InProcess, name: str):
    """Names in a URL are found or not found."""
    quoted = httpx.QueryParams({"x": name})
    escaped = str(quoted).removeprefix("x=")
    app.send(f"sessions/{escaped}/finish", b"")
    app.send(f"samplers/{escaped}", b"")
