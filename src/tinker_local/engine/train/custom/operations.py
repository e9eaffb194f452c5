"""What a custom loss may call: this list, and nothing that is not on it.

A name of a graph is only ever looked up here. What changes a tensor in place, draws random numbers, reaches a
file or a device, or gives a tensor whose size cannot be told beforehand is not on the list.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from tinker_local.engine.train.custom import sizes
from tinker_local.errors import RequestError

MAX_NUMBER = 2**63
"""Of numbers that are no tensors: Python's own have no end."""


@dataclass(frozen=True)
class Operation:
    """What is called, and how many elements that will take."""

    function: Callable[..., Any]
    size: sizes.Size = sizes.broadcast


def _silu(x: Tensor) -> Tensor:
    # F.silu takes as a second argument whether to change x in place.
    return F.silu(x)


def _words(text: str) -> list[str]:
    return text.split()


# By torch's own names; each is taken both as a function and as a method, where torch has it as such.
_ELEMENTWISE = _words("""
abs add addcdiv addcmul ceil clamp clamp_max clamp_min clip clone cos cosh detach div divide eq erf erfc
exp exp2 expm1 fix floor fmax fmin full_like ge greater greater_equal gt isfinite isinf isnan le lerp less
less_equal log log10 log1p log2 logaddexp logaddexp2 logical_and logical_not logical_or logical_xor logit
lt masked_fill maximum minimum mul multiply nan_to_num ne neg negative not_equal ones_like positive pow
reciprocal relu remainder round rsqrt rsub sigmoid sign sin sinh softmax log_softmax sqrt square sub
subtract tan tanh true_divide trunc where xlogy zeros_like bitwise_and bitwise_not bitwise_or bitwise_xor
bool double float int long contiguous expand_as
""")
_SMALLER = _words("""
all amax amin any argmax argmin argsort count_nonzero cummax cummin cumprod cumsum flatten flip
logcumsumexp logsumexp masked_select max mean median min movedim nanmean nansum narrow norm numel permute
prod ravel reshape select sort squeeze std sum swapaxes t topk transpose unsqueeze var dim ndimension size
""")
_OTHERS: Final[Mapping[str, sizes.Size]] = {
    "gather": sizes.largest,
    "to": sizes.largest,
    "type_as": sizes.largest,
    "cat": sizes.joined,
    "concat": sizes.joined,
    "stack": sizes.joined,
    "index_select": sizes.indexed,
    "dot": sizes.multiplied,
    "matmul": sizes.multiplied,
    "mm": sizes.multiplied,
    "mv": sizes.multiplied,
    "expand": sizes.told,
    "repeat": sizes.told,
    "zeros": sizes.told,
    "ones": sizes.told,
    "arange": sizes.counted,
}
_BY_NAME: Final = {**dict.fromkeys((*_ELEMENTWISE, *_SMALLER), sizes.broadcast), **_OTHERS}
# Names of torch's modules that are no functions of tensors.
_NO_FUNCTIONS: Final = {"bool", "double", "float", "int", "long"}

METHODS: Final[Mapping[str, Operation]] = {
    **{
        name: Operation(getattr(Tensor, name), size)
        for name, size in _BY_NAME.items()
        if hasattr(Tensor, name)
    },
    # Tensor.view would also read the same bytes as another type.
    "view": Operation(Tensor.reshape),
}
"""By a method's name."""

_FUNCTIONS: Final[Mapping[str, Operation]] = {
    **{
        name: Operation(getattr(torch, name), size)
        for name, size in _BY_NAME.items()
        if name not in _NO_FUNCTIONS and callable(getattr(torch, name, None))
    },
    "logsigmoid": Operation(cast(Callable[..., Any], F.logsigmoid)),
    "log_sigmoid": Operation(cast(Callable[..., Any], F.logsigmoid)),
    "softplus": Operation(cast(Callable[..., Any], F.softplus)),
    "silu": Operation(_silu),
    "gelu": Operation(cast(Callable[..., Any], F.gelu)),
    "expit": Operation(torch.sigmoid),
    "vector_norm": Operation(cast(Callable[..., Any], torch.linalg.vector_norm)),
    "binary_cross_entropy": Operation(F.binary_cross_entropy),
    "binary_cross_entropy_with_logits": Operation(F.binary_cross_entropy_with_logits),
    "huber_loss": Operation(F.huber_loss),
    "kl_div": Operation(F.kl_div),
    "l1_loss": Operation(F.l1_loss),
    "mse_loss": Operation(F.mse_loss),
    "smooth_l1_loss": Operation(F.smooth_l1_loss),
}
# torch.fx writes where a function lies, which is not always where it is called: of logsigmoid,
# torch._C._nn.log_sigmoid. The longer names come first.
_PREFIXES: Final = (
    "torch.nn.functional.",
    "torch._C._nn.",
    "torch._C._special.special_",
    "torch._C._linalg.linalg_",
    "torch.functional.",
    "torch.special.",
    "torch.linalg.",
    "torch.",
)


