"""Graphs of custom losses that the SDK would not send, to the real server: each is refused in a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from http_in_process import Serving, serving
from raw_client import FailedError, RawClient
from tinker_local.engine.train.custom import loss
from tinker_local.service.custom_losses import MAX_LOSSES
from tinker_local.wire.custom_loss import MAX_NODES

TOKENS = [0, *range(30, 60)]


@pytest.fixture(scope="module")
def server(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tiny_model, tmp_path_factory.mktemp("custom-loss")) as made:
        yield made


def node(op: str, name: str, target: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
    return {"op": op, "name": name, "target": target, "args": list(args), "kwargs": kwargs}


X = {"ref": "logprobs"}
INPUT = node("placeholder", "logprobs", "logprobs")


def call(target: str, *args: Any, name: str = "a", **kwargs: Any) -> dict[str, Any]:
    return node("call_function", name, target, *args, **kwargs)


def method(target: str, *args: Any, name: str = "a", **kwargs: Any) -> dict[str, Any]:
    return node("call_method", name, target, *args, **kwargs)


def output(name: str = "a", metrics: Any = None) -> dict[str, Any]:
    return node("output", "output", "output", {"tuple": [{"ref": name}, {"dict": metrics or {}}]})


SUM = method("sum", X)


@pytest.mark.parametrize(
    ("nodes", "sentence"),
    [
        ([INPUT, call("os.system", "ls"), output()], "'os.system' is not one"),
        ([INPUT, call("builtins.eval", "1"), output()], "'builtins.eval' is not one"),
        ([INPUT, call("torch.load", "/etc/passwd"), output()], "'torch.load' is not one"),
        ([INPUT, call("torch.serialization.load", "x"), output()], "is not one"),
        ([INPUT, call("operator.iadd", X, 1), output()], "'operator.iadd' is not one"),
        ([INPUT, call("operator.attrgetter", "x"), output()], "is not one"),
        ([INPUT, method("__class__", X), output()], "'__class__' is not one"),
        ([INPUT, method("add_", X, 1), output()], "'add_' is not one"),
        ([INPUT, method("numpy", X), output()], "'numpy' is not one"),
        ([INPUT, method("register_hook", X), output()], "'register_hook' is not one"),
        ([INPUT, method("exp", X, out=X), output()], "is given out="),
        ([INPUT, call("torch.nn.functional.relu", X, inplace=True), output()], "is given inplace=True"),
        ([INPUT, call("torch.div", X, 2, rounding_mode="trunc"), output()], "is given rounding_mode="),
        ([INPUT, method("to", X, {"device": "cuda"}), output()], "device 'cuda' is not offered"),
        ([INPUT, method("to", X, {"dtype": "complex64"}), output()], "dtype 'complex64' is not offered"),
        ([INPUT, method("sum", X, "all"), output()], "is given a text"),
        ([INPUT, node("get_attr", "a", "weight"), output()], "is a 'get_attr'"),
        ([INPUT, node("call_module", "a", "layer", X), output()], "is a 'call_module'"),
        ([INPUT, call("operator.add", {"ref": "a"}, X), output()], "reference to 'a'"),
        (
            [INPUT, call("torch.exp", {"ref": "b"}), call("torch.log", {"ref": "a"}, name="b"), output()],
            "reference to 'b'",
        ),
        ([INPUT, INPUT, SUM, output()], "two nodes 'logprobs'"),
        ([SUM, output()], "reference to 'logprobs'"),
        ([INPUT, node("placeholder", "weights", "weights"), SUM, output()], "placeholders are"),
        ([INPUT, SUM], "output is not its last node"),
        ([INPUT, SUM, output(), output()], "two nodes 'output'"),
        ([INPUT, SUM, node("output", "output", "output", {"ref": "a"})], "does not return a pair"),
        ([INPUT, SUM, output(metrics={"loss:sum": {"ref": "a"}})], "custom/NAME:sum"),
        ([INPUT, SUM, output(metrics={"custom/a:sum": 1.0})], "returns what was not computed"),
        ([INPUT, call("operator.mul", X, 10**400), output()], "whole number over"),
        ([INPUT, call("operator.mul", X, {"float": "1e999"}), output()], "of the form 'float'"),
        ([INPUT, call("operator.mul", X, {"layout": "strided"}), output()], "of the form 'layout'"),
        ([INPUT, call("operator.mul", X, {"ref": "logprobs", "float": "inf"}), output()], "of a form"),
        ([INPUT, call("operator.mul", X, [[[[[[[[1]]]]]]]]), output()], "nested over"),
        ([INPUT, *[method("exp", X, name=f"n{i}") for i in range(MAX_NODES)]], "at most 1024"),
        ([INPUT, call("torch.cat", [X] * 20_000), output()], "over 16384"),
        ([INPUT, call("torch.exp", X, name="x" * 2**20), output()], "over 1048576"),
    ],
)
def test_a_graph_that_is_not_in_order_is_refused(server: Serving, nodes: list[Any], sentence: str):
    """Told in a sentence when the loss is created, before anything is computed."""
    with RawClient(server) as client, pytest.raises(FailedError, match=sentence) as refused:
        create(client, nodes)
    assert refused.value.category == "user"


def create(client: RawClient, nodes: list[Any], number: int = 0) -> str:
    body = {
        "session_id": client.session,
        "custom_loss_seq_id": number,
        "name": "hostile",
        "inputs": [{"name": "logprobs", "rank": 1}],
        "graph": {"nodes": nodes},
    }
    return client.call("create_custom_loss", body)["loss_id"]


BIG = 2**20
LONG = call("torch.arange", BIG, name="long")
ROWS, COLUMNS = {"tuple": [{"slice": [None] * 3}, None]}, {"tuple": [None, {"slice": [None] * 3}]}


def chain(target: str, number: int) -> list[Any]:
    """A number that is combined with itself again and again."""
    names = ["n", *(f"n{index}" for index in range(number)), "a"]
    first = method("numel", X, name="n")
    return [first, *(call(target, {"ref": one}, {"ref": one}, name=after) for one, after in pairwise(names))]


@pytest.mark.parametrize(
    ("nodes", "sentence"),
    [
        ([call("torch.arange", 10**15)], "takes more than"),
        ([call("torch.arange", {"float": "inf"})], "failed"),
        ([call("torch.zeros", {"tuple": [10**6, 10**6]})], "takes more than"),
        ([method("expand", X, 10**9, -1)], "takes more than"),
        ([method("repeat", X, 10**9)], "takes more than"),
        ([LONG, method("repeat", X, {"ref": "long"})], "whole numbers and no tensors"),
        (
            [
                LONG,
                call("operator.getitem", {"ref": "long"}, ROWS, name="rows"),
                call("operator.getitem", {"ref": "long"}, COLUMNS, name="columns"),
                call("operator.mul", {"ref": "rows"}, {"ref": "columns"}),
            ],
            "takes more than",
        ),
        (
            [
                call("torch.zeros", BIG, 0, name="empty"),
                call("torch.zeros", 0, BIG, name="other"),
                call("operator.matmul", {"ref": "empty"}, {"ref": "other"}),
            ],
            "takes more than",
        ),
        (
            [
                call("torch.zeros", BIG, 0, name="empty"),
                *[method("sum", {"ref": "empty"}, 1, name=f"sum{index}") for index in range(100)],
                SUM,
            ],
            "takes more than",
        ),
        (
            [
                LONG,
                method("long", {"ref": "long"}, name="whole"),
                call("torch.zeros", 1, BIG, name="one"),
                method("clamp", {"ref": "whole"}, 0, 0, name="zeros"),
                call("operator.getitem", {"ref": "one"}, {"ref": "zeros"}),
            ],
            "takes more than",
        ),
        ([call("operator.getitem", X, [0] * 100)], "made of numbers, slices and tensors"),
        (
            [
                method("argmax", X, name="place"),
                call("operator.getitem", X, {"slice": [{"ref": "place"}, None, None]}),
            ],
            "ends of a slice are numbers",
        ),
        ([call("operator.gt", X, 0, name="holds"), call("torch.where", {"ref": "holds"})], "failed"),
        (chain("operator.mul", 500), "number is over"),
        (chain("operator.pow", 10), "failed"),
        ([call("operator.mul", "ab", 10**9)], "given a text"),
        ([call("operator.mul", [1], 10**9)], "tensors and numbers"),
        ([call("math.log", X)], "takes numbers"),
        ([call("getattr", X, "__class__")], "attribute '__class__' is not offered"),
        ([call("getattr", X, "grad_fn")], "attribute 'grad_fn' is not offered"),
        ([method("view", X, {"dtype": "bool"})], "failed"),
        ([call("operator.getitem", X, 999)], "out of bounds"),
        ([call("torch.zeros", 3, name="three"), call("operator.add", X, {"ref": "three"})], "failed"),
        ([method("exp", X)], "is no single number but"),
        ([method("numel", X)], "is no single number but"),
        ([method("detach", X, name="still"), method("sum", {"ref": "still"})], "does not depend on logprobs"),
        ([call("operator.mul", X, {"float": "nan"}, name="no"), method("sum", {"ref": "no"})], "not finite"),
    ],
)
def test_what_would_take_the_machine_is_refused(server: Serving, nodes: list[Any], sentence: str):
    """An operation that is allowed, with sizes or arguments that are not: before memory is taken for it."""
    with RawClient(server) as client:
        run = client.create()
        with pytest.raises(FailedError, match=sentence) as refused:
            run.gradients(TOKENS, "custom", {"loss_id": create(client, [INPUT, *nodes, output()])})
    assert refused.value.category == "user"


def test_a_loss_is_made_once(server: Serving):
    """A request that is sent again, as after a lost connection, is answered alike."""
    with RawClient(server) as client:
        assert create(client, [INPUT, SUM, output()]) == create(client, [INPUT, SUM, output()])


def test_a_session_has_so_many_losses(server: Serving):
    """What a session may leave in memory ends; another session begins anew."""
    with RawClient(server) as client, RawClient(server) as other:
        for number in range(MAX_LOSSES):
            create(client, [INPUT, SUM, output()], number)
        with pytest.raises(FailedError, match="has 64 custom losses already"):
            create(client, [INPUT, SUM, output()], MAX_LOSSES)
        create(other, [INPUT, SUM, output()])


def test_many_operations_for_many_datums(server: Serving, monkeypatch: pytest.MonkeyPatch):
    """Small operations take time, too, so that a request has only so many of them."""
    monkeypatch.setattr(loss, "MAX_CALLS", 1)
    with RawClient(server) as client:
        loss_id = create(client, [INPUT, method("exp", X, name="e"), method("sum", {"ref": "e"}), output()])
        with pytest.raises(FailedError, match="has 2 operations and metrics, and with 1 datums"):
            client.create().gradients(TOKENS, "custom", {"loss_id": loss_id})


def test_a_request_has_only_so_many_elements(server: Serving, monkeypatch: pytest.MonkeyPatch):
    """What its datums took is gone for those after them, whatever each may take."""
    exp_and_sum = [INPUT, method("exp", X, name="e"), method("sum", {"ref": "e"}), output()]
    with RawClient(server) as client:
        loss_id, run = create(client, exp_and_sum), client.create()
        run.gradients(TOKENS, "custom", {"loss_id": loss_id}, copies=2)
        monkeypatch.setattr(loss, "MAX_ELEMENTS_OF_ALL", 3 * len(TOKENS))
        run.gradients(TOKENS, "custom", {"loss_id": loss_id})
        with pytest.raises(FailedError, match=r"of datum 1 takes more than .* smaller batches"):
            run.gradients(TOKENS, "custom", {"loss_id": loss_id}, copies=2)
