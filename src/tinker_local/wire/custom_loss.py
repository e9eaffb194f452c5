"""JSON bodies of create_custom_loss to graphs, with bounds on all that a body may hold."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal, cast

from pydantic import Field

from tinker_local.domain.loss_graph import Constant, LossGraph, LossInput, Node, Reference
from tinker_local.errors import RequestError
from tinker_local.wire.requests import WireModel, parse_json

MAX_BODY_BYTES = 2**20
"""A traced loss takes some kilobytes."""
MAX_NODES = 1024
MAX_ARGUMENTS = 16_384
"""Of all nodes together, each entry of a list counted."""
MAX_DEPTH = 6
MAX_WHOLE_NUMBER = 2**53
MAX_TEXT = 64

_METRIC = re.compile(r"custom/[a-z0-9_./-]{1,64}:(sum|mean)")
_NOT_FINITE = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}

Name = Annotated[str, Field(min_length=1, max_length=128)]


class WireInput(WireModel):
    """An entry of `inputs`: `logprobs`, or one of the datum's loss_fn_inputs."""

    name: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,63}$")]
    rank: Literal[0, 1, 2]


class WireNode(WireModel):
    """A node as torch.fx records it, its arguments still encoded."""

    op: str
    name: Name
    target: Name
    args: list[Any] = Field(default_factory=list[Any])
    kwargs: dict[str, Any] = Field(default_factory=dict[str, Any])


class WireGraph(WireModel):
    """The nodes in the order in which they are computed."""

    format: Literal[1] = 1
    nodes: Annotated[list[WireNode], Field(min_length=1, max_length=MAX_NODES)]


class CreateCustomLoss(WireModel):
    """The body of create_custom_loss; `custom_loss_seq_id` counts the losses of a session."""

    session_id: str
    custom_loss_seq_id: Annotated[int, Field(ge=0, le=2**31)]
    name: Annotated[str, Field(max_length=256)]
    inputs: Annotated[list[WireInput], Field(min_length=1, max_length=16)]
    graph: WireGraph


def parse_custom_loss(body: bytes) -> CreateCustomLoss:
    """The request of a body; raises RequestError where it is none or too large."""
    if len(body) > MAX_BODY_BYTES:
        raise RequestError(
            f"The traced loss takes {len(body)} bytes, over {MAX_BODY_BYTES}; make it of fewer operations."
        )
    return parse_json(CreateCustomLoss, body)


def decode_graph(request: CreateCustomLoss) -> LossGraph:
    """The graph of a request; raises RequestError at the first node that is not in order, by its name."""
    inputs = tuple(LossInput(one.name, one.rank) for one in request.inputs)
    names = [one.name for one in inputs]
    if names[0] != "logprobs" or inputs[0].rank == 0 or len(set(names)) < len(names):
        raise RequestError(
            "The inputs of the loss do not begin with logprobs of rank 1 or 2, or one comes twice; name each "
            "once."
        )
    decoder = _Decoder()
    nodes = tuple(decoder.node(node) for node in request.graph.nodes)
    placeholders = [node.target for node in nodes if node.kind == "placeholder"]
    if placeholders != names:
        raise RequestError(
            f"The graph's placeholders are {placeholders[:16]} and its inputs {names}; send the same, in the "
            "same order."
        )
    if [index for index, node in enumerate(nodes) if node.kind == "output"] != [len(nodes) - 1]:
        raise RequestError("The graph's output is not its last node; send one output, at the end.")
    return LossGraph(request.name, inputs, nodes)


class _Decoder:
    """Decodes nodes one after the other, and knows the names of those before."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._arguments = 0

    def node(self, node: WireNode) -> Node:
        if node.name in self._names:
            raise RequestError(f"The graph has two nodes {node.name!r}; give each a name of its own.")
        match node.op:
            case "placeholder":
                decoded = Node("placeholder", node.name, node.target, (), {})
            case "call_function" | "call_method":
                args = tuple(self._argument(node, value, 0) for value in node.args)
                kwargs = {name: self._argument(node, value, 0) for name, value in node.kwargs.items()}
                decoded = Node(node.op, node.name, node.target, args, kwargs)
            case "output":
                decoded = Node("output", node.name, node.target, self._output(node), {})
            case _:
                raise RequestError(
                    f"The node {node.name!r} is a {node.op!r}, which a loss here cannot have; "
                    "call functions of torch only."
                )
        # Only now, so that no node refers to itself: a graph without a way back has no circle.
        self._names.add(node.name)
        return decoded

    def _output(self, node: WireNode) -> tuple[Reference, dict[str, Reference]]:
        match node.args:
            case [{"tuple": [loss, {"dict": dict()} as told]}] | [[loss, {"dict": dict()} as told]]:
                metrics = cast(dict[str, dict[str, Any]], told)["dict"]
            case _:
                raise RequestError(
                    "The loss does not return a pair of a loss and metrics; return (loss, {...})."
                )
        for name in metrics:
            if _METRIC.fullmatch(name) is None:
                raise RequestError(
                    f"The metric {name[:80]!r} has no name that can be combined; call it custom/NAME:sum or "
                    "custom/NAME:mean, in lower case."
                )
        return (
            self._reference(node, loss),
            {name: self._reference(node, value) for name, value in metrics.items()},
        )

    def _reference(self, node: WireNode, value: Any) -> Reference:
        decoded = self._argument(node, value, 0)
        if not isinstance(decoded, Reference):
            raise RequestError("The loss returns what was not computed from logprobs; return tensors.")
        return decoded

    def _argument(self, node: WireNode, value: Any, depth: int) -> Any:
        self._arguments += 1
        if depth > MAX_DEPTH or self._arguments > MAX_ARGUMENTS:
            raise RequestError(
                f"The arguments up to node {node.name!r} are over {MAX_ARGUMENTS}, or nested over "
                f"{MAX_DEPTH} deep; make the loss of fewer."
            )
        if isinstance(value, float) and not math.isfinite(value):
            raise _wrong(node, "a number that is not finite and not encoded as such")
        if isinstance(value, int) and abs(value) > MAX_WHOLE_NUMBER:
            raise _wrong(node, f"a whole number over {MAX_WHOLE_NUMBER}")
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, str):
            if len(value) > MAX_TEXT:
                raise _wrong(node, f"a text over {MAX_TEXT} characters")
            return value
        if isinstance(value, list):
            return self._list(node, value, depth)
        entries = list(cast(dict[str, Any], value).items())
        if len(entries) != 1:
            raise _wrong(node, "an argument of a form that is not known here")
        return self._encoded(node, *entries[0], depth)

    def _list(self, node: WireNode, values: Any, depth: int) -> list[Any]:
        return [self._argument(node, one, depth + 1) for one in values]

    def _encoded(self, node: WireNode, form: str, content: Any, depth: int) -> Any:
        match form, content:
            case "ref", str():
                if content not in self._names:
                    raise _wrong(node, f"a reference to {content[:80]!r}, which no node before it is called")
                return Reference(content)
            case "float", str() if content in _NOT_FINITE:
                return _NOT_FINITE[content]
            case "tuple", list():
                return tuple(self._list(node, content, depth))
            case "slice", [_, _, _]:
                return slice(*self._list(node, content, depth))
            case "ellipsis", True:
                return ...
            case (("dtype" | "device"), str()):
                return Constant(form, content[:64])
            case _:
                raise _wrong(node, f"an argument of the form {form[:80]!r}, which is not known here")


def _wrong(node: WireNode, what: str) -> RequestError:
    return RequestError(f"The node {node.name!r} ({node.target}) has {what}; send the graph as the SDK does.")
