"""Protobuf bodies of forward_backward to datums, and what came of these back to bodies."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError

from tinker_local.domain.datum import Datum, DatumOutput
from tinker_local.errors import RequestError
from tinker_local.wire import sparse
from tinker_local.wire import tinker_public_pb2 as proto

Array = npt.NDArray[Any]

MAX_SPARSE_CELLS = 2**24
"""Cells of all sparse tensors of a request once they are dense: a few bytes could name any number."""
MAX_DIMENSION = 2**31

_NUMPY_TYPES: dict[int, type[np.generic]] = {
    proto.DTYPE_FLOAT32: np.float32,
    proto.DTYPE_INT64: np.int64,
    proto.DTYPE_INT32: np.int32,
}


@dataclass(frozen=True)
class ForwardBackwardRequest:
    """A decoded body of POST /api/v1/forward_backward."""

    model_id: str
    seq_id: int
    datums: tuple[Datum, ...]
    loss_fn: str
    loss_config: Mapping[str, float | str]
    forward_only: bool


def parse_forward_backward(body: bytes) -> proto.ForwardBackwardRequest:
    """The protobuf message of a body; raises RequestError where it is none."""
    message = proto.ForwardBackwardRequest()
    try:
        message.ParseFromString(body)
    except DecodeError as error:
        raise RequestError("The body is not a ForwardBackwardRequest; send what the SDK sends.") from error
    return message


def decode_forward_backward(message: proto.ForwardBackwardRequest) -> ForwardBackwardRequest:
    """Arrays of a parsed message; raises RequestError naming the datum and field that is wrong."""
    config: dict[str, float | str] = dict(message.loss_fn_config)
    for key, value in message.loss_fn_config_v2.items():
        config[key] = value.text if value.HasField("text") else value.number
    _check_sparse_size(message)
    return ForwardBackwardRequest(
        model_id=message.model_id,
        seq_id=message.seq_id,
        datums=tuple(_decode_datum(index, datum) for index, datum in enumerate(message.data)),
        loss_fn=message.loss_fn,
        loss_config=config,
        forward_only=message.forward_only,
    )


def _check_sparse_size(message: proto.ForwardBackwardRequest) -> None:
    cells = sum(
        math.prod(tensor.shape)
        for datum in message.data
        for tensor in datum.loss_fn_inputs.values()
        if tensor.HasField("sparse_csr") and min(tensor.shape, default=0) >= 0
    )
    if cells > MAX_SPARSE_CELLS:
        raise RequestError(
            f"The sparse tensors have {cells} cells, over {MAX_SPARSE_CELLS}; send smaller batches."
        )


def _decode_datum(index: int, datum: proto.Datum) -> Datum:
    pieces: list[Array] = []
    for chunk in datum.model_input:
        if not chunk.HasField("encoded_text"):
            raise RequestError(f"Datum {index} holds an image or audio chunk; only text is supported.")
        pieces.append(_array(chunk.encoded_text.tokens, np.int32, f"datum {index}, model_input"))
    tokens = np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.int32)
    inputs = {
        name: _decode_tensor(tensor, f"datum {index}, {name}")
        for name, tensor in datum.loss_fn_inputs.items()
    }
    return Datum(tokens=tokens.astype(np.int64), loss_inputs=inputs)


def _decode_tensor(tensor: proto.Tensor, where: str) -> Array:
    dtype = _NUMPY_TYPES.get(tensor.dtype)
    if dtype is None:
        raise RequestError(f"The {where} has an unknown element type; use float32 or int64.")
    shape = tuple(tensor.shape)
    # Also where another dimension is zero, numpy makes no array that is wider than memory.
    if max(shape, default=0) > MAX_DIMENSION:
        raise RequestError(f"The {where} has the shape {shape}, which no memory holds; send smaller ones.")
    if tensor.HasField("sparse_csr"):
        return _decode_sparse(tensor.sparse_csr, dtype, shape, where)
    values = _array(tensor.dense, dtype, where)
    if not shape:
        return values
    if len(shape) > 2:
        raise RequestError(f"The {where} has {len(shape)} dimensions; no loss input has more than two.")
    # Python's own product, because numpy's wraps around at 64 bits.
    if min(shape) < 0 or math.prod(shape) != len(values):
        raise RequestError(f"The {where} holds {len(values)} values, which do not fill its shape {shape}.")
    return values.reshape(shape)


def _decode_sparse(
    message: proto.SparseCsr, dtype: type[np.generic], shape: tuple[int, ...], where: str
) -> Array:
    """Dense array of a compressed sparse row tensor; cells that are not listed are zero."""
    values = _array(message.values, dtype, where)
    rows = _array(message.crow_indices, np.int64, where)
    columns = _array(message.col_indices, np.int64, where)
    if not sparse.fits(values, rows, columns, shape):
        raise RequestError(f"The sparse {where} has indices that do not fit its shape {shape}.")
    dense = np.zeros(shape, dtype=dtype)
    dense[sparse.cells(rows, columns)] = values
    return dense


def _array(data: bytes, dtype: type[np.generic], where: str) -> Array:
    try:
        return np.frombuffer(data, dtype=dtype)
    except ValueError as error:
        size = np.dtype(dtype).itemsize
        raise RequestError(f"The {where} is not a whole number of {size}-byte values.") from error


def encode_forward_backward(outputs: Sequence[DatumOutput], metrics: Mapping[str, float]) -> bytes:
    """A ForwardBackwardOutput body. Metric names must be `name:reduction`, as the SDK combines them."""
    message = proto.ForwardBackwardOutput(loss_fn_output_type="ArrayRecord", metrics=dict(metrics))
    record = message.loss_fn_outputs.add()
    record.type_tag = "ArrayRecord"
    record.num_datums = len(outputs)
    for name in outputs[0].fields if outputs else ():
        arrays = [np.ascontiguousarray(output.fields[name], dtype=np.float32) for output in outputs]
        offsets = np.cumsum([0, *(array.nbytes for array in arrays)], dtype=np.int64)
        batched = record.fields[name]
        batched.data = b"".join(array.tobytes() for array in arrays)
        batched.offsets = offsets.tobytes()
        batched.dtype = proto.DTYPE_FLOAT32
        batched.trailing_shape.extend(arrays[0].shape[1:])
    return message.SerializeToString()