def _of_numbers_too(function: Callable[..., Any]) -> Callable[..., Any]:
    """Arithmetic on tensors and numbers, and on nothing else that Python would add or multiply."""

    def calculate(*args: Any) -> Any:
        if not all(isinstance(one, Tensor | int | float) for one in args):
            raise TypeError("it takes tensors and numbers")
        if function is operator.pow and not any(isinstance(one, Tensor) for one in args):
            # Whole numbers to the power of whole numbers would fill the memory.
            return float(args[0]) ** args[1]
        return function(*args)

    return calculate


def _of_numbers(function: Callable[..., float]) -> Callable[..., Any]:
    def calculate(*args: Any) -> float:
        if not all(isinstance(one, int | float) for one in args):
            raise TypeError("it takes numbers; call torch's function of this name for tensors")
        return function(*args)

    return calculate


def _item(value: Any, index: Any) -> Any:
    if not isinstance(value, Tensor | tuple):
        raise TypeError("only tensors and what an operation gives are indexed")
    # A list of numbers would take an element many times, as a tensor of them does, whose size is counted.
    entries = cast(tuple[Any, ...], index if isinstance(index, tuple) else (index,))
    if any(isinstance(one, list | tuple) for one in entries):
        raise TypeError("an index is made of numbers, slices and tensors")
    # As an end it indexes no dimension, and would be counted as if it did.
    if any(isinstance(one, slice) and next(sizes.tensors_in(one), None) is not None for one in entries):
        raise TypeError("the ends of a slice are numbers and no tensors")
    return cast(Any, value)[index]


def _where(condition: Tensor, chosen: Any, other: Any) -> Tensor:
    # With a condition alone, torch.where gives the places where it holds, as many as its values say.
    return torch.where(condition, chosen, other)


_ATTRIBUTES: Final[Mapping[str, Callable[[Tensor], Any]]] = {
    "T": lambda tensor: tensor.t(),
    "device": lambda tensor: tensor.device,
    "dtype": lambda tensor: tensor.dtype,
    "mT": lambda tensor: tensor.mT,
    "ndim": lambda tensor: tensor.ndim,
    "shape": lambda tensor: tensor.shape,
}
_PARTS: Final = {"values": 0, "indices": 1}


def _attribute(value: Any, name: Any) -> Any:
    """One of these attributes of a tensor, or a part of what sort, max or min give; never another."""
    if isinstance(value, Tensor) and name in _ATTRIBUTES:
        return _ATTRIBUTES[name](value)
    if isinstance(value, tuple) and name in _PARTS:
        return cast(tuple[Any, ...], value)[_PARTS[name]]
    raise TypeError(f"the attribute {name!r} is not offered")


_ARITHMETIC = _words("""
abs add and_ eq floordiv ge gt inv invert le lt mod mul ne neg or_ pos pow sub truediv xor
""")
_NAMED: Final[Mapping[str, Operation]] = {
    **{f"operator.{name}": Operation(_of_numbers_too(getattr(operator, name))) for name in _ARITHMETIC},
    "operator.matmul": Operation(
        _of_numbers_too(cast(Callable[..., Any], operator.matmul)), sizes.multiplied
    ),
    "operator.getitem": Operation(_item, sizes.indexed),
    "torch.where": Operation(_where, sizes.broadcast),
    "getattr": Operation(_attribute, sizes.largest),
    **{
        f"math.{name}": Operation(_of_numbers(getattr(math, name)))
        for name in ("ceil", "exp", "fabs", "floor", "log", "log1p", "log2", "sqrt")
    },
}

KEYWORDS: Final = frozenset(
    _words("""
alpha approximate beta correction decimals delta descending device dim dim0 dim1 dtype end end_dim eps
exponent fill_value index k keepdim largest length log_target mask max min nan neginf ord other p
pos_weight posinf reduction sorted stable start start_dim threshold unbiased value weight
""")
)
"""The named arguments that are passed on. Not rounding_mode: with it torch.div, of the least whole number by
-1, ends the process."""
WORDS: Final = frozenset({"approximate", "reduction"})
"""Those of them that may be text."""
SAYS_NOTHING: Final[Mapping[str, Any]] = {"inplace": False, "_stacklevel": 3, "p": "fro"}
"""Named arguments with the value that says nothing; torch.fx writes them for some functions, and None too."""


def find_operation(kind: str, target: str) -> Operation:
    """The operation that a node calls; raises RequestError, with its name, where it is not allowed."""
    if kind == "call_method":
        found = METHODS.get(target)
    else:
        found = _NAMED.get(target)
        prefix = next((one for one in _PREFIXES if target.startswith(one)), None)
        if found is None and prefix is not None:
            found = _FUNCTIONS.get(target.removeprefix(prefix))
    if found is None:
        raise RequestError(
            f"The operation {target!r} is not one that a custom loss may call on this server; write the loss "
            "without it, or pass forward_backward_custom a plain function of (data, logprobs), which runs in "
            "the client."
        )
    return found
