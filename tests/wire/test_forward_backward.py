"""Tensors whose numbers lie about them are refused while they are still bytes."""

from __future__ import annotations

import numpy as np
import pytest

from tinker_local.errors import RequestError
from tinker_local.wire import tinker_public_pb2 as proto
from tinker_local.wire.forward_backward import MAX_SPARSE_CELLS, decode_forward_backward

LARGEST = 2**63 - 1


def int64(*values: int) -> bytes:
    return np.array(values, dtype=np.int64).tobytes()


def decode(*tensors: proto.Tensor) -> list[np.ndarray]:
    message = proto.ForwardBackwardRequest()
    for tensor in tensors:
        datum = message.data.add()
        datum.model_input.add().encoded_text.tokens = b""
        datum.loss_fn_inputs["weights"].CopyFrom(tensor)
    return [datum.loss_inputs["weights"] for datum in decode_forward_backward(message).datums]


def sparse(shape: tuple[int, ...], values: int, rows: bytes, columns: bytes) -> proto.Tensor:
    tensor = proto.Tensor(dtype=proto.DTYPE_FLOAT32, shape=shape)
    tensor.sparse_csr.values = np.arange(1, values + 1, dtype=np.float32).tobytes()
    tensor.sparse_csr.crow_indices, tensor.sparse_csr.col_indices = rows, columns
    return tensor


def test_sparse_becomes_dense():
    """Compressed sparse rows come out as the matrix they mean."""
    expected = [[0, 1, 0], [0, 0, 0], [2, 0, 3]]
    assert decode(sparse((3, 3), 3, int64(0, 1, 1, 3), int64(1, 0, 2)))[0].tolist() == expected


@pytest.mark.parametrize(
    "shape", [(2**32, 2**32), (2**62, 4), (1,) * 70, (-1, -1), (1, 1, 1), (0, LARGEST, 3)]
)
def test_shapes_that_wrap_around_are_refused(shape: tuple[int, ...]):
    """A shape is never filled by a product that overflowed, nor by more dimensions than an input has."""
    count = 1 if set(shape) == {1} else 0
    tensor = proto.Tensor(dtype=proto.DTYPE_FLOAT32, shape=shape, dense=bytes(4 * count))
    with pytest.raises(RequestError, match=r"shape|dimensions"):
        decode(tensor)


@pytest.mark.parametrize(
    "rows",
    [
        (0, LARGEST, -LARGEST - 1, -2, 1),
        (0, 1, 0, 0, 1),
        (0, 2, 2, 2, 1),
        (-1, 0, 0, 0, 1),
        (0, 0, 0, 0, 0),
    ],
)
def test_row_starts_that_wrap_around_are_refused(rows: tuple[int, ...]):
    """Row starts must rise from zero to the number of values, in numbers that do not overflow."""
    with pytest.raises(RequestError, match="do not fit"):
        decode(sparse((4, 4), 1, int64(*rows), int64(0)))


@pytest.mark.parametrize("shape", [(0, 2**62), (2**62, 0), (0, LARGEST), (LARGEST,)])
def test_empty_shapes_wider_than_memory_are_refused(shape: tuple[int, ...]):
    """A tensor without values is not given a shape that no array can have, dense or sparse."""
    dense = proto.Tensor(dtype=proto.DTYPE_FLOAT32, shape=shape, dense=b"")
    for tensor in (dense, sparse(shape, 0, int64(0), b"")):
        with pytest.raises(RequestError, match=r"shape|send smaller"):
            decode(tensor)


def test_sparse_tensors_share_one_limit():
    """A few bytes that stand for gigabytes are refused, in one tensor or in many."""
    empty = sparse((1, MAX_SPARSE_CELLS // 2), 0, int64(0, 0), b"")
    assert len(decode(empty, empty)) == 2
    for tensors in ([empty] * 3, [sparse((1, 2**40), 0, int64(0, 0), b"")]):
        with pytest.raises(RequestError, match="send smaller batches"):
            decode(*tensors)
